"""Handshakes: what the parties of a task tell each other before and after the protocol proper."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from dtxeth.crypto.paillier import PrivateKey, PublicKey
from dtxeth.errors import CryptoError, DataError, PeerError
from dtxeth.learning.policy import Floors, Policy
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

VERSION: Final = 1

Digest = Annotated[bytes, Field(min_length=32, max_length=32)]


@dataclass(frozen=True)
class TaskContext:
    """What the chain says about a task.

    Attributes:
        task: Identifies the task among all chains and registries, at most 64 bytes: hash chain id, registry
            address and task id into it. All that the parties derive and exchange is bound to it.
        requester: Account that published the task.
        rows: Row count of each party's file, as published.
        earlier: Tasks of this kind that this party's file took part in before.
    """

    task: bytes
    requester: str
    rows: Mapping[str, int]
    earlier: int = 0


class Hello(Message):
    """First message: what everybody has to agree on, and what the sender's owner demands."""

    version: int
    kind: Annotated[str, Field(max_length=16)]
    task: Annotated[bytes, Field(max_length=64)]
    spec: Digest
    active: Annotated[str, Field(max_length=256)]
    model: Annotated[str, Field(max_length=128)]
    rows: Annotated[int, Field(ge=1)]
    features: Annotated[int, Field(ge=1)]
    min_rows: Annotated[int, Field(ge=1)] | None
    max_leverage: Annotated[float, Field(gt=0, le=1)]


class Columns(Message):
    """What became of the sender's columns of the common rows, and their names, hashed with the task."""

    features: Annotated[int, Field(ge=1)]
    missing: Annotated[int, Field(ge=0)]
    names: Annotated[list[Annotated[bytes, Field(min_length=16, max_length=16)]], Field(min_length=1)]


class LabelHolder(Message):
    """Whether the sender has the label."""

    has_label: bool


class Key(Message):
    """A party's public key for this task."""

    n: Annotated[bytes, Field(max_length=1024)]


class Commitment(Message):
    """A party's salted commitment to its part of the model, and how training ended for it."""

    commitment: Digest
    rounds: Annotated[int, Field(ge=1)]
    converged: bool


def greet(
    channel: Channel,
    active: str,
    table: Table,
    spec: TaskSpec,
    context: TaskContext,
    policy: Policy,
    model: str,
) -> dict[str, Hello]:
    """Exchange greetings; return everybody's once they agree on the task."""
    mine = Hello(
        version=VERSION,
        kind=spec.kind,
        task=context.task,
        spec=spec.digest,
        active=active,
        model=model,
        rows=len(table),
        features=len(table.features) + len(table.words),
        min_rows=policy.min_rows,
        max_leverage=policy.max_leverage,
    )
    for peer in channel.peers:
        send(channel, peer, "hello", mine)
    hellos = {channel.name: mine}
    for peer in channel.peers:
        theirs = receive(channel, peer, "hello", Hello)
        for name in ("version", "kind", "task", "spec", "active", "model"):
            if getattr(theirs, name) != getattr(mine, name):
                raise PeerError(
                    peer, f"does not agree on the {name} of this task; both sides must follow the chain"
                )
        if theirs.rows != context.rows.get(peer):
            raise PeerError(
                peer, f"has {theirs.rows} rows, its file was published with {context.rows.get(peer)}"
            )
        hellos[peer] = theirs
    return hellos


def exchange_columns(
    channel: Channel, names: Sequence[str], features: int, missing: int, context: TaskContext
) -> dict[str, Columns]:
    """Tell the others how many features came of this party's columns; return everybody's.

    Names are compared by their hashes with the task: who guesses a name can check the guess, no more.

    Args:
        channel: This party's channel.
        names: Names of its columns.
        features: Number of features that came of them.
        missing: How many of their values were missing.
        context: What the chain says.

    Raises:
        DataError: Another party has a column of the same name.
        PeerError: A peer was silent, or sent something malformed.
    """
    hashed = {hashlib.sha256(context.task + b"\0" + name.encode()).digest()[:16]: name for name in names}
    mine = Columns(features=features, missing=missing, names=sorted(hashed))
    for peer in channel.peers:
        send(channel, peer, "columns", mine)
    columns = {channel.name: mine}
    for peer in channel.peers:
        columns[peer] = receive(channel, peer, "columns", Columns)
    for peer in channel.peers:
        for twice in hashed.keys() & set(columns[peer].names):
            raise DataError(
                f"column {hashed[twice]!r} is in the file of {peer} too: remove or rename it in one"
            )
    return columns


def floors_of(hellos: Mapping[str, Hello], columns: Mapping[str, Columns]) -> dict[str, Floors]:
    """Return what the owner of each party demands, given everybody's greeting and columns."""
    most = max(own.features for own in columns.values())
    return {
        party: Policy(min_rows=hello.min_rows, max_leverage=hello.max_leverage).floors(most)
        for party, hello in hellos.items()
    }


def find_active(channel: Channel, has_label: bool) -> str:
    """Tell the others whether this party has the label; return the one party that has it.

    Raises:
        DataError: No party has the label, or more than one.
        PeerError: A peer was silent or sent something malformed.

    """
    for peer in channel.peers:
        send(channel, peer, "label", LabelHolder(has_label=has_label))
    holders = [channel.name] if has_label else []
    holders += [peer for peer in channel.peers if receive(channel, peer, "label", LabelHolder).has_label]
    if len(holders) != 1:
        raise DataError(
            f"{len(holders)} of the files have the label column: exactly one of them must have it"
        )
    return holders[0]


def exchange_keys(channel: Channel, parties: tuple[str, ...], key: PrivateKey) -> tuple[PublicKey, ...]:
    """Exchange public keys; return them in the order of ``parties``."""
    for peer in channel.peers:
        send(channel, peer, "key", Key(n=key.public_key.to_bytes()))
    keys = {channel.name: key.public_key}
    for peer in channel.peers:
        data = receive(channel, peer, "key", Key).n
        try:
            keys[peer] = PublicKey.from_bytes(data, insecure_test_key=key.insecure_test_key)
        except CryptoError as error:
            raise PeerError(peer, f"sent an unusable key: {error}") from None
        if keys[peer].bits != key.public_key.bits:
            raise PeerError(peer, f"sent a key of {keys[peer].bits} bits, {key.public_key.bits} were due")
        if keys[peer] == key.public_key:
            raise PeerError(peer, "sent our own key as its own")
    return tuple(keys[party] for party in parties)


def exchange_commitments(channel: Channel, mine: Commitment) -> dict[str, bytes]:
    """Exchange commitments to the parts; return them by party once all agree on how training ended."""
    for peer in channel.peers:
        send(channel, peer, "commitment", mine)
    commitments = {channel.name: mine.commitment}
    for peer in channel.peers:
        theirs = receive(channel, peer, "commitment", Commitment)
        if (theirs.rounds, theirs.converged) != (mine.rounds, mine.converged):
            raise PeerError(
                peer, f"says training ended after {theirs.rounds} rounds, here it was {mine.rounds}"
            )
        commitments[peer] = theirs.commitment
    return commitments
