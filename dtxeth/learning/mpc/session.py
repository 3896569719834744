"""Sessions of three parties that train a network on shares, or predict with one, at one party.

The steps and what each shows to whom are in docs/protocols/dnn.md. Alignment and the owners' policies are those
of all tasks; nothing is shared before they are met, and nothing but predictions is ever opened.
"""

from __future__ import annotations

import hashlib
import secrets as entropy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from dtxeth.errors import ConfigError, DataError, InputError, TaskError
from dtxeth.learning.agreement import (
    NoteRows,
    check_rows,
    check_table,
    common_ids,
    describe_party,
    giving_up_aloud,
)
from dtxeth.learning.columns import count_missing, encode, fill, learn_columns, learn_fills
from dtxeth.learning.handshake import (
    Commitment,
    TaskContext,
    exchange_columns,
    exchange_commitments,
    floors_of,
    greet,
)
from dtxeth.learning.journal import Journal, MemoryJournal, task_secret
from dtxeth.learning.mpc import PARTIES, require_spu
from dtxeth.learning.mpc.checkpoints import Checkpoints
from dtxeth.learning.mpc.engine import NAME, Engine, agree
from dtxeth.learning.mpc.link import LOOPBACK, Endpoint, linked
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.mpc.part import NetworkPart
from dtxeth.learning.mpc.program import Program, compile_join, from_layers, read_program
from dtxeth.learning.mpc.twin import batches
from dtxeth.learning.part import Label, Moments
from dtxeth.learning.policy import Policy, strictest
from dtxeth.learning.predict import Prediction
from dtxeth.learning.progress import Step, Watcher
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec, canonical_json
from dtxeth.learning.table import Matrix, Table
from dtxeth.transport.channel import Channel


@dataclass(frozen=True)
class Site:
    """What a party's own machine adds to a task.

    Attributes:
        endpoint: Where its SPU listens.
        programs: Folder of the programs that the owner has approved, each named by its SHA-256 and ``.mlir``.
    """

    endpoint: Endpoint = LOOPBACK
    programs: Path | None = None


LOCAL: Final = Site()
"""A machine that has all three parties."""


@dataclass(frozen=True)
class NetworkTraining:
    """Outcome of training at one party.

    Attributes:
        part: Its shares of the network; stays with the executor.
        result: Canonical JSON about the model, byte for byte the same at every party: what goes on chain.
        report: ``result`` decoded, with this party's own seconds and bytes sent, and the engine.
        active: The party that has the label.
        ids: The rows trained on, in the common order; private to the party.
    """

    part: NetworkPart
    result: bytes
    report: dict[str, Any]
    active: str
    ids: tuple[str, ...] = field(repr=False)


