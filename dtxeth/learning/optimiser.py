"""Optimiser: what a party does with its own gradient. Everything here is local; no message depends on it.

Each party runs proximal heavy-ball descent on its own weights: w⁺ = soft(w − M·g + momentum·(w − w⁻),
threshold). Without a learning rate M comes from the party's own curvature H_p = c·X_pᵀX_p/rows + l2·I, where
c is the second derivative of the loss by z (1, or 1/4 for the logistic loss, whose curvature nowhere exceeds
that):

* M = (2/P)·H_p⁻¹ for P parties. The joint curvature H has the H_p as its diagonal blocks, so 0 ≼ H ≼
  P·blockdiag(H_p), and all eigenvalues of M·H lie in (0, 2]: heavy ball converges for any momentum in (0, 1)
  (Polyak 1964).
* With ``l1`` the proximal step is a soft threshold only in a multiple of the Euclidean metric:
  M = (2/P)/λ_max(H_p)·I, under the same bound.
"""

from __future__ import annotations

import numpy as np

from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix


class Optimiser:
    """State of one party's descent.

    Args:
        values: Standardised features, shape (rows, features).
        curvature: Second derivative c of the loss by z.
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
        hessian = curvature * values.T @ values / rows + np.diag(self._decay)
        self._spec = spec
        self._threshold = 0.0 * penalised
        if spec.learning_rate is not None:
            self._step: Matrix = spec.learning_rate * np.eye(features)
            self._threshold = spec.learning_rate * spec.l1 * penalised
        elif spec.l1 > 0:
            length = 2 / parties / float(np.linalg.eigvalsh(hessian)[-1])
            self._step = length * np.eye(features)
            self._threshold = length * spec.l1 * penalised
        else:
            self._step = 2 / parties * np.linalg.pinv(hessian, hermitian=True)
        self._previous: Matrix | None = None

    def gradient(self, weights: Matrix, mean: Matrix) -> Matrix:
        """Return the gradient of the loss with the l2 term, given the mean gradient of the data term."""
        return mean + self._decay * weights

    def step(self, weights: Matrix, gradient: Matrix) -> Matrix:
        """Return the next weights."""
        inertia = 0.0 if self._previous is None else self._spec.momentum * (weights - self._previous)
        self._previous = weights
        moved = weights - self._step @ gradient + inertia
        return np.sign(moved) * np.maximum(np.abs(moved) - self._threshold, 0.0)

    def state(self) -> list[float] | None:
        """Return all that changes from step to step."""
        return None if self._previous is None else self._previous.tolist()

    def restore(self, state: list[float] | None) -> None:
        """Take up what :meth:`state` returned."""
        self._previous = None if state is None else np.array(state, dtype=np.float64)
