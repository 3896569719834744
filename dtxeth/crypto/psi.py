"""Masked identifiers, from which parties find their common rows: Diffie-Hellman on ristretto255.

An identifier is hashed *to the group*, so that nobody knows the logarithm of the result; a hash times a
generator would open every masked identifier to a dictionary (tests/attacks/test_psi_attacks.py). Multiplying
by a secret scalar masks it, the masks of several parties commute, and each comes off by the inverse scalar.

ristretto255 (RFC 9496) has prime order, hence no small subgroups, and its elements have one encoding each.
What is left to refuse is bytes that encode nothing, and the identity, which every mask maps to itself.

Source: C. Meadows, "A more efficient cryptographic matchmaking protocol", IEEE S&P 1986; RFC 9380.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import rbcl

from dtxeth.crypto.parallel import map_chunks
from dtxeth.errors import CryptoError

POINT_BYTES = 32
SEED_BYTES = 64

_DOMAIN = b"dtxeth-psi-v1-ristretto255_XMD:SHA-512_R255MAP_RO_-"
_SMALLEST_CHUNK = 512


def hash_ids(ids: Sequence[bytes], task: bytes) -> list[bytes]:
    """Map identifiers to points that belong to one task: those of two tasks cannot be compared.

    Args:
        ids: The identifiers.
        task: Names the task, whatever its length.
    """
    domain = _DOMAIN + hashlib.sha256(task).digest()
    return map_chunks(partial(_hash_to_group, domain), ids, _SMALLEST_CHUNK)


class Mask:
    """A secret scalar of one party in one task.

    Args:
        seed: 64 bytes that the scalar follows from, where a run must be repeatable: secret, and never the
            same in two tasks. By default the scalar is fresh.

    Raises:
        CryptoError: The seed has another length.
    """

    def __init__(self, seed: bytes | None = None) -> None:
        if seed is None:
            self._scalar = rbcl.crypto_core_ristretto255_scalar_random()
        elif len(seed) == SEED_BYTES:
            # 512 bits modulo a prime of 253: within 2⁻²⁵⁹ of uniform, 0 included
            self._scalar = rbcl.crypto_core_ristretto255_scalar_reduce(seed)
        else:
            raise CryptoError(f"a seed of {len(seed)} bytes for a mask: expected {SEED_BYTES}")

    def apply(self, points: Sequence[bytes]) -> list[bytes]:
        """Mask points, keeping their order.

        Raises:
            CryptoError: A point is not valid.
        """
        return map_chunks(partial(_multiply, self._scalar), points, _SMALLEST_CHUNK)

    def remove(self, points: Sequence[bytes]) -> list[bytes]:
        """Take this mask off points that carry it, keeping their order.

        Raises:
            CryptoError: A point is not valid.
        """
        inverse = rbcl.crypto_core_ristretto255_scalar_invert(self._scalar)
        return map_chunks(partial(_multiply, inverse), points, _SMALLEST_CHUNK)


def parse_points(data: bytes, count: int) -> list[bytes]:
    """Read and check points that another party sent, one after the other.

    Raises:
        CryptoError: Not ``count`` points, bytes that are no point, the identity, or the same point twice.
    """
    if len(data) != count * POINT_BYTES:
        raise CryptoError(f"{len(data)} bytes of masked identifiers: expected {count} of {POINT_BYTES} bytes")
    points = [data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES)]
    for position, valid in enumerate(map_chunks(_check, points, _SMALLEST_CHUNK)):
        if not valid:
            raise CryptoError(
                f"masked identifier {position} is not an element of ristretto255, or the identity"
            )
    if len(set(points)) < count:
        raise CryptoError(f"{count - len(set(points))} of {count} masked identifiers are repeated")
    return points


def _hash_to_group(domain: bytes, messages: Sequence[bytes]) -> list[bytes]:
    """hash_to_ristretto255 with expand_message_xmd and SHA-512 (RFC 9380, §5.3.1 and Appendix B)."""
    domain_prime = domain + bytes([len(domain)])
    tail = b"\0\x40\0" + domain_prime
    padded = hashlib.sha512(bytes(128))
    points = []
    for message in messages:
        first = padded.copy()
        first.update(message + tail)
        uniform = hashlib.sha512(first.digest() + b"\1" + domain_prime).digest()
        points.append(rbcl.crypto_core_ristretto255_from_hash(uniform))
    return points


def _multiply(scalar: bytes, points: Sequence[bytes]) -> list[bytes]:
    if all(map(_is_canonical, points)):
        with suppress(RuntimeError):
            return [rbcl.crypto_scalarmult_ristretto255(scalar, point) for point in points]
    raise CryptoError("cannot mask: a point is not an element of ristretto255, or the identity")


def _check(points: Sequence[bytes]) -> list[bool]:
    return [
        _is_canonical(point) and any(point) and bool(rbcl.crypto_core_ristretto255_is_valid_point(point))
        for point in points
    ]


def _is_canonical(point: bytes) -> bool:
    # libsodium 1.0.18 ignores the top bit: every element, and the identity, would have a second encoding
    return len(point) == POINT_BYTES and point[-1] < 0x80
