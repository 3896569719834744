"""An owner's check that commitments made by somebody else are those of the owner's own bytes.

Committing takes 80 ms a blob, checking it about 1: fold all blobs with random coefficients, commit to the
result once, and compare with the same combination of the commitments. If one commitment is not its blob's, then
for whatever other coefficients at most one of the 2¹²⁸ values of its own makes both sides equal: an error is
overlooked with a chance of at most 2⁻¹²⁸. This needs two things. Whoever made the commitments must not know the
coefficients: they are drawn here and never leave; a check that failed is not repeated with the same ones. And the
points must be in the group of prime order, for there only is a multiple by a number below the order zero for no
other reason (a point of order 3 beside it would pass every third time): the decoder sees to that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

import ckzg
from py_arkworks_bls12381 import G1Point, Scalar

from dtxeth.crypto.kzg import blobs, decode_point, trusted_setup
from dtxeth.crypto.polynomial import Fold
from dtxeth.errors import CryptoError

_COEFFICIENT_BITS = 128


class CommitmentCheck:
    """Takes the pieces as they pass, and the commitments at the end; the pieces are not kept.

    Memory: 0.8 MiB, and 16 bytes a blob.
    """

    def __init__(self) -> None:
        self._fold: Fold | None = Fold()
        self._coefficients: list[int] = []

    def add(self, piece: bytes) -> None:
        """Take in the next piece.

        Raises:
            CryptoError: The check is finished.
        """
        if self._fold is None:
            raise CryptoError("this check is finished; begin another one, its coefficients are fresh")
        for blob in blobs(piece):
            coefficient = secrets.randbits(_COEFFICIENT_BITS)
            self._fold.add(coefficient, blob)
            self._coefficients.append(coefficient)

    def finish(self, commitments: Sequence[bytes]) -> None:
        """Compare with the commitments; once, so that nobody can try others against the same coefficients.

        Args:
            commitments: 48 bytes for each blob of the pieces, in order; from whomever.

        Raises:
            CryptoError: They are not the commitments of these bytes.
        """
        if self._fold is None:
            raise CryptoError("this check is finished; begin another one, its coefficients are fresh")
        fold, self._fold = self._fold, None
        expected = len(self._coefficients)
        if len(commitments) != expected:
            raise CryptoError(f"{len(commitments)} commitments to {expected} blobs; ask for one each")
        points = [decode_point(commitment) for commitment in commitments]
        combined = G1Point.multiexp_unchecked(points, [Scalar(value) for value in self._coefficients])
        if ckzg.blob_to_kzg_commitment(fold.polynomial(), trusted_setup()) != combined.to_compressed_bytes():
            raise CryptoError("the commitments are not those of the bytes; do not trust who made them")


def check_commitments(pieces: Iterable[bytes], commitments: Sequence[bytes]) -> None:
    """Check that commitments, as :func:`dtxeth.crypto.kzg.commit` makes them, belong to pieces.

    Args:
        pieces: Pieces of any length, taken in one at a time.
        commitments: 48 bytes a blob.

    Raises:
        CryptoError: They do not.
    """
    check = CommitmentCheck()
    for piece in pieces:
        check.add(piece)
    check.finish(commitments)
