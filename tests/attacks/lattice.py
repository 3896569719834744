"""Lattice reduction, for attacks on small instances (Lenstra, Lenstra, Lovász 1982; Cohen, algorithm 2.6.3)."""

from __future__ import annotations

import numpy as np


def lll(basis: np.ndarray, delta: float = 0.99) -> np.ndarray:
    """Return a reduced basis of the lattice that the rows of ``basis``, int64, span.

    Gram–Schmidt in float64, computed anew for a row when its turn comes: exact enough while entries stay below 2³¹.
    """
    b = basis.astype(np.int64).copy()
    count = len(b)
    ortho = np.zeros(b.shape)
    norms = np.zeros(count)
    mu = np.zeros((count, count))

    def project(k: int) -> None:
        mu[k, :k] = ortho[:k] @ b[k] / norms[:k]
        ortho[k] = b[k] - mu[k, :k] @ ortho[:k]
        norms[k] = ortho[k] @ ortho[k]

    project(0)
    k = 1
    while k < count:
        project(k)
        for j in range(k - 1, -1, -1):
            q = int(np.rint(mu[k, j]))
            if q:
                b[k] -= q * b[j]
                mu[k, :j] -= q * mu[j, :j]
                mu[k, j] -= q
        project(k)
        if norms[k] >= (delta - mu[k, k - 1] ** 2) * norms[k - 1]:
            k += 1
        else:
            b[[k - 1, k]] = b[[k, k - 1]]
            project(k - 1)
            k = max(k - 1, 1)
    return b
