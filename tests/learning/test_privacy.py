"""Differential privacy: the account, the bounds that it rests on, and that encrypted runs keep to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import ConfigError
from dtxeth.learning import fixedpoint
from dtxeth.learning.privacy import Account, Mechanism, Privacy, epsilon_of, rho_of
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.twin import fit_twin
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, small_key_spec, train_all

SPEC = {"algorithm": "linear-vl", "id": "id", "label": "y", "learning_rate": 0.1}
SECRETS = TaskSecrets(b"k" * 32, b"task")


def mechanism(features: tuple[int, ...] = (3, 2), batches: int = 1, **privacy: float) -> Mechanism:
    spec = TaskSpec(**SPEC, privacy={"noise_multiplier": 2.0} | privacy)
    assert spec.privacy is not None
    return Mechanism(spec.privacy, spec, features, batches)


# --- the account ---


@pytest.mark.parametrize(("rho", "delta"), [(0.1, 1e-6), (0.5, 1e-5), (0.02, 1e-5), (6.0, 1e-5)])
def test_epsilon_of_zcdp(rho: float, delta: float) -> None:
    """Below the simple bound ρ + 2√(ρ·ln 1/δ), and close to the continuous Gaussian's own curve from above."""
    found = epsilon_of(rho, delta)
    assert found < rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert 1 < found / gaussian_epsilon(rho, delta) < 1.12
    assert rho_of(found, delta) == pytest.approx(rho, rel=1e-6)


def gaussian_epsilon(rho: float, delta: float) -> float:
    """The exact ε of one Gaussian mechanism with ρ = 1/2σ² (Balle, Wang, ICML 2018, theorem 8)."""

    def phi(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    shift, low, high = math.sqrt(2 * rho), 0.0, 100.0
    for _ in range(100):
        epsilon = (low + high) / 2
        spent = phi(shift / 2 - epsilon / shift) - math.exp(epsilon) * phi(-shift / 2 - epsilon / shift)
        low, high = (epsilon, high) if spent > delta else (low, epsilon)
    return high


def test_rounds_add_up_and_a_partition_splits_them() -> None:
    one = Account.of(Privacy(noise_multiplier=10.0), 1)
    assert one.rho == pytest.approx(1 / 200)
    assert Account.of(Privacy(noise_multiplier=10.0), 30).rho == pytest.approx(30 * one.rho)
    assert Account.of(Privacy(noise_multiplier=10.0), 30, batches=4).releases == 8
    asked = Account.of(Privacy(epsilon=1.0, delta=1e-6), 30, batches=4)
    assert asked.epsilon == pytest.approx(1.0)
    assert asked.epsilon <= epsilon_of(asked.releases / (2 * asked.noise_multiplier**2), 1e-6) * (1 + 1e-12)


# --- the sensitivity ---


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(-(2**35), 2**35), min_size=3, max_size=3), min_size=1, max_size=5),
    clip=st.floats(1e-6, 10),
)
def test_clipped_rows_are_within_the_bound_as_whole_numbers(rows: list[list[int]], clip: float) -> None:
    clipped = mechanism(row_clip=clip).clip_rows(np.array(rows, dtype=np.int64))
    for before, after in zip(rows, clipped.tolist(), strict=True):
        length = sum(x * x for x in after)
        assert length <= clip**2 * 3 * 2.0**48
        assert all(x * y >= 0 and abs(y) <= abs(x) for x, y in zip(before, after, strict=True))
        if sum(x * x for x in before) < 0.999 * clip**2 * 3 * 2.0**48:
            assert after == before


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), multiplier=st.floats(0.1, 10))
def test_replacing_a_row_moves_all_sums_by_less_than_the_sensitivity(seed: int, multiplier: float) -> None:
    """σ = multiplier·Δ, and no pair of rows, clipped, moves the parties' sums by more than Δ together."""
    random, features = np.random.default_rng(seed), (3, 1)
    bounds = mechanism(features, noise_multiplier=multiplier)
    moved = 0
    ends = []
    for _ in range(2):
        scale = 10.0 ** random.integers(-1, 4)
        rows = [fixedpoint.encode(scale * random.standard_normal((1, f)), 24) for f in features]
        shares = [bounds.clip_share([int(u * 2**24)]) for u in scale * random.standard_normal(2)]
        residual = sum(share[0] for share in shares)
        ends.append([int(x) * residual for row in rows for x in bounds.clip_rows(row)[0]])
    moved = sum((a - b) ** 2 for a, b in zip(*ends, strict=True))
    assert moved * multiplier**2 <= bounds.variance


def test_the_sensitivity_is_reached() -> None:
    """The bound is no looser than the margins: two opposite rows at their clips come within 10⁻⁹ of it."""
    bounds = mechanism((4, 1), noise_multiplier=1.0)
    wide = [bounds.clip_rows(np.full((1, f), 2**40)) for f in (4, 1)]
    residual = sum(bounds.clip_share([2**60])[0] for _ in range(2))
    moved = sum((2 * int(x) * residual) ** 2 for row in wide for x in row[0])
    assert 1 - 1e-6 < moved / bounds.variance <= 1


# --- the noise ---


def test_noise_follows_from_secret_round_and_ciphertexts() -> None:
    bounds, n = mechanism(), (1 << 255) - 19
    noisy = bounds.add_noise([5, n - 1], n, SECRETS, 3, b"ciphers")
    assert noisy == bounds.add_noise([5, n - 1], n, SECRETS, 3, b"ciphers")
    assert all(0 <= m < n for m in noisy)
    others = [
        bounds.add_noise([5, n - 1], n, SECRETS, 4, b"ciphers"),
        bounds.add_noise([5, n - 1], n, SECRETS, 3, b"others"),
        bounds.add_noise([5, n - 1], n, TaskSecrets(b"l" * 32, b"task"), 3, b"ciphers"),
    ]
    assert len({tuple(found) for found in [noisy, *others]}) == 4


