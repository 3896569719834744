"""Estimates: bytes to within the small messages, and what a dry run says of leakage and refusals."""

from __future__ import annotations

import dataclasses

import pytest

from dtxeth.errors import DataError, InputError
from dtxeth.learning import Policy, TaskSpec
from dtxeth.learning.estimate import Calibration, estimate
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, small_key_spec, train_all

FREE = Calibration(0.0, 0.0, 0.0, 0.0, 0.0)
TABLES = made_up_tables(common=120, own=0, features=3)


@pytest.mark.parametrize(
    "settings", [{}, {"evaluation": {"folds": 3}}, {"live": {"every": 3, "share": 0.25}}]
)
def test_bytes_are_those_that_training_sends(settings) -> None:
    spec = small_key_spec(**({"max_rounds": 3} | settings))
    low = Policy(min_rows=40)
    trainings = train_all(TABLES, spec, {ACTIVE: low, PASSIVE: low})
    expected = estimate(spec, 120, [3, 3], FREE)
    for training, sent in zip(trainings.values(), expected.bytes_sent, strict=True):
        overhead = 120 * 64 + 6000 + 700 * expected.rounds  # alignment, handshake, frames and votes
        assert sent <= training.report["bytes_sent"] <= sent + overhead
    assert expected.models == (4 if spec.evaluation else 1)


def test_seconds_follow_from_the_calibration() -> None:
    spec = TaskSpec(algorithm="linear-vl", id="id", label="y", max_rounds=10, batch_size=500)
    assert estimate(spec, 1000, [2, 4], Calibration(1.0, 0.0, 0.0, 0.0, 1.0)).seconds == 10 * 500
    assert estimate(spec, 1000, [2, 4], Calibration(0.0, 1.0, 1.0, 0.0, 0.0)).seconds == 10 * (500 * 4 + 8)
    logistic = TaskSpec(algorithm="logistic-vl", id="id", label="y", max_rounds=1, sigmoid="trigonometric")
    assert estimate(logistic, 1000, [2, 4, 4], Calibration(0.0, 0.0, 0.0, 1.0, 0.0)).seconds == 1000 * (
        12 + 6
    )
    passing = Calibration(1.0, 0.0, 0.0, 0.0, 2.0)
    assert estimate(logistic, 1000, [2, 4, 4, 4], passing).seconds == 1000 * 7 * (1 + 2 * 2)
    measured = Calibration.measure(256)
    assert min(dataclasses.astuple(measured)) > 0


def test_leakage_and_refusals_are_named() -> None:
    spec = TaskSpec(
        algorithm="logistic-vl", id="id", label="y", live={"every": 10}, evaluation={}, missing="mean"
    )
    found = estimate(spec, 569, [15, 8, 7], FREE)
    assert not found.refusals
    text = "\n".join(found.leakage)
    assert "40 rounds of 6 models" in text
    assert "5 sums of the others' parts of z for a row, who have 15 features" in text
    assert "equal shares of the classes" in text
    assert len(found.bytes_sent) == 3
    small = estimate(spec, 200, [15, 5], FREE)
    assert small.refusals == (
        "the smallest batch has 160 rows, owners ask for 256",
        "5 scores of a row would be shown, and a party has 5 features",
    )


def test_what_cannot_be_estimated() -> None:
    spec = TaskSpec(algorithm="linear-vl", id="id", label="y", evaluation={"folds": 10})
    with pytest.raises(
        InputError, match=r"100 rows and \[3\] features: give rows, and features of two parties"
    ):
        estimate(spec, 100, [3], FREE)
    with pytest.raises(DataError, match="10 folds, the common rows are 5"):
        estimate(spec, 5, [3, 3], FREE)