def train_network(
    channel: Channel,
    active: str,
    table: Table,
    spec: TaskSpec,
    policy: Policy,
    context: TaskContext,
    site: Site = LOCAL,
    journal: Journal | None = None,
    secret: bytes | None = None,
    progress: Watcher | None = None,
    note_rows: NoteRows | None = None,
) -> NetworkTraining:
    """Train a network together with the two peers of ``channel``.

    Args:
        channel: Connects this party with its peers, fresh for this task.
        active: The party that has the label.
        table: This party's rows; with the label at the active party only.
        spec: The task's spec, as on chain.
        policy: The data owner's rules.
        context: What the chain says.
        site: This party's machine.
        journal: Keeps checkpoints, so that a run that was interrupted goes on; by default nothing is kept.
        secret: 32 bytes from which the order of the rows follows; default fresh.
        progress: Called after every epoch.
        note_rows: Told of the rows before anything is learned from them; may refuse them.

    Raises:
        InputError: The table does not fit the spec or the chain, SPU is not installed, or there are not three parties.
        PolicyError: The owner's policy forbids the task, or too few rows are common.
        PeerError: A peer was silent, gave up, or sent something malformed.
        TaskError: The peers' SPU could not be reached, or gave up.
    """
    began = time.perf_counter()
    with giving_up_aloud(channel):
        network = _network(spec)
        parties = _check_parties(channel)
        check_table(channel, active, table, spec, context, policy)
        hellos = greet(channel, active, table, spec, context, policy, model="")
        said = journal or MemoryJournal()
        secrets = TaskSecrets(secret or task_secret(said), context.task)
        aligned = table.take(common_ids(channel, table, hellos, context, secrets, said))
        inputs = learn_columns(aligned)
        used = encode(aligned, inputs)
        names, missing = [column.name for column in inputs], count_missing(aligned)
        columns = exchange_columns(channel, names, len(used.features), missing, context)
        floors = floors_of(hellos, columns)
        strictest(floors.values()).check_rows(len(used), "the common rows")
        if note_rows is not None:
            note_rows(used.ids)
        inputs = learn_fills(inputs, used.values, spec.missing)
        filled = fill(inputs, used.values)
        moments = Moments.of(filled, used.features, f"all {len(used)} common rows")
        target, label = (None, None) if used.label is None else _target(used, spec.label)

        widths = [columns[party].features for party in parties]
        program = _program(network, sum(widths), len(used), site)
        if program.batch > len(used):
            raise TaskError(f"the program takes batches of {program.batch} rows, {len(used)} are common")
        parts = batches(network, len(used), program.batch)
        start, step = program.compile("start"), program.compile("step")
        agree(channel, hashlib.sha256(start + step).digest())

        checkpoints = Checkpoints(journal)
        done, saved = checkpoints.rejoin(channel)
        with linked(channel, parties, site.endpoint) as link:
            engine = Engine(channel, parties, link)
            values = moments.standardise(filled)
            _share_rows(engine, channel, parties, widths, parts, values)
            for number, rows in enumerate(parts):
                engine.share(
                    f"y {number}", active, (len(rows), 1), None if target is None else target[rows, None]
                )
            state = _start(engine, program, start, parties[0], channel.name, saved)
            since = time.perf_counter()
            for epoch in range(done + 1, network.epochs + 1):
                for number in range(len(parts)):
                    engine.publish("rate", network.rate((epoch - 1) * len(parts) + number + 1))
                    engine.run(step, [*state, f"x {number}", f"y {number}", "rate"], state)
                if epoch % spec.checkpoint_every == 0:
                    checkpoints.save(epoch, engine.save(state))
                if progress is not None:
                    progress(Step("model", epoch, network.epochs, time.perf_counter() - since))
            shares = engine.save(state)

        part = NetworkPart(
            algorithm=spec.algorithm,
            task=context.task.hex(),
            parties=list(parties),
            features=list(used.features),
            columns=inputs,
            widths=widths,
            network=network,
            moments=moments,
            label=label,
            shares=shares.hex(),
            salt=entropy.token_hex(32),
        )
        mine = Commitment(commitment=part.commitment, rounds=network.epochs, converged=False)
        commitments = exchange_commitments(channel, mine)
        summary = {
            "algorithm": spec.algorithm,
            "rounds": network.epochs,
            "converged": False,
            "aligned_rows": len(used),
            "rows": len(used),
            "engine": NAME,
            "parties": [
                describe_party(party, columns[party], floors[party], commitments[party]) for party in parties
            ],
        }
    own = {
        "seconds": time.perf_counter() - began,
        "bytes_sent": channel.bytes_sent,
        "resumed_after": done,
    }
    return NetworkTraining(part, canonical_json(summary), summary | own, active, used.ids)


def predict_network(
    channel: Channel,
    active: str,
    table: Table,
    part: NetworkPart,
    spec: TaskSpec,
    policy: Policy,
    context: TaskContext,
    site: Site = LOCAL,
    secret: bytes | None = None,
    journal: Journal | None = None,
    progress: Watcher | None = None,
) -> Prediction | None:
    """Predict the common rows of three parties' tables with a shared network.

    Args:
        channel: Connects this party with its peers, fresh for this task.
        active: The party that has the label's part of the model; predictions are opened to it alone.
        table: This party's rows, with the features of ``part``.
        part: This party's shares of the network.
        spec: The task's spec, as on chain.
        policy: The data owner's rules.
        context: What the chain says.
        site: This party's machine.
        secret: As for :func:`train_network`.
        journal: What peers said in the alignment is kept here, so that they cannot say otherwise after a crash.
        progress: Called after every run of the program, with rows in the place of rounds.

    Returns:
        The predictions at the active party, ``None`` elsewhere.

    Raises:
        InputError: The table or the part does not fit the spec or the chain, or SPU is not installed.
        PolicyError: The owner's policy forbids the task.
        PeerError: A peer was silent, gave up, or sent something malformed.
        TaskError: The peers' SPU could not be reached, or gave up.
    """
    with giving_up_aloud(channel):
        parties = _check_parties(channel)
        if list(parties) != part.parties or (part.label is not None) != (channel.name == active):
            raise InputError(f"the part of the network is not the one of {channel.name} among these parties")
        if list(table.features) != part.features:
            raise DataError(f"the table's features are not those of the model: {', '.join(part.features)}")
        check_rows(channel, table, context)
        policy.admit(spec, context.requester, context.earlier, len(table.features))
        hellos = greet(channel, active, table, spec, context, policy, model=part.task)
        said = journal or MemoryJournal()
        secrets = TaskSecrets(secret or task_secret(said), context.task)
        common = table.take(common_ids(channel, table, hellos, context, secrets, said))
        values = part.moments.standardise(fill(part.columns, common.values))

        widths, rows = part.widths, len(common)
        program = _program(part.network, sum(widths), rows, site)
        code = program.compile("predict")
        agree(channel, hashlib.sha256(code).digest())
        chunks = [range(start, min(start + program.rows, rows)) for start in range(0, rows, program.rows)]
        outputs: list[Matrix] = []
        with linked(channel, parties, site.endpoint) as link:
            engine = Engine(channel, parties, link)
            engine.load(bytes.fromhex(part.shares))
            state, since = _names(program), time.perf_counter()
            for chunk in chunks:
                padded = np.zeros((program.rows, len(part.features)))
                padded[: len(chunk)] = values[chunk]
                _share_rows(engine, channel, parties, widths, [list(range(program.rows))], padded)
                engine.run(code, [*state, "x 0"], ["output"])
                output = engine.open("output", active, (program.rows, 1))
                if output is not None:
                    outputs.append(np.asarray(output, dtype=np.float64)[: len(chunk), 0])
                if progress is not None:
                    progress(Step("prediction", chunk.stop, rows, time.perf_counter() - since))
        if part.label is None:
            return None
        label, raw = part.label, np.concatenate(outputs)
        predicted = np.clip(raw, 0.0, 1.0) if part.network.logistic else label.offset + label.scale * raw
        return Prediction(common.ids, predicted, label.column, label.classes)


