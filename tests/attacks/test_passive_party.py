"""What a party makes of everything that it is given in a whole run: gradients, and the shape of what travels.

Bob is passive, Alice has the label. Labels are coin flips, independent of all features, unless an attack is about
rare classes: whatever is guessed comes from the protocol. Each attack breaks a naive protocol, written here, first.
Gradients are those of the plaintext twin on rounded sums, to which the encrypted ones are equal
(tests/learning/test_session.py), so that a run takes no time and many can be averaged.
"""

from __future__ import annotations

import math

import msgpack
import numpy as np
import phe
import pytest

from dtxeth.errors import PolicyError
from dtxeth.learning.fixedpoint import RESOLUTION
from dtxeth.learning.learner import start_weights
from dtxeth.learning.optimiser import Optimiser
from dtxeth.learning.policy import Policy, default_rows
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.transport import memory_channels
from tests.attacks.lattice import lll
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, small_key_spec, train_all

SPEC = TaskSpec(algorithm="logistic-vl", id="id", label="y")
SLOPE = 0.25


def standardised(random: np.random.Generator, rows: int, features: int) -> np.ndarray:
    values = random.standard_normal((rows, features))
    return (values - values.mean(axis=0)) / values.std(axis=0)


def start(values: np.ndarray, seed: int) -> np.ndarray:
    return start_weights(values, TaskSecrets(seed.to_bytes(32), b"task"))


def rounded(gradient: np.ndarray) -> np.ndarray:
    return np.rint(gradient * 2.0**RESOLUTION) / 2.0**RESOLUTION


def accuracy(guess: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(guess == labels))


# --- a zero start, by lattice reduction ---

LATTICE_ROWS, LATTICE_FEATURES = 40, 8


def labels_by_lattice(encoded: np.ndarray, totals: np.ndarray) -> np.ndarray | None:
    """Find y in {0, 1}^rows with encodedᵀy = totals: a short vector of a lattice (Lagarias, Odlyzko 1985)."""
    rows = len(encoded)
    weight = 64  # so heavy that a short vector keeps the equations
    basis = np.zeros((rows + 1, rows + 1 + encoded.shape[1]), dtype=np.int64)
    basis[:rows, :rows] = 2 * np.eye(rows, dtype=np.int64)
    basis[:rows, rows + 1 :] = weight * encoded
    basis[rows, : rows + 1] = 1
    basis[rows, rows + 1 :] = weight * totals
    for vector in lll(basis):
        if set(np.abs(vector[: rows + 1])) == {1} and not vector[rows + 1 :].any():
            return (1 - vector[:rows] * vector[rows]) // 2
    return None


def test_a_lattice_solves_a_zero_start_and_not_a_secret_one() -> None:
    random = np.random.default_rng(3)
    alice, bob = (standardised(random, LATTICE_ROWS, LATTICE_FEATURES) for _ in range(2))
    labels = random.integers(0, 2, LATTICE_ROWS)
    encoded = np.rint(bob * 2**12).astype(np.int64)
    # naive: from z = 0 the gradient is Σ x_i (1/2 − y_i), exactly
    doubled = encoded.T @ (1 - 2 * labels)
    recovered = labels_by_lattice(encoded, (encoded.sum(axis=0) - doubled) // 2)
    assert recovered is not None
    assert accuracy(recovered, labels) == 1.0
    # ours: bob takes out his own part, but Alice's start is in every equation
    residuals = SLOPE * alice @ start(alice, 1) - (labels - labels.mean())
    known = labels.mean() * encoded.sum(axis=0) - encoded.T @ residuals
    assert labels_by_lattice(encoded, np.rint(known).astype(np.int64)) is None


# --- a small batch ---


def test_a_batch_as_small_as_the_features_gives_the_residues_and_is_refused() -> None:
    random = np.random.default_rng(4)
    features, rows = 12, 12
    alice, bob = standardised(random, rows, features), standardised(random, rows, features)
    labels = random.integers(0, 2, rows).astype(float)
    residuals = SLOPE * alice @ np.full(features, 0.1) - (labels - labels.mean())
    gradient = rounded(bob.T @ residuals / rows)
    solved = np.linalg.lstsq(bob.T, gradient * rows, rcond=None)[0]
    centred = residuals - residuals.mean()  # standardised columns are blind for a constant
    assert np.abs(solved - centred).max() < 1e-3
    with pytest.raises(PolicyError, match="12 rows, the data owners' floor is 256"):
        Policy().floors(features).check_rows(rows, "the smallest batch")


# --- exponents of encodings ---


def test_an_exponent_that_travels_tells_the_label() -> None:
    """phe encodes a number with an exponent that fits its size, and sends it in the clear beside the ciphertext."""
    labels = np.random.default_rng(5).integers(0, 2, 40).astype(float)
    public, _ = phe.generate_paillier_keypair(n_length=256)
    exponents = np.array([public.encrypt(-label).exponent for label in labels])
    assert accuracy((exponents == exponents.max()).astype(float), labels) == 1.0


def test_what_travels_in_our_protocol_has_one_shape_whatever_the_labels() -> None:
    tables = made_up_tables(logistic=True)
    other = dict(tables)
    flipped = 1 - tables[ACTIVE].label
    other[ACTIVE] = type(tables[ACTIVE])(
        tables[ACTIVE].ids, tables[ACTIVE].features, tables[ACTIVE].values, flipped, tables[ACTIVE].classes
    )
    assert shapes(tables) == shapes(other)


def shapes(tables: dict) -> list[tuple[str, int]]:
    """Tag and length of every message that Bob gets in two rounds."""
    channels, seen = memory_channels(tables), []
    link = channels[PASSIVE]._link
    get = link.get

    def record(peer: str, timeout: float) -> bytes:
        frame = get(peer, timeout)
        _, tag, payload = msgpack.unpackb(frame)
        seen.append((tag, len(payload)))
        return frame

    link.get = record
    secrets = {name: name.encode().ljust(32) for name in tables}
    outcome = train_all(
        tables, small_key_spec(algorithm="logistic-vl", max_rounds=2), channels=channels, secrets=secrets
    )
    assert outcome[PASSIVE].report["rounds"] == 2
    return seen


# --- norms ---


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    order = scores.argsort().argsort() + 1
    positives = labels.sum()
    rank_sum = order[labels == 1].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * (len(labels) - positives)))


