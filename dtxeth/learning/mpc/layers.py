"""Layers: forward pass, gradients and optimisers, written once for NumPy and for JAX.

The same functions make the program that runs on secret shares and the plain twin that a test compares it with.
State is a tuple of arrays: the weights and biases of each layer, then the optimiser's slots for each of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtxeth.learning.mpc.network import BETA1, BETA2, EPSILON, Network

State = tuple[Any, ...]


def start(network: Network, features: int) -> State:
    """Return the state before the first step, for inputs of ``features`` columns.

    Source of the weights: X. Glorot, Y. Bengio, AISTATS 2010; K. He et al., ICCV 2015 (relu).
    """
    generator = np.random.Generator(np.random.PCG64(network.seed))
    weights: list[Any] = []
    width = features
    for layer in network.layers:
        gain = 6.0 if layer.activation == "relu" else 3.0
        bound = (
            np.sqrt(gain / width) if layer.activation == "relu" else np.sqrt(2 * gain / (width + layer.units))
        )
        weights.append(generator.uniform(-bound, bound, (width, layer.units)).astype(np.float32))
        weights.append(np.zeros(layer.units, dtype=np.float32))
        width = layer.units
    slots = {"sgd": 0, "momentum": 1, "adam": 2}[network.optimiser]
    return (*weights, *(np.zeros_like(weight) for _ in range(slots) for weight in weights))


def predict(xp: Any, network: Network, state: State, x: Any) -> Any:
    """Return the outputs for ``x`` (rows, features), shape (rows, 1)."""
    return _forward(xp, network, state, x)[-1]


def step(xp: Any, network: Network, state: State, x: Any, y: Any, rate: Any) -> State:
    """Return the state after one step along the gradient of the batch ``x`` (rows, features), ``y`` (rows, 1)."""
    count = 2 * len(network.layers)
    weights, slots = state[:count], state[count:]
    gradients = _gradients(xp, network, weights, x, y)
    if network.optimiser == "sgd":
        return tuple(w - rate * g for w, g in zip(weights, gradients, strict=True))
    if network.optimiser == "momentum":
        means = tuple(BETA1 * m + g for m, g in zip(slots, gradients, strict=True))
        return (*(w - rate * m for w, m in zip(weights, means, strict=True)), *means)
    means = tuple(BETA1 * m + (1 - BETA1) * g for m, g in zip(slots[:count], gradients, strict=True))
    squares = tuple(BETA2 * v + (1 - BETA2) * g * g for v, g in zip(slots[count:], gradients, strict=True))
    moved = (w - rate * m / (xp.sqrt(v) + EPSILON) for w, m, v in zip(weights, means, squares, strict=True))
    return (*moved, *means, *squares)


def _forward(xp: Any, network: Network, weights: Sequence[Any], x: Any) -> list[Any]:
    """Return the values of all layers, the input first."""
    values = [x]
    for number, layer in enumerate(network.layers):
        z = values[-1] @ weights[2 * number] + weights[2 * number + 1]
        values.append(_activate(xp, layer.activation, z))
    return values


def _gradients(xp: Any, network: Network, weights: Sequence[Any], x: Any, y: Any) -> list[Any]:
    values = _forward(xp, network, weights, x)
    # the derivative of either loss by the output's input
    delta = (values[-1] - y) * (1.0 / x.shape[0])
    gradients: list[Any] = []
    for number in reversed(range(len(network.layers))):
        weight, below = weights[2 * number], values[number]
        gradients[:0] = [below.T @ delta + network.l2 * weight, delta.sum(axis=0)]
        if number:
            delta = (delta @ weight.T) * _slope(xp, network.layers[number - 1].activation, below)
    return gradients


def _activate(xp: Any, activation: str, z: Any) -> Any:
    match activation:
        case "relu":
            return xp.maximum(z, 0)
        case "tanh":
            return xp.tanh(z)
        case "sigmoid":
            return xp.sigmoid(z)
        case _:
            return z


def _slope(xp: Any, activation: str, value: Any) -> Any:
    """Return the derivative of an activation where its value is ``value``."""
    match activation:
        case "relu":
            return xp.where(value > 0, 1.0, 0.0)
        case "tanh":
            return 1 - value * value
        case "sigmoid":
            return value * (1 - value)
        case _:
            return xp.ones_like(value)
