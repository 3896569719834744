from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import joblib
import numpy as np
import pytest

from dtxeth.crypto import Encryptor, PrivateKey, effective_jobs, matvec, psi, set_jobs
from dtxeth.crypto.parallel import JOBS_VARIABLE, map_chunks
from dtxeth.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(JOBS_VARIABLE, raising=False)
    yield
    set_jobs(None)


def process_ids(items: Sequence[int]) -> list[int]:
    return [os.getpid() for _ in items]


def test_a_party_uses_one_core_unless_told_otherwise() -> None:
    assert effective_jobs() == 1
    assert set(map_chunks(process_ids, range(1000))) == {os.getpid()}


def test_the_setting_goes_before_the_environment_and_that_before_joblib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with joblib.parallel_config(n_jobs=5):
        assert effective_jobs() == 5
        monkeypatch.setenv(JOBS_VARIABLE, "4")
        assert effective_jobs() == 4
        set_jobs(3)
        assert effective_jobs() == 3
        set_jobs(None)
        assert effective_jobs() == 4


@pytest.mark.parametrize("text", ["0", "", "two", "1.5"])
def test_an_unusable_setting_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(JOBS_VARIABLE, text)
    with pytest.raises(ConfigError, match=f"DTXETH_JOBS is {text!r}: give a positive count"):
        effective_jobs()
    with pytest.raises(ConfigError, match="jobs is 0"):
        set_jobs(0)


def test_two_processes_compute_the_same_as_one(
    key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor
) -> None:
    set_jobs(2)
    assert os.getpid() not in map_chunks(process_ids, range(128))
    plaintexts = list(range(-100, 100))
    matrix = np.random.default_rng(1).integers(-99, 99, (200, 4))
    for each in (encryptor, owner_encryptor):
        ciphers = each.encrypt(plaintexts)
        assert len(set(ciphers.values)) == 200
        assert key.decrypt(ciphers) == plaintexts
        assert key.decrypt(matvec(ciphers, matrix)) == (np.array(plaintexts) @ matrix).tolist()
    mask = psi.Mask()
    points = psi.hash_ids([b"%d" % i for i in range(1100)], b"task")
    masked = psi.parse_points(b"".join(mask.apply(points)), 1100)
    set_jobs(1)
    assert mask.remove(masked) == points == psi.hash_ids([b"%d" % i for i in range(1100)], b"task")
