"""Secrets in parts: additive shares, all of which are needed, and Shamir's, any so many of which are enough.

* :func:`share` and :func:`combine` work on arrays of 64-bit integers modulo 2⁶⁴: shares of sums are sums of
  shares, elementwise and without a message.
* :func:`split` and :func:`join` work on one integer modulo a prime, such as a key: any ``threshold`` shares
  give it back, fewer say nothing at all about it.

Neither notices a holder who changes a share; authenticate shares where that matters.

Sources: A. Shamir, "How to share a secret", CACM 22(11), 1979; for additive shares any text on multi-party
computation, such as Evans, Kolesnikov, Rosulek, "A Pragmatic Introduction to Secure Multi-Party Computation".
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gmpy2
import numpy as np
from numpy.typing import NDArray

from dtxeth.errors import CryptoError

PRIME: Final = 2**521 - 1
"""A Mersenne prime above every 512-bit secret."""

Words = NDArray[np.uint64]


def share(values: Words, parties: int) -> list[Words]:
    """Share an array additively.

    Args:
        values: 64-bit unsigned integers, any shape; view signed ones as unsigned (two's complement).
        parties: How many shares, at least 2.

    Returns:
        One array a party; any ``parties − 1`` of them are uniform and independent of the values.

    Raises:
        CryptoError: Fewer than 2 parties, or values of another type.
    """
    if parties < 2:
        raise CryptoError(f"a secret shared among {parties}: give at least 2 parties")
    if values.dtype != np.uint64:
        raise CryptoError(f"values of type {values.dtype}: expected uint64")
    masks = [_uniform(values.shape) for _ in range(parties - 1)]
    return [*masks, values - np.sum(masks, axis=0, dtype=np.uint64)]


def combine(shares: Sequence[Words]) -> Words:
    """Add up all the shares of an array.

    Raises:
        CryptoError: No shares, or of different shapes or another type.
    """
    if not shares or any(part.dtype != np.uint64 or part.shape != shares[0].shape for part in shares):
        raise CryptoError(f"{len(shares)} shares: expected at least one, all uint64 arrays of one shape")
    total: Words = np.sum(np.stack(shares), axis=0, dtype=np.uint64)
    return total


@dataclass(frozen=True)
class Share:
    """A point of Shamir's polynomial.

    Attributes:
        x: Number of the share, from 1.
        y: The polynomial there: secret.
    """

    x: int
    y: int

    def __repr__(self) -> str:
        return f"Share(x={self.x})"


def split(secret: int, threshold: int, parties: int, prime: int = PRIME) -> list[Share]:
    """Share an integer so that any ``threshold`` of the parties have it.

    Args:
        secret: 0 to prime − 1.
        threshold: Shares that give it back, 1 to ``parties``.
        parties: How many shares, below ``prime``.
        prime: Modulus of the field.

    Returns:
        Shares 1 to ``parties`` of a polynomial whose other coefficients are uniform.

    Raises:
        CryptoError: A number out of its range.
    """
    if not 1 <= threshold <= parties < prime:
        raise CryptoError(
            f"{threshold} of {parties} shares modulo {prime:#x}: need 1 ≤ threshold ≤ parties < prime"
        )
    if not 0 <= secret < prime:
        raise CryptoError("the secret is not below the prime: choose a larger prime")
    coefficients = [secret, *(secrets.randbelow(prime) for _ in range(threshold - 1))]
    return [Share(x, evaluate(coefficients, x, prime)) for x in range(1, parties + 1)]


def join(shares: Sequence[Share], prime: int = PRIME) -> int:
    """Give a secret back from shares: Lagrange interpolation at 0.

    Args:
        shares: At least as many as the threshold was; with fewer the result is noise, and nobody can tell.
        prime: As it was shared.

    Raises:
        CryptoError: No shares, one twice, or one that is out of range.
    """
    numbers = [point.x for point in shares]
    if not shares or len(set(numbers)) < len(numbers):
        raise CryptoError(f"shares {numbers}: expected at least one, each once")
    if not all(0 < point.x < prime and 0 <= point.y < prime for point in shares):
        raise CryptoError(f"shares {numbers}: one is not a point modulo the prime")
    total = 0
    for point in shares:
        others = [x for x in numbers if x != point.x]
        above, below = 1, 1
        for x in others:
            above, below = above * x % prime, below * (x - point.x) % prime
        total += point.y * above * int(gmpy2.invert(below, prime))
    return total % prime


def evaluate(coefficients: Sequence[int], x: int, prime: int) -> int:
    """Evaluate a polynomial, its constant first, by Horner's rule."""
    y = 0
    for coefficient in reversed(coefficients):
        y = (y * x + coefficient) % prime
    return y


def _uniform(shape: tuple[int, ...]) -> Words:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(secrets.token_bytes(8 * count), dtype=np.uint64).reshape(shape)
