"""Answers to pairing-based challenges, from the pieces that hold the drawn blobs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from dtxeth.crypto import kzg, set_jobs
from dtxeth.errors import CryptoError, InputError
from dtxeth.storage.possession import prove_blobs

SEED = bytes(range(32))
PIECES = [
    random.Random(size).randbytes(size)
    for size in (3 * kzg.BLOB_DATA, 2 * kzg.BLOB_DATA, kzg.BLOB_DATA + 5, 9)
]
SIZES = [len(piece) for piece in PIECES]
"""Three, two, two and one blobs."""


@pytest.fixture(scope="module")
def commitments() -> Iterator[list[bytes]]:
    set_jobs(1)
    yield kzg.commit(PIECES)
    set_jobs(None)


@pytest.mark.parametrize(
    ("indices", "read"), [([0], [0]), ([4], [1]), ([6], [2]), ([7], [3]), ([0, 2, 3, 7], [0, 1, 3])]
)
def test_only_the_pieces_concerned_are_read(
    commitments: list[bytes], indices: list[int], read: list[int]
) -> None:
    asked: list[int] = []

    def reader(number: int) -> bytes:
        asked.append(number)
        return PIECES[number]

    answer = prove_blobs(SEED, indices, SIZES, commitments, reader)
    assert asked == read
    assert kzg.verify(answer, SEED, kzg.commitments_root(commitments), 8, indices)


def test_a_piece_with_another_byte_proves_nothing(commitments: list[bytes]) -> None:
    answer = prove_blobs(SEED, [1], SIZES, commitments, lambda number: b"?" + PIECES[number][1:])
    assert kzg.verify(answer, SEED, kzg.commitments_root(commitments), 8, [1])  # of its first blob only
    answer = prove_blobs(SEED, [0], SIZES, commitments, lambda number: b"?" + PIECES[number][1:])
    assert not kzg.verify(answer, SEED, kzg.commitments_root(commitments), 8, [0])


def test_what_does_not_fit_is_refused(commitments: list[bytes]) -> None:
    for indices in ([8], [-1], [0, 8]):
        with pytest.raises(InputError, match="of a holding that has 8"):
            prove_blobs(SEED, indices, SIZES, commitments, PIECES.__getitem__)
    with pytest.raises(InputError, match="7 commitments to 8 blobs"):
        prove_blobs(SEED, [0], SIZES, commitments[:7], PIECES.__getitem__)
    with pytest.raises(InputError, match="piece 3 has 8 bytes, expected 9"):
        prove_blobs(SEED, [7], SIZES, commitments, lambda number: PIECES[number][:8])
    for indices in ([], [1, 0], [1, 1]):
        with pytest.raises(CryptoError, match="do not fit"):
            prove_blobs(SEED, indices, SIZES, commitments, PIECES.__getitem__)
