"""Answers to pairing-based possession challenges, from the few pieces that hold the drawn blobs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from dtxeth.crypto import kzg
from dtxeth.errors import InputError


def prove_blobs(
    seed: bytes,
    indices: Sequence[int],
    sizes: Sequence[int],
    commitments: Sequence[bytes],
    read: Callable[[int], bytes],
) -> bytes:
    """Prove blobs of a holding, reading only the pieces they lie in, one at a time.

    Blobs are numbered over the pieces in order, each piece padded to whole blobs. Nothing is committed to anew:
    the node keeps 48 bytes a blob.

    Args:
        seed: The challenge's 32 bytes.
        indices: Numbers of the drawn blobs, ascending and distinct.
        sizes: Bytes of each piece of the holding, in order.
        commitments: The commitments of all its blobs.
        read: Gives the bytes of a piece by its number.

    Returns:
        What ``StorageChallenge.proveKzg`` takes.

    Raises:
        InputError: An index out of range, commitments that are not one a blob, or a piece of another size.
        CryptoError: Indices that are not ascending and distinct.
    """
    ends = list(accumulate(kzg.blob_count(size) for size in sizes))
    count = ends[-1] if ends else 0
    if len(commitments) != count:
        raise InputError(f"{len(commitments)} commitments to {count} blobs: one each is needed")
    if any(not 0 <= index < count for index in indices):
        raise InputError(f"blobs {list(indices)} of a holding that has {count}: ask for blobs it has")
    drawn: list[bytes] = []
    for piece, group in groupby(indices, lambda index: bisect_right(ends, index)):
        first = ends[piece] - kzg.blob_count(sizes[piece])
        data = read(piece)
        if len(data) != sizes[piece]:
            raise InputError(f"piece {piece} has {len(data)} bytes, expected {sizes[piece]}")
        blobs = kzg.blobs(data)
        drawn += [blobs[index - first] for index in group]
    return kzg.prove(seed, indices, drawn, commitments)
