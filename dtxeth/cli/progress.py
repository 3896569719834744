"""Progress bars on stderr, for whoever waits; silent when stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dtxeth.cli.output import err
from dtxeth.cli.plot import sparkline
from dtxeth.learning.metrics import LOSSES
from dtxeth.learning.progress import Step
from dtxeth.roles import MemberNetwork

SHOWN = ("auc", "accuracy", "log_loss", "rmse", "r2")
"""Metrics of live evaluation that a bar has room for."""


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
        bars: dict[tuple[int, str], TaskID] = {}
        losses: dict[int, list[float]] = {}

        def follow(task_id: int, step: Step) -> None:
            key = task_id, step.stage
            if key not in bars:
                bars[key] = progress.add_task(f"task {task_id}, {step.stage}: rounds", total=step.most)
            progress.update(bars[key], completed=step.rounds)
            if step.metrics is not None:
                (loss,) = set(LOSSES.values()) & step.metrics.keys()
                losses.setdefault(task_id, []).append(step.metrics[loss])
                shown = [f"{name} {step.metrics[name]:.4f}" for name in SHOWN if name in step.metrics]
                text = "  ".join([sparkline(losses[task_id]), *shown])
                progress.update(bars[key], description=f"task {task_id}, {step.stage}: {text}")

        network.on_progress = follow
        yield
