"""How many cores one party may use, and where, set in one place.

The default is one core per party, because parties often share a machine; storage asks for all of them, because
nothing else is what it waits for. :func:`set_jobs` or the environment variable ``DTXETH_JOBS`` sets another number
for both. :func:`set_cluster` or ``DTXETH_CLUSTER`` names a cluster, all of which then computes on ciphertexts and
masked identifiers; storage stays on this machine, as its bytes are sooner hashed than shipped. Without any of these,
an ambient ``joblib.parallel_config`` is obeyed.

Nothing falls back silently: a cluster that does not answer is an error, and :func:`engine` tells what computes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

import gmpy2
import joblib

from dtxeth.crypto import cluster
from dtxeth.errors import ConfigError

JOBS_VARIABLE = "DTXETH_JOBS"
CLUSTER_VARIABLE = "DTXETH_CLUSTER"

T = TypeVar("T")

_jobs: int | None = None
_cluster: str | None = None
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


def set_cluster(address: str | None) -> None:
    """Compute on a cluster of this party's own; ``None`` leaves it to ``DTXETH_CLUSTER``.

    It is connected to when it is first needed.

    Args:
        address: ``dask:tcp://HOST:PORT`` (extra ``cluster``), ``dask:tls://HOST:PORT`` or ``ray:HOST:PORT``;
            see :mod:`dtxeth.crypto.cluster` for who may see what.
    """
    global _cluster
    _cluster = address
    if address is None:
        cluster.disconnect()


def effective_jobs(default: int | None = None) -> int:
    """The number of processes that :func:`map_chunks` would use now.

    Args:
        default: As in :func:`map_chunks`.

    Raises:
        ConfigError: ``DTXETH_JOBS`` is not a whole number other than 0, or the cluster does not answer.
    """
    with _placed(default) as jobs:
        return int(joblib.effective_n_jobs(jobs))


def engine(paillier_bits: int) -> dict[str, str | int]:
    """What computes on ciphertexts, for a task's report.

    Args:
        paillier_bits: Length of the task's Paillier modulus.

    Returns:
        ``paillier_bits``; the versions of ``gmpy2`` and ``gmp``; ``backend``, joblib's name for where the work is
        done (``sequential``, ``loky``, ``dask`` …); ``workers``, how many processes do it at a time.

    Raises:
        ConfigError: As :func:`effective_jobs`.
    """
    with _placed() as jobs:
        workers = int(joblib.effective_n_jobs(jobs))
        active = type(joblib.parallel.get_active_backend()[0])
    names = (name for name, backend in joblib.parallel.BACKENDS.items() if backend is active)
    return {
        "paillier_bits": paillier_bits,
        "gmpy2": gmpy2.version(),
        "gmp": gmpy2.mp_version().removeprefix("GMP "),
        "backend": "sequential" if workers == 1 else next(names, active.__name__),
        "workers": workers,
    }


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
        default: How many processes of this machine if nothing is set, as in :func:`set_jobs`; ``None`` is joblib's
            default, or the cluster where there is one.

    Returns:
        The results in the order of ``items``.
    """
    with _placed(default) as jobs:
        chunks = min(joblib.effective_n_jobs(jobs), len(items) // smallest)
        if chunks < 2:
            return function(items)
        bounds = [len(items) * i // chunks for i in range(chunks + 1)]
        calls = (joblib.delayed(function)(items[low:high]) for low, high in pairwise(bounds))
        # One call at a time: the processes are shared and stay for the next, and a call that fails ends them all.
        with _processes:
            parts = joblib.Parallel(n_jobs=jobs)(calls)
        return [result for part in parts for result in part]


@contextmanager
def _placed(default: int | None = None) -> Iterator[int | None]:
    """Let joblib work where it is to; yields how many processes to ask it for."""
    address = _cluster or os.environ.get(CLUSTER_VARIABLE)
    if address and default is None:
        with cluster.connect(address):
            yield -1
    else:
        setting = _setting()
        yield default if setting is None else setting


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
