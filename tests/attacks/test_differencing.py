"""Two models of nearly the same rows: what their difference says of the rows that only one has seen.

Bob is passive. Labels are coin flips. Gradients and models are the plaintext twin's.
"""

from __future__ import annotations

import numpy as np
import pytest

from dtxeth.errors import PolicyError
from dtxeth.learning.fixedpoint import RESOLUTION
from dtxeth.learning.learner import start_weights
from dtxeth.learning.policy import Policy
from dtxeth.learning.rowsets import sketch
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec

ROWS, FEATURES, SLOPE = 400, 6, 0.25
COIN = 0.6
"""Of 240 coin flips more than 60 % are guessed with a probability below 0.2 %."""

TRIED = range(80)
KEY = b"k" * 32


def data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    alice, bob = (random.standard_normal((ROWS, FEATURES)) for _ in range(2))
    alice, bob = ((x - x.mean(axis=0)) / x.std(axis=0) for x in (alice, bob))
    return alice, bob, random.integers(0, 2, ROWS).astype(float)


def first_view(
    rows: np.ndarray, alice: np.ndarray, bob: np.ndarray, target: np.ndarray, weights: tuple[np.ndarray, ...]
) -> np.ndarray:
    """What Bob is given in the first round, as a sum, less what his own weights put in."""
    own = SLOPE * bob[rows] @ weights[1]
    residuals = SLOPE * alice[rows] @ weights[0] + own - target[rows]
    mean = np.rint(bob[rows].T @ residuals / len(rows) * 2.0**RESOLUTION) / 2.0**RESOLUTION
    return mean * len(rows) - bob[rows].T @ own


def guess_left_out(differences: list[np.ndarray], bob: np.ndarray) -> np.ndarray:
    """u_i·x_i for one row each, where u_i is Alice's part of the residual: its sign is mostly the label's."""
    return np.array([float(bob[i] @ differences[i] < 0) for i in TRIED])


def fold_starts(seed: int, fold: int, *, independent: bool) -> tuple[np.ndarray, ...]:
    alice, bob, _ = data(seed)
    owners = (TaskSecrets(bytes([name]) * 32, b"task") for name in (1, 2))
    secrets = [owner.child("fold", fold) if independent else owner for owner in owners]
    starts = start_weights(alice, secrets[0]), start_weights(bob, secrets[1])
    return starts if independent else (starts[0] / 5, starts[1] / 5)  # naive ones are small, as is usual


def right_of_folds(seed: int, *, independent: bool) -> float:
    """How many labels Bob gets right from folds that each leave out one row."""
    alice, bob, labels = data(seed)
    target, everybody = labels - labels.mean(), np.arange(ROWS)
    full = first_view(everybody, alice, bob, target, fold_starts(seed, 0, independent=independent))
    differences = []
    for i in TRIED:
        own = fold_starts(seed, i + 1, independent=independent)
        differences.append(full - first_view(np.delete(everybody, i), alice, bob, target, own))
    return float(np.mean(guess_left_out(differences, bob) == labels[TRIED]))


def test_folds_that_start_alike_give_the_tested_rows_away_and_ours_do_not() -> None:
    """Of two folds that differ by a row, first gradients from one start differ by that row's u_i·x_i."""
    assert np.mean([right_of_folds(seed, independent=False) for seed in (1, 2, 3)]) > 0.95
    assert np.mean([right_of_folds(seed, independent=True) for seed in (1, 2, 3)]) < COIN


def trained(rows: np.ndarray, alice: np.ndarray, bob: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Bob's weights at the optimum: wherever training starts, it ends there."""
    joint = np.column_stack([alice, bob])[rows]
    hessian = SLOPE * joint.T @ joint / len(rows) + 0.01 * np.eye(2 * FEATURES)
    return np.linalg.solve(hessian, joint.T @ target[rows] / len(rows))[FEATURES:]


def test_two_tasks_that_differ_by_a_row_tell_its_label_and_the_second_is_refused() -> None:
    """Independent starts do not help here: both tasks converge, and their models differ by the row's influence."""
    alice, bob, labels = data(3)
    target, everybody = labels - labels.mean(), np.arange(ROWS)
    whole = trained(everybody, alice, bob, target)
    curvature = SLOPE * bob.T @ bob / ROWS
    guesses = []
    for i in TRIED:
        moved = trained(np.delete(everybody, i), alice, bob, target) - whole
        guesses.append(float(bob[i] @ curvature @ moved < 0))
    assert np.mean(np.array(guesses) == labels[TRIED]) > 0.9  # naive: any rows are welcome

    ids = [f"row {i}" for i in everybody]
    noted = [(1, sketch(KEY, ids))]
    for i in (0, 59):
        with pytest.raises(PolicyError, match="differ from those of task 1 by fewer than 256"):
            Policy().check_difference(sketch(KEY, ids[:i] + ids[i + 1 :]), noted)
    Policy().check_difference(sketch(KEY, ids), noted)


def test_leave_one_out_is_that_attack_as_a_service() -> None:
    spec = TaskSpec(algorithm="logistic-vl", id="id", label="y", evaluation={"method": "leave-one-out"})
    with pytest.raises(PolicyError, match="leave-one-out is not allowed by the owner"):
        Policy().admit(spec, "lab", 0)


def test_a_row_swapped_in_is_a_difference_of_two() -> None:
    """A naive memory that compares the numbers of rows, or the hash of the set, lets it pass."""
    ids = [f"row {i}" for i in range(ROWS)]
    swapped = ["another", *ids[1:]]
    assert len(swapped) == len(ids)
    assert hash(frozenset(swapped)) != hash(frozenset(ids))
    with pytest.raises(PolicyError, match="fewer than 256"):
        Policy().check_difference(sketch(KEY, swapped), [(1, sketch(KEY, ids))])


def test_steps_that_are_each_large_may_end_near_an_old_set_and_are_refused_there() -> None:
    """Owners remember all earlier sets, not the last one: A, B, then A without a row."""
    ids = [f"row {i}" for i in range(800)]
    noted = [(1, sketch(KEY, ids)), (2, sketch(KEY, ids[300:]))]
    Policy().check_difference(sketch(KEY, ids[1:]), noted[1:])  # naive: only the latest
    with pytest.raises(PolicyError, match="those of task 1"):
        Policy().check_difference(sketch(KEY, ids[1:]), noted)
