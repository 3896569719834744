"""KZG commitments: Ethereum's vectors and library, every corruption of an answer, and the check of others' work."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import ckzg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point

from dtxeth.crypto import kzg, merkle, set_jobs
from dtxeth.crypto.commitment_check import CommitmentCheck, check_commitments
from dtxeth.crypto.polynomial import BLOB_DATA, ELEMENTS, ORDER, Fold, field_elements
from dtxeth.errors import CryptoError

INFINITY = b"\xc0" + bytes(47)
SEED = bytes(range(32))

# From ethereum/c-kzg-4844, tests/verify_kzg_proof/kzg-mainnet (the vectors of the consensus specification).
TWOS = bytes.fromhex(
    "a572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e"
)
INVALID_POINTS = {
    "47 bytes": "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6",
    "49 bytes": "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb00",
    "not on the curve": "8" + 5 * "123456789abcdef0" + "123456789abcdef",
    "not in the group": "8" + 5 * "123456789abcdef0" + "123456789abcde0",
    # and of our own
    "no flag": 48 * "00",
    "infinity that is not": "c0" + 46 * "00" + "01",
    "infinity with a sign": "e0" + 47 * "00",
    "above the modulus": "9f" + 47 * "ff",
    "order three": "80" + 47 * "00",
}


@pytest.fixture(autouse=True, scope="module")
def _one_process() -> Iterator[None]:
    """A process of its own would load the trusted setup again, for 2.5 s."""
    set_jobs(1)
    yield
    set_jobs(None)


@pytest.fixture(scope="module")
def blobs() -> list[bytes]:
    return [random.Random(number).randbytes(BLOB_DATA) for number in range(5)]


@pytest.fixture(scope="module")
def commitments(blobs: list[bytes]) -> list[bytes]:
    return kzg.commit([b"".join(blobs)])


def flip(data: bytes, bit: int) -> bytes:
    """Return data with one bit flipped."""
    value = bytearray(data)
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(value)


# --- the setup, blobs and commitments ---


def test_another_trusted_setup_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trusted_setup.txt"
    path.write_bytes(flip(kzg._SETUP.read_bytes(), 8000))
    monkeypatch.setattr(kzg, "_SETUP", path)
    with pytest.raises(CryptoError, match=r"has SHA-256 .* expected d39b9f2d"):
        kzg._load_setup.__wrapped__()


@pytest.mark.parametrize(
    ("size", "count"), [(0, 0), (1, 1), (BLOB_DATA, 1), (BLOB_DATA + 1, 2), (1_015_808, 8)]
)
def test_a_piece_is_cut_into_blobs(size: int, count: int) -> None:
    piece = random.Random(1).randbytes(size)
    blobs = kzg.blobs(piece)
    assert len(blobs) == kzg.blob_count(size) == count
    assert b"".join(blobs) == piece.ljust(count * BLOB_DATA, b"\0")
    assert all(len(blob) == BLOB_DATA for blob in blobs)


def test_field_elements_are_31_bytes_behind_a_zero() -> None:
    data = random.Random(2).randbytes(BLOB_DATA)
    elements = field_elements(data)
    assert len(elements) == 32 * ELEMENTS
    assert all(elements[i] == 0 for i in range(0, len(elements), 32))
    assert b"".join(elements[i + 1 : i + 32] for i in range(0, len(elements), 32)) == data
    for size in (0, BLOB_DATA - 1, BLOB_DATA + 1):
        with pytest.raises(CryptoError, match=f"got {size}"):
            field_elements(bytes(size))


def test_commitments_are_those_of_the_specification_and_of_ckzg(blobs: list[bytes]) -> None:
    twos = (bytes(30) + b"\2") * ELEMENTS
    pieces = [twos, bytes(10), blobs[0] + blobs[1][:7]]
    expected = [
        ckzg.blob_to_kzg_commitment(field_elements(blob), kzg.trusted_setup())
        for blob in (blobs[0], blobs[1][:7].ljust(BLOB_DATA, b"\0"))
    ]
    assert kzg.commit(pieces) == [TWOS, INFINITY, *expected]
    assert kzg.commit([]) == kzg.commit([b""]) == []


def test_processes_and_threads_commit_the_same_as_one(blobs: list[bytes], commitments: list[bytes]) -> None:
    set_jobs(2)
    try:
        with ThreadPoolExecutor(3) as threads:  # as several nodes in one process do
            assert all(found == commitments for found in threads.map(kzg.commit, [[b"".join(blobs)]] * 3))
    finally:
        set_jobs(1)


def test_the_root_is_over_compressed_points(commitments: list[bytes]) -> None:
    assert kzg.commitments_root(commitments) == merkle.root([merkle.leaf_hash(c) for c in commitments])
    with pytest.raises(CryptoError, match="0 leaves"):
        kzg.commitments_root([])
    with pytest.raises(CryptoError, match="commitment 1 has 47 bytes"):
        kzg.commitments_root([commitments[0], commitments[1][:-1]])


# --- points from others ---


@pytest.mark.parametrize("kind", INVALID_POINTS)
def test_what_is_no_point_of_the_group_is_refused(kind: str) -> None:
    with pytest.raises(CryptoError, match="do not trust it"):
        kzg.decode_point(bytes.fromhex(INVALID_POINTS[kind]))


def test_the_point_at_infinity_is_one() -> None:
    assert kzg.decode_point(INFINITY) == G1Point.identity()


def test_ten_thousand_inputs_to_the_decoders_give_errors(
    blobs: list[bytes], commitments: list[bytes]
) -> None:
    generator = random.Random(3)
    root, indices = kzg.commitments_root(commitments), [1, 3]
    good = kzg.prove(SEED, indices, [blobs[1], blobs[3]], commitments)
    for number in range(10_000):
        bad = mangle(generator, good) if number % 2 else generator.randbytes(generator.randrange(400))
        assert not kzg.verify(bad, SEED, root, len(commitments), indices)
        try:
            leaves, hashes = merkle.decode_answer(bad, 1 + number % 3)
        except CryptoError:
            pass
        else:
            assert merkle.encode_answer(leaves, hashes) == bad
        point = mangle(generator, commitments[0])
        with suppress(CryptoError):
            assert kzg.decode_point(point).to_compressed_bytes() == point != commitments[0]


def mangle(generator: random.Random, data: bytes) -> bytes:
    """Cut, prolong, or change some bytes; never the same as before."""
    kind = generator.randrange(4)
    if kind == 0:
        return data[: generator.randrange(len(data))]
    if kind == 1:
        return data + generator.randbytes(1 + generator.randrange(64))
    value = bytearray(data)
    for _ in range(generator.randrange(1, 4)):
        value[generator.randrange(len(value))] ^= generator.randrange(1, 256)
    return bytes(value) if value != data else data[:-1]


# --- folds ---


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, ORDER - 1), st.integers(0, 2**32)), max_size=5))
def test_a_fold_is_what_arithmetic_says(terms: list[tuple[int, int]]) -> None:
    fold = Fold()
    expected = [0] * ELEMENTS
    for coefficient, number in terms:
        data = random.Random(number).randbytes(BLOB_DATA)
        fold.add(coefficient, data)
        values = (int.from_bytes(data[i : i + 31], "big") for i in range(0, BLOB_DATA, 31))
        expected = [sum_ + coefficient * value for sum_, value in zip(expected, values, strict=True)]
    assert fold.polynomial() == b"".join((value % ORDER).to_bytes(32, "big") for value in expected)


def test_a_lane_holds_512_of_the_largest_products() -> None:
    fold, data = Fold(), b"\xff" * BLOB_DATA
    for _ in range(512):
        fold.add(ORDER - 1, data)
    value = 512 * (ORDER - 1) * (2**248 - 1) % ORDER
    assert fold.polynomial() == value.to_bytes(32, "big") * ELEMENTS


# --- answers ---


@pytest.mark.parametrize("indices", [[0], [4], [0, 1], [1, 2, 4], [0, 1, 2, 3, 4]])
def test_an_answer_proves_its_blobs_and_nothing_else(
    blobs: list[bytes], commitments: list[bytes], indices: list[int]
) -> None:
    root, count = kzg.commitments_root(commitments), len(commitments)
    drawn = [blobs[index] for index in indices]
    answer = kzg.prove(SEED, indices, drawn, commitments)
    assert kzg.verify(answer, SEED, root, count, indices)

    for place in range(0, len(answer), 5):
        assert not kzg.verify(flip(answer, 8 * place + place % 8), SEED, root, count, indices)
    assert not kzg.verify(answer, flip(SEED, 7), root, count, indices)
    assert not kzg.verify(answer, SEED, flip(root, 7), count, indices)
    assert not kzg.verify(answer + bytes(32), SEED, root, count, indices)
    assert not kzg.verify(answer[:-1], SEED, root, count, indices)
    assert not kzg.verify(answer, SEED, root, count + 8, indices)
    if len(indices) < count:
        others = [index + 1 if index < 4 else 0 for index in indices]
        assert not kzg.verify(answer, SEED, root, count, sorted(set(others)))
    # A blob that differs in one bit, or the drawn ones in another order.
    altered = [flip(drawn[0], 123_457), *drawn[1:]]
    assert not kzg.verify(kzg.prove(SEED, indices, altered, commitments), SEED, root, count, indices)
    if len(drawn) > 1:
        turned = kzg.prove(SEED, indices, drawn[::-1], commitments)
        assert not kzg.verify(turned, SEED, root, count, indices)


def test_an_answer_opens_the_fold_at_the_seeds_point(blobs: list[bytes], commitments: list[bytes]) -> None:
    gamma, z = kzg.challenge_scalars(SEED)
    assert 0 < gamma < ORDER > z != gamma
    assert kzg.challenge_scalars(flip(SEED, 0)) != (gamma, z)
    answer = kzg.prove(SEED, [0, 2], [blobs[0], blobs[2]], commitments)
    opened = [
        ckzg.compute_kzg_proof(field_elements(blobs[i]), z.to_bytes(32, "big"), kzg.trusted_setup())[1]
        for i in (0, 2)
    ]
    first, second = (int.from_bytes(value, "big") for value in opened)
    assert int.from_bytes(answer[:32], "big") == (first + gamma * second) % ORDER


def test_blobs_of_zeros_are_proved_too(blobs: list[bytes]) -> None:
    zeros = bytes(BLOB_DATA)
    drawn = [zeros, blobs[0], zeros]
    commitments = kzg.commit(drawn)
    root = kzg.commitments_root(commitments)
    for indices in ([0], [0, 1], [0, 2], [0, 1, 2]):
        answer = kzg.prove(SEED, indices, [drawn[index] for index in indices], commitments)
        assert kzg.verify(answer, SEED, root, 3, indices)


def test_what_does_not_fit_is_refused(blobs: list[bytes], commitments: list[bytes]) -> None:
    for indices in ([], [5], [1, 1], [2, 1]):
        with pytest.raises(CryptoError, match="do not fit a tree of 5"):
            kzg.prove(SEED, indices, [blobs[0]] * len(indices), commitments)
        assert not kzg.verify(bytes(400), SEED, bytes(32), 5, indices)
    with pytest.raises(CryptoError, match="1 blobs for 2 indices"):
        kzg.prove(SEED, [0, 1], [blobs[0]], commitments)
    with pytest.raises(CryptoError, match="got 5"):
        kzg.prove(SEED, [0], [b"short"], commitments)
    with pytest.raises(CryptoError, match="is no point"):
        kzg.prove(SEED, [0, 1], blobs[:2], [b"\x80" + bytes(47)] * 2)


# --- commitments of others ---


def test_an_owner_accepts_the_commitments_of_its_bytes(blobs: list[bytes]) -> None:
    pieces = [blobs[0] + blobs[1][:1000], bytes(500), b"", blobs[2]]
    commitments = kzg.commit(pieces)
    check_commitments(iter(pieces), commitments)
    check_commitments([], [])


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("bit", [0, 8 * BLOB_DATA - 1])
def test_an_owner_sees_one_wrong_bit(
    blobs: list[bytes], commitments: list[bytes], piece: int, bit: int
) -> None:
    pieces = [b"".join(blobs[:2]), b"".join(blobs[2:])]
    pieces[piece] = flip(pieces[piece], bit)
    with pytest.raises(CryptoError, match="not those of the bytes"):
        check_commitments(pieces, commitments)


def test_an_owner_sees_commitments_swapped_missing_or_invalid(
    blobs: list[bytes], commitments: list[bytes]
) -> None:
    one, two, *rest = commitments
    with pytest.raises(CryptoError, match="not those of the bytes"):
        check_commitments(blobs, [two, one, *rest])
    with pytest.raises(CryptoError, match="4 commitments to 5 blobs"):
        check_commitments(blobs, commitments[:4])
    with pytest.raises(CryptoError, match="6 commitments to 5 blobs"):
        check_commitments(blobs, [*commitments, INFINITY])
    for bad in INVALID_POINTS.values():
        with pytest.raises(CryptoError, match="do not trust it"):
            check_commitments(blobs, [bytes.fromhex(bad), *commitments[1:]])


def test_a_check_is_made_once(blobs: list[bytes], commitments: list[bytes]) -> None:
    check = CommitmentCheck()
    check.add(blobs[0])
    with pytest.raises(CryptoError, match="not those of the bytes"):
        check.finish(commitments[1:2])
    with pytest.raises(CryptoError, match="is finished"):
        check.finish(commitments[:1])
    with pytest.raises(CryptoError, match="is finished"):
        check.add(blobs[1])


def test_coefficients_have_128_random_bits(monkeypatch: pytest.MonkeyPatch, blobs: list[bytes]) -> None:
    asked: list[int] = []
    draw = secrets.randbits
    monkeypatch.setattr(secrets, "randbits", lambda bits: asked.append(bits) or draw(bits))
    check = CommitmentCheck()
    check.add(np.frombuffer(blobs[0] + b"more", np.uint8).tobytes())
    assert asked == [128, 128]
    assert len(set(check._coefficients)) == 2
