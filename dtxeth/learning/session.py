"""Sessions: one training or prediction task from the first message to the result, at one party.

Every party calls the same function with its own table. Nothing is sent before the own table passes the own
owner's policy; nothing is encrypted before all floors are met by the common rows. A party that fails tells
the others, so that the task fails everywhere and nobody waits.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from dtxeth.crypto import engine
from dtxeth.crypto.paillier import MIN_BITS, generate_keypair
from dtxeth.errors import DataError, InputError
from dtxeth.learning.agreement import (
    NoteRows,
    check_rows,
    check_table,
    common_ids,
    describe_party,
    giving_up_aloud,
)
from dtxeth.learning.columns import count_missing, encode, learn_columns
from dtxeth.learning.evaluation import Plan, agree_on_report, report_on
from dtxeth.learning.handshake import (
    Commitment,
    TaskContext,
    exchange_columns,
    exchange_commitments,
    exchange_keys,
    floors_of,
    greet,
)
from dtxeth.learning.journal import Journal, MemoryJournal, task_secret
from dtxeth.learning.learner import partition
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Policy, strictest
from dtxeth.learning.predict import Prediction, open_predictions
from dtxeth.learning.privacy import Account
from dtxeth.learning.progress import Watcher
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec, canonical_json
from dtxeth.learning.table import Matrix, Table
from dtxeth.transport.channel import Channel


@dataclass(frozen=True)
class Training:
    """Outcome of training at one party.

    Attributes:
        part: Its share of the model; stays with the executor.
        result: Canonical JSON about the model, byte for byte the same at every party: what goes on chain.
        report: ``result`` decoded, with this party's own seconds and bytes sent, and what
            :func:`~dtxeth.crypto.engine` said.
        active: The party that has the label.
        ids: The rows trained on, in the common order; private to the party.
        start: The start weights, for retracing the run in the clear (:mod:`dtxeth.learning.plain`); secret.
        evaluation: What the requester gets besides, canonical JSON whose hash is in ``result``; at the active party,
            if the spec asks for evaluation.
        tested: The rows that each evaluation model was tested on; private to the party.
    """

    part: ModelPart
    result: bytes
    report: dict[str, Any]
    active: str
    ids: tuple[str, ...] = field(repr=False)
    start: Matrix = field(repr=False)
    evaluation: bytes | None = field(default=None, repr=False)
    tested: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


def train(
    channel: Channel,
    active: str,
    table: Table,
    spec: TaskSpec,
    policy: Policy,
    context: TaskContext,
    progress: Watcher | None = None,
    secret: bytes | None = None,
    warm: ModelPart | None = None,
    journal: Journal | None = None,
    note_rows: NoteRows | None = None,
) -> Training:
    """Train a model together with the peers of ``channel``.

    Args:
        channel: Connects this party with its peers, fresh for this task.
        active: The party that has the label.
        table: This party's rows; with the label at the active party only.
        spec: The task's spec, as on chain.
        policy: The data owner's rules.
        context: What the chain says.
        progress: Called after every round of every model.
        secret: 32 bytes from which all that is random follows; default from the journal, or fresh. One secret
            must not serve two runs, unless the second goes on with the journal of the first.
        warm: This party's part of the model that ``spec.warm_start`` names.
        journal: Where this party writes down what it needs to go on after a crash; default nowhere.
        note_rows: Told of the rows before anything is learned from them; may refuse them.

    Raises:
        InputError: The table does not fit the spec or the chain.
        PolicyError: The owner's policy forbids the task, or too few rows are common.
        PeerError: A peer was silent, gave up, or sent something malformed, out of range or replayed.
        TaskError: Training diverged, or cannot be taken up again.
    """
    began = time.perf_counter()
    with giving_up_aloud(channel):
        check_table(channel, active, table, spec, context, policy)
        parties = tuple(sorted((channel.name, *channel.peers)))
        policy.floors(len(table.features) + len(table.words)).check_rows(len(table), "the table")
        _check_warm(warm, spec, channel.name == active)
        former = "" if warm is None else warm.task
        hellos = greet(channel, active, table, spec, context, policy, model=former)
        journal = journal or MemoryJournal()
        secrets = TaskSecrets(secret or task_secret(journal), context.task)

        aligned = table.take(common_ids(channel, table, hellos, context, secrets, journal))
        inputs = learn_columns(aligned)
        encoded = encode(aligned, inputs)
        names, missing = [column.name for column in inputs], count_missing(aligned)
        columns = exchange_columns(channel, names, len(encoded.features), missing, context)
        floors = floors_of(hellos, columns)
        plan = Plan.of(
            channel, active, encoded, inputs, spec, strictest(floors.values()), context.task, secrets
        )
        if note_rows is not None:
            note_rows(plan.design.table.ids)
        # only tests get a spec past validation that names a shorter key
        test_key = spec.key_bits < MIN_BITS
        key = generate_keypair(
            spec.key_bits, insecure_test_key=test_key, seed=secrets.derive(64, "key", channel.name)
        )
        features = tuple(columns[party].features for party in parties)
        ring = Ring(channel, parties, exchange_keys(channel, parties, key), features, key, active)
        model, folds = plan.run(ring, secrets, progress, warm, journal)
        fitted = model.fit

        mine = Commitment(commitment=model.part.commitment, rounds=fitted.rounds, converged=fitted.converged)
        commitments = exchange_commitments(channel, mine)
        summary = {
            "algorithm": spec.algorithm,
            "rounds": fitted.rounds,
            "converged": fitted.converged,
            "aligned_rows": len(aligned),
            "rows": len(model.design.table),
            "key_bits": spec.key_bits,
            **_privacy_account(spec, len(model.design.table)),
            "parties": [
                describe_party(party, columns[party], floors[party], commitments[party]) for party in parties
            ],
        }
        evaluated = None
        if spec.live is not None or spec.evaluation is not None:
            evaluated = report_on(plan, model, folds, summary, secrets) if channel.name == active else None
            summary["report"] = agree_on_report(channel, active, evaluated)
    own = {
        "seconds": time.perf_counter() - began,
        "bytes_sent": channel.bytes_sent,
        "engine": engine(spec.key_bits),
        "resumed_from_round": fitted.resumed,
        "encryption_prepared": round(fitted.prepared, 3),
    }
    return Training(
        model.part,
        canonical_json(summary),
        summary | own,
        active,
        model.design.table.ids,
        fitted.start,
        evaluated,
        tuple(tuple(aligned.ids[row] for row in fold.rows) for fold in folds),
    )


def predict(
    channel: Channel,
    active: str,
    table: Table,
    part: ModelPart,
    spec: TaskSpec,
    policy: Policy,
    context: TaskContext,
    secret: bytes | None = None,
    journal: Journal | None = None,
) -> Prediction | None:
    """Predict the common rows of the parties' tables with a trained model.

    Args:
        channel: Connects this party with its peers, fresh for this task.
        active: The party that has the label's part of the model, and gets the predictions.
        table: This party's rows, with the features of ``part``.
        part: This party's share of the model.
        spec: The task's spec, as on chain.
        policy: The data owner's rules.
        context: What the chain says.
        secret: 32 bytes from which the order of rows follows; default from the journal, or fresh.
        journal: Where this party writes down what it heard, so that it says nothing more after a crash than before;
            default nowhere.

    Returns:
        The predictions at the active party, ``None`` elsewhere.

    Raises:
        InputError: The table or the part does not fit the spec or the chain.
        PolicyError: The owner's policy forbids the task.
        PeerError: A peer was silent, gave up, or sent something malformed or replayed.
    """
    with giving_up_aloud(channel):
        if part.algorithm != spec.algorithm or (part.label is not None) != (channel.name == active):
            raise InputError(f"the model part is not the one of {channel.name} in a {spec.algorithm} model")
        if list(table.features) != part.features:
            raise DataError(f"the table's features are not those of the model: {', '.join(part.features)}")
        check_rows(channel, table, context)
        shown = len(table.features) if part.label is None else None
        policy.admit(spec, context.requester, context.earlier, shown)
        hellos = greet(channel, active, table, spec, context, policy, model=part.task)
        journal = journal or MemoryJournal()
        secrets = TaskSecrets(secret or task_secret(journal), context.task)
        common = table.take(common_ids(channel, table, hellos, context, secrets, journal))
        values = open_predictions(channel, active, part, common.values)
        if values is None or part.label is None:
            return None
        return Prediction(common.ids, values, part.label.column, part.label.classes)


def _check_warm(warm: ModelPart | None, spec: TaskSpec, active: bool) -> None:
    if (warm is None) != (spec.warm_start is None):
        raise InputError(
            f"warm_start is {spec.warm_start}: give this party's part of that model, and only then"
        )
    if warm is not None and (warm.algorithm != spec.algorithm or (warm.label is not None) != active):
        raise InputError(
            f"the part to start from is not this party's in a {spec.algorithm} model: start cold"
        )


def _privacy_account(spec: TaskSpec, rows: int) -> dict[str, Any]:
    """What the task costs in privacy, if it asks for any; the same at every party."""
    if spec.privacy is None:
        return {}
    batches = len(partition(rows, spec.batch_size))
    return {"privacy": asdict(Account.of(spec.privacy, spec.max_rounds, batches))}
