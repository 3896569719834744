"""The discrete Gaussian: integer noise for differential privacy, sampled exactly.

N_Z(0, σ²) gives the integer k the probability exp(−k²/2σ²) / Σ_j exp(−j²/2σ²). Added to an integer, it hides
a change by d with Rényi divergence α·d²/2σ² at every order α, exactly as the continuous one does on reals.
Every step below compares whole numbers with uniform whole numbers: no floating point, hence none of the holes
that rounding tears into noise (I. Mironov, CCS 2012).

Source: C. Canonne, G. Kamath, T. Steinke, *The Discrete Gaussian for Differential Privacy*, NeurIPS 2020,
algorithms 1 to 3. Rejection makes the running time depend on the outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from dtxeth.errors import InputError

RandBelow = Callable[[int], int]
"""Returns an integer uniform in 0..bound−1, as :func:`secrets.randbelow` does."""


def sample(variance: int, randbelow: RandBelow) -> int:
    """Draw one integer from N_Z(0, ``variance``).

    Args:
        variance: σ², whole and positive; σ itself may be irrational.
        randbelow: Source of uniform integers; what it returns decides the outcome.

    Raises:
        InputError: The variance is not positive.
    """
    if variance < 1:
        raise InputError(f"the variance of discrete Gaussian noise is {variance}: give at least 1")
    scale = isqrt(variance) + 1
    while True:
        candidate = _laplace(scale, randbelow)
        # exp(−(|y| − σ²/t)² / 2σ²), with both sides of the fraction multiplied by t²
        distance = abs(candidate) * scale - variance
        if _bernoulli_exp(distance * distance, 2 * variance * scale * scale, randbelow):
            return candidate


def _laplace(scale: int, randbelow: RandBelow) -> int:
    """Draw k with probability proportional to exp(−|k|/scale)."""
    while True:
        low = randbelow(scale)
        if not _bernoulli_exp(low, scale, randbelow):
            continue
        high = 0
        while _bernoulli_exp(1, 1, randbelow):
            high += 1
        magnitude = low + scale * high
        negative = randbelow(2)
        if negative and magnitude == 0:  # else zero would come twice as often
            continue
        return -magnitude if negative else magnitude


def _bernoulli_exp(numerator: int, denominator: int, randbelow: RandBelow) -> bool:
    """Return true with probability exp(−numerator/denominator)."""
    while numerator > denominator:
        if not _bernoulli_exp(1, 1, randbelow):
            return False
        numerator -= denominator
    count = 1
    while randbelow(denominator * count) < numerator:
        count += 1
    return count % 2 == 1
