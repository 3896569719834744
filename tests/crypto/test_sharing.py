from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dtxeth.crypto import sharing
from dtxeth.crypto.sharing import PRIME, Share
from dtxeth.errors import CryptoError

WORDS = arrays(np.uint64, array_shapes(max_dims=2, max_side=5))


@given(WORDS, st.integers(2, 6))
def test_all_additive_shares_give_the_values_back(values: np.ndarray, parties: int) -> None:
    shares = sharing.share(values, parties)
    assert len(shares) == parties
    assert np.array_equal(sharing.combine(shares), values)


@given(WORDS, st.integers(2, 4))
def test_shares_of_a_sum_are_sums_of_shares(values: np.ndarray, parties: int) -> None:
    pairs = zip(sharing.share(values, parties), sharing.share(values, parties), strict=True)
    assert np.array_equal(sharing.combine([one + other for one, other in pairs]), values + values)


def test_all_but_one_additive_share_are_fresh_noise() -> None:
    secret = np.zeros(64, dtype=np.uint64)
    first, second = sharing.share(secret, 3), sharing.share(secret, 3)
    for one, other in zip(first, second, strict=True):
        assert not np.array_equal(one, other)
    bits = np.unpackbits(np.concatenate(first[:2]).view(np.uint8))
    assert 0.4 < bits.mean() < 0.6
    assert not np.array_equal(sharing.combine(first[:2]), secret)


@pytest.mark.parametrize(
    "shares", [[], [np.zeros(2, np.uint64), np.zeros(3, np.uint64)], [np.zeros(2, np.int64)]]
)
def test_shares_that_do_not_belong_together_are_refused(shares: list[np.ndarray]) -> None:
    with pytest.raises(CryptoError):
        sharing.combine(shares)


def test_a_secret_is_not_shared_with_oneself() -> None:
    with pytest.raises(CryptoError, match="at least 2"):
        sharing.share(np.zeros(1, np.uint64), 1)
    with pytest.raises(CryptoError, match="uint64"):
        sharing.share(np.zeros(1, np.float64), 2)  # type: ignore[arg-type]


def test_the_worked_example_of_the_literature() -> None:
    """Secret 1234, coefficients 166 and 94, modulo 1613: the example of Wikipedia's "Shamir's secret sharing"."""
    points = [Share(x, sharing.evaluate([1234, 166, 94], x, 1613)) for x in range(1, 7)]
    assert [point.y for point in points] == [1494, 329, 965, 176, 1188, 775]
    for three in combinations(points, 3):
        assert sharing.join(three, 1613) == 1234


@given(st.integers(0, PRIME - 1), st.data())
def test_any_threshold_of_shares_gives_the_secret_back(secret: int, data: st.DataObject) -> None:
    parties = data.draw(st.integers(1, 7))
    threshold = data.draw(st.integers(1, parties))
    shares = data.draw(st.permutations(sharing.split(secret, threshold, parties)))
    assert sharing.join(shares[:threshold]) == secret
    if threshold > 1:
        assert sharing.join(shares[: threshold - 1]) != secret  # but for a chance of 2⁻⁵²¹


def test_fewer_shares_fit_every_secret() -> None:
    """Two of three shares modulo 11 leave all 11 secrets open: for each there is a third share that gives it."""
    held = sharing.split(7, 3, 3, prime=11)[:2]
    assert {sharing.join([*held, Share(3, y)], 11) for y in range(11)} == set(range(11))


def test_an_altered_share_gives_another_secret() -> None:
    first, *others = sharing.split(5, 3, 3)
    assert sharing.join([Share(first.x, (first.y + 1) % PRIME), *others]) != 5


@pytest.mark.parametrize(
    ("secret", "threshold", "parties"), [(1, 0, 2), (1, 3, 2), (PRIME, 1, 2), (-1, 1, 2)]
)
def test_numbers_out_of_range_are_refused(secret: int, threshold: int, parties: int) -> None:
    with pytest.raises(CryptoError):
        sharing.split(secret, threshold, parties)


@pytest.mark.parametrize("shares", [[], [Share(1, 2), Share(1, 3)], [Share(0, 2)], [Share(1, PRIME)]])
def test_what_are_no_shares_is_refused(shares: list[Share]) -> None:
    with pytest.raises(CryptoError):
        sharing.join(shares)


def test_a_share_does_not_show_in_logs() -> None:
    assert "4242" not in repr(Share(1, 4242))
