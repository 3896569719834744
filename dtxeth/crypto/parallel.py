"""How many cores one party may use, set in one place.

The default is one core per party, because parties often share a machine; storage asks for all of them, because
nothing else is what it waits for. :func:`set_jobs` or the environment variable ``DTXETH_JOBS`` sets another number
for both; without either, an ambient ``joblib.parallel_config`` (which may also name a Dask or Ray backend) is
obeyed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import joblib

from dtxeth.errors import ConfigError

JOBS_VARIABLE = "DTXETH_JOBS"

T = TypeVar("T")

_jobs: int | None = None
_processes = threading.Lock()


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


def effective_jobs(default: int | None = None) -> int:
    """The number of processes that :func:`map_chunks` would use now.

    Args:
        default: As in :func:`map_chunks`.

    Raises:
        ConfigError: ``DTXETH_JOBS`` is not a whole number other than 0.
    """
    setting = _setting()
    return int(joblib.effective_n_jobs(default if setting is None else setting))


def map_chunks(
    function: Callable[[Sequence[T]], list[Any]],
    items: Sequence[T],
    smallest: int = 64,
    default: int | None = None,
) -> list[Any]:
    """``function(items)``, computed chunk by chunk in worker processes when several cores are allowed.

    Processes, not threads: gmpy2 and libsodium's bindings hold the interpreter lock.

    Args:
        function: Maps a sequence to the list of its results, element by element; picklable.
        items: Its argument.
        smallest: Chunks are not made smaller than this, so that shipping them does not cost more than the
            work.
        default: How many processes if nothing is set, as in :func:`set_jobs`; ``None`` is joblib's default.

    Returns:
        The results in the order of ``items``.
    """
    setting = _setting()
    jobs = default if setting is None else setting
    chunks = min(joblib.effective_n_jobs(jobs), len(items) // smallest)
    if chunks < 2:
        return function(items)
    bounds = [len(items) * i // chunks for i in range(chunks + 1)]
    calls = (joblib.delayed(function)(items[low:high]) for low, high in pairwise(bounds))
    # One call at a time: the processes are shared and stay for the next, and a call that fails ends them all.
    with _processes:
        parts = joblib.Parallel(n_jobs=jobs)(calls)
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
