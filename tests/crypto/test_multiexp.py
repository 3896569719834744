from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dtxeth.crypto import CipherVector, Encryptor, PrivateKey, matvec
from dtxeth.crypto.multiexp import _signed_digits
from dtxeth.errors import CryptoError, InputError


def product(matrix: npt.NDArray[np.generic], vector: list[int], key: PrivateKey) -> list[int]:
    n = key.public_key.n
    columns = matrix.T.tolist()
    return [key.public_key.signed(sum(x * v for x, v in zip(c, vector, strict=True)) % n) for c in columns]


@settings(deadline=None, max_examples=60)
@given(
    matrix=hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, 12), st.integers(0, 3)),
        elements=st.integers().map(lambda number: number % 2**64 - 2**63),
    ),
    seed=st.integers(0, 2**32),
)
def test_it_is_the_product_of_any_int64_matrix(
    key: PrivateKey, encryptor: Encryptor, matrix: npt.NDArray[np.int64], seed: int
) -> None:
    vector = np.random.default_rng(seed).integers(-(2**62), 2**62, len(matrix)).tolist()
    assert key.decrypt(matvec(encryptor.encrypt(vector), matrix)) == product(matrix, vector, key)


@pytest.mark.parametrize("rows", [1, 3, 40, 400])
@pytest.mark.parametrize("bits", [1, 7, 24, 200])
def test_it_is_the_product_at_every_size(
    key: PrivateKey, owner_encryptor: Encryptor, rows: int, bits: int
) -> None:
    random = np.random.default_rng(rows * bits)
    matrix = np.array(
        [
            [int.from_bytes(random.bytes(25)) % 2 ** (bits + 1) - 2**bits for _ in range(2)]
            for _ in range(rows)
        ],
        object,
    )
    vector = random.integers(-1000, 1000, rows).tolist()
    assert key.decrypt(matvec(owner_encryptor.encrypt(vector), matrix)) == product(matrix, vector, key)


def test_it_is_the_product_under_a_real_key(real_key: PrivateKey) -> None:
    matrix = np.random.default_rng(1).integers(-(2**23), 2**23, (64, 2))
    vector = [(-1) ** i * 3**i for i in range(64)]
    ciphers = matvec(Encryptor(real_key).encrypt(vector), matrix)
    assert real_key.decrypt(ciphers) == product(matrix, vector, real_key)


def test_zeros_cost_nothing_and_give_the_trivial_ciphertext(encryptor: Encryptor) -> None:
    assert matvec(encryptor.encrypt([1, 2]), np.zeros((2, 3), np.int8)).values == [1, 1, 1]
    assert len(matvec(encryptor.encrypt([]), np.zeros((0, 2), np.int8))) == 2


def test_opposite_columns_give_inverse_ciphertexts(encryptor: Encryptor) -> None:
    vector = encryptor.encrypt([5, 6, 7])
    plus, minus = matvec(vector, np.array([[1000, -1000], [-3, 3], [0, 0]])).values
    assert plus * minus % vector.public_key.n_squared == 1


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (np.ones((2, 2), np.int64), "shape"),
        (np.ones(3, np.int64), "shape"),
        (np.ones((3, 1, 1), np.int64), "shape"),
        (np.ones((3, 1), np.float64), "whole numbers"),
        (np.array([[1], [2.5], [3]], object), "whole numbers"),
        (np.array([["1"], ["2"], ["3"]]), "whole numbers"),
    ],
)
def test_other_matrices_are_refused(
    encryptor: Encryptor, matrix: npt.NDArray[np.generic], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        matvec(encryptor.encrypt([1, 2, 3]), matrix)


def test_a_cipher_that_is_no_unit_is_refused_here_too(key: PrivateKey) -> None:
    with pytest.raises(CryptoError, match="no inverse"):
        matvec(CipherVector(key.public_key, [key.p]), np.array([[1]]))


@given(number=st.integers(-(2**200), 2**200), width=st.integers(2, 12))
def test_signed_digits_spell_the_number(number: int, width: int) -> None:
    digits = _signed_digits(number, width)
    assert sum(digit << (width * place) for place, digit in enumerate(digits)) == number
    assert all(-(2 ** (width - 1)) <= digit < 2 ** (width - 1) for digit in digits)
    assert len(digits) <= (abs(number).bit_length() + 1) // width + 1
