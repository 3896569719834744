"""Fast Paillier encryption: (1 + mn)·hᵃ modulo n², by tables of powers of one base h.

Each encryptor derives a base of its own, h = (−x²)ⁿ modulo n², from a fresh secret x, and draws a fresh exponent a for
every ciphertext. How long a has to be depends on who must learn nothing:

* *Those without the factors of n* cannot tell hᵃ with a of |n|/2 bits from a random n-th power, if factoring is hard
  (Goldreich and Rosen, J. Cryptology 2003; used so by Damgård, Jurik and Nielsen, Int. J. Inf. Security 2010, §4.2).
* *The holder of the key*, to whom results return, can take logarithms modulo p and q if those of 1024 bits fall. So
  :meth:`Encryptor.randomness` takes a of |n| + 128 bits: modulo the order of h, below n, it is within 2⁻¹²⁸ of uniform.
* An encryptor that has the private key works modulo p² and q² with two independent exponents of |p| + 64 bits, again
  uniform within 2⁻⁶⁴ in each; this is Paillier's own distribution.

Source: I. Damgård, M. Jurik, J. B. Nielsen, "A generalization of Paillier's public-key system with applications to
electronic voting", 2010; C. H. Lim, P. J. Lee, "More flexible exponentiation with precomputation", CRYPTO 1994.
"""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

import gmpy2
import numpy as np

from dtxeth.crypto import residues
from dtxeth.crypto.paillier import CipherVector, PrivateKey, PublicKey
from dtxeth.crypto.parallel import map_chunks
from dtxeth.errors import InputError

TABLE_ENTRIES = 1 << 14


