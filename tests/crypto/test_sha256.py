"""Batches of SHA-256: both engines against hashlib, message by message."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.crypto import merkle, sha256

sha256.engine()  # compiles; not on the time of the first test


def one_by_one(tag: bytes, data: bytes, size: int) -> bytes:
    return b"".join(
        hashlib.sha256(tag + data[start : start + size]).digest() for start in range(0, len(data), size)
    )


def random_bytes(seed: int, size: int) -> bytes:
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


@given(st.binary(max_size=3), st.integers(1, 300), st.integers(0, 150), st.integers(0, 2**32))
def test_a_batch_has_the_digests_that_hashlib_gives(tag: bytes, size: int, count: int, seed: int) -> None:
    data = random_bytes(seed, size * count)
    assert sha256.digests(tag, data, size) == one_by_one(tag, data, size)
    assert sha256.digests(tag, memoryview(data), size) == one_by_one(tag, data, size)


@pytest.mark.parametrize("size", [54, 55, 56, 63, 64, 118, 119, 120, 247, 248])
def test_padding_fills_the_last_block_or_takes_one_more(size: int) -> None:
    data = random_bytes(size, size * 101)  # an odd number of messages
    assert sha256.digests(b"\x00", data, size) == one_by_one(b"\x00", data, size)


def test_a_machine_without_the_instructions_uses_hashlib(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_bytes(1, 248 * 100)
    fast = sha256.digests(b"\x00", data, 248), merkle.piece_root(data)
    monkeypatch.setattr(sha256, "_kernel", lambda: None)
    assert sha256.engine() == "hashlib"
    assert (sha256.digests(b"\x00", data, 248), merkle.piece_root(data)) == fast


def test_threads_may_hash_at_once() -> None:
    batches = [random_bytes(number, 248 * 500) for number in range(16)]
    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(lambda data: sha256.digests(b"\x00", data, 248), batches))
    assert given == [one_by_one(b"\x00", data, 248) for data in batches]