def test_norms_of_single_gradients_tell_a_rare_class_and_sums_do_not() -> None:
    """O. Li et al., ICLR 2022: rows of a rare class have longer gradients. No sign has to be known."""
    found, ours = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        alice, bob = standardised(random, 600, 6), standardised(random, 600, 6)
        labels = (random.random(600) < 0.05).astype(float)
        weights = start(alice, seed) / 5
        residuals = SLOPE * alice @ weights - (labels - labels.mean())
        single = bob * residuals[:, None]
        found.append(auc(np.linalg.norm(single, axis=1) / np.linalg.norm(bob, axis=1), labels))
        gradient = rounded(bob.T @ residuals / 600)
        explained = bob @ np.linalg.solve(bob.T @ bob, gradient * 600)
        ours.append(auc(np.abs(explained), labels))
    assert np.mean(found) > 0.95
    assert abs(np.mean(ours) - 0.5) < 0.06


# --- all messages of a whole run ---

ROUNDS = 40


def run_and_keep(
    seed: int, rows: int, features: int, naive: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a whole training; return bob's columns, all that he was given less what he put in, and the labels.

    The naive protocol draws half of the rows anew in each round, and keeps its model small.
    """
    random = np.random.default_rng(seed)
    alice, bob = standardised(random, rows, features), standardised(random, rows, features)
    labels = random.integers(0, 2, rows).astype(float)
    target = labels - labels.mean()
    weights = [start(alice, 2 * seed), start(bob, 2 * seed + 1)]
    optimisers = [Optimiser(values, SLOPE, 2, SPEC) for values in (alice, bob)]
    kept = []
    for _ in range(ROUNDS):
        chosen = random.random(rows) < 0.5 if naive else np.ones(rows, dtype=bool)
        own = SLOPE * bob @ weights[1]
        residuals = (SLOPE * alice @ weights[0] + own - target) * chosen
        kept.append(
            ((bob * chosen[:, None]), rounded(bob.T @ residuals / rows) * rows - bob.T @ (own * chosen))
        )
        for number, values in enumerate((alice, bob)):
            mean = rounded(values.T @ residuals / rows)
            gradient = optimisers[number].gradient(weights[number], mean)
            weights[number] = optimisers[number].step(weights[number], gradient)
    left = np.stack([equations.T for equations, _ in kept])
    return left, np.stack([known for _, known in kept]), labels


def test_rows_drawn_anew_in_each_round_give_the_labels_away() -> None:
    """The bound below is no law of nature: other rows in each round, and forty rounds solve for every label."""
    left, right, labels = run_and_keep(1, 400, 15, naive=True)
    late = ROUNDS // 8  # by then Alice's weights hardly move any more
    equations, known = left[late:].reshape(-1, 400), right[late:].ravel()
    solved = np.linalg.lstsq(equations, known, rcond=None)[0]
    assert accuracy((solved < 0).astype(float), labels) > 0.9


@pytest.mark.parametrize("features", [4, 15, 30])
def test_a_party_that_keeps_everything_guesses_no_better_than_its_columns_allow(features: int) -> None:
    """½ + arcsin(√(features/rows))/π is what the projection of the labels on Bob's own columns says of their signs.

    Bob estimates each row's label by the best linear combination of the projections that all forty gradients give
    him; which is the best, he learns from runs that he simulates himself, with labels that he knows.
    """
    rows, seeds = default_rows(features), range(100 * features, 100 * features + 24)
    views = []
    for seed in seeds:
        left, right, labels = run_and_keep(seed, rows, features, naive=False)
        bob = left[0].T
        explained = bob @ np.linalg.solve(bob.T @ bob, right.T)  # rows × rounds
        views.append((explained, labels))
    simulated, attacked = views[:12], views[12:]
    design = np.concatenate([explained for explained, _ in simulated])
    signs = np.concatenate([2 * labels - 1 for _, labels in simulated])
    best = np.linalg.lstsq(design, signs, rcond=1e-9)[0]
    guesses = [accuracy((explained @ best > 0).astype(float), labels) for explained, labels in attacked]
    assert np.mean(guesses) <= 0.5 + math.asin(math.sqrt(features / rows)) / math.pi + 0.05
    assert np.mean(guesses) > 0.5  # something is learned, and docs/security.md says what
