"""Paillier's cryptosystem on vectors of whole numbers.

Keys and ciphertexts are those of ``phe`` (generator n + 1), so either decrypts what the other encrypts; no
exponent of an encoding travels. A plaintext is a residue modulo n, read as the signed number nearest to zero.
Encryption is in :mod:`dtxeth.crypto.encryptor`, the product of a matrix and an encrypted vector in
:mod:`dtxeth.crypto.multiexp`.

gmpy2 is not constant-time, and the time of an operation depends on its operands: a party that can time
another on one machine learns more than the protocol says.

Source: P. Paillier, "Public-key cryptosystems based on composite degree residuosity classes", EUROCRYPT 1999.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, overload

import gmpy2

from dtxeth.crypto.parallel import map_chunks
from dtxeth.errors import CryptoError, InputError

if TYPE_CHECKING:
    from dtxeth.crypto.encryptor import Encryptor

MIN_BITS = 2048
MAX_BITS = 8192


@dataclass(frozen=True, repr=False)
class PublicKey:
    """The modulus n: whoever has it encrypts and computes, and only the factors of n decrypt.

    Args:
        n: The modulus, of 2048 to 8192 bits.
        insecure_test_key: Allows a modulus shorter than 2048 bits. Such a key protects nothing.

    Raises:
        CryptoError: n is too short, too long or even.
    """

    n: int
    insecure_test_key: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", gmpy2.mpz(self.n))
        if self.n < 15 or self.n % 2 == 0:
            raise CryptoError(
                "the Paillier modulus is even or trivial: it must be a product of two odd primes"
            )
        if self.bits > MAX_BITS or (self.bits < MIN_BITS and not self.insecure_test_key):
            raise CryptoError(
                f"the Paillier modulus has {self.bits} bits: give one of {MIN_BITS} to {MAX_BITS}"
            )

    def __repr__(self) -> str:
        return f"PublicKey(<{self.bits} bits>)"

    @property
    def bits(self) -> int:
        """The length of n in bits."""
        return int(self.n.bit_length())

    @cached_property
    def n_squared(self) -> int:
        """The modulus of ciphertexts."""
        return self.n * self.n

    @property
    def ciphertext_bytes(self) -> int:
        """The length of one ciphertext on the wire."""
        return (2 * self.bits + 7) // 8

    @property
    def max_plaintext(self) -> int:
        """The largest plaintext in absolute value, (n − 1)/2."""
        return int(self.n // 2)

    def signed(self, residue: int) -> int:
        """The whole number nearest to zero that is ``residue`` modulo n."""
        return int(residue if residue <= self.max_plaintext else residue - self.n)

    def to_bytes(self) -> bytes:
        """n, big-endian, for :meth:`from_bytes`."""
        return int(self.n).to_bytes((self.bits + 7) // 8)

    @classmethod
    def from_bytes(cls, data: bytes, insecure_test_key: bool = False) -> PublicKey:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            CryptoError: The modulus is not acceptable, or not in its shortest form.
        """
        if len(data) > MAX_BITS // 8 or data[:1] in (b"", b"\0"):
            raise CryptoError(
                f"a Paillier modulus of {len(data)} bytes: it has at most {MAX_BITS // 8}, the first not 0"
            )
        return cls(int.from_bytes(data), insecure_test_key)


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """The factors of a modulus, which decrypt.

    Args:
        p: A prime.
        q: Another prime.
        insecure_test_key: As for :class:`PublicKey`.

    Raises:
        CryptoError: The factors are not two different primes of about the same length, or their product is
            too short.
    """

    p: int
    q: int
    insecure_test_key: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", gmpy2.mpz(self.p))
        object.__setattr__(self, "q", gmpy2.mpz(self.q))
        primes = gmpy2.is_prime(self.p) and gmpy2.is_prime(self.q) and self.p != self.q
        if not primes or gmpy2.gcd(self.p * self.q, (self.p - 1) * (self.q - 1)) != 1:
            raise CryptoError(
                "the factors of the Paillier modulus are not two different primes of about the same length"
            )
        self.public_key  # noqa: B018 - checks the length

    @cached_property
    def public_key(self) -> PublicKey:
        """The modulus that others encrypt under."""
        return PublicKey(self.p * self.q, self.insecure_test_key)

    def decrypt(self, ciphers: CipherVector) -> list[int]:
        """The plaintexts as signed numbers in (−n/2, n/2).

        Raises:
            CryptoError: The ciphertexts are under another key.
        """
        return [self.public_key.signed(residue) for residue in self.decrypt_raw(ciphers)]

    def decrypt_raw(self, ciphers: CipherVector) -> list[int]:
        """The plaintexts as residues 0 … n − 1.

        Raises:
            CryptoError: The ciphertexts are under another key.
        """
        if ciphers.public_key != self.public_key:
            raise CryptoError(
                "these ciphertexts are under another Paillier key than the one given to decrypt them"
            )
        return map_chunks(partial(_decrypt_chunk, self), ciphers.values, smallest=8)

    @cached_property
    def _halves(self) -> tuple[tuple[int, int, int], ...]:
        """For each factor: itself, its square, and what turns (c^(factor − 1) − 1)/factor into plaintext."""
        # (1 + mn)^(p − 1) = 1 − mn modulo p², and (1 − mn − 1)/p = −mq modulo p: times −1/q it is m
        return tuple(
            (factor, factor * factor, -gmpy2.invert(other, factor) % factor)
            for factor, other in ((self.p, self.q), (self.q, self.p))
        )

    @cached_property
    def _p_inverse(self) -> int:
        return gmpy2.invert(self.p, self.q)  # type: ignore[no-any-return]

    def _decrypt_one(self, cipher: int) -> int:
        (p, p_squared, p_factor), (q, q_squared, q_factor) = self._halves
        m_p = (gmpy2.powmod(cipher % p_squared, p - 1, p_squared) - 1) // p * p_factor % p
        m_q = (gmpy2.powmod(cipher % q_squared, q - 1, q_squared) - 1) // q * q_factor % q
        return int(m_p + p * ((m_q - m_p) * self._p_inverse % q))


