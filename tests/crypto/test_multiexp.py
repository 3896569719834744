from __future__ import annotations

import operator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dtxeth.crypto import (
    CipherVector,
    Encryptor,
    PrivateKey,
    generate_keypair,
    matvec,
    multiexp,
    weighted_sum,
)
from dtxeth.crypto.multiexp import ODD_WIDTH, _odd_digits
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


@given(number=st.integers(-(2**200), 2**200))
def test_odd_digits_spell_the_number(number: int) -> None:
    digits = _odd_digits(number)
    assert sum(digit << place for place, digit in enumerate(digits)) == number
    odd = [place for place, digit in enumerate(digits) if digit]
    assert all(digits[place] % 2 and abs(digits[place]) < 1 << (ODD_WIDTH - 1) for place in odd)
    assert all(after - before >= ODD_WIDTH for before, after in pairwise(odd))


@pytest.mark.parametrize("jobs", [1, 3])
def test_blocks_of_rows_and_columns_make_up_the_product(
    key: PrivateKey, owner_encryptor: Encryptor, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(multiexp, "MOST_ROWS", 16)
    monkeypatch.setattr(multiexp, "effective_jobs", lambda: jobs)
    random = np.random.default_rng(3)
    matrix, vector = random.integers(-99, 99, (50, 4)), random.integers(-99, 99, 50).tolist()
    blocks = list(multiexp._blocks(list(range(50)), matrix, jobs))
    assert max(len(values) for values, *_ in blocks) <= 16
    assert sum(part.size for _, part, _ in blocks) == matrix.size
    assert key.decrypt(matvec(owner_encryptor.encrypt(vector), matrix)) == product(matrix, vector, key)


# ----- weighted sums, row by row


@settings(deadline=None, max_examples=40)
@given(
    weights=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(-(2**100), 2**100), min_size=width, max_size=width), min_size=1, max_size=5
        )
    )
)
def test_a_weighted_sum_is_the_sum_of_products(
    key: PrivateKey, encryptor: Encryptor, weights: list[list[int]]
) -> None:
    numbers = [[row + 7 * column - 9 for row in range(len(weights))] for column in range(len(weights[0]))]
    total = weighted_sum([encryptor.encrypt(column) for column in numbers], np.array(weights, object))
    expected = [
        sum(map(operator.mul, row, column))
        for row, column in zip(weights, np.transpose(numbers).tolist(), strict=True)
    ]
    assert key.decrypt(total) == expected


def test_a_weighted_sum_of_what_does_not_fit_is_refused(key: PrivateKey, encryptor: Encryptor) -> None:
    one, two = encryptor.encrypt([1]), encryptor.encrypt([1, 2])
    other = Encryptor(generate_keypair(256, insecure_test_key=True)).encrypt([1])
    for pair in ([one, two], [one, other]):
        with pytest.raises(CryptoError, match="different keys or lengths"):
            weighted_sum(pair, np.ones((1, 2), np.int64))
    with pytest.raises(InputError, match=r"expected \(1, 2\)"):
        weighted_sum([one, one], np.ones((1, 3), np.int64))
    with pytest.raises(InputError, match="whole numbers"):
        weighted_sum([one, one], np.ones((1, 2)))
