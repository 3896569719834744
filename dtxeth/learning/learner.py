"""The local half of vertical training: what a party keeps to itself, whatever carries the gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from dtxeth.learning import fixedpoint
from dtxeth.learning.optimiser import Optimiser
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import Link
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix


@dataclass(frozen=True)
class Fit:
    """Outcome of training at one party.

    Attributes:
        start: Its start weights, the intercept's included where it has one; secret.
        weights: Its weights on standardised features; secret.
        intercept: What the active party adds to z; 0 unless the sigmoid is trigonometric.
        rounds: Rounds run.
        converged: Whether all gradients fell below tolerance.
        resumed: The round from which a checkpoint was taken up; 0 for none.
        prepared: The share of the encryption's randomness that was computed while waiting for peers.
    """

    start: Matrix = field(repr=False)
    weights: Matrix = field(repr=False)
    intercept: float = field(repr=False)
    rounds: int
    converged: bool
    resumed: int
    prepared: float


def check_headroom(values: Matrix, spec: TaskSpec, parties: int, key_bits: int) -> None:
    """Assert, before any ciphertext is made, that no batch sum can overflow the plaintext space.

    Args:
        values: The party's standardised features, shape (rows, features).
        spec: Task settings.
        parties: Number of parties.
        key_bits: Length of the modulus.

    Raises:
        ConfigError: A sum could overflow.
    """
    link = Link.of(spec)
    scale = link.scale(spec.precision, parties)
    fixedpoint.check_headroom(values, spec.precision, scale, link.largest(parties), key_bits)


class Learner:
    """What a party keeps to itself: its rows, its weights, its descent.

    Args:
        values: Standardised features, shape (rows, features).
        target: The target of each row at the active party, ``None`` elsewhere.
        spec: Task settings.
        parties: How many parties.
        secrets: Source of the start weights, where there are none.
        start: Start weights; secret.

    Attributes:
        link: How d follows from z.
        values: The features; at the active party with a column of ones if the link needs an intercept.
        encoded: The same in fixed point.
        batches: The fixed partition of the rows.
        converged: Whether all gradients fell below tolerance.
    """

    def __init__(
        self,
        values: Matrix,
        target: Matrix | None,
        spec: TaskSpec,
        parties: int,
        secrets: TaskSecrets,
        start: Matrix | None = None,
    ) -> None:
        self.link = Link.of(spec)
        self._start = self._point = start_weights(values, secrets) if start is None else start
        self._intercept = target is not None and bool(self.link.amplitudes)
        if self._intercept:
            values = np.column_stack([values, np.ones(len(values))])
            self._start = self._point = np.append(self._start, 0.0)
        self.values = values
        self.encoded = fixedpoint.encode(values, spec.precision)
        self.batches = partition(len(values), spec.batch_size)
        self.converged = False
        self._tolerance = spec.tolerance
        self._optimiser = Optimiser(values, self.link.curvature, parties, spec, self._intercept)

    def score(self, rows: slice) -> Matrix:
        """Return this party's part of z for a batch."""
        return np.asarray(self.values[rows] @ self._point, dtype=np.float64)

    def learn(self, mean: Matrix) -> bool:
        """Step, given the mean gradient of the data term; return whether the gradient is below tolerance."""
        gradient = self._optimiser.gradient(self._point, mean)
        self._point = self._optimiser.step(self._point, gradient)
        return bool(np.linalg.norm(gradient) < self._tolerance)

    def state(self) -> dict[str, Any]:
        """Return all that changes from round to round."""
        return {
            "point": self._point.tolist(),
            "converged": self.converged,
            "optimiser": self._optimiser.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` returned."""
        self._point = np.array(state["point"], dtype=np.float64)
        self.converged = state["converged"]
        self._optimiser.restore(state["optimiser"])

    def fit(self, rounds: int, resumed: int = 0, prepared: float = 0.0) -> Fit:
        """Return the outcome."""
        weights, intercept = self._optimiser.weights(self._point), 0.0
        if self._intercept:
            weights, intercept = weights[:-1], float(weights[-1])
        return Fit(self._start, weights, intercept, rounds, self.converged, resumed, prepared)


def start_weights(values: Matrix, secrets: TaskSecrets) -> Matrix:
    """Return secret random start weights w, scaled so that std(values @ w) is uniform in [1, 2)."""
    weights = 2 * secrets.uniform(values.shape[1], "start weights") - 1
    deviation = 1 + secrets.uniform(1, "start deviation")[0]
    return np.asarray(weights * (deviation / float(np.std(values @ weights))), dtype=np.float64)


def partition(rows: int, batch_size: int | None) -> list[slice]:
    """Cut 0..rows−1 into the task's batches: consecutive, each of at least ``batch_size`` rows."""
    count = max(1, rows // (batch_size or rows))
    bounds = [rows * i // count for i in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(bounds)]
