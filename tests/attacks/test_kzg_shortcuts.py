"""Nodes that would answer pairing-based challenges without the bytes, and commitments that are not of the bytes."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator

import ckzg
import pytest
from py_arkworks_bls12381 import G1Point, Scalar

from dtxeth.crypto import kzg, set_jobs
from dtxeth.crypto.commitment_check import check_commitments
from dtxeth.crypto.polynomial import BLOB_DATA, ORDER, Fold, field_elements
from dtxeth.errors import CryptoError

BLOBS = [random.Random(number).randbytes(BLOB_DATA) for number in range(3)]
ALL = [0, 1, 2]


@pytest.fixture(scope="module")
def commitments() -> Iterator[list[bytes]]:
    set_jobs(1)
    yield kzg.commit(BLOBS)
    set_jobs(None)


def test_a_residue_instead_of_the_data(commitments: list[bytes]) -> None:
    """Naive: the file is one number, the exponent in a proof; it matters modulo the group's order only."""
    base = G1Point()
    data = int.from_bytes(BLOBS[0], "big")
    tag = base * Scalar(data % ORDER)
    kept = data % ORDER  # 32 bytes instead of 126,976
    challenge = Scalar(secrets.randbelow(ORDER))
    assert (base * challenge) * Scalar(kept) == tag * challenge
    # Ours: every 31 bytes are a coefficient of their own. The residue, or any other text, opens another polynomial.
    root, seed = kzg.commitments_root(commitments), secrets.token_bytes(32)
    faked = kzg.prove(seed, [0], [kept.to_bytes(32, "big").rjust(BLOB_DATA, b"\0")], commitments)
    assert not kzg.verify(faked, seed, root, 3, [0])
    assert kzg.verify(kzg.prove(seed, [0], [BLOBS[0]], commitments), seed, root, 3, [0])


def test_a_constant_point(commitments: list[bytes]) -> None:
    """Naive: every challenge opens at the same point; a node keeps 80 bytes and drops the blob."""
    setup, point = kzg.trusted_setup(), (5).to_bytes(32, "big")
    proof, value = ckzg.compute_kzg_proof(field_elements(BLOBS[0]), point, setup)
    assert all(ckzg.verify_kzg_proof(commitments[0], point, value, proof, setup) for _challenge in range(3))
    # Ours: an answer that is kept is right for its own seed only.
    root, seed = kzg.commitments_root(commitments), secrets.token_bytes(32)
    kept = kzg.prove(seed, [0], [BLOBS[0]], commitments)
    assert kzg.verify(kept, seed, root, 3, [0])
    assert not kzg.verify(kept, secrets.token_bytes(32), root, 3, [0])


def test_the_sum_of_the_blobs_instead_of_each(commitments: list[bytes]) -> None:
    """Naive: the blobs are folded by mere addition; a node keeps their sum, a third of the bytes."""
    setup = kzg.trusted_setup()
    fold = Fold()
    for blob in BLOBS:
        fold.add(1, blob)
    kept = fold.polynomial()
    points = [kzg.decode_point(commitment) for commitment in commitments]
    total = (points[0] + points[1] + points[2]).to_compressed_bytes()
    point = secrets.randbelow(ORDER).to_bytes(32, "big")
    proof, value = ckzg.compute_kzg_proof(kept, point, setup)
    assert ckzg.verify_kzg_proof(total, point, value, proof, setup)
    # Ours: the powers of γ come from the seed. The sum opened at the seed's point does not meet their fold.
    root, seed = kzg.commitments_root(commitments), secrets.token_bytes(32)
    _, z = kzg.challenge_scalars(seed)
    proof, value = ckzg.compute_kzg_proof(kept, z.to_bytes(32, "big"), setup)
    honest = kzg.prove(seed, ALL, BLOBS, commitments)
    assert kzg.verify(honest, seed, root, 3, ALL)
    assert not kzg.verify(value + proof + honest[80:], seed, root, 3, ALL)


def test_errors_that_cancel_in_an_owners_check(commitments: list[bytes]) -> None:
    """Naive: the owner compares the sums. A node exchanges two commitments, or moves something from one to another."""
    points = [kzg.decode_point(commitment) for commitment in commitments]
    shift = G1Point() * Scalar(secrets.randbelow(ORDER))
    moved = [points[0] + shift, points[1] - shift, points[2]]
    assert moved[0] + moved[1] + moved[2] == points[0] + points[1] + points[2]
    for forged in ([point.to_compressed_bytes() for point in moved], commitments[::-1]):
        with pytest.raises(CryptoError, match="not those of the bytes"):
            check_commitments(BLOBS, forged)


def test_a_point_of_small_order_in_an_owners_check(commitments: list[bytes]) -> None:
    """Naive: points are not checked to be in the group. One of order 3 passes every third random combination."""
    three = G1Point.from_compressed_bytes_unchecked(b"\x80" + bytes(47))
    bad = kzg.decode_point(commitments[0]) + three
    passed = 0
    for coefficient in range(1, 10):  # as good as random ones: what counts is their remainder by 3
        right = kzg.decode_point(commitments[0]) * Scalar(coefficient)
        passed += G1Point.multiexp_unchecked([bad], [Scalar(coefficient)]) == right
    assert passed == 3
    for _attempt in range(12):  # the naive check would let 1 - (2/3)^12 = 99 % of such nodes pass
        with pytest.raises(CryptoError, match="do not trust it"):
            check_commitments(BLOBS[:1], [bad.to_compressed_bytes()])
