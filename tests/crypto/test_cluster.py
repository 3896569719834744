"""Two local Dask workers compute what one process does; a cluster that cannot be used is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

from dtxeth.crypto import Encryptor, PrivateKey, effective_jobs, engine, set_cluster
from dtxeth.crypto.parallel import CLUSTER_VARIABLE, JOBS_VARIABLE, map_chunks
from dtxeth.errors import ConfigError

pytest.importorskip("distributed")

# In a process of its own: Dask's threads and sockets outlive a cluster in this one by a little.
SCRIPT = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    options = {"dashboard_address": None, "host": "127.0.0.1", "threads_per_worker": 1}
    with LocalCluster(n_workers=2, **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def dask() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"dask:{process.stdout.readline().strip()}"
        process.stdin.close()


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(JOBS_VARIABLE, raising=False)
    monkeypatch.delenv(CLUSTER_VARIABLE, raising=False)
    yield
    set_cluster(None)


def in_processes() -> Callable[[Sequence[object]], list[int]]:
    """A function that travels as it is: workers know dtxeth, but not this module."""
    return lambda items: [os.getpid() for _ in items]


def test_two_workers_of_a_cluster_compute_what_one_process_does(
    dask: str, key: PrivateKey, owner_encryptor: Encryptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLUSTER_VARIABLE, dask)
    monkeypatch.setenv(JOBS_VARIABLE, "1")  # of this machine
    assert effective_jobs() == 2
    assert engine(2048).items() >= {"backend": "dask", "workers": 2, "paillier_bits": 2048}.items()
    where = set(map_chunks(in_processes(), range(128)))
    assert len(where) == 2
    assert os.getpid() not in where
    assert set(map_chunks(in_processes(), range(128), default=1)) == {os.getpid()}  # storage stays here
    ciphers = owner_encryptor.encrypt(range(-100, 100))
    assert len(set(ciphers.values)) == 200
    assert key.decrypt(ciphers) == list(range(-100, 100))


def test_without_a_cluster_the_engine_is_this_machine() -> None:
    assert engine(3072).items() >= {"backend": "sequential", "workers": 1, "paillier_bits": 3072}.items()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("tcp://127.0.0.1:8786", "no form that is known: give dask:tcp"),
        ("dask:", "no form that is known"),
        ("ray:127.0.0.1:6379", "needs a library: pip install 'ray'"),
        ("dask:tcp://127.0.0.1:1", "does not answer"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_an_error_and_never_passed_over(
    address: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtxeth.crypto.cluster.CONNECT_SECONDS", 0.2)
    set_cluster(address)
    with pytest.raises(ConfigError, match=complaint):
        map_chunks(in_processes(), range(128))
    with pytest.raises(ConfigError, match=complaint):
        engine(2048)
