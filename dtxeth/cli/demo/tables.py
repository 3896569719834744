"""How the stories are set: chapters, and tables without lines."""

from __future__ import annotations

from rich.console import Console, JustifyMethod
from rich.table import Table


def chapter(console: Console, title: str) -> None:
    """Begin a chapter."""
    console.print()
    console.rule(f"[bold]{title}", align="left")


def table(*columns: str, numbers: tuple[int, ...] = ()) -> Table:
    """An empty table.

    Args:
        *columns: Their names.
        numbers: Positions of the columns to be set to the right.
    """
    empty = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        justify: JustifyMethod = "right" if position in numbers else "left"
        empty.add_column(column, justify=justify, overflow="fold")
    return empty
