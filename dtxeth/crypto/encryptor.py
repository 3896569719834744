"""Fast Paillier encryption: (1 + mn)·hᵃ modulo n², by tables of powers of one base h.

Each encryptor derives a base of its own, h = (−x²)ⁿ modulo n², from a fresh secret x, and draws a fresh
exponent a for every ciphertext. How long a has to be depends on who must learn nothing:

* Whoever lacks the factors of n cannot tell hᵃ with a of |n|/2 bits, at least 1024, from a random power of h
  if factoring is hard (Goldreich and Rosen, J. Cryptology 2003; so used by Damgård, Jurik and Nielsen).
* The holder of the key, to whom results return, can take logarithms modulo p and q once those of 1024 bits
  fall, and at once in parts of the group of small order. So :meth:`Encryptor.randomness` takes a of |n| + 128
  bits: modulo the order of h, which is below n, such an a is within 2⁻¹²⁸ of uniform, and no computation
  helps. But with probability 1/ℓ, h misses the part of prime order ℓ ≥ 3. Therefore sixteen more random n-th
  powers join with short exponents of their own: all seventeen miss a part with probability 3⁻¹⁷ < 2⁻²⁶.

An encryptor that has the private key computes the very same hᵃ modulo p² and q², which is faster, and has
nobody to hide from but those without it.

With seeds, base and exponents follow from SHAKE-256 of them, so that a run can be repeated bit for bit. **One
seed must never meet two vectors of numbers**: the quotient of the ciphertexts would show their difference.
The powers hᵃ do not depend on what they hide, so :meth:`Encryptor.prepare` computes them ahead.

Source: I. Damgård, M. Jurik, J. B. Nielsen, "A generalization of Paillier's public-key system with
applications to electronic voting", Int. J. Inf. Security 2010.
"""

from __future__ import annotations

import hashlib
import operator
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import gmpy2

from dtxeth.crypto.fixedbase import FixedBase
from dtxeth.crypto.paillier import CipherVector, PrivateKey, PublicKey
from dtxeth.crypto.parallel import map_chunks
from dtxeth.errors import InputError

MORE_BASES = 16


class Encryptor:
    """Encrypts vectors under one key.

    Args:
        key: The public key, or the private key, with which encryption is faster.
        seed: Secret bytes from which the base follows, where a run must be repeatable; default fresh.

    Attributes:
        prepared: How many powers of those used so far were computed ahead.
        used: How many powers were used to encrypt so far.
    """

    def __init__(self, key: PublicKey | PrivateKey, seed: bytes | None = None) -> None:
        self.public_key = key.public_key if isinstance(key, PrivateKey) else key
        self.prepared = self.used = 0
        self._key = key
        self._draws = _Draws(self.public_key, seed)
        self._base = -(self._draws.nth_power(0) ** 2) % self.public_key.n_squared
        self._ahead: tuple[bytes, list[bytes], list[_Power]] = b"", [], []

    def encrypt(self, numbers: Iterable[int], seed: bytes | None = None) -> CipherVector:
        """Encrypt signed whole numbers.

        Args:
            numbers: The plaintexts.
            seed: Secret bytes from which the randomness follows, for these numbers only; default fresh.

        Raises:
            InputError: A number is not within ±(n − 1)/2.
        """
        plaintexts = [gmpy2.mpz(operator.index(number)) for number in numbers]
        for position, plaintext in enumerate(plaintexts):
            if abs(plaintext) > self.public_key.max_plaintext:
                raise InputError(
                    f"number {position} has {plaintext.bit_length()} bits: a {self.public_key.bits}-bit key"
                    " encrypts numbers within ±(n − 1)/2; lower the precision or take a longer key"
                )
        ahead: list[_Power] = []
        if seed is not None and self._ahead[0] == seed:
            (*_, ahead), self._ahead = self._ahead, (b"", [], [])
        self.prepared += min(len(ahead), len(plaintexts))
        self.used += len(plaintexts)
        ciphers = [self._hiding.hide(*pair) for pair in zip(plaintexts, ahead, strict=False)]
        return CipherVector(
            self.public_key, ciphers + _encrypt(self._hiding, plaintexts, seed, first=len(ciphers))
        )

    def prepare(self, seed: bytes, count: int, most: int) -> bool:
        """Compute powers for :meth:`encrypt` with ``seed`` ahead, while there is nothing else to do.

        Powers of another seed that are still unused are forgotten.

        Args:
            seed: As it will be given to :meth:`encrypt`.
            count: How many numbers will be encrypted.
            most: How many powers to compute in this call at most.

        Returns:
            Whether all are ready.
        """
        if self._ahead[0] != seed:
            self._ahead = seed, _digits(seed, self._hiding.digit_bytes, count), []
        _, digits, powers = self._ahead
        powers.extend(map(self._hiding.power, digits[len(powers) : len(powers) + most]))
        return len(powers) == len(digits)

    def randomness(self, count: int, seed: bytes | None = None) -> CipherVector:
        """Encryptions of zero that are uniform to everybody else, the holder of the key included.

        Args:
            count: How many.
            seed: Secret bytes that they follow from, for one vector of ciphertexts only; default fresh.
        """
        zeros = [gmpy2.mpz(0)] * count
        return CipherVector(self.public_key, _encrypt(self._hiding_from_key_holder, zeros, seed))

    @cached_property
    def _hiding(self) -> _Path:
        bits = self.public_key.bits // 2
        if isinstance(self._key, PrivateKey):
            return _OwnerPath(self._key, self._base, bits)
        return _PublicPath(self._key, FixedBase(self._base, self._key.n, bits))

    @cached_property
    def _hiding_from_key_holder(self) -> _Path:
        if isinstance(self._key, PrivateKey):
            return self._hiding
        more = [self._draws.nth_power(number) for number in range(1, MORE_BASES + 1)]
        return _PublicPath(self._key, FixedBase(self._base, self._key.n, self._key.bits + 128, more))