def test_noise_has_the_announced_deviation() -> None:
    bounds, n = mechanism(), (1 << 255) - 19
    noisy = bounds.add_noise([0] * 2000, n, SECRETS, 0, b"")
    signed = [(m + n // 2) % n - n // 2 for m in noisy]
    deviation = math.sqrt(sum(k * k for k in signed) / len(signed))
    assert deviation / math.sqrt(bounds.variance) == pytest.approx(1, abs=0.08)
    # Δ = 2·√5·2 in units of a product, the multiplier is 2
    assert math.sqrt(bounds.variance) / 2.0**48 == pytest.approx(2 * 2 * math.sqrt(5) * 2, rel=1e-6)


# --- in a task ---


def test_an_encrypted_run_is_noisy_and_says_so() -> None:
    tables = made_up_tables()
    settings = {"max_rounds": 3, "learning_rate": 0.1, "momentum": 0.0}
    secrets = {name: name.encode().ljust(32) for name in (ACTIVE, PASSIVE)}
    privacy = {"noise_multiplier": 0.5, "row_clip": 0.5}
    plain, private, again = (
        train_all(tables, small_key_spec(**settings, **more), secrets=secrets)
        for more in ({}, {"privacy": privacy}, {"privacy": privacy})
    )
    account = private[ACTIVE].report["privacy"]
    assert account == private[PASSIVE].report["privacy"]
    assert account["releases"] == 3
    assert account["rho"] == pytest.approx(3 / (2 * 0.5**2))
    assert account["epsilon"] == pytest.approx(epsilon_of(6.0, 1e-5))
    assert "privacy" not in plain[ACTIVE].report
    for name in (ACTIVE, PASSIVE):
        assert (
            private[name].part.weights == again[name].part.weights
        )  # ciphertexts repeat, hence the noise does
        moved = np.abs(np.array(private[name].part.weights) - np.array(plain[name].part.weights))
        # three steps of 0.1, each with noise of 0.5·2·(0.5·√8)·2 / 300 = 0.0094 on a coordinate, and clipping
        assert 1e-4 < moved.max() < 0.5


def test_the_twin_is_as_noisy_for_any_number_of_parties() -> None:
    """A gradient's noise is σ/rows on each coordinate: seen in the first step, over many secrets."""
    random = np.random.default_rng(0)
    values = {name: random.standard_normal((400, 3)) for name in "abc"}
    target = random.standard_normal(400)
    rate, multiplier = 0.5, 2.0
    more = {"max_rounds": 1, "learning_rate": rate, "momentum": 0.0, "tolerance": 0.0, "l2": 0.0}
    privacy = {"noise_multiplier": multiplier, "row_clip": 100.0, "residual_clip": 100.0}
    moved = []
    for seed in range(40):
        secrets = {name: TaskSecrets(bytes([seed]) * 32, name.encode()) for name in "abc"}
        fits = [
            fit_twin(values, "a", target, TaskSpec(**(SPEC | more | extra)), secrets)
            for extra in ({}, {"privacy": privacy})
        ]
        moved += [(fits[1][name].weights - fits[0][name].weights) / rate for name in "abc"]
    sensitivity = 2 * 100 * math.sqrt(9) * 3 * 100
    assert np.std(moved) == pytest.approx(multiplier * sensitivity / 400, rel=0.15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"privacy": {}}, "both or none of epsilon and noise_multiplier"),
        ({"privacy": {"epsilon": 1.0, "noise_multiplier": 1.0}}, "both or none"),
        ({"privacy": {"epsilon": 0.0}}, r"privacy\.epsilon is 0\.0: input should be greater than 0"),
        ({"privacy": {"epsilon": 1.0, "delta": 1.0}}, r"privacy\.delta is 1\.0"),
        ({"privacy": {"epsilon": 1.0, "row_clip": 0.0}}, r"privacy\.row_clip is 0\.0"),
        ({"privacy": {"epsilon": "1"}}, r"privacy\.epsilon is '1': input should be a valid number"),
        ({"privacy": {"budget": 1.0}}, r"privacy\.budget is 1\.0: extra"),
        ({"privacy": {"epsilon": 1.0}, "learning_rate": None}, "needs a learning_rate"),
        ({"privacy": {"epsilon": 1.0}, "kind": "predict"}, "does not cover kind 'predict'"),
        ({"privacy": {"epsilon": 1.0}, "live": {}}, "does not cover live"),
        ({"privacy": {"epsilon": 1.0}, "evaluation": {}}, "does not cover evaluation"),
        ({"privacy": {"epsilon": 1.0}, "class_weight": 2.0}, "does not cover class_weight"),
        ({"privacy": {"epsilon": 1.0}, "warm_start": 1}, "does not cover warm_start"),
        (
            {"privacy": {"epsilon": 1.0}, "algorithm": "logistic-vl", "sigmoid": "trigonometric"},
            "does not cover sigmoid",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TaskSpec(**(SPEC | settings))


def test_a_spec_with_privacy_survives_the_chain() -> None:
    spec = TaskSpec(**SPEC, privacy={"epsilon": 1.0})
    assert TaskSpec.from_json(spec.to_json()) == spec
