"""Progress: what a training tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One round that was done.

    Attributes:
        stage: Which model: ``"model"``, or ``"fold 3"``, counted from 1.
        rounds: Rounds done.
        most: Rounds at most.
        seconds: Since the stage began.
        metrics: What live evaluation found after this round, at the active party.
    """

    stage: str
    rounds: int
    most: int
    seconds: float
    metrics: Mapping[str, float] | None = field(default=None)


Watcher = Callable[[Step], None]
"""Called after every round of every model, from one thread at a time."""
