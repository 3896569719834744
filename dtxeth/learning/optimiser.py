"""Optimiser: what a party does with its own gradient. Everything here is local; no message depends on it.

Each party runs proximal descent on its own weights: w⁺ = soft(v − M·g(v), threshold), where v is the point at
which it took part in the round. Without a learning rate M comes from the party's own curvature
H_p = c·X_pᵀX_p/rows + l2·I, where c bounds the second derivative of the loss by z. The joint curvature H has the
H_p as its diagonal blocks, so 0 ≼ H ≼ P·blockdiag(H_p) for P parties: with M = (s/P)·H_p⁻¹ all eigenvalues of
M·H lie in (0, s].

* **Accelerated** (no ``momentum`` given): v⁺ = w⁺ + β(w⁺ − w) with β growing from 0 towards 1, and s just below
  4/3, up to which the iteration is stable for any common β (Nesterov 1983; FISTA, Beck and Teboulle 2009). A
  party begins again with β = 0 when its gradient points along its last move (O'Donoghue and Candès 2015). That
  test is theirs on a party's own block, so that nobody learns when another restarts.
* **Heavy ball** (``momentum`` given, or a learning rate, or mini-batches): v⁺ = w⁺ + momentum·(v − v⁻) and
  s = 2, with which it converges for any momentum in (0, 1) (Polyak 1964).
* With ``l1`` the proximal step is a soft threshold only in a multiple of the Euclidean metric:
  M = (s/P)/λ_max(H_p)·I, under the same bounds.

docs/protocols/vertical.md has the rounds that each of them takes, and what else was tried.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

HEAVY_BALL: Final = 0.7
"""Momentum where the spec gives none, beside a learning rate and with mini-batches: there gradients are noisy."""

_LONGEST: Final = 1.332


class Optimiser:
    """State of one party's descent.

    Args:
        values: Standardised features, shape (rows, features).
        curvature: A bound of the second derivative of the loss by z.
        parties: Number of parties.
        spec: Learning rate, momentum, l1 and l2.
        intercept: The last weight is an intercept, which l1 and l2 leave alone.
    """

    def __init__(
        self, values: Matrix, curvature: float, parties: int, spec: TaskSpec, intercept: bool = False
    ) -> None:
        rows, features = values.shape
        penalised = np.ones(features)
        penalised[features - intercept :] = 0.0
        self._decay = spec.l2 * penalised
        self._momentum = spec.momentum
        if self._momentum is None and (spec.learning_rate is not None or spec.batch_size is not None):
            self._momentum = HEAVY_BALL
        longest = (_LONGEST if self._momentum is None else 2.0) / parties
        hessian = curvature * values.T @ values / rows + np.diag(self._decay)
        self._threshold = 0.0 * penalised
        if spec.learning_rate is not None:
            self._step: Matrix = spec.learning_rate * np.eye(features)
            self._threshold = spec.learning_rate * spec.l1 * penalised
        elif spec.l1 > 0:
            length = longest / float(np.linalg.eigvalsh(hessian)[-1])
            self._step = length * np.eye(features)
            self._threshold = length * spec.l1 * penalised
        else:
            self._step = longest * np.linalg.pinv(hessian, hermitian=True)
        self._before: Matrix | None = None
        self._weights: Matrix | None = None
        self._age = 1.0

    def gradient(self, point: Matrix, mean: Matrix) -> Matrix:
        """Return the gradient of the loss with the l2 term, given the mean gradient of the data term."""
        return mean + self._decay * point

    def step(self, point: Matrix, gradient: Matrix) -> Matrix:
        """Return the point of the next round, given that of this one and the gradient there."""
        if self._momentum is not None:
            inertia = 0.0 if self._before is None else self._momentum * (point - self._before)
            self._before = point
            return self._shrink(point - self._step @ gradient + inertia)
        weights = self._shrink(point - self._step @ gradient)
        before = point if self._weights is None else self._weights
        self._weights = weights
        if gradient @ (weights - before) > 0:
            self._age = 1.0
            return weights
        age, self._age = self._age, (1 + np.sqrt(1 + 4 * self._age**2)) / 2
        return weights + (age - 1) / self._age * (weights - before)

    def weights(self, point: Matrix) -> Matrix:
        """Return the model, given the point of the next round."""
        return point if self._weights is None else self._weights

    def state(self) -> dict[str, Any]:
        """Return all that changes from step to step."""
        past = [None if each is None else each.tolist() for each in (self._before, self._weights)]
        return {"past": past, "age": float(self._age)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` returned."""
        past = [None if each is None else np.array(each, dtype=np.float64) for each in state["past"]]
        self._before, self._weights = past
        self._age = state["age"]

    def _shrink(self, moved: Matrix) -> Matrix:
        return np.sign(moved) * np.maximum(np.abs(moved) - self._threshold, 0.0)
