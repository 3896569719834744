"""The plain twin of a shared network: the same layers, start and batches in NumPy, with nothing hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtxeth.learning.mpc import layers
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.table import Matrix


class NumPy:
    """The operations of :mod:`dtxeth.learning.mpc.layers`, as NumPy has them."""

    maximum, where, sqrt, tanh = np.maximum, np.where, np.sqrt, np.tanh
    ones_like = staticmethod(np.ones_like)

    @staticmethod
    def sigmoid(z: Any) -> Any:
        """Return 1/(1 + e^−z)."""
        return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


def batches(network: Network, rows: int, batch: int) -> list[list[int]]:
    """Return the positions of the rows of each batch: a fixed random partition, the last one filled up.

    Args:
        network: Whose public seed decides.
        rows: How many rows there are.
        batch: Rows of a batch, at most ``rows``.
    """
    order: list[int] = np.random.Generator(np.random.PCG64([network.seed, 1])).permutation(rows).tolist()
    starts = [*range(0, rows - batch, batch), rows - batch]
    return [order[start : start + batch] for start in starts]


def train_plain(network: Network, values: Matrix, target: Matrix) -> layers.State:
    """Train ``network`` on all parties' columns in the clear.

    Args:
        network: With layers.
        values: Standardised features, shape (rows, features).
        target: Standardised quantity, or 0 and 1; shape (rows,).

    Returns:
        The state at the end, for :func:`predict_plain`.
    """
    state = tuple(value.astype(np.float64) for value in layers.start(network, values.shape[1]))
    parts = batches(network, len(values), min(network.batch_size or len(values), len(values)))
    for epoch in range(network.epochs):
        for number, rows in enumerate(parts):
            rate = network.rate(epoch * len(parts) + number + 1)
            state = layers.step(NumPy, network, state, values[rows], target[rows, None], rate)
    return state


def predict_plain(network: Network, state: layers.State, values: Matrix) -> Matrix:
    """Return the outputs for ``values`` (rows, features), shape (rows,)."""
    return np.asarray(layers.predict(NumPy, network, state, values), dtype=np.float64)[:, 0]
