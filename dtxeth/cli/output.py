"""What the command line prints: aligned tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False)
"""Results; nothing else goes to stdout."""

err = Console(stderr=True, highlight=False)
"""Progress and errors."""


def show_rows(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str, title: str | None = None
) -> None:
    """Print rows that have the same keys.

    Args:
        rows: One mapping a row.
        as_json: Print a JSON array instead of a table.
        empty: What to say when there are none; also how to get some.
        title: Heading of the table.
    """
    if as_json:
        show_json(list(rows))
    elif not rows:
        err.print(empty)
    else:
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for name, value in rows[0].items():
            table.add_column(name.replace("_", " "), justify="right" if _is_number(value) else "left")
        for row in rows:
            table.add_row(*(escape(_text(value)) for value in row.values()))
        out.print(table)


def show_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a name and a value a line, or a JSON object."""
    if as_json:
        show_json(record)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in record.items():
        table.add_row(name.replace("_", " "), escape(_text(value)))
    out.print(table)


def show_json(value: Any) -> None:
    """Print JSON: bytes as 0x-hex, times as seconds."""
    out.print_json(json.dumps(value, default=_plain))


def when(seconds: int) -> str:
    """A chain time for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    match value:
        case bytes():
            return "0x" + value.hex()
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case None:
            return ""
        case _:
            return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")
