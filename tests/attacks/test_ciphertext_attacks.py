"""What the holder of a Paillier key learns from ciphertexts that come back, when the other party is careless.

In each attack the victim returns Xᵀ·[[d]] + r under the attacker's key, with a mask r uniform modulo n, so
that the plaintext tells the attacker nothing. The ciphertext does.
"""

from __future__ import annotations

import itertools
import secrets

import gmpy2
import numpy as np
import pytest

from dtxeth.crypto import CipherVector, Encryptor, PrivateKey, generate_keypair, matvec
from dtxeth.errors import CryptoError

FEATURE = [3, -2, 0, 4]
CANDIDATES = list(itertools.product(range(-4, 5), repeat=len(FEATURE)))


@pytest.fixture(scope="module")
def attacker() -> PrivateKey:
    return generate_keypair(256, insecure_test_key=True)


def root_part(key: PrivateKey, cipher: int) -> int:
    """The u with cipher = (1 + mn)·uⁿ: only the holder of the key can take it out."""
    n = key.public_key.n
    return int(pow(cipher, gmpy2.invert(n, (key.p - 1) * (key.q - 1)), n))


def recovered_feature(key: PrivateKey, randomness: list[int], returned: int) -> tuple[int, ...] | None:
    """The feature whose product of known randomness is in the returned ciphertext, by trying all."""
    n = key.public_key.n
    powers = [{x: pow(u, x, n) for x in range(-4, 5)} for u in randomness]
    target = root_part(key, returned)
    for candidate in CANDIDATES:
        product = 1
        for power, x in zip(powers, candidate, strict=True):
            product = product * power[x] % n
        if product == target:
            return candidate
    return None


def test_products_of_known_randomness_tell_the_feature_unless_rerandomised(attacker: PrivateKey) -> None:
    sent = Encryptor(attacker).encrypt([11, 22, 33, 44])
    randomness = [root_part(attacker, cipher) for cipher in sent.values]
    mask = [secrets.randbelow(int(attacker.public_key.n))]
    masked = matvec(sent, np.array(FEATURE)[:, None]) + mask

    assert recovered_feature(attacker, randomness, masked[0]) == tuple(FEATURE)

    fresh = masked.rerandomize(Encryptor(attacker.public_key))
    assert recovered_feature(attacker, randomness, fresh[0]) is None
    assert attacker.decrypt(fresh) == attacker.decrypt(masked)


def naive_from_bytes(key: PrivateKey, data: bytes) -> list[int]:
    width = key.public_key.ciphertext_bytes
    return [int.from_bytes(data[at : at + width]) for at in range(0, len(data), width)]


def naive_answer(key: PrivateKey, ciphers: list[int], feature: list[int]) -> int:
    """A victim that masks and rerandomises, but does not look at what it was sent."""
    n_squared = key.public_key.n_squared
    answer = 1
    for cipher, x in zip(ciphers, feature, strict=True):
        answer = answer * pow(cipher, x, n_squared) % n_squared
    mask = [secrets.randbelow(int(key.public_key.n))]
    masked = CipherVector(key.public_key, [answer]) + mask
    return int(masked.rerandomize(Encryptor(key.public_key))[0])


def test_a_factor_of_n_in_a_ciphertext_tells_bits_through_mask_and_randomness(attacker: PrivateKey) -> None:
    bits = [1, 0, 1, 1, 0]
    stolen = []
    for row in range(len(bits)):
        probe = [1] * len(bits)
        probe[row] = int(attacker.p)
        data = b"".join(value.to_bytes(attacker.public_key.ciphertext_bytes) for value in probe)
        # every other factor of the answer is a unit, so p divides it exactly if the row's bit is 1
        answer = naive_answer(attacker, naive_from_bytes(attacker, data), bits)
        stolen.append(int(answer % attacker.p == 0))
        with pytest.raises(CryptoError, match="shares a factor with n"):
            CipherVector.from_bytes(attacker.public_key, data, len(bits))
    assert stolen == bits


def test_a_ciphertext_zero_tells_whether_a_column_is_used_at_all(attacker: PrivateKey) -> None:
    data = bytes(attacker.public_key.ciphertext_bytes)
    assert naive_answer(attacker, naive_from_bytes(attacker, data), [1]) == 0
    assert naive_answer(attacker, naive_from_bytes(attacker, data), [0]) != 0
    with pytest.raises(CryptoError, match="ciphertext 0 is 0"):
        CipherVector.from_bytes(attacker.public_key, data, 1)


def test_one_plaintext_in_two_encodings_is_no_longer_possible(attacker: PrivateKey) -> None:
    n_squared = int(attacker.public_key.n_squared)
    small = 12345
    width = attacker.public_key.ciphertext_bytes
    twin = (small + n_squared).to_bytes(width)
    assert naive_from_bytes(attacker, twin)[0] % n_squared == small
    CipherVector.from_bytes(attacker.public_key, small.to_bytes(width), 1)
    with pytest.raises(CryptoError, match="not below n²"):
        CipherVector.from_bytes(attacker.public_key, twin, 1)
