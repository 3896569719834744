"""Powers of fixed bases to random exponents, by a comb of precomputed products.

Source: C. H. Lim, P. J. Lee, "More flexible exponentiation with precomputation", CRYPTO 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gmpy2

from dtxeth.crypto import residues

# A digit is one byte, and a base has 4096 table entries: more save products, lose as much to cache misses
TEETH = 8
BLOCKS = 16


class FixedBase:
    """Powers of one base modulo root², times short powers of more bases where there are any.

    The bits of the exponent are laid out in ``TEETH`` × ``BLOCKS`` rows, its teeth, of ``depth`` columns; the
    exponent of another base is one row. Eight teeth in one column are a digit, and a table has the product
    for each of its values; after a squaring, the same table serves the next column. To draw random digits is
    to draw random exponents.

    Args:
        base: A unit modulo root².
        root: The square root of the modulus.
        exponent_bits: The least length of exponents of ``base``; they get whole columns.
        more: Further units, a multiple of sixteen, with exponents of ``depth`` bits.
    """

    def __init__(self, base: int, root: int, exponent_bits: int, more: Sequence[int] = ()) -> None:
        self._arguments = (base, root, exponent_bits, tuple(more))
        self._modulus = root * root
        self._depth = -(-exponent_bits // (TEETH * BLOCKS))
        self._blocks = BLOCKS + len(more) // TEETH
        self._tables = self._build(base, root, more)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a worker process as the recipe; the worker builds the tables once."""
        return _rebuild, self._arguments

    @property
    def digit_bytes(self) -> int:
        """How many digits, of one byte each, the exponents have together."""
        return self._blocks * self._depth

    def power(self, digits: bytes) -> tuple[int, int]:
        """Raise the bases to the exponents with these digits, which begin with those of the highest column.

        Returns:
            (a, t), which stand for a(1 + t·root) modulo root², see :mod:`dtxeth.crypto.residues`.
        """
        modulus = self._modulus
        factors, terms = self._tables
        a, t = gmpy2.mpz(1), gmpy2.mpz(0)
        for column in range(0, len(digits), self._blocks):
            a, t = a * a % modulus, 2 * t
            row = digits[column : column + self._blocks]
            # a product of two halves is below the modulus: one reduction serves both
            for x, y, evens, odds in zip(row[::2], row[1::2], factors[::2], factors[1::2], strict=True):
                a = a * (evens[x] * odds[y]) % modulus
            for digit, sums in zip(row, terms, strict=True):
                t += sums[digit]
        return a, t

    def _build(self, base: int, root: int, more: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
        """For each block the products of all subsets of its teeth: a list of a's, and one of t's."""
        powers = [base]
        while len(powers) < TEETH * BLOCKS:
            powers.append(gmpy2.powmod(powers[-1], 1 << self._depth, self._modulus))
        teeth = residues.split([*powers, *more], root)
        factors, terms = [], []
        for block in range(self._blocks):
            products = [residues.ONE]
            for tooth in teeth[TEETH * block : TEETH * (block + 1)]:
                products += [residues.multiply(product, tooth, root) for product in products]
            factors.append([product.a for product in products])
            terms.append([product.t for product in products])
        return factors, terms


@lru_cache(maxsize=8)
def _rebuild(base: int, root: int, exponent_bits: int, more: tuple[int, ...]) -> FixedBase:
    return FixedBase(base, root, exponent_bits, more)
