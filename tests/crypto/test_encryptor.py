from __future__ import annotations

import pickle
import secrets

import gmpy2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import CipherVector, Encryptor, PrivateKey, generate_keypair, matvec, residues
from dtxeth.crypto.fixedbase import BLOCKS, TEETH, FixedBase
from dtxeth.errors import CryptoError


def exponent(digits: bytes) -> int:
    """The exponent that the digits of a comb stand for."""
    depth = len(digits) // BLOCKS
    return sum(
        (digit >> tooth & 1) << ((place % BLOCKS * TEETH + tooth) * depth + depth - 1 - place // BLOCKS)
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


@settings(deadline=None, max_examples=25)
@given(digits=st.binary(min_size=2 * BLOCKS, max_size=2 * BLOCKS), high=st.binary(min_size=4, max_size=4))
def test_more_bases_take_exponents_of_their_own(digits: bytes, high: bytes) -> None:
    root, more = 1009 * 10007, [3, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61]
    power = FixedBase(gmpy2.mpz(5), root, 2 * TEETH * BLOCKS, more)
    a, t = power.power(digits[:BLOCKS] + high[:2] + digits[BLOCKS:] + high[2:])
    expected = pow(5, exponent(digits), root**2)
    first, second = (int.from_bytes(part, "little") for part in (high[:2], high[2:]))
    for tooth, base in enumerate(more):
        expected *= pow(base, 2 * (first >> tooth & 1) + (second >> tooth & 1))
    assert a * (1 + t * root) % root**2 == expected % root**2


def test_exponents_have_all_the_bits_asked_for() -> None:
    for bits in (1, 128, 129, 1024, 2176):
        assert FixedBase(gmpy2.mpz(5), 1009, bits).digit_bytes * TEETH >= bits


def test_a_comb_travels_as_its_recipe() -> None:
    comb = FixedBase(gmpy2.mpz(5), 1009 * 10007, 128)
    data = pickle.dumps(comb)
    assert len(data) < 500
    digits = secrets.token_bytes(comb.digit_bytes)
    assert pickle.loads(data).power(digits) == comb.power(digits)


def test_every_encryption_is_fresh(key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor) -> None:
    for each in (encryptor, owner_encryptor, Encryptor(key), Encryptor(key.public_key)):
        ciphers = each.encrypt([7] * 50) + each.randomness(50)
        assert len(set(ciphers.values)) == 50
        assert set(key.decrypt(ciphers)) == {7}


def test_randomness_is_an_nth_power(
    key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor
) -> None:
    for each in (encryptor, owner_encryptor):
        for value in (each.randomness(20) + each.encrypt([0] * 20)).values:
            assert pow(value, (key.p - 1) * (key.q - 1), key.public_key.n_squared) == 1


def test_randomness_misses_no_part_of_the_group_however_small_its_order() -> None:
    key = generate_keypair(64, insecure_test_key=True)
    while (key.p - 1) % 3:
        key = generate_keypair(64, insecure_test_key=True)
    cubes = (key.p - 1) * (key.q - 1) // 3
    for _ in range(10):
        values = Encryptor(key.public_key).randomness(60).values
        assert len({pow(value, cubes, key.public_key.n_squared) for value in values}) == 3
        assert {gmpy2.jacobi(value, key.public_key.n) for value in values} == {1, -1}


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


@pytest.mark.parametrize("private", [True, False])
def test_seeds_repeat_everything_and_powers_ahead_change_nothing(key: PrivateKey, private: bool) -> None:
    holder = key if private else key.public_key
    first, second, other = Encryptor(holder, b"base"), Encryptor(holder, b"base"), Encryptor(holder, b"other")
    assert not second.prepare(b"round 1", 7, most=3)
    assert not second.prepare(b"round 1", 7, most=2)
    ciphers = first.encrypt(range(7), b"round 1")
    assert second.encrypt(range(7), b"round 1") == ciphers
    assert (second.prepared, second.used, first.prepared) == (5, 7, 0)
    assert key.decrypt(ciphers) == list(range(7))
    assert first.randomness(3, b"sums") == second.randomness(3, b"sums")
    for different in (second.encrypt(range(7), b"round 2"), other.encrypt(range(7), b"round 1")):
        assert not set(different.values) & set(ciphers.values)


def test_powers_ahead_serve_once_and_only_their_seed(key: PrivateKey) -> None:
    encryptor, plain = Encryptor(key, b"base"), Encryptor(key, b"base")
    assert encryptor.prepare(b"a", 4, most=9)
    assert encryptor.encrypt([1, 2], b"b") == plain.encrypt([1, 2], b"b")
    assert encryptor.prepared == 0
    assert encryptor.encrypt([1, 2, 3, 4, 5], b"a") == plain.encrypt([1, 2, 3, 4, 5], b"a")
    assert encryptor.prepared == 4
    encryptor.encrypt([1], b"a")
    assert encryptor.prepared == 4


def test_a_key_follows_from_its_seed() -> None:
    keys = [generate_keypair(256, insecure_test_key=True, seed=seed) for seed in (b"a", b"a", b"b")]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].public_key.bits == 256


def test_keys_of_3072_bits_do_all_that_others_do() -> None:
    key = generate_keypair(3072)
    assert key.public_key.bits == 3072
    owner, other = Encryptor(key), Encryptor(key.public_key)
    ciphers = owner.encrypt([5, -6]) + other.encrypt([1, 1])
    sums = matvec(CipherVector.from_bytes(key.public_key, ciphers.to_bytes(), 2), np.array([[1000], [-1]]))
    assert key.decrypt(sums.rerandomize(other)) == [6005]
