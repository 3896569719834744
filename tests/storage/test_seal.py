"""STREAM sealing: opens what was sealed, and nothing else."""

from __future__ import annotations

import hashlib
import io
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import CryptoError, InputError
from dtxeth.storage import seal as seals
from dtxeth.storage.seal import SEGMENT_SIZE, TAG_SIZE

SIZES = [0, 1, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 3 * SEGMENT_SIZE]


@pytest.fixture
def key() -> bytes:
    return seals.new_file_key()


@pytest.fixture
def prefix() -> bytes:
    return seals.new_prefix()


@pytest.mark.parametrize("size", SIZES)
def test_opens_what_was_sealed(key: bytes, prefix: bytes, size: int) -> None:
    plaintext = secrets.token_bytes(size)
    sealed = b"".join(seals.seal(seals.read_chunks(io.BytesIO(plaintext), 70_001), key, prefix))
    assert len(sealed) == seals.sealed_size(size)
    assert b"".join(seals.unseal(seals.read_chunks(io.BytesIO(sealed), 99_991), key, prefix)) == plaintext


def test_is_the_stream_construction(key: bytes, prefix: bytes) -> None:
    """Every segment is AES-256-GCM under prefix ‖ counter ‖ last, computed here without our code."""
    plaintext = secrets.token_bytes(SEGMENT_SIZE + 5)
    cipher = AESGCM(seals.derive_key(key, b"stream"))
    assert list(seals.seal([plaintext], key, prefix)) == [
        cipher.encrypt(prefix + bytes(4) + b"\0", plaintext[:SEGMENT_SIZE], None),
        cipher.encrypt(prefix + b"\0\0\0\1" + b"\1", plaintext[SEGMENT_SIZE:], None),
    ]


def _tampered(segments: list[bytes]) -> dict[str, list[bytes]]:
    flipped = bytes([segments[1][0] ^ 1]) + segments[1][1:]
    return {
        "flipped": [segments[0], flipped, *segments[2:]],
        "reordered": [segments[1], segments[0], *segments[2:]],
        "cut at a segment": segments[:-1],
        "cut within a segment": [*segments[:-1], segments[-1][:-1]],
        "extended": [*segments, segments[-1]],
        "segment dropped": [segments[0], *segments[2:]],
        "segment doubled": [segments[0], *segments],
        "empty": [],
    }


@pytest.mark.parametrize("how", _tampered([b"\0"] * 3))
def test_tampering_is_noticed(key: bytes, prefix: bytes, how: str) -> None:
    segments = list(seals.seal([bytes(2 * SEGMENT_SIZE + 9)], key, prefix))
    with pytest.raises(CryptoError, match="segment"):
        list(seals.unseal(_tampered(segments)[how], key, prefix))


def test_wrong_key_and_wrong_prefix_do_not_open(key: bytes, prefix: bytes) -> None:
    sealed = list(seals.seal([b"rows"], key, prefix))
    for other_key, other_prefix in ((seals.new_file_key(), prefix), (key, seals.new_prefix())):
        with pytest.raises(CryptoError, match="segment 0"):
            list(seals.unseal(sealed, other_key, other_prefix))


def test_sizes_are_checked(key: bytes, prefix: bytes) -> None:
    with pytest.raises(InputError, match="file key of 31 bytes"):
        list(seals.seal([b""], key[:31], prefix))
    with pytest.raises(InputError, match="nonce prefix of 6 bytes"):
        list(seals.seal([b""], key, prefix[:6]))


def test_labels_do_not_run_together(key: bytes) -> None:
    assert seals.derive_key(key, b"ab", b"c") != seals.derive_key(key, b"a", b"bc")


def test_small_texts(key: bytes) -> None:
    sealed = seals.seal_bytes(key, b"manifest", b"secret")
    assert seals.unseal_bytes(key, b"manifest", sealed) == b"secret"
    assert seals.seal_bytes(key, b"manifest", b"secret") != sealed
    for purpose, text in (
        (b"info", sealed),
        (b"manifest", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (b"manifest", b"short"),
    ):
        with pytest.raises(CryptoError):
            seals.unseal_bytes(key, purpose, text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_rechunk_keeps_bytes_and_sizes(chunks: list[bytes], size: int) -> None:
    cut = list(seals.rechunk(chunks, size))
    assert b"".join(cut) == b"".join(chunks)
    assert all(len(chunk) == size for chunk in cut[:-1])
    assert all(0 < len(chunk) <= size for chunk in cut)


def test_streams_without_holding_the_file(key: bytes, prefix: bytes) -> None:
    """Sealing and opening keep a few segments in memory, whatever the length of the stream."""
    digests = hashlib.sha256(), hashlib.sha256()
    taken = 0

    def source():
        nonlocal taken
        for index in range(16):
            chunk = bytes([index]) * SEGMENT_SIZE
            digests[0].update(chunk)
            taken += 1
            yield chunk

    for index, opened in enumerate(seals.unseal(seals.seal(source(), key, prefix), key, prefix)):
        digests[1].update(opened)
        assert taken <= index + 4
    assert digests[0].digest() == digests[1].digest()
    assert seals.sealed_size(16 * SEGMENT_SIZE) == TAG_SIZE * 16 + 16 * SEGMENT_SIZE
