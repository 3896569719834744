from __future__ import annotations

import pickle

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import Encryptor, PrivateKey, residues
from dtxeth.crypto.fixedbase import BLOCKS, TEETH, FixedBase
from dtxeth.errors import CryptoError


def exponent(digits: bytes) -> int:
    """The exponent that the digits of a comb stand for."""
    depth = len(digits) // BLOCKS
    return sum(
        (digit >> tooth & 1) << ((tooth * BLOCKS + place % BLOCKS) * depth + depth - 1 - place // BLOCKS)
        for place, digit in enumerate(digits)
        for tooth in range(TEETH)
    )


@settings(deadline=None, max_examples=50)
@given(digits=st.binary(min_size=2 * BLOCKS, max_size=2 * BLOCKS))
def test_the_comb_raises_to_the_exponent_that_its_digits_spell(digits: bytes) -> None:
    root = 1009 * 10007
    power = FixedBase(gmpy2.mpz(5), root, 2 * TEETH * BLOCKS)
    a, t = power.power(digits)
    assert a * (1 + t * root) % root**2 == pow(5, exponent(digits), root**2)


def test_exponents_have_all_the_bits_asked_for() -> None:
    for bits in (1, 128, 129, 1024, 2176):
        assert len(FixedBase(gmpy2.mpz(5), 1009, bits).random_digits()) * TEETH >= bits


def test_a_comb_travels_as_its_recipe() -> None:
    comb = FixedBase(gmpy2.mpz(5), 1009 * 10007, 128)
    data = pickle.dumps(comb)
    assert len(data) < 500
    digits = comb.random_digits()
    assert pickle.loads(data).power(digits) == comb.power(digits)


def test_every_encryption_is_fresh(key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor) -> None:
    for each in (encryptor, owner_encryptor, Encryptor(key), Encryptor(key.public_key)):
        ciphers = each.encrypt([7] * 50) + each.randomness(50)
        assert len(set(ciphers.values)) == 50
        assert set(key.decrypt(ciphers)) == {7}


def test_randomness_is_an_nth_power_of_jacobi_symbol_one(
    key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor
) -> None:
    p, q = key.p, key.q
    for each in (encryptor, owner_encryptor):
        for value in each.randomness(20).values:
            assert pow(value, (p - 1) * (q - 1), key.public_key.n_squared) == 1
            assert gmpy2.jacobi(value, key.public_key.n) == 1


def test_two_encryptors_never_share_a_base(key: PrivateKey) -> None:
    assert len({Encryptor(key)._base for _ in range(10)}) == 10


def test_rerandomising_changes_all_but_the_plaintexts(key: PrivateKey, encryptor: Encryptor) -> None:
    ciphers = encryptor.encrypt([1, -2, 3])
    fresh = ciphers.rerandomize(encryptor)
    assert not set(fresh.values) & set(ciphers.values)
    assert key.decrypt(fresh) == [1, -2, 3]


# ----- residues written a(1 + tr)

ROOT = 1009 * 10007
units = st.integers(1, ROOT**2 - 1).filter(lambda value: gmpy2.gcd(value, ROOT) == 1)


def joined(x: residues.Halves) -> int:
    assert x.a * x.a_inverse % ROOT == 1
    return int(x.a * (1 + x.t * ROOT) % ROOT**2)


@given(x=units, y=units)
def test_halves_multiply_and_invert_as_the_units_they_stand_for(x: int, y: int) -> None:
    a, b = residues.split([x, y], ROOT)
    assert joined(a) == x
    assert joined(residues.multiply(a, b, ROOT)) == x * y % ROOT**2
    assert joined(residues.invert(a, ROOT)) == pow(x, -1, ROOT**2)


@given(values=st.lists(units, max_size=5))
def test_all_are_inverted_at_once(values: list[int]) -> None:
    assert residues.invert_all(values, ROOT) == [pow(value, -1, ROOT) for value in values]
    with pytest.raises(CryptoError, match=f"one of {len(values) + 1} residues has no inverse"):
        residues.invert_all([*values, 1009], ROOT)