def check_ability(spec: TaskSpec, parties: int, site: Site) -> None:
    """Make sure, before a party agrees to a task, that it could run it; other algorithms than networks always pass.

    Args:
        spec: The task's spec.
        parties: How many parties the task has.
        site: The party's machine.

    Raises:
        InputError: SPU is not installed, the program is not there, or there are not three parties.
    """
    if spec.network is None:
        return
    require_spu()
    if parties != PARTIES:
        raise InputError(f"a network on shares takes {PARTIES} parties, this task has {parties}")
    if spec.network.program is not None:
        _read(spec.network.program, site)


def _network(spec: TaskSpec) -> Network:
    if spec.network is None:
        raise ConfigError(f"{spec.algorithm} trains no network: use dnn-vl")
    return spec.network


def _check_parties(channel: Channel) -> tuple[str, ...]:
    """Make sure that this party can take part, and return all parties by rank."""
    require_spu()
    parties = tuple(sorted((channel.name, *channel.peers)))
    if len(parties) != PARTIES:
        raise InputError(f"a network on shares takes {PARTIES} parties, this task has {len(parties)}")
    return parties


def _target(table: Table, column: str) -> tuple[Matrix, Label]:
    """Return what the network learns, and how its output becomes a prediction."""
    assert table.label is not None
    mean, deviation = float(table.label.mean()), float(table.label.std())
    if deviation == 0:
        raise DataError(f"label {column!r} has the same value in all {len(table)} common rows")
    if table.classes is not None:
        return table.label, Label(column=column, offset=0.0, scale=1.0, classes=table.classes)
    return (table.label - mean) / deviation, Label(column=column, offset=mean, scale=deviation)


def _program(network: Network, features: int, rows: int, site: Site) -> Program:
    """Return the program of a network for tables of ``features`` columns and ``rows`` common rows."""
    if network.program is None:
        return from_layers(network, features, min(network.batch_size or rows, rows), rows)
    program = _read(network.program, site)
    if program.features != features:
        raise TaskError(f"the program takes {program.features} columns, the parties have {features}")
    return program


def _read(digest: str, site: Site) -> Program:
    path = None if site.programs is None else site.programs / f"{digest}.mlir"
    if path is None or not path.is_file():
        raise ConfigError(
            f"program {digest} is not here: place it as {digest}.mlir in the executor's programs"
        )
    return read_program(path.read_bytes(), digest)


def _share_rows(
    engine: Engine,
    channel: Channel,
    parties: tuple[str, ...],
    widths: list[int],
    parts: list[list[int]],
    values: Matrix,
) -> None:
    """Share every party's columns of every batch, and join them as ``x 0``, ``x 1``, …."""
    join = compile_join(len(parts[0]), widths)
    for number, rows in enumerate(parts):
        columns = [f"columns of {party}" for party in parties]
        for party, width, name in zip(parties, widths, columns, strict=True):
            engine.share(name, party, (len(rows), width), values[rows] if party == channel.name else None)
        engine.run(join, columns, [f"x {number}"])


def _names(program: Program) -> list[str]:
    return [f"state {number}" for number in range(len(program.state))]


def _start(engine: Engine, program: Program, code: bytes, sharer: str, name: str, saved: bytes) -> list[str]:
    """Make the state ready, from a checkpoint or from the beginning; return the names of its tensors."""
    names = _names(program)
    if saved:
        engine.load(saved)
        return names
    public = [f"public {state}" for state in names]
    engine.run(code, [], public)
    for state, start, shape in zip(names, public, program.state, strict=True):
        # the start is known to all, but programs are compiled for shares
        engine.share(state, sharer, shape, np.reshape(engine.local(start), shape) if name == sharer else None)
    return names
