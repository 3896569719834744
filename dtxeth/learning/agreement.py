"""What sessions of every kind share: tables that fit the task, common rows, and a word when one gives up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from dtxeth.errors import DataError, InputError
from dtxeth.learning.alignment import align
from dtxeth.learning.handshake import Columns, Hello, TaskContext
from dtxeth.learning.hearing import Hearing
from dtxeth.learning.journal import Journal, MemoryJournal
from dtxeth.learning.live import check_views
from dtxeth.learning.policy import Floors, Policy
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table
from dtxeth.transport.channel import Channel

NoteRows = Callable[[Sequence[str]], None]
"""Told of the ids that a task is about to learn from; raises PolicyError to refuse them."""


@contextmanager
def giving_up_aloud(channel: Channel) -> Iterator[None]:
    """Tell the peers when this party fails, by the kind of failure only: messages may quote private data."""
    try:
        yield
    except BaseException as error:
        channel.abort(type(error).__name__)
        raise


def common_ids(
    channel: Channel,
    table: Table,
    hellos: dict[str, Hello],
    context: TaskContext,
    secrets: TaskSecrets,
    journal: Journal | None = None,
) -> list[str]:
    """Align the table with those of all who said hello, and return the common ids in the common order.

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    rows = {party: hello.rows for party, hello in hellos.items()}
    return align(Hearing(channel, journal or MemoryJournal()), table.ids, rows, context.task, secrets)


def check_table(
    channel: Channel, active: str, table: Table, spec: TaskSpec, context: TaskContext, policy: Policy
) -> None:
    """Make sure that this party may learn from its table, before anything is sent.

    Raises:
        InputError: The table does not fit the spec or the chain.
        PolicyError: The owner's policy forbids the task.
    """
    if channel.name == active and table.label is None:
        raise DataError(f"the active party's table has no label: read column {spec.label!r} as the label")
    if channel.name != active and table.label is not None:
        raise InputError(f"{channel.name} is not the active party {active}, but its table has a label")
    if table.label is not None and spec.logistic != (table.classes is not None):
        raise DataError(
            f"label {spec.label!r} must have two values for logistic, and be a quantity for linear"
        )
    check_rows(channel, table, context)
    policy.admit(spec, context.requester, context.earlier)
    if channel.name != active and not policy.show_scores:
        own = len(table.features) + len(table.words)
        check_views(spec.live, spec.evaluation is not None, spec.max_rounds, own)


def check_rows(channel: Channel, table: Table, context: TaskContext) -> None:
    """Make sure that the table has as many rows as its file was published with.

    Raises:
        DataError: It has not.
    """
    if context.rows.get(channel.name) != len(table):
        published = context.rows.get(channel.name)
        raise DataError(f"the table has {len(table)} rows, its file was published with {published}")


def describe_party(party: str, columns: Columns, floors: Floors, commitment: bytes) -> dict[str, Any]:
    """Return what a task's result says of a party."""
    return {
        "party": party,
        "features": columns.features,
        "missing": columns.missing,
        "commitment": commitment.hex(),
        "floors": asdict(floors),
    }
