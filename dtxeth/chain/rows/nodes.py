"""Rows about storage nodes and executors."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain.bindings.types import Fault, Level
from dtxeth.chain.filters import ADDRESS, DIGEST, FLAG, NUMBER, TEXT, known_filters, words
from dtxeth.chain.rows.row import Row


@dataclass(frozen=True)
class NodeRow(Row):
    """A registered node.

    Attributes:
        address: Its account.
        name: Label for people, unique in its role.
        role: ``storage`` or ``executor``.
        online: Whether it takes new work.
        draining: Whether it asks owners to move their pieces elsewhere.
        level: ``green``, ``yellow`` or ``red``; None for executors, as all of its health.
        score: 0 to 10000.
        success: Challenge success, 0 to 10000.
        heartbeats: Heartbeat ratio, 0 to 10000.
        judges: Owner-days in the week with a settled challenge.
        misses_in_row: Challenges that it has missed since it last answered one.
        lost: Whether it has been silent, or missed challenges, for too long.
        capacity: Bytes that it offers.
        used: Bytes of its holdings that are not released.
        holdings: How many these are.
        stake: Wei at stake.
        endpoint: URL where it listens.
        tls_fingerprint: SHA-256 of its TLS certificate, or zero.
        registered_at: When it joined.
        last_heartbeat_at: When it last showed that it is alive.
    """

    view = "nodes"
    filters = known_filters(
        ("registered",),
        address=ADDRESS,
        name=TEXT,
        role=words("storage", "executor"),
        online=FLAG,
        draining=FLAG,
        level=words(Level),
        lost=FLAG,
    )

    address: str
    name: str
    role: str
    online: bool
    draining: bool
    level: str | None
    score: int | None
    success: int | None
    heartbeats: int | None
    judges: int | None
    misses_in_row: int | None
    lost: bool | None
    capacity: int
    used: int
    holdings: int
    stake: int
    endpoint: str
    tls_fingerprint: bytes
    registered_at: int
    last_heartbeat_at: int | None


@dataclass(frozen=True)
class SlashRow(Row):
    """What a storage node lost for a failed challenge.

    Attributes:
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file, who was credited what was not burned.
        amount: Wei taken in all.
        burned: Wei of it that nobody gets.
        challenge: The failed challenge.
        fault: Why it failed.
        file: The file.
        holding: The holding.
        slashed_at: When.
    """

    view = "slashes"
    filters = known_filters(
        ("slashed",),
        node=ADDRESS,
        owner=ADDRESS,
        file=DIGEST,
        holding=NUMBER,
        challenge=NUMBER,
        fault=words(Fault),
    )

    node: str
    node_name: str
    owner: str
    amount: int
    burned: int
    challenge: int
    fault: str
    file: bytes
    holding: int
    slashed_at: int
