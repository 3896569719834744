"""How many cores one party may use, set in one place.

The default is one core per party, because parties often share a machine. :func:`set_jobs` or the environment
variable ``DTXETH_JOBS`` allows more; without either, an ambient ``joblib.parallel_config`` (which may also
name a Dask or Ray backend) is obeyed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import joblib

from dtxeth.errors import ConfigError

JOBS_VARIABLE = "DTXETH_JOBS"

T = TypeVar("T")

_jobs: int | None = None


def set_jobs(jobs: int | None) -> None:
    """Let each party use so many processes; ``None`` leaves it to ``DTXETH_JOBS`` or joblib's configuration.

    Args:
        jobs: A count of processes, or negative as in joblib: -1 for all cores.

    Raises:
        ConfigError: ``jobs`` is 0.
    """
    global _jobs
    if jobs == 0:
        raise ConfigError("jobs is 0: give a positive count of processes, or -1 for all cores")
    _jobs = jobs


def effective_jobs() -> int:
    """The number of processes that :func:`map_chunks` would use now.

    Raises:
        ConfigError: ``DTXETH_JOBS`` is not a whole number other than 0.
    """
    return int(joblib.effective_n_jobs(_setting()))


def map_chunks(
    function: Callable[[Sequence[T]], list[Any]], items: Sequence[T], smallest: int = 64
) -> list[Any]:
    """``function(items)``, computed chunk by chunk in worker processes when several cores are allowed.

    Processes, not threads: gmpy2 and libsodium's bindings hold the interpreter lock.

    Args:
        function: Maps a sequence to the list of its results, element by element; picklable.
        items: Its argument.
        smallest: Chunks are not made smaller than this, so that shipping them does not cost more than the
            work.

    Returns:
        The results in the order of ``items``.
    """
    chunks = min(effective_jobs(), len(items) // smallest)
    if chunks < 2:
        return function(items)
    bounds = [len(items) * i // chunks for i in range(chunks + 1)]
    parts = joblib.Parallel(n_jobs=_setting())(
        joblib.delayed(function)(items[low:high]) for low, high in pairwise(bounds)
    )
    return [result for part in parts for result in part]


def _setting() -> int | None:
    if _jobs is not None:
        return _jobs
    text = os.environ.get(JOBS_VARIABLE)
    if text is None:
        return None
    try:
        jobs = int(text)
    except ValueError:
        jobs = 0
    if jobs == 0:
        raise ConfigError(
            f"{JOBS_VARIABLE} is {text!r}: give a positive count of processes, or -1 for all cores"
        )
    return jobs
