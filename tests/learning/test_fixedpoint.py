"""Fixed point: the bounds argued in the module hold, at their edges too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.errors import ConfigError, TaskError
from dtxeth.learning import fixedpoint

N = (1 << 89) - 1
SHIFT = 20
LIMIT = N // 2 - (1 << SHIFT)


@given(st.integers(-LIMIT, LIMIT), st.integers(0, N - 1))
def test_rounding_costs_half_a_unit_wherever_the_sum_wraps(total: int, mask: int) -> None:
    rounded = fixedpoint.round_off([(total + mask) % N], SHIFT)
    (recovered,) = fixedpoint.unmask(rounded, [mask], N, SHIFT)
    assert abs(recovered - total) <= 1 << (SHIFT - 1)


@pytest.mark.parametrize("total", [0, 1, -1, LIMIT, -LIMIT, 1 << SHIFT, -(1 << SHIFT)])
@pytest.mark.parametrize("mask", [0, 1, N - 1, N // 2, N // 2 + 1])
def test_rounding_at_the_edges(total: int, mask: int) -> None:
    rounded = fixedpoint.round_off([(total + mask) % N], SHIFT)
    assert 0 <= rounded[0] <= (N >> SHIFT) + 1
    (recovered,) = fixedpoint.unmask(rounded, [mask], N, SHIFT)
    assert abs(recovered - total) <= 1 << (SHIFT - 1)


@given(st.integers(2, 10**6), st.integers(32, 200))
def test_resolution_is_no_finer_than_promised(rows: int, scale: int) -> None:
    unit = 2.0 ** (fixedpoint.dropped_bits(rows, scale) - scale) / rows
    assert 2.0**-fixedpoint.RESOLUTION <= unit < 2.0 ** (1 - fixedpoint.RESOLUTION)


def test_encoding_is_exact_to_half_a_unit() -> None:
    values = np.random.default_rng(1).standard_normal((50, 3)) * 100
    encoded = fixedpoint.encode(values, 24)
    assert np.abs(encoded * 2.0**-24 - values).max() <= 2.0**-25
    sums = [int(v) for v in encoded.sum(axis=0)]
    assert fixedpoint.decode_mean([s << 24 for s in sums], 50, 48) == pytest.approx(
        values.mean(axis=0), abs=1e-7
    )


def test_headroom() -> None:
    values = np.full((1024, 2), 8.0)
    # 10 + 3 + 24 + 24 + 17 = 78 < key_bits − 2
    fixedpoint.check_headroom(values, 24, 24, 2.0**17, 81)
    with pytest.raises(ConfigError, match=r"a sum could take 10 \+ 3 \+ 48 \+ 17 bits, the key has 80"):
        fixedpoint.check_headroom(values, 24, 24, 2.0**17, 80)


@pytest.mark.parametrize("share", [np.inf, np.nan, 70_000.0, -70_000.0])
def test_divergence(share: float) -> None:
    assert fixedpoint.encode_residual(np.array([0.5, -(2.0**16)]), 16, 18) == [1 << 17, -(1 << 34)]
    with pytest.raises(TaskError, match="training diverged, a residual exceeds 65536"):
        fixedpoint.encode_residual(np.array([0.0, share]), 24, 24)
