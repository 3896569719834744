from __future__ import annotations

import pickle

import gmpy2
import phe.paillier as phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import CipherVector, Encryptor, PrivateKey, PublicKey, generate_keypair
from dtxeth.errors import CryptoError, InputError

LIMIT = 2**254
numbers = st.lists(st.integers(-LIMIT, LIMIT), max_size=4)


# ----- keys


def test_a_generated_key_has_the_shape_that_the_encryptor_wants(real_key: PrivateKey) -> None:
    p, q = real_key.p, real_key.q
    assert gmpy2.is_prime(p)
    assert gmpy2.is_prime(q)
    assert p % 4 == q % 4 == 3
    assert gmpy2.gcd(p - 1, q - 1) == 2
    assert real_key.public_key.bits == 2048
    assert abs(p - q).bit_length() > 924


def test_keys_are_fresh() -> None:
    keys = {generate_keypair(64, insecure_test_key=True).public_key for _ in range(20)}
    assert len(keys) == 20


def test_3072_bits_are_offered() -> None:
    assert generate_keypair(3072).public_key.bits == 3072


@pytest.mark.parametrize("bits", [0, 1024, 2046, 2049, 10_000])
def test_other_lengths_are_refused(bits: int) -> None:
    with pytest.raises(CryptoError, match=f"{bits} bits"):
        generate_keypair(bits)


def test_a_short_modulus_needs_the_name_that_warns(key: PrivateKey) -> None:
    with pytest.raises(CryptoError, match="256 bits"):
        PublicKey(key.public_key.n)
    with pytest.raises(CryptoError, match="256 bits"):
        PrivateKey(key.p, key.q)
    assert PublicKey(key.public_key.n, insecure_test_key=True) == key.public_key


@pytest.mark.parametrize("n", [-15, 0, 1, 2**2048, 2**9000 + 1, 2**2046 + 1])
def test_an_unusable_modulus_is_refused(n: int) -> None:
    with pytest.raises(CryptoError, match="Paillier modulus"):
        PublicKey(n)


def test_factors_have_to_be_different_primes(key: PrivateKey) -> None:
    for p, q in [(key.p, key.p), (key.p, key.q + 2 * key.p), (7, 29), (1, key.q)]:
        with pytest.raises(CryptoError, match="two different primes"):
            PrivateKey(p, q, insecure_test_key=True)


def test_a_public_key_travels(real_key: PrivateKey) -> None:
    data = real_key.public_key.to_bytes()
    assert len(data) == 256
    assert PublicKey.from_bytes(data) == real_key.public_key
    for bad in [b"", b"\0" + data, data[:-1], data + bytes(1000)]:
        with pytest.raises(CryptoError, match="modulus"):
            PublicKey.from_bytes(bad)


def test_no_secret_is_printed(key: PrivateKey, encryptor: Encryptor) -> None:
    for thing in (key, encryptor, encryptor.encrypt([1]), key.public_key):
        assert str(int(key.p)) not in f"{thing!r}{thing}"
        assert len(repr(thing)) < 100


# ----- phe


@pytest.fixture(scope="module")
def phe_key(real_key: PrivateKey) -> phe.PaillierPrivateKey:
    public = phe.PaillierPublicKey(int(real_key.public_key.n))
    return phe.PaillierPrivateKey(public, int(real_key.p), int(real_key.q))


def test_phe_decrypts_ours(real_key: PrivateKey, phe_key: phe.PaillierPrivateKey) -> None:
    limit = real_key.public_key.max_plaintext
    plaintexts = [0, 1, -1, 2**200, -(2**200), limit, -limit]
    for encryptor in (Encryptor(real_key), Encryptor(real_key.public_key)):
        for fresh in (encryptor.encrypt(plaintexts), encryptor.encrypt(plaintexts).rerandomize(encryptor)):
            decrypted = [phe_key.raw_decrypt(int(cipher)) for cipher in fresh.values]
            assert decrypted == [m % real_key.public_key.n for m in plaintexts]


def test_we_decrypt_phe(real_key: PrivateKey, phe_key: phe.PaillierPrivateKey) -> None:
    plaintexts = [0, 1, 12345, real_key.public_key.n - 7]
    ciphers = [phe_key.public_key.raw_encrypt(int(m)) for m in plaintexts]
    vector = CipherVector.from_bytes(real_key.public_key, b"".join(c.to_bytes(512) for c in ciphers), 4)
    assert real_key.decrypt_raw(vector) == plaintexts
    assert real_key.decrypt(vector) == [0, 1, 12345, -7]


# ----- arithmetic


def signed(number: int, key: PrivateKey) -> int:
    return int(key.public_key.signed(number % key.public_key.n))


@settings(deadline=None, max_examples=50)
@given(a=numbers, data=st.data())
def test_vectors_add_as_their_plaintexts(
    key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor, a: list[int], data: st.DataObject
) -> None:
    b = data.draw(st.lists(st.integers(-LIMIT, LIMIT), min_size=len(a), max_size=len(a)))
    total = [signed(x + y, key) for x, y in zip(a, b, strict=True)]
    assert key.decrypt(encryptor.encrypt(a) + owner_encryptor.encrypt(b)) == total
    assert key.decrypt(encryptor.encrypt(a) + b) == total


