"""Clear matrices times encrypted vectors: Xᵀ·[[v]], and weighted sums row by row, by multi-exponentiation.

Column j of Xᵀ·[[v]] is ∏ᵢ cᵢ^X[i,j]. Multipliers are written in signed digits −2ʷ⁻¹ … 2ʷ⁻¹ − 1, and all ciphertexts
with one digit at one place are multiplied into one bucket, so a zero digit costs nothing and no table is needed. A
negative digit takes the inverse of the ciphertext, all of which together cost one inversion: a multiplier is
as long as its absolute value, never as long as n. Bases enter as a(1 + tn), see
:mod:`dtxeth.crypto.residues`: the a's, half as long as ciphertexts, are multiplied, while the t's are summed
with their multipliers.

The time depends on the multipliers: do not let a stranger measure it.

Source: N. Pippenger, "On the evaluation of powers and monomials", SIAM J. Comput. 1980, in the form of D. J.
Bernstein, J. Doumen, T. Lange, J.-J. Oosterwijk, "Faster batch forgery identification", INDOCRYPT 2012, §4; for
:func:`weighted_sum` E. G. Straus, "Addition chains of vectors", Amer. Math. Monthly 1964.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import gmpy2
import numpy as np
import numpy.typing as npt

from dtxeth.crypto import residues
from dtxeth.crypto.paillier import CipherVector
from dtxeth.crypto.parallel import effective_jobs, map_chunks
from dtxeth.crypto.residues import Halves
from dtxeth.errors import CryptoError, InputError

# A product of two ciphertexts takes so many times longer than one of a ciphertext and a half (measured).
FULL_PRODUCT_COST = 1.75

# Rows multiplied together: more need more memory, fewer leave less to gain from common buckets.
MOST_ROWS, LEAST_ROWS = 1 << 14, 1 << 10

# Digits of single weights are odd and of this many bits: three more powers of each base.
ODD_WIDTH = 4

_Block = tuple[Sequence[int], npt.NDArray[Any], int]


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
    _check(matrix, len(ciphers))
    key = ciphers.public_key
    blocks = list(_blocks(ciphers.values, matrix, effective_jobs()))
    products = [gmpy2.mpz(1)] * matrix.shape[1]
    for first, factors in map_chunks(partial(_multiply_blocks, key.n), blocks, smallest=1):
        for column, factor in enumerate(factors, first):
            products[column] = products[column] * factor % key.n_squared
    return CipherVector(key, products)


def weighted_sum(vectors: Sequence[CipherVector], weights: npt.NDArray[Any]) -> CipherVector:
    """Encrypt Σₖ weights[:, k]·vₖ, elementwise, given the encryptions of the vₖ: one power for all of them.

    The result has no fresh randomness, as that of :func:`matvec`.

    Args:
        vectors: [[v₁]], [[v₂]] …, under one key and of one length.
        weights: Of shape (length, vectors): signed whole numbers, of any length if the type is object.

    Returns:
        One ciphertext an element.

    Raises:
        InputError: The weights are not whole numbers, or of another shape.
        CryptoError: The vectors are under different keys or of different lengths; a ciphertext is not a unit.
    """
    key = vectors[0].public_key
    if any(vector.public_key != key or len(vector) != len(vectors[0]) for vector in vectors):
        raise CryptoError("Paillier vectors of different keys or lengths: their weighted sum is not defined")
    _check(weights, len(vectors[0]), len(vectors))
    rows = list(zip(zip(*(vector.values for vector in vectors), strict=True), weights.tolist(), strict=True))
    return CipherVector(key, map_chunks(partial(_straus_rows, key.n), rows, smallest=16))


def _check(matrix: npt.NDArray[Any], rows: int, columns: int | None = None) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != rows or columns not in (None, matrix.shape[1]):
        raise InputError(
            f"a matrix of shape {matrix.shape} for {rows} encrypted rows: expected"
            f" ({rows}, {'columns' if columns is None else columns})"
        )
    try:
        if not np.issubdtype(matrix.dtype, np.integer):
            for number in matrix.flat:
                operator.index(number)
    except TypeError:
        raise InputError(
            f"a matrix of type {matrix.dtype}: encrypted rows can be multiplied by whole numbers only"
        ) from None


def _blocks(values: Sequence[int], matrix: npt.NDArray[Any], jobs: int) -> Iterator[_Block]:
    """Cut the work for ``jobs`` processes: by rows, which each then ships once, or if they are few by columns."""
    rows, columns = matrix.shape
    high = max(1, -(-rows // MOST_ROWS), min(jobs, rows // LEAST_ROWS))
    wide = min(columns, -(-jobs // high))
    for low, end in pairwise(rows * i // high for i in range(high + 1)):
        for first, last in pairwise(columns * i // wide for i in range(wide + 1)) if wide else ():
            yield values[low:end], matrix[low:end, first:last], first


def _multiply_blocks(n: int, blocks: Sequence[_Block]) -> list[tuple[int, list[int]]]:
    results = []
    for values, matrix, first in blocks:
        bases = residues.split(values, n)
        inverses = [residues.invert(base, n) for base in bases]
        factors = [base.a for base in (*bases, *inverses)]
        terms = [base.t for base in (*bases, *inverses)]
        results.append((first, [_multiply_column(factors, terms, n, column) for column in matrix.T]))
    return results


def _multiply_column(
    factors: Sequence[int], terms: Sequence[int], n: int, multipliers: npt.NDArray[Any]
) -> int:
    """∏ᵢ cᵢ^multipliersᵢ modulo n².

    Args:
        factors: The a of each base, then that of the inverse of each.
        terms: Their t.
        n: The modulus.
        multipliers: One a base.
    """
    modulus, rows = n * n, len(multipliers)
    length = max((abs(int(edge)).bit_length() for edge in _edges(multipliers)), default=0) + 1
    # far from the ends of int64, where a digit could carry past it
    rest = multipliers.astype(np.int64 if length < 48 else object)
    width = _best_width(rows, length)
    half = 1 << (width - 1)
    negative = np.zeros_like(rest)
    places: list[npt.NDArray[Any]] = []
    while np.any(rest):
        digits = ((rest + half) & (2 * half - 1)) - half
        rest = (rest - digits) >> width
        negative += np.where(digits < 0, -digits, 0) << (width * len(places))
        places.append(digits)
    positive = multipliers.astype(rest.dtype) + negative
    t = sum(map(operator.mul, map(gmpy2.mpz, [*positive.tolist(), *negative.tolist()]), terms), gmpy2.mpz(0))
    a = gmpy2.mpz(1)
    for digits in reversed(places):
        a = gmpy2.powmod(a, 1 << width, modulus) * _multiply_place(factors, digits, modulus) % modulus
    return a * (1 + t % n * n) % modulus  # type: ignore[no-any-return]


def _edges(numbers: npt.NDArray[Any]) -> Sequence[Any]:
    return (numbers.min(), numbers.max()) if len(numbers) else ()


def _multiply_place(factors: Sequence[int], digits: npt.NDArray[Any], modulus: int) -> int:
    """∏ᵢ aᵢ^digitsᵢ, by adding up from the largest d: the bucket of d is a factor of ``above`` d times."""
    sizes = np.abs(digits).astype(np.int64)
    order = np.argsort(sizes, kind="stable")
    largest = int(sizes[order[-1]])
    bounds = np.searchsorted(sizes[order], np.arange(1, largest + 2)).tolist()
    chosen = (order + np.where(digits[order] < 0, len(digits), 0)).tolist()
    above = product = gmpy2.mpz(1)
    for size in range(largest, 0, -1):
        bucket = chosen[bounds[size - 1] : bounds[size]]
        if bucket:
            within = factors[bucket[0]]
            for index in bucket[1:]:
                within = within * factors[index] % modulus
            above = above * within % modulus
        product = product * above % modulus
    return product  # type: ignore[no-any-return]


def _best_width(rows: int, length: int) -> int:
    """The digit width that costs least: at each place a product a row, and two longer ones a bucket."""

    def cost(width: int) -> float:
        return -(-length // width) * (rows + FULL_PRODUCT_COST * (1 << width))

    return min(range(2, 17), key=cost)


def _straus_rows(n: int, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[int]:
    bases = iter(residues.split([value for values, _ in rows for value in values], n))
    return [_straus([next(bases) for _ in values], weights, n) for values, weights in rows]


def _straus(bases: Sequence[Halves], weights: Sequence[int], n: int) -> int:
    """∏ₖ basesₖ^weightsₖ modulo n², the squarings shared."""
    modulus = n * n
    digits = [_odd_digits(weight) for weight in weights]
    places: list[list[Halves]] = [[] for _ in range(max(map(len, digits), default=0))]
    for base, spelled in zip(bases, digits, strict=True):
        powers = {1: base}
        square = residues.multiply(base, base, n)
        for odd in range(3, max(map(abs, spelled), default=0) + 1, 2):
            powers[odd] = residues.multiply(powers[odd - 2], square, n)
        for place, digit in enumerate(spelled):
            if digit:
                power = powers[abs(digit)]
                places[place].append(power if digit > 0 else residues.invert(power, n))
    a, t = gmpy2.mpz(1), gmpy2.mpz(0)
    for factors in reversed(places):
        a, t = a * a % modulus, 2 * t
        for factor in factors:
            a = a * factor.a % modulus
            t += factor.t
    return a * (1 + t % n * n) % modulus  # type: ignore[no-any-return]


def _odd_digits(number: int) -> list[int]:
    """The digits of ``number`` in base 2, lowest first: 0 or odd, within ±2^(w − 1), two never within w places."""
    digits = []
    while number:
        digit = 0
        if number & 1:
            digit = ((number + (1 << (ODD_WIDTH - 1))) & ((1 << ODD_WIDTH) - 1)) - (1 << (ODD_WIDTH - 1))
        digits.append(digit)
        number = (number - digit) >> 1
    return digits