class FixedBase:
    """Random powers of one base modulo root², by a comb.

    The exponent is a matrix of bits with ``teeth`` rows and ``blocks * depth`` columns. A table for each block holds the
    products of every subset of its teeth; a power takes one factor from each table for each depth, and ``depth``
    squarings. Random digits are drawn instead of a random exponent: the two are the same thing.

    Args:
        base: A unit modulo root².
        root: The square root of the modulus.
        bits: The least length of the random exponents.
    """

    def __init__(self, base: int, root: int, bits: int) -> None:
        self._arguments = (base, root, bits)
        self._root = root
        self._modulus = root * root
        self._teeth, self._blocks, self._depth = _shape(bits)
        self._tables = self._build(base)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to worker processes as the recipe; each builds the tables once."""
        return _rebuild, self._arguments

    def _build(self, base: int) -> list[tuple[list[int], list[int]]]:
        """For each block and each subset of teeth, the product as a list of a's and a list of t's."""
        columns = self._blocks * self._depth
        powers, power = [], base
        for tooth in range(self._teeth):
            for column in range(columns):
                if column % self._depth == 0:
                    powers.append(power)
                power = power * power % self._modulus
            assert len(powers) == (tooth + 1) * self._blocks
        steps = residues.split(powers, self._root)
        tables = []
        for block in range(self._blocks):
            entries = [residues.ONE]
            for step in steps[block :: self._blocks]:
                entries += [residues.multiply(entry, step, self._root) for entry in entries]
            tables.append(([entry.a for entry in entries], [entry.t for entry in entries]))
        return tables

    def powers(self, count: int) -> list[tuple[int, int]]:
        """So many random powers, each as (a, t) with value a(1 + t·root); a is below root², t any whole number."""
        size = (count, self._depth, self._blocks)
        random = np.frombuffer(secrets.token_bytes(2 * count * self._depth * self._blocks), np.uint16)
        digits = (random & ((1 << self._teeth) - 1)).reshape(size).tolist()
        return [self._power(rows) for rows in digits]

    def _power(self, rows: list[list[int]]) -> tuple[int, int]:
        a, t, modulus = gmpy2.mpz(1), gmpy2.mpz(0), self._modulus
        for row in rows:
            a, t = a * a % modulus, 2 * t
            for (table_a, table_t), digit in zip(self._tables, row, strict=True):
                a = a * table_a[digit] % modulus
                t += table_t[digit]
        return a, t


_rebuild = lru_cache(maxsize=8)(FixedBase)


def _shape(bits: int) -> tuple[int, int, int]:
    """The (teeth, blocks, depth) with fewest multiplications and squarings whose tables fit in ``TABLE_ENTRIES``."""
    shapes = []
    for teeth in range(1, 15):
        for blocks in range(1, max(1, TABLE_ENTRIES >> teeth) + 1):
            depth = -(-bits // (teeth * blocks))
            shapes.append((depth * (blocks + 2), teeth, blocks, depth))
    return min(shapes)[1:]


class _PublicPath:
    """Encryption with the modulus alone: one power modulo n²."""

    def __init__(self, key: PublicKey, x: int, exponent_bits: int) -> None:
        self._key = key
        base = gmpy2.powmod(-x * x, key.n, key.n_squared)
        self._powers = FixedBase(base, key.n, exponent_bits)

    def encrypt(self, plaintexts: Sequence[int]) -> list[int]:
        n, modulus = self._key.n, self._key.n_squared
        return [
            a * (1 + (t + plaintext) % n * n) % modulus
            for (a, t), plaintext in zip(self._powers.powers(len(plaintexts)), plaintexts, strict=True)
        ]


class _OwnerPath:
    """Encryption with the factors: two powers modulo p² and q², put together by the Chinese remainder theorem."""

    def __init__(self, key: PrivateKey, x: int) -> None:
        self._p, self._q, self._modulus = key.p, key.q, key.public_key.n_squared
        self._p_inverse = gmpy2.invert(key.p * key.p, key.q * key.q)
        base = gmpy2.powmod(-x * x, key.public_key.n, self._modulus)
        self._powers_p, self._powers_q = (
            FixedBase(base % (factor * factor), factor, int(factor.bit_length()) + 64) for factor in (key.p, key.q)
        )

    def encrypt(self, plaintexts: Sequence[int]) -> list[int]:
        p, q = self._p, self._q
        p_squared, q_squared = p * p, q * q
        ciphers = []
        powers = zip(self._powers_p.powers(len(plaintexts)), self._powers_q.powers(len(plaintexts)), strict=True)
        for ((a_p, t_p), (a_q, t_q)), plaintext in zip(powers, plaintexts, strict=True):
            # 1 + mn modulo p² is 1 + (mq modulo p)p, so the plaintext joins the t of the power
            c_p = a_p * (1 + (t_p + plaintext * q) % p * p) % p_squared
            c_q = a_q * (1 + (t_q + plaintext * p) % q * q) % q_squared
            ciphers.append(c_p + p_squared * ((c_q - c_p) * self._p_inverse % q_squared))
        return ciphers


class Encryptor:
    """Encrypts vectors under one key.

    Args:
        key: The public key; or the private key, which encrypts faster.
    """

    def __init__(self, key: PublicKey | PrivateKey) -> None:
        self.public_key = key.public_key if isinstance(key, PrivateKey) else key
        self._key = key
        self._x = gmpy2.mpz(secrets.randbelow(int(self.public_key.n) - 1) + 1)

    def encrypt(self, numbers: Iterable[int]) -> CipherVector:
        """Encrypt signed whole numbers with fresh randomness.

        Raises:
            InputError: A number is not within ±(n − 1)/2.
        """
        plaintexts = [gmpy2.mpz(operator.index(number)) for number in numbers]
        for position, plaintext in enumerate(plaintexts):
            if abs(plaintext) > self.public_key.max_plaintext:
                raise InputError(
                    f"number {position} has {plaintext.bit_length()} bits: a {self.public_key.bits}-bit Paillier key"
                    " encrypts signed numbers within ±(n − 1)/2; lower the precision or use a longer key"
                )
        return CipherVector(self.public_key, map_chunks(self._hiding_from_others.encrypt, plaintexts))

    def randomness(self, count: int) -> CipherVector:
        """Fresh encryptions of zero, uniform even to the holder of the key; a factor of each makes a result fresh."""
        return CipherVector(self.public_key, map_chunks(self._hiding_from_all.encrypt, [gmpy2.mpz(0)] * count))

    @cached_property
    def _hiding_from_others(self) -> _PublicPath | _OwnerPath:
        if isinstance(self._key, PrivateKey):
            return self._hiding_from_all
        return _PublicPath(self._key, self._x, self.public_key.bits // 2)

    @cached_property
    def _hiding_from_all(self) -> _PublicPath | _OwnerPath:
        if isinstance(self._key, PrivateKey):
            return _OwnerPath(self._key, self._x)
        return _PublicPath(self._key, self._x, self.public_key.bits + 128)