@settings(deadline=None, max_examples=50)
@given(a=numbers, data=st.data())
def test_vectors_multiply_by_clear_numbers(
    key: PrivateKey, encryptor: Encryptor, a: list[int], data: st.DataObject
) -> None:
    b = data.draw(st.lists(st.integers(-(2**300), 2**300), min_size=len(a), max_size=len(a)))
    assert key.decrypt(encryptor.encrypt(a) * b) == [signed(x * y, key) for x, y in zip(a, b, strict=True)]


def test_the_edges_of_the_signed_range(
    key: PrivateKey, encryptor: Encryptor, owner_encryptor: Encryptor
) -> None:
    limit = key.public_key.max_plaintext
    for each in (encryptor, owner_encryptor):
        assert key.decrypt(each.encrypt([limit, -limit])) == [limit, -limit]
        assert key.decrypt_raw(each.encrypt([limit, -limit])) == [limit, limit + 1]
        for beyond in (limit + 1, -limit - 1):
            with pytest.raises(InputError, match="number 1 has 255 bits: a 256-bit key"):
                each.encrypt([0, beyond])
    one = [1]
    assert key.decrypt(encryptor.encrypt([limit]) + one) == [-limit]


def test_only_whole_numbers(encryptor: Encryptor) -> None:
    for operation in (encryptor.encrypt, encryptor.encrypt([1]).__add__, encryptor.encrypt([1]).__mul__):
        with pytest.raises(TypeError, match="integer"):
            operation([1.0])


def test_operands_must_fit(encryptor: Encryptor) -> None:
    vector = encryptor.encrypt([1, 2])
    for operand in ([1], [1, 2, 3], vector[:1]):
        with pytest.raises(InputError, match="operands for 2 Paillier ciphertexts"):
            vector + operand
    with pytest.raises(InputError, match="1 operands for 2"):
        vector * [1]


def test_vectors_of_different_keys_do_not_mix(key: PrivateKey, encryptor: Encryptor) -> None:
    other = generate_keypair(256, insecure_test_key=True)
    with pytest.raises(CryptoError, match="different keys"):
        encryptor.encrypt([1]) + Encryptor(other).encrypt([1])
    with pytest.raises(CryptoError, match="another Paillier key"):
        other.decrypt(encryptor.encrypt([1]))
    with pytest.raises(CryptoError, match="another Paillier key"):
        encryptor.encrypt([1]).rerandomize(Encryptor(other))


def test_a_vector_is_a_sequence(encryptor: Encryptor) -> None:
    vector = encryptor.encrypt([5, 6, 7])
    assert len(vector) == 3
    assert vector[1:].values == [vector[1], vector[2]]
    assert vector == vector[:]
    assert vector != vector[:2]
    assert vector != 3
    assert repr(vector) == "CipherVector(<256-bit key>, length=3)"


# ----- the wire


@settings(deadline=None, max_examples=25)
@given(plaintexts=numbers)
def test_bytes_are_of_fixed_width_and_round_trip(
    key: PrivateKey, encryptor: Encryptor, plaintexts: list[int]
) -> None:
    vector = encryptor.encrypt(plaintexts)
    data = vector.to_bytes()
    assert len(data) == 64 * len(plaintexts)
    assert CipherVector.from_bytes(key.public_key, data, len(plaintexts)) == vector


def test_what_is_not_a_unit_is_refused(key: PrivateKey, encryptor: Encryptor) -> None:
    public, n = key.public_key, int(key.public_key.n)
    good = encryptor.encrypt([1, 2]).to_bytes()
    outside = [0, n * n, n * n + 1, 2**512 - 1]
    sharing = [n, n * (n - 1), int(key.p), int(key.q) * 12345]
    for value in outside + sharing:
        data = good + value.to_bytes(64)
        with pytest.raises(CryptoError, match="ciphertext 2 is" if value in outside else "shares a factor"):
            CipherVector.from_bytes(public, data, 3)
    assert key.decrypt(CipherVector.from_bytes(public, good + (n * n - 1).to_bytes(64), 3)) == [1, 2, 0]


def test_a_wrong_length_is_refused(key: PrivateKey, encryptor: Encryptor) -> None:
    data = encryptor.encrypt([1, 2]).to_bytes()
    for wrong, count in [(data, 1), (data, 3), (data[:-1], 2), (data + b"\0", 2), (b"", 1), (data, -2)]:
        with pytest.raises(CryptoError, match=f"expected {count} of 64 bytes"):
            CipherVector.from_bytes(key.public_key, wrong, count)


def test_keys_and_vectors_pickle(key: PrivateKey, encryptor: Encryptor) -> None:
    vector, twin = pickle.loads(pickle.dumps((encryptor.encrypt([3]), key)))
    assert twin.decrypt(vector) == [3]