def _decrypt_chunk(key: PrivateKey, values: Sequence[int]) -> list[int]:
    return [key._decrypt_one(value) for value in values]


def generate_keypair(
    bits: int = MIN_BITS, *, insecure_test_key: bool = False, seed: bytes | None = None
) -> PrivateKey:
    """Draw a key: p ≡ q ≡ 3 modulo 4 and gcd(p − 1, q − 1) = 2, as the encryptor's base wants.

    Args:
        bits: Exact length of the modulus, even: 2048, or 3072 for secrets that must last beyond 2030.
        insecure_test_key: Allows fewer than 2048 bits, for tests that would be slow otherwise.
        seed: Secret bytes that the key follows from, at least 32, where a run must be repeatable; default
            fresh.

    Raises:
        CryptoError: ``bits`` is odd, too small or too large.
    """
    if bits % 2 or bits > MAX_BITS or bits < (16 if insecure_test_key else MIN_BITS):
        raise CryptoError(
            f"a Paillier key of {bits} bits: give an even length of {MIN_BITS} to {MAX_BITS} bits"
        )
    draw = secrets.randbits if seed is None else _drawing_from(seed)
    while True:
        p, q = _draw_prime(bits // 2, draw), _draw_prime(bits // 2, draw)
        # a large |p − q| keeps Fermat's method away (FIPS 186-5, A.1.3); it fails once in 2¹⁰⁰ draws
        if gmpy2.gcd(p - 1, q - 1) == 2 and (insecure_test_key or abs(p - q) >> (bits // 2 - 100)):
            return PrivateKey(p, q, insecure_test_key)


def _drawing_from(seed: bytes) -> Callable[[int], int]:
    """A drop-in for secrets.randbits, whose draws follow from ``seed``."""
    draws = itertools.count()

    def draw(bits: int) -> int:
        path = b"dtxeth paillier key %d\0" % next(draws) + seed
        return int.from_bytes(hashlib.shake_256(path).digest((bits + 7) // 8)) >> (-bits % 8)

    return draw


def _draw_prime(bits: int, draw: Callable[[int], int]) -> int:
    """A random prime, 3 modulo 4, with both top bits set, so that a product of two has twice its length."""
    while True:
        candidate = gmpy2.mpz(draw(bits) | 3 << (bits - 2) | 3)
        if gmpy2.is_prime(candidate, 40):
            return candidate  # type: ignore[no-any-return]


class CipherVector:
    """A vector of Paillier ciphertexts under one key.

    ``a + b`` adds the plaintexts of two vectors. ``a + [1, 2]`` adds numbers in the clear and ``a * [3, 4]``
    multiplies by numbers in the clear; neither brings fresh randomness, so call :meth:`rerandomize` before a
    result goes to the holder of the key. All arithmetic is modulo n.

    Args:
        public_key: The key.
        values: Units modulo n². Only :meth:`from_bytes` checks them: pass what others sent through it.
    """

    __slots__ = ("public_key", "values")

    def __init__(self, public_key: PublicKey, values: Sequence[int]) -> None:
        self.public_key = public_key
        self.values = list(values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"CipherVector(<{self.public_key.bits}-bit key>, length={len(self)})"

    def __eq__(self, other: object) -> bool:
        """The very same ciphertexts under the same key; says nothing about plaintexts."""
        if not isinstance(other, CipherVector):
            return NotImplemented
        return self.public_key == other.public_key and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> CipherVector: ...
    def __getitem__(self, index: int | slice) -> int | CipherVector:
        if isinstance(index, slice):
            return CipherVector(self.public_key, self.values[index])
        return self.values[index]

    def __add__(self, other: CipherVector | Iterable[int]) -> CipherVector:
        modulus = self.public_key.n_squared
        if isinstance(other, CipherVector):
            if other.public_key != self.public_key:
                raise CryptoError("these two Paillier vectors are under different keys and cannot be added")
            factors: Iterable[int] = other.values
        else:
            n = self.public_key.n
            factors = (1 + number % n * n for number in map(operator.index, other))
        return CipherVector(self.public_key, [x * y % modulus for x, y in _pairs(self.values, factors)])

    def __mul__(self, numbers: Iterable[int]) -> CipherVector:
        modulus = self.public_key.n_squared
        # a negative power inverts first: |x| stays short, n − |x| would be an exponent as long as n
        products = [gmpy2.powmod(x, operator.index(y), modulus) for x, y in _pairs(self.values, numbers)]
        return CipherVector(self.public_key, products)

    def rerandomize(self, encryptor: Encryptor, seed: bytes | None = None) -> CipherVector:
        """The same plaintexts in ciphertexts that tell not even the key's holder how they came about.

        Args:
            encryptor: An encryptor for the same key.
            seed: As for :meth:`Encryptor.randomness`.

        Raises:
            CryptoError: The encryptor is for another key.
        """
        if encryptor.public_key != self.public_key:
            raise CryptoError("the encryptor is for another Paillier key than the ciphertexts to rerandomize")
        return self + encryptor.randomness(len(self), seed)

    def to_bytes(self) -> bytes:
        """All ciphertexts, big-endian, each in ``public_key.ciphertext_bytes`` bytes."""
        width = self.public_key.ciphertext_bytes
        return b"".join(int(value).to_bytes(width) for value in self.values)

    @classmethod
    def from_bytes(cls, public_key: PublicKey, data: bytes, length: int) -> CipherVector:
        """Read and check what :meth:`to_bytes` wrote.

        Args:
            public_key: The key that the protocol expects.
            data: The bytes.
            length: The number of ciphertexts that the protocol expects.

        Raises:
            CryptoError: Not that many ciphertexts, or one that is not a unit modulo n².
        """
        width = public_key.ciphertext_bytes
        if len(data) != length * width:
            raise CryptoError(
                f"{len(data)} bytes of Paillier ciphertexts: expected {length} of {width} bytes each"
            )
        values = [gmpy2.mpz(int.from_bytes(data[at : at + width])) for at in range(0, len(data), width)]
        for position, value in enumerate(values):
            if not 0 < value < public_key.n_squared:
                raise CryptoError(f"Paillier ciphertext {position} is 0 or not below n²")
        # a prime factor of n divides the product exactly if it divides one of the values: one gcd checks all
        product = gmpy2.mpz(1)
        for value in values:
            product = product * value % public_key.n
        if gmpy2.gcd(product, public_key.n) != 1:
            raise CryptoError(f"one of {length} Paillier ciphertexts shares a factor with n")
        return cls(public_key, values)


def _pairs(values: Sequence[int], others: Iterable[int]) -> Iterable[tuple[int, int]]:
    numbers = list(others)
    if len(numbers) != len(values):
        raise InputError(
            f"{len(numbers)} operands for {len(values)} Paillier ciphertexts: the lengths must agree"
        )
    return zip(values, numbers, strict=True)
