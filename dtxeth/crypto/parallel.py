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
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import joblib
import numpy as np

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


def effective_jobs() -> int:
    """The number of processes that :func:`map_chunks` would use now.

    Raises:
        ConfigError: ``DTXETH_JOBS`` is not a whole number other than 0.
    """
    return int(joblib.effective_n_jobs(_setting()))


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
    return _in_processes(function, items, smallest, default, lambda chunk: (function, chunk))


def map_pieces(
    function: Callable[[Sequence[memoryview]], list[Any]],
    pieces: Sequence[bytes],
    smallest: int = 2,
    default: int | None = None,
) -> list[Any]:
    """``function(pieces)`` like :func:`map_chunks`, for pieces so long that shipping them is not for nothing.

    A chunk is laid into shared memory once (joblib's memory maps), instead of being copied through a pipe.

    Args:
        function: Maps a sequence of byte views to the list of its results, element by element; picklable.
        pieces: Its argument.
        smallest: As in :func:`map_chunks`.
        default: As in :func:`map_chunks`.

    Returns:
        The results in the order of ``pieces``.
    """

    def shared(chunk: Sequence[bytes]) -> tuple[Any, ...]:
        return _cut_and_map, function, np.frombuffer(b"".join(chunk), np.uint8), [len(each) for each in chunk]

    return _in_processes(function, pieces, smallest, default, shared)


def _cut_and_map(
    function: Callable[[Sequence[memoryview]], list[Any]],
    joined: np.ndarray[Any, np.dtype[np.uint8]],
    lengths: Sequence[int],
) -> list[Any]:
    view, ends = joined.data, list(accumulate(lengths))
    return function([view[end - length : end] for end, length in zip(ends, lengths, strict=True)])


def _in_processes(
    function: Callable[[Any], list[Any]],
    items: Sequence[Any],
    smallest: int,
    default: int | None,
    call: Callable[[Any], tuple[Any, ...]],
) -> list[Any]:
    setting = _setting()
    jobs = default if setting is None else setting
    chunks = min(joblib.effective_n_jobs(jobs), len(items) // smallest)
    if chunks < 2:
        return function(items)
    bounds = [len(items) * i // chunks for i in range(chunks + 1)]
    calls = (call(items[low:high]) for low, high in pairwise(bounds))
    # One call at a time: the processes are shared and stay for the next, and a call that fails ends them all.
    with _processes:
        parts = joblib.Parallel(n_jobs=jobs)(joblib.delayed(f)(*arguments) for f, *arguments in calls)
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
