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

Source: I. Damgård, M. Jurik, J. B. Nielsen, "A generalization of Paillier's public-key system with
applications to electronic voting", Int. J. Inf. Security 2010.
"""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

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
    """

    def __init__(self, key: PublicKey | PrivateKey) -> None:
        self.public_key = key.public_key if isinstance(key, PrivateKey) else key
        self._key = key
        self._base = -(_random_nth_power(self.public_key) ** 2) % self.public_key.n_squared

    def encrypt(self, numbers: Iterable[int]) -> CipherVector:
        """Encrypt signed whole numbers with fresh randomness.

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
        return CipherVector(self.public_key, map_chunks(self._hiding.encrypt, plaintexts))

    def randomness(self, count: int) -> CipherVector:
        """Encryptions of zero that are uniform to everybody else, the holder of the key included."""
        zeros = [gmpy2.mpz(0)] * count
        return CipherVector(self.public_key, map_chunks(self._hiding_from_key_holder.encrypt, zeros))

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
        more = [_random_nth_power(self._key) for _ in range(MORE_BASES)]
        return _PublicPath(self._key, FixedBase(self._base, self._key.n, self._key.bits + 128, more))


def _random_nth_power(key: PublicKey) -> int:
    x = gmpy2.mpz(secrets.randbelow(int(key.n) - 1) + 1)
    return gmpy2.powmod(x, key.n, key.n_squared)  # type: ignore[no-any-return]


class _Path(Protocol):
    """A way to compute (1 + mn)·hᵃ modulo n² for a list of m, with a fresh a for each."""

    def encrypt(self, plaintexts: Sequence[int]) -> list[int]: ...


class _PublicPath:
    """With the modulus alone: one power modulo n²."""

    def __init__(self, key: PublicKey, powers: FixedBase) -> None:
        self._n, self._modulus = key.n, key.n_squared
        self._powers = powers

    def encrypt(self, plaintexts: Sequence[int]) -> list[int]:
        ciphers = []
        for plaintext in plaintexts:
            a, t = self._powers.power(self._powers.random_digits())
            ciphers.append(a * (1 + (t + plaintext) % self._n * self._n) % self._modulus)
        return ciphers


class _OwnerPath:
    """With the factors: one power modulo p² and one modulo q², joined by the Chinese remainder theorem."""

    def __init__(self, key: PrivateKey, base: int, exponent_bits: int) -> None:
        self._p, self._q = key.p, key.q
        self._p_squared, self._q_squared = key.p * key.p, key.q * key.q
        self._p_inverse = gmpy2.invert(self._p_squared, self._q_squared)
        self._powers_p = FixedBase(base % self._p_squared, key.p, exponent_bits)
        self._powers_q = FixedBase(base % self._q_squared, key.q, exponent_bits)

    def encrypt(self, plaintexts: Sequence[int]) -> list[int]:
        p, q = self._p, self._q
        ciphers = []
        for plaintext in plaintexts:
            digits = self._powers_p.random_digits()
            a_p, t_p = self._powers_p.power(digits)
            a_q, t_q = self._powers_q.power(digits)
            # 1 + mn is 1 + (mq)p modulo p², so the plaintext joins the t of the power
            c_p = a_p * (1 + (t_p + plaintext * q) % p * p) % self._p_squared
            c_q = a_q * (1 + (t_q + plaintext * p) % q * q) % self._q_squared
            ciphers.append(c_p + self._p_squared * ((c_q - c_p) * self._p_inverse % self._q_squared))
        return ciphers
