"""The product of a clear matrix and an encrypted vector, Xᵀ·[[v]], by multi-exponentiation.

Column j is ∏ᵢ cᵢ^X[i,j]. Multipliers are written in signed digits −2ʷ⁻¹ … 2ʷ⁻¹ − 1, and all ciphertexts with
one digit at one place are multiplied into one bucket, so a zero digit costs nothing and no table is needed. A
negative digit takes the inverse of the ciphertext, all of which together cost one inversion: a multiplier is
as long as its absolute value, never as long as n. Bases enter as a(1 + tn), see
:mod:`dtxeth.crypto.residues`: the a's, half as long as ciphertexts, are multiplied, while the t's are summed
with their multipliers.

The time depends on the multipliers: do not let a stranger measure it.

Source: N. Pippenger, "On the evaluation of powers and monomials", SIAM J. Comput. 1980, in the form of D. J.
Bernstein, J. Doumen, T. Lange, J.-J. Oosterwijk, "Faster batch forgery identification", INDOCRYPT 2012, §4.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import gmpy2
import numpy.typing as npt

from dtxeth.crypto import residues
from dtxeth.crypto.paillier import CipherVector
from dtxeth.crypto.parallel import map_chunks
from dtxeth.crypto.residues import Halves
from dtxeth.errors import InputError

# A product of two ciphertexts takes so many times longer than one of a ciphertext and a half (measured).
FULL_PRODUCT_COST = 1.75


def matvec(ciphers: CipherVector, matrix: npt.NDArray[Any]) -> CipherVector:
    """Encrypt Xᵀ·v, given the encryption of v, without the key.

    The result has no fresh randomness: call :meth:`~CipherVector.rerandomize` before it goes to the holder of
    the key. The arithmetic is modulo n; that no sum leaves ±(n − 1)/2 is for the caller to assert, who knows
    the bound of v.

    Args:
        ciphers: [[v]], one ciphertext a row.
        matrix: X, of shape (rows, columns): signed whole numbers, of any length if the type is object.

    Returns:
        One ciphertext a column.

    Raises:
        InputError: The matrix is not of whole numbers, or has another number of rows.
        CryptoError: A ciphertext is not a unit.
    """
    columns = _columns(matrix, len(ciphers))
    n = ciphers.public_key.n
    bases = residues.split(ciphers.values, n)
    inverses = [residues.invert(base, n) for base in bases]
    multiply = partial(_multiply_columns, bases, inverses, n)
    return CipherVector(ciphers.public_key, map_chunks(multiply, columns, smallest=1))


def _columns(matrix: npt.NDArray[Any], rows: int) -> list[list[int]]:
    """The columns in Python's own numbers, which do not overflow."""
    if matrix.ndim != 2 or matrix.shape[0] != rows:
        raise InputError(
            f"a matrix of shape {matrix.shape} for {rows} encrypted rows: expected ({rows}, columns)"
        )
    try:
        return [[operator.index(number) for number in column] for column in matrix.T.tolist()]
    except TypeError:
        raise InputError(
            f"a matrix of type {matrix.dtype}: encrypted rows can be multiplied by whole numbers only"
        ) from None


def _multiply_columns(
    bases: Sequence[Halves], inverses: Sequence[Halves], n: int, columns: Sequence[list[int]]
) -> list[int]:
    return [_multiply_column(bases, inverses, n, column) for column in columns]


def _multiply_column(
    bases: Sequence[Halves], inverses: Sequence[Halves], n: int, multipliers: Sequence[int]
) -> int:
    """∏ᵢ basesᵢ^multipliersᵢ modulo n²."""
    modulus = n * n
    width = _best_width(multipliers)
    buckets: list[dict[int, int]] = []
    t = gmpy2.mpz(0)
    for base, inverse, multiplier in zip(bases, inverses, multipliers, strict=True):
        negative = 0
        for place, digit in enumerate(_signed_digits(multiplier, width)):
            if place == len(buckets):
                buckets.append({})
            if digit == 0:
                continue
            if digit < 0:
                negative -= digit << (width * place)
            bucket, factor = buckets[place], base.a if digit > 0 else inverse.a
            size = abs(digit)
            bucket[size] = bucket[size] * factor % modulus if size in bucket else factor
        t += (multiplier + negative) * base.t + negative * inverse.t
    a = gmpy2.mpz(1)
    for bucket in reversed(buckets):
        a = gmpy2.powmod(a, 1 << width, modulus) * _weigh(bucket, modulus) % modulus
    return a * (1 + t % n * n) % modulus  # type: ignore[no-any-return]


def _weigh(bucket: dict[int, int], modulus: int) -> int:
    """∏ bucket[d]^d, by adding up from the largest d: bucket[d] is a factor of ``above`` d times."""
    above = product = gmpy2.mpz(1)
    for digit in range(max(bucket, default=0), 0, -1):
        if digit in bucket:
            above = above * bucket[digit] % modulus
        product = product * above % modulus
    return product  # type: ignore[no-any-return]


def _signed_digits(number: int, width: int) -> list[int]:
    """The digits of ``number`` in base 2^width, lowest first, each in −2^(width − 1) … 2^(width − 1) − 1."""
    digits = []
    half = 1 << (width - 1)
    while number:
        digit = ((number + half) & (2 * half - 1)) - half
        digits.append(digit)
        number = (number - digit) >> width
    return digits


def _best_width(multipliers: Sequence[int]) -> int:
    """The digit width that costs least: at each place a product a row, and two longer ones a bucket."""
    length = max(map(abs, multipliers), default=0).bit_length() + 1

    def cost(width: int) -> float:
        places = -(-length // width)
        return places * (len(multipliers) + FULL_PRODUCT_COST * (1 << width))

    return min(range(2, 17), key=cost)
