"""Attacks on the alignment: a dictionary of identifiers, and points that are not what they should be."""

from __future__ import annotations

import hashlib

import pytest
import rbcl

from dtxeth.crypto import psi
from dtxeth.errors import CryptoError

TASK = b"task"
PATIENTS = [b"ann", b"bob", b"eve"]
DICTIONARY = [b"ann", b"bob", b"eve", b"joe", b"sue", b"tom"]


# ----- a dictionary, for whoever knows one identifier of the victim's set


def hash_to_scalar(name: bytes) -> bytes:
    return rbcl.crypto_core_ristretto255_scalar_reduce(hashlib.sha512(name).digest())


def naively_masked(scalar: bytes, names: list[bytes]) -> list[bytes]:
    """hash(id)·(a·G), as the reference system sends it."""
    base = rbcl.crypto_scalarmult_ristretto255_base(scalar)
    return [rbcl.crypto_scalarmult_ristretto255(hash_to_scalar(name), base) for name in names]


def dictionary_attack(known: bytes, candidates: list[bytes], masked: list[bytes]) -> set[bytes]:
    """If some masked value is hash(known)·(a·G), it gives a·G, and that gives the values of all names."""
    inverse = rbcl.crypto_core_ristretto255_scalar_invert(hash_to_scalar(known))
    for point in masked:
        base = rbcl.crypto_scalarmult_ristretto255(inverse, point)
        values = {
            rbcl.crypto_scalarmult_ristretto255(hash_to_scalar(name), base): name for name in candidates
        }
        found = {values[value] for value in masked if value in values}
        if len(found) > 1:
            return found
    return set()


def test_one_known_identifier_opens_a_naive_set_and_not_ours() -> None:
    naive = naively_masked(rbcl.crypto_core_ristretto255_scalar_random(), PATIENTS)
    assert dictionary_attack(b"ann", DICTIONARY, naive) == set(PATIENTS)

    ours = psi.Mask().apply(psi.hash_ids(PATIENTS, TASK))
    assert dictionary_attack(b"ann", DICTIONARY, ours) == set()


def test_sets_of_two_tasks_cannot_be_linked() -> None:
    def naive_point(name: bytes) -> bytes:
        return rbcl.crypto_core_ristretto255_from_hash(hashlib.sha512(name).digest())

    forgotten = psi.Mask(b"the same scalar by mistake".ljust(64))
    first, second = ([naive_point(name) for name in PATIENTS] for _ in range(2))
    assert forgotten.apply(first) == forgotten.apply(second)
    ours = [forgotten.apply(psi.hash_ids(PATIENTS, task)) for task in (b"task 1", b"task 2")]
    assert not set(ours[0]) & set(ours[1])


# ----- points of small order: they read the scalar's residue on Curve25519, whose cofactor is 8

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """Addition on edwards25519."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def multiple(number: int, point: Point) -> Point:
    result = (0, 1)
    for bit in bin(number)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def point_of_order_eight() -> Point:
    y = int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    )
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    return (x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P), y


def test_a_point_of_order_eight_reads_a_naive_scalar_and_is_refused_by_us() -> None:
    small = [multiple(number, point_of_order_eight()) for number in range(8)]
    assert len(set(small)) == 8
    assert multiple(8, small[1]) == (0, 1)

    secret = int.from_bytes(rbcl.crypto_core_ristretto255_scalar_random(), "little")
    assert small.index(multiple(secret, small[1])) == secret % 8

    for point in small:
        with pytest.raises(CryptoError, match="not an element of ristretto255, or the identity"):
            psi.parse_points(encode(point), 1)
        with pytest.raises(CryptoError, match="cannot mask"):
            psi.Mask().apply([encode(point)])


def test_the_identity_marks_a_row_in_a_naive_protocol_and_is_refused_by_us() -> None:
    identity = bytes(32)
    scalar = rbcl.crypto_core_ristretto255_scalar_random()
    # whatever the secret, its place in a shuffled reply is known, and two of them are in every intersection
    assert rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(scalar, identity) == identity
    for operation in (lambda: psi.parse_points(identity, 1), lambda: psi.Mask().apply([identity])):
        with pytest.raises(CryptoError, match="identity"):
            operation()


def test_a_repeated_point_is_refused() -> None:
    points = psi.hash_ids(PATIENTS, TASK)
    with pytest.raises(CryptoError, match="repeated"):
        psi.parse_points(b"".join([*points, points[0]]), 4)
