"""A peer solves for the labels: from per-sample gradients, from a zero start, from reshuffled mini-batches.

Bob is passive and knows his own columns, weights and every gradient that he is given. Each attack runs
against a naive protocol, written here, which it breaks, and against what Bob gets from ours, where it does no
better than a coin. The labels are coin flips, independent of all features: whatever is recovered comes from
the protocol. What Bob gets from ours is the plaintext twin's gradient, to which
tests/learning/test_session.py shows the encrypted one to be equal.
"""

from __future__ import annotations

import numpy as np
import pytest

from dtxeth.learning.fixedpoint import RESOLUTION
from dtxeth.learning.learner import partition, start_weights
from dtxeth.learning.policy import default_rows
from dtxeth.learning.secrets import TaskSecrets

COIN = 0.65
"""Guessing 300 coin flips, more than 65 % right has a probability below 2⁻²²."""


def standardised(random: np.random.Generator, rows: int, features: int) -> np.ndarray:
    values = random.standard_normal((rows, features))
    return (values - values.mean(axis=0)) / values.std(axis=0)


def rounded(gradient: np.ndarray) -> np.ndarray:
    """What the key holder gives back."""
    return np.rint(gradient * 2.0**RESOLUTION) / 2.0**RESOLUTION


def secret_start(values: np.ndarray, seed: int) -> np.ndarray:
    return start_weights(values, TaskSecrets(bytes([seed]) * 32, b"task"))


def accuracy(guess: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(guess == labels))


# Per-sample gradients
# ------------------------------------------------------------------------------------------------


def labels_from_residuals(residuals: np.ndarray) -> np.ndarray:
    """σ(z) − y is negative exactly for y = 1."""
    return (residuals < 0).astype(float)


def test_per_sample_gradients_give_every_label_away() -> None:
    random = np.random.default_rng(1)
    alice, bob = standardised(random, 300, 6), standardised(random, 300, 6)
    labels = random.integers(0, 2, 300).astype(float)
    residuals = 0.25 * (alice @ np.full(6, 0.01) + bob @ np.full(6, 0.01)) + 0.5 - labels

    # naive, as in the reference system: d_i·x_i for each row and feature, one mask for all rows
    mask = random.standard_normal(6) * 1e6
    masked_by_bob = residuals[:, None] * bob + mask
    returned = masked_by_bob - mask
    assert accuracy(labels_from_residuals(returned[:, 0] / bob[:, 0]), labels) == 1.0
    # and the one mask hides nothing from the key holder either: differences of rows are free of it
    differences = masked_by_bob - masked_by_bob[0]
    assert np.allclose(differences, returned - returned[0])

    # ours: one sum for each feature; the least-norm residuals that explain it
    residuals = 0.25 * (alice @ secret_start(alice, 1) + bob @ secret_start(bob, 2)) - (
        labels - labels.mean()
    )
    gradient = rounded(bob.T @ residuals / 300)
    explained = bob @ np.linalg.solve(bob.T @ bob, gradient * 300)
    assert accuracy(labels_from_residuals(explained), labels) < COIN


# Zero start
# ----------------------------------------------------------------------------------------------------------

ROWS = 32


def subset_sum(columns: np.ndarray, totals: np.ndarray) -> np.ndarray | None:
    """Find y in {0, 1}^rows with columnsᵀy = totals, for whole numbers, by meeting in the middle (Horowitz,
    Sahni 1974).

    The equations are folded into one by random odd multipliers modulo 2⁶⁴; candidates are checked against
    all.
    """
    folding = np.random.default_rng(0).integers(1, 1 << 62, columns.shape[1], dtype=np.uint64) * 2 + 1
    weights = (columns.astype(np.uint64) * folding).sum(axis=1, dtype=np.uint64)
    target = (totals.astype(np.uint64) * folding).sum(dtype=np.uint64)
    half = len(weights) // 2

    def sums(part: np.ndarray) -> np.ndarray:
        out = np.zeros(1, dtype=np.uint64)
        for weight in part:
            out = np.concatenate([out, out + weight])
        return out

    left, right = sums(weights[:half]), sums(weights[half:])
    order = np.argsort(left)
    wanted = target - right
    places = np.searchsorted(left[order], wanted)
    hits = np.flatnonzero(left[order][np.minimum(places, len(left) - 1)] == wanted)
    for hit in hits:
        bits = int(order[places[hit]]) | int(hit) << half
        candidate = np.array([bits >> row & 1 for row in range(len(weights))])
        if np.array_equal(columns.T @ candidate, totals):
            return candidate
    return None


