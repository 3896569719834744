"""Events as SQL tables: one of each kind that lists are made of, one column an argument.

An enum becomes the name of its member in lower case. A number of 63 bits and more, which SQLite's integers cannot
hold, becomes 32 bytes, which sort after all integers and among themselves by value.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from dtxeth.chain.abi import Event
from dtxeth.chain.bindings import events

KINDS: tuple[type[Event], ...] = (
    events.AuthorizationApplied,
    events.AuthorizationApproved,
    events.AuthorizationRejected,
    events.AuthorizationRevoked,
    events.ChallengeDrawn,
    events.ChallengeFailed,
    events.ChallengeOpened,
    events.ChallengeProved,
    events.ChallengeVoided,
    events.FileDeleted,
    events.FilePublished,
    events.FileRevised,
    events.HeartbeatCounted,
    events.HoldingAdded,
    events.HoldingEnded,
    events.HoldingReleased,
    events.NamespaceAdded,
    events.NodeDrainingChanged,
    events.NodeOnlineChanged,
    events.NodeRegistered,
    events.NodeSlashed,
    events.NodeUpdated,
    events.PartyInvited,
    events.RedundancyChanged,
    events.ReportsDisagree,
    events.StakeChanged,
    events.TaskBegun,
    events.TaskCancelled,
    events.TaskFailed,
    events.TaskFinished,
    events.TaskPublished,
    events.TaskReady,
    events.TaskRejected,
    events.TaskStarted,
    events.TaskTimedOut,
)
"""The events that views.sql reads."""

TOPICS = {kind.topic: kind for kind in KINDS}

POSITION_BITS = 20
"""Bits of a log's number in its block: a log costs 375 gas, so a block of 2^20 would need 390 million."""


def position(block: int, number: int = 0) -> int:
    """Where a log stands in the chain's order."""
    return (block << POSITION_BITS) + number


def schema() -> str:
    """Return the SQL that creates the tables and the views over them."""
    return "\n".join([*map(_table, KINDS), Path(__file__).with_name("views.sql").read_text(encoding="utf-8")])


def insertion(event: Event, time: int) -> tuple[str, list[Any]]:
    """Return the SQL that stores an event, and its values."""
    arguments = [getattr(event, name) for name in event.kinds]
    values = [position(event.log.block_number, event.log.index), time, event.log.transaction_hash, *arguments]
    marks = ", ".join("?" * len(values))
    return f"INSERT INTO {type(event).__name__} VALUES ({marks})", [stored(value) for value in values]  # noqa: S608


def stored(value: Any) -> Any:
    """Give a value the form that it has in the tables."""
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, int) and value >= 1 << 63:
        return value.to_bytes(32, "big")
    return value


def _table(kind: type[Event]) -> str:
    name, columns = kind.__name__, ", ".join(f'"{argument}"' for argument in kind.kinds)
    table = (
        f'CREATE TABLE {name} (position INTEGER PRIMARY KEY, time INTEGER, "transaction" BLOB, {columns});'
    )
    indices = [f'CREATE INDEX {name}_{argument} ON {name} ("{argument}");' for argument in kind.indexed]
    return "\n".join([table, *indices])
