from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtxeth.crypto import Encryptor, generate_keypair
from dtxeth.errors import ConfigError
from dtxeth.learning.learner import check_headroom
from dtxeth.learning.sigmoid import ROTATION, TRIGONOMETRIC, Link
from tests.learning.parties import small_key_spec

KEY = generate_keypair(256, insecure_test_key=True)
ENCRYPTOR = Encryptor(KEY)
Z = np.linspace(-24, 24, 4801)


@pytest.mark.parametrize(("terms", "error"), [(1, 0.195), (2, 0.10), (3, 0.0495), (4, 0.0245), (5, 0.0145)])
def test_the_fit_is_the_least_squares_one(terms: int, error: float) -> None:
    link = TRIGONOMETRIC[terms]
    goal = 1 / (1 + np.exp(-Z)) - 0.5
    waves = [np.sin(k * link.frequency * Z) for k in range(1, terms + 1)]
    solution, *_ = np.linalg.lstsq(np.column_stack([Z, *waves]), goal, rcond=None)
    assert [link.slope, *link.amplitudes] == pytest.approx(solution, abs=1e-5)
    assert np.abs(link.value(Z) - goal).max() < error
    for other in (0.99, 1.01):
        moved = [np.sin(k * other * link.frequency * Z) for k in range(1, terms + 1)]
        design = np.column_stack([Z, *moved])
        worse = design @ np.linalg.lstsq(design, goal, rcond=None)[0] - goal
        assert np.mean(worse**2) > np.mean((link.value(Z) - goal) ** 2)


def test_curvature_and_size_are_bounds() -> None:
    for link in (*TRIGONOMETRIC.values(), Link(0.25), Link(1.0)):
        z = np.linspace(-200, 200, 80_001)
        assert np.diff(link.value(z)).max() / (z[1] - z[0]) <= link.curvature + 1e-9
        assert np.abs(link.value(z) - link.slope * z).max() <= link.largest(1)


@settings(max_examples=10, deadline=None)
@given(arrays(np.float64, (4, 5), elements=st.floats(-60, 60)), st.integers(1, 3))
def test_pairs_turn_along_a_chain_of_any_length(parts: np.ndarray, terms: int) -> None:
    link = TRIGONOMETRIC[terms]
    pairs = [ENCRYPTOR.encrypt(wave.tolist()) for wave in link.start(parts[0], 24)]
    for part in parts[1:-1]:
        pairs = link.rotate(pairs, part)
    opened = np.array([float(m) for m in KEY.decrypt(link.close(pairs, parts[-1]))])
    z = parts.sum(axis=0)
    assert np.ldexp(opened, -24 - 3 * ROTATION) == pytest.approx(link.value(z) - link.slope * z, abs=2e-4)


def test_scales_that_could_overflow_are_refused_before_any_ciphertext() -> None:
    spec = small_key_spec(algorithm="logistic-vl", sigmoid="trigonometric")
    values = np.ones((100, 2))
    # 7 + 0 + 24 + 24 + 16·(parties − 1) + 16 + log2(parties) < 254
    check_headroom(values, spec, 11, 256)
    with pytest.raises(ConfigError, match=r"a sum could take 7 \+ 0 \+ 240 \+ 20 bits, the key has 256"):
        check_headroom(values, spec, 13, 256)
