"""Residues modulo r², written a(1 + tr).

Every unit c modulo r² is a(1 + tr) with a = c mod r and one t modulo r, and (1 + tr)(1 + ur) = 1 + (t + u)r.
A product of many units therefore needs long multiplications only for the a's, which are half as long as the
units, while the t's just add up: 3.2 µs a factor instead of 5.7 µs at r² of 4096 bits. Both the fixed-base
tables and the multi-exponentiation rest on this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gmpy2

from dtxeth.errors import CryptoError


class Halves(NamedTuple):
    """The unit a(1 + tr) modulo r², with the inverse of a modulo r.

    Attributes:
        a: The unit modulo r.
        a_inverse: Its inverse modulo r.
        t: The other half, modulo r.
    """

    a: int
    a_inverse: int
    t: int


ONE = Halves(gmpy2.mpz(1), gmpy2.mpz(1), gmpy2.mpz(0))


def split(values: Sequence[int], root: int) -> list[Halves]:
    """Write units modulo ``root``² as a(1 + t·root).

    Raises:
        CryptoError: A value is not a unit.
    """
    wholes, remainders = [], []
    for value in values:
        whole, remainder = gmpy2.f_divmod(value, root)
        wholes.append(whole)
        remainders.append(remainder)
    return [
        Halves(a, a_inverse, whole * a_inverse % root)
        for whole, a, a_inverse in zip(wholes, remainders, invert_all(remainders, root), strict=True)
    ]


def multiply(x: Halves, y: Halves, root: int) -> Halves:
    """The product of two units modulo ``root``²."""
    carry, a = gmpy2.f_divmod(x.a * y.a, root)
    a_inverse = x.a_inverse * y.a_inverse % root
    return Halves(a, a_inverse, (carry * a_inverse + x.t + y.t) % root)


def invert(x: Halves, root: int) -> Halves:
    """The inverse of a unit modulo ``root``²."""
    # a·a⁻¹ = 1 + carry·root over the integers, and 1/(1 + carry·root) = 1 − carry·root modulo root²
    carry = x.a * x.a_inverse // root
    return Halves(x.a_inverse, x.a, (-carry - x.t) % root)


def invert_all(values: Sequence[int], modulus: int) -> list[int]:
    """Inverses modulo ``modulus``, for one inversion in all and three products each (Montgomery 1987).

    Raises:
        CryptoError: A value has no inverse.
    """
    products = [gmpy2.mpz(1)]
    for value in values:
        products.append(products[-1] * value % modulus)
    try:
        inverse = gmpy2.invert(products.pop(), modulus)
    except ZeroDivisionError:
        raise CryptoError(
            f"one of {len(values)} residues has no inverse: it shares a factor with the modulus"
        ) from None
    inverses = []
    for value, before in zip(reversed(values), reversed(products), strict=True):
        inverses.append(inverse * before % modulus)
        inverse = inverse * value % modulus
    inverses.reverse()
    return inverses
