from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto.discrete_gaussian import sample
from dtxeth.errors import InputError


def seeded(seed: int) -> Callable[[int], int]:
    return Random(seed).randrange


def probabilities(variance: int, most: int) -> dict[int, float]:
    weights = {k: math.exp(-k * k / (2 * variance)) for k in range(-most, most + 1)}
    total = sum(weights.values())
    return {k: weight / total for k, weight in weights.items()}


@pytest.mark.parametrize("variance", [1, 2, 9])
def test_the_distribution_is_the_discrete_gaussian(variance: int) -> None:
    count, randbelow = 20_000, seeded(variance)
    drawn = [sample(variance, randbelow) for _ in range(count)]
    expected = probabilities(variance, 8 * variance)
    frequent = {k: count * p for k, p in expected.items() if count * p >= 20}
    statistic = sum((drawn.count(k) - mean) ** 2 / mean for k, mean in frequent.items())
    freedom = len(frequent) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)  # chi-squared: beyond it once in 10^5 at most


def test_a_biased_sampler_would_be_noticed() -> None:
    """The twin of the test above: a normal rounded to whole numbers has another distribution at σ = 1."""
    count, random = 20_000, Random(1)
    drawn = [round(random.gauss(0, 1)) for _ in range(count)]
    expected = {k: count * p for k, p in probabilities(1, 8).items() if count * p >= 20}
    statistic = sum((drawn.count(k) - mean) ** 2 / mean for k, mean in expected.items())
    freedom = len(expected) - 1
    assert statistic > freedom + 5 * math.sqrt(2 * freedom)


def test_huge_variances_as_fixed_point_has_them() -> None:
    variance, count, randbelow = 10**33 + 7, 2_000, seeded(5)
    drawn = [sample(variance, randbelow) for _ in range(count)]
    deviation = math.sqrt(variance)
    assert abs(sum(drawn) / count) < 5 * deviation / math.sqrt(count)
    assert math.sqrt(sum(k * k for k in drawn) / count) / deviation == pytest.approx(1, abs=0.08)
    within = sum(abs(k) < deviation for k in drawn) / count
    assert within == pytest.approx(0.6827, abs=0.05)
    assert len({k % 16 for k in drawn}) == 16  # no grid: the low bits are as random as the high ones


@settings(max_examples=50, deadline=None)
@given(variance=st.integers(1, 10**40), seed=st.integers(0, 2**32))
def test_samples_follow_from_the_source_and_stay_near(variance: int, seed: int) -> None:
    drawn = sample(variance, seeded(seed))
    assert drawn == sample(variance, seeded(seed))
    assert drawn * drawn <= 10_000 * (variance + 1)


@pytest.mark.parametrize("variance", [0, -1])
def test_a_variance_that_is_none(variance: int) -> None:
    with pytest.raises(InputError, match=f"variance of discrete Gaussian noise is {variance}"):
        sample(variance, seeded(0))
