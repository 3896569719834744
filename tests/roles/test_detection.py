"""Detection figures: the formula against the draws that the contract makes, and against the documentation."""

from __future__ import annotations

import math
import random
import runpy
import sys
from pathlib import Path

import pytest

from dtxeth.chain.bindings.types import Algorithm
from dtxeth.crypto import merkle
from dtxeth.errors import InputError
from dtxeth.roles.detection import COUNTS, LEAVES_PER_BLOB, detection_probability, detection_within

MERKLE, KZG = Algorithm.MERKLE, Algorithm.KZG
BLOBS = 130
LEAVES = BLOBS * LEAVES_PER_BLOB  # of a holding of some 16 MiB
TRIALS = 1500


def find(algorithm: Algorithm, lost: set[int], seeded: random.Random) -> bool:
    """Whether a challenge with a fresh seed draws something that is lost."""
    count = COUNTS[algorithm]
    drawn = merkle.draw_indices(seeded.randbytes(32), LEAVES if algorithm is MERKLE else BLOBS, count)
    return not lost.isdisjoint(drawn)


def lose(algorithm: Algorithm, loss: float, whole_blobs: bool, seeded: random.Random) -> set[int]:
    """The leaves, or blobs, that a loss touches."""
    if whole_blobs:
        blobs = {blob for blob in range(BLOBS) if seeded.random() < loss}
        if algorithm is KZG:
            return blobs
        return {blob * LEAVES_PER_BLOB + leaf for blob in blobs for leaf in range(LEAVES_PER_BLOB)}
    leaves = set(seeded.sample(range(LEAVES), round(loss * LEAVES)))
    return leaves if algorithm is MERKLE else {leaf // LEAVES_PER_BLOB for leaf in leaves}


@pytest.mark.parametrize("loss", [0.001, 0.01, 0.05])
@pytest.mark.parametrize(("algorithm", "whole_blobs"), [(MERKLE, False), (KZG, False), (KZG, True)])
def test_the_formula_is_what_the_draws_do(algorithm: Algorithm, whole_blobs: bool, loss: float) -> None:
    seeded = random.Random(f"{algorithm} {whole_blobs} {loss}")
    found = 0
    for trial in range(TRIALS):
        if trial % 50 == 0 or whole_blobs:
            lost = lose(algorithm, loss, whole_blobs, seeded)
        found += find(algorithm, lost, seeded)
    expected = detection_probability(algorithm, loss, COUNTS[algorithm], 1, whole_blobs=whole_blobs)
    deviation = math.sqrt(expected * (1 - expected) / TRIALS)
    assert found / TRIALS == pytest.approx(expected, abs=5 * deviation + 0.002)


def test_many_challenges_and_random_times() -> None:
    seeded = random.Random("months")
    lost = lose(MERKLE, 0.01, False, seeded)
    months, rate = 300, 0.5
    found = 0
    for _ in range(months):
        time, caught = seeded.expovariate(rate), False
        while time < 30 and not caught:
            caught = find(MERKLE, lost, seeded)
            time += seeded.expovariate(rate)
        found += caught
    assert found / months == pytest.approx(detection_within(30, rate, MERKLE, 0.01), abs=0.1)
    one = detection_probability(MERKLE, 0.01, 10, 1)
    assert detection_probability(MERKLE, 0.01, 10, 7) == pytest.approx(1 - (1 - one) ** 7)
    assert detection_within(30, 0, MERKLE, 0.5) == 0
    assert detection_within(30, 4, KZG, 1.0) == pytest.approx(1)


def test_values_have_bounds() -> None:
    for bad in [(Algorithm.NONE, 0.1, 1, 1), (MERKLE, -0.1, 1, 1), (MERKLE, 1.1, 1, 1), (KZG, 0.1, 0, 1)]:
        with pytest.raises(InputError, match="give MERKLE or KZG, a loss of 0 to 1"):
            detection_probability(*bad)
    with pytest.raises(InputError):
        detection_probability(MERKLE, 0.1, 10, -1)
    with pytest.raises(InputError):
        detection_within(-1, 4, MERKLE, 0.1)


def test_the_documentation_has_these_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(__file__).parents[2] / "scripts" / "gen_detection.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--check"])
    runpy.run_path(str(script), run_name="__main__")
