"""Powers of one base to random exponents, by a comb of precomputed products.

Source: C. H. Lim, P. J. Lee, "More flexible exponentiation with precomputation", CRYPTO 1994.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Any

import gmpy2

from dtxeth.crypto import residues

# A digit is one byte, and the tables have 4096 entries: more save products, but lose as much to cache misses.
TEETH = 8
BLOCKS = 16


class FixedBase:
    """The powers of one base modulo root².

    The bits of an exponent are laid out in ``TEETH`` rows of ``BLOCKS`` blocks of ``depth`` columns. A digit
    is one column, and a block's table has the product for each of its 256 values; the same table serves the
    next column after a squaring. To draw random digits is to draw a random exponent.

    Args:
        base: A unit modulo root².
        root: The square root of the modulus.
        exponent_bits: The least length of exponents; they get whole columns.
    """

    def __init__(self, base: int, root: int, exponent_bits: int) -> None:
        self._arguments = (base, root, exponent_bits)
        self._modulus = root * root
        self._depth = -(-exponent_bits // (TEETH * BLOCKS))
        self._tables = self._build(base, root)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a worker process as the recipe; the worker builds the tables once."""
        return _rebuild, self._arguments

    def random_digits(self) -> bytes:
        """The digits of an exponent drawn uniformly from all of its length."""
        return secrets.token_bytes(BLOCKS * self._depth)

    def power(self, digits: bytes) -> tuple[int, int]:
        """Raise the base to the exponent with these digits, those of the last column of all blocks first.

        Returns:
            (a, t), which stand for a(1 + t·root) modulo root², see :mod:`dtxeth.crypto.residues`.
        """
        modulus = self._modulus
        a, t = gmpy2.mpz(1), gmpy2.mpz(0)
        for column in range(0, len(digits), BLOCKS):
            a, t = a * a % modulus, 2 * t
            for digit, factors, terms in zip(digits[column : column + BLOCKS], *self._tables, strict=True):
                a = a * factors[digit] % modulus
                t += terms[digit]
        return a, t

    def _build(self, base: int, root: int) -> tuple[list[list[int]], list[list[int]]]:
        """For each block the products of all subsets of its teeth: a list of a's, and one of t's."""
        powers, power = [], base
        for _ in range(TEETH * BLOCKS):
            powers.append(power)
            power = gmpy2.powmod(power, 1 << self._depth, self._modulus)
        teeth = residues.split(powers, root)
        factors, terms = [], []
        for block in range(BLOCKS):
            products = [residues.ONE]
            for tooth in teeth[block::BLOCKS]:
                products += [residues.multiply(product, tooth, root) for product in products]
            factors.append([product.a for product in products])
            terms.append([product.t for product in products])
        return factors, terms


@lru_cache(maxsize=8)
def _rebuild(base: int, root: int, exponent_bits: int) -> FixedBase:
    return FixedBase(base, root, exponent_bits)