def test_subset_sum_solver() -> None:
    random = np.random.default_rng(2)
    columns = random.integers(-1000, 1000, (20, 3))
    solution = random.integers(0, 2, 20)
    assert np.array_equal(subset_sum(columns, columns.T @ solution), solution)
    assert subset_sum(columns * 2, columns.T @ solution * 2 + 1) is None


def test_zero_start_is_a_subset_sum_of_the_labels() -> None:
    random = np.random.default_rng(3)
    alice, bob = standardised(random, ROWS, 15), standardised(random, ROWS, 15)
    labels = random.integers(0, 2, ROWS).astype(float)
    encoded = np.rint(bob * 2**RESOLUTION).astype(np.int64)

    # naive: z = 0, so that the exact gradient is Σ x_i (1/2 − y_i)
    doubled = encoded.T @ (1 - 2 * labels).astype(np.int64)
    recovered = subset_sum(encoded, (encoded.sum(axis=0) - doubled) // 2)
    assert recovered is not None
    assert accuracy(recovered, labels) == 1.0

    # ours, with alice's secret start; bob takes out his own z and even knows the mean label
    own = 0.25 * bob @ secret_start(bob, 4)
    residuals = 0.25 * alice @ secret_start(alice, 5) + own - (labels - labels.mean())
    gradient = rounded(bob.T @ residuals / ROWS)
    labels_part = bob.T @ (own + labels.mean()) - gradient * ROWS
    assert subset_sum(encoded, np.rint(labels_part * 2**RESOLUTION).astype(np.int64)) is None


# Mini-batches
# --------------------------------------------------------------------------------------------------------

BATCHES, BATCH_ROWS, EPOCHS = 2, default_rows(8), 100


def train_and_collect(batches_of_epoch, start: np.ndarray, seed: int = 6):
    """Run gradient descent; return bob's equations about alice's share of the residuals, and the labels."""
    random = np.random.default_rng(seed)
    rows = BATCHES * BATCH_ROWS
    alice, bob = standardised(random, rows, 5), standardised(random, rows, 8)
    labels = random.integers(0, 2, rows).astype(float)
    weights = {"alice": start, "bob": np.zeros(8)}
    left, right = [], []
    for epoch in range(EPOCHS):
        for batch in batches_of_epoch(epoch, random):
            a, b = alice[batch], bob[batch]
            own = 0.25 * b @ weights["bob"]
            residuals = 0.25 * a @ weights["alice"] + own - (labels[batch] - labels.mean())
            gradient = rounded(b.T @ residuals / BATCH_ROWS)
            # bob: Σ_{i in batch} x_i u_i = known, where u_i = alice's z/4 − (y_i − ȳ) hardly moves late in
            # training
            equations = np.zeros((8, rows))
            equations[:, batch] = b.T
            left.append(equations)
            right.append(gradient * BATCH_ROWS - b.T @ own)
            weights["alice"] = weights["alice"] - 0.5 * a.T @ residuals / BATCH_ROWS
            weights["bob"] = weights["bob"] - 0.5 * gradient
    return np.concatenate(left), np.concatenate(right), labels


def labels_from_equations(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve the later half of the equations for u by least squares; u < 0 where y = 1."""
    half = len(left) // 2
    return labels_from_residuals(np.linalg.lstsq(left[half:], right[half:], rcond=None)[0])


def test_reshuffled_mini_batches_pile_up_equations() -> None:
    def reshuffled(epoch: int, random: np.random.Generator) -> np.ndarray:
        return random.permutation(BATCHES * BATCH_ROWS).reshape(BATCHES, BATCH_ROWS)

    left, right, labels = train_and_collect(reshuffled, np.full(5, 0.1))
    assert np.linalg.matrix_rank(left.T @ left, hermitian=True) == BATCHES * BATCH_ROWS
    assert accuracy(labels_from_equations(left, right), labels) > 0.95


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_the_fixed_partition_does_not(seed: int) -> None:
    def fixed(epoch: int, random: np.random.Generator) -> list[slice]:
        return partition(BATCHES * BATCH_ROWS, BATCH_ROWS)

    left, right, labels = train_and_collect(fixed, np.full(5, 0.1), seed)
    assert np.linalg.matrix_rank(left.T @ left, hermitian=True) == BATCHES * 8
    assert accuracy(labels_from_equations(left, right), labels) < 0.6
