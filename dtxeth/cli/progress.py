"""Progress bars on stderr, for whoever waits; silent when stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dtxeth.cli.output import err
from dtxeth.roles import MemberNetwork


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Progress bars on stderr; silent when stderr is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield progress


@contextmanager
def followed(network: MemberNetwork) -> Iterator[None]:
    """Show the rounds of running tasks while waiting."""
    with progress_bar() as progress:
        bars: dict[int, TaskID] = {}

        def follow(task_id: int, rounds: int, most: int) -> None:
            if task_id not in bars:
                bars[task_id] = progress.add_task(f"task {task_id}: rounds", total=most)
            progress.update(bars[task_id], completed=rounds)

        network.on_progress = follow
        yield
