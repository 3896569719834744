"""What the command line prints: aligned tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dtxeth.errors import InputError

out = Console(highlight=False)
"""Results; nothing else goes to stdout."""

err = Console(stderr=True, highlight=False)
"""Progress and errors."""

PIPE_WIDTH = 1 << 16
"""Columns of what is no terminal: more than any row takes."""


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows that have the same keys.

    Args:
        rows: One mapping a row.
        as_json: Print a JSON array instead of a table.
        empty: What to say when there are none; also how to get some.
    """
    if as_json:
        show_json(list(rows))
    elif not rows:
        err.print(empty)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, value in rows[0].items():
            side: Literal["left", "right"] = "right" if _is_number(value) else "left"
            table.add_column(name.replace("_", " "), justify=side, overflow="fold")
        for row in rows:
            table.add_row(*(escape(_text(name, value)) for name, value in row.items()))
        _print_table(table)


def show_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a name and a value a line, or a JSON object."""
    if as_json:
        show_json(record)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name.replace("_", " "), escape(_text(name, value)))
    _print_table(table)


def require_folder(path: Path) -> None:
    """Check, before the work that fills it, that a file can be where it is to be.

    Raises:
        InputError: There is no such folder, or the path is a folder.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"{path} cannot be written: name a file in a folder that exists")


def show_json(value: Any) -> None:
    """Print JSON: bytes as 0x-hex, times as seconds."""
    out.print_json(json.dumps(value, default=_plain), ensure_ascii=True)


def _print_table(table: Table) -> None:
    """Fit the table to a terminal; give a file or pipe every row on one line, unpadded."""
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(highlight=False, width=PIPE_WIDTH)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        out.out(line.rstrip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(name: str, value: Any) -> str:
    match value:
        case int() if name.endswith(("_at", "_by")):
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M") if value else "never"
        case bytes():
            return "0x" + value.hex()
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case None:
            return ""
        case dict():
            return ", ".join(f"{key} {_text(key, item)}" for key, item in value.items())
        case list() | tuple():
            return "\n".join(_text(name, item) for item in value)
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """Show what a terminal would obey as escapes: names on the chain are anybody's."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")
