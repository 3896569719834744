"""What the benchmarks share: options, one core, interleaved repeats, medians, a table, a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Options:
    """What the command line asked for.

    Attributes:
        json: Where the figures go as JSON, besides the table.
        cores: How many cores this process may use.
        repeats: How often each case is measured; the median counts.
    """

    json: Path | None
    cores: int
    repeats: int

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds of this process alone where it does all the work, seconds on the wall with worker processes."""
        return time.process_time if self.cores == 1 else time.perf_counter


@dataclass(frozen=True)
class Case:
    """Something to time.

    Attributes:
        run: Called without arguments.
        items: How many things one call does; times are for one of them.
    """

    run: Callable[[], object]
    items: int = 1


def options(description: str, repeats: int = 5, cores: int = 1) -> Options:
    """Read the command line, and pin this process to the cores that it allows."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--cores", type=int, default=cores, metavar="N", help=f"cores (default {cores})")
    parser.add_argument("--repeats", type=int, default=repeats, metavar="N", help=f"default {repeats}")
    arguments = parser.parse_args()
    if arguments.cores < 1 or arguments.repeats < 1:
        parser.error("--cores and --repeats start at 1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    return Options(arguments.json, arguments.cores, arguments.repeats)


def measure(
    cases: Mapping[str, Case], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median seconds an item of each case; the cases take turns, after one unmeasured round.

    Args:
        cases: By name.
        repeats: How often each is measured.
        clock: ``time.process_time`` for what one process does alone: other users of the machine then count less.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(repeats + 1):
        for name, case in cases.items():
            began = clock()
            case.run()
            if round_number:
                seconds[name].append((clock() - began) / case.items)
    return {name: statistics.median(times) for name, times in seconds.items()}


def report(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    figures: Mapping[str, object],
    path: Path | None,
) -> None:
    """Print a table; write ``figures`` as JSON if there is a path."""
    table = Table(*columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n")