class _Draws:
    """Random n-th powers, fresh or from a seed."""

    def __init__(self, key: PublicKey, seed: bytes | None) -> None:
        self._key, self._seed = key, seed

    def nth_power(self, number: int) -> int:
        n = int(self._key.n)
        if self._seed is None:
            x = secrets.randbelow(n - 1) + 1
        else:  # 128 bits more than n has: within 2⁻¹²⁸ of uniform
            path = b"dtxeth paillier base %d\0" % number + self._seed
            stream = hashlib.shake_256(path).digest(len(self._key.to_bytes()) + 16)
            x = int.from_bytes(stream) % (n - 1) + 1
        return gmpy2.powmod(x, self._key.n, self._key.n_squared)  # type: ignore[no-any-return]


def _digits(seed: bytes | None, width: int, count: int) -> list[bytes]:
    """Digits of ``count`` random exponents, of ``width`` bytes each."""
    if seed is None:
        return [secrets.token_bytes(width) for _ in range(count)]
    stream = hashlib.shake_256(b"dtxeth paillier exponents\0" + seed).digest(width * count)
    return [stream[at : at + width] for at in range(0, len(stream), width)]


def _encrypt(path: _Path, plaintexts: Sequence[int], seed: bytes | None, first: int = 0) -> list[int]:
    """Encrypt all but the ``first`` plaintexts."""
    pairs = zip(plaintexts, _digits(seed, path.digit_bytes, len(plaintexts)), strict=True)
    return map_chunks(partial(_encrypt_chunk, path), list(pairs)[first:])


def _encrypt_chunk(path: _Path, pairs: Sequence[tuple[int, bytes]]) -> list[int]:
    return [path.hide(plaintext, path.power(digits)) for plaintext, digits in pairs]


_Power = tuple[Any, ...]


class _Path(Protocol):
    """A way to compute (1 + mn)·hᵃ modulo n², given m and the digits of a."""

    digit_bytes: int

    def power(self, digits: bytes) -> _Power: ...

    def hide(self, plaintext: int, power: _Power) -> int: ...


class _PublicPath:
    """With the modulus alone: one power modulo n²."""

    def __init__(self, key: PublicKey, powers: FixedBase) -> None:
        self._n, self._modulus = key.n, key.n_squared
        self._powers = powers
        self.digit_bytes = powers.digit_bytes

    def power(self, digits: bytes) -> _Power:
        return self._powers.power(digits)

    def hide(self, plaintext: int, power: _Power) -> int:
        a, t = power
        return a * (1 + (t + plaintext) % self._n * self._n) % self._modulus  # type: ignore[no-any-return]


class _OwnerPath:
    """With the factors: one power modulo p² and one modulo q², joined by the Chinese remainder theorem."""

    def __init__(self, key: PrivateKey, base: int, exponent_bits: int) -> None:
        self._p, self._q = key.p, key.q
        self._p_squared, self._q_squared = key.p * key.p, key.q * key.q
        self._p_inverse = gmpy2.invert(self._p_squared, self._q_squared)
        self._powers_p = FixedBase(base % self._p_squared, key.p, exponent_bits)
        self._powers_q = FixedBase(base % self._q_squared, key.q, exponent_bits)
        self.digit_bytes = self._powers_p.digit_bytes

    def power(self, digits: bytes) -> _Power:
        return *self._powers_p.power(digits), *self._powers_q.power(digits)

    def hide(self, plaintext: int, power: _Power) -> int:
        p, q = self._p, self._q
        a_p, t_p, a_q, t_q = power
        # 1 + mn is 1 + (mq)p modulo p², so the plaintext joins the t of the power
        c_p = a_p * (1 + (t_p + plaintext * q) % p * p) % self._p_squared
        c_q = a_q * (1 + (t_q + plaintext * p) % q * q) % self._q_squared
        return c_p + self._p_squared * ((c_q - c_p) * self._p_inverse % self._q_squared)  # type: ignore[no-any-return]
