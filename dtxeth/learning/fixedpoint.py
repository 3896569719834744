"""Fixed point: how real numbers become the integers that Paillier adds, and how much of a sum is given back.

Features carry ``precision`` fractional bits and residuals as many or more, their *scale*; a batch sum of their
products carries both. The arithmetic on ciphertexts is exact; nothing is rounded but the inputs and, on purpose, the
result.

**What comes back.** Party p holds the encrypted sum G, |G| < n/2, and a mask r uniform in 0..n−1. The key
holder decrypts m = (G + r) mod n, which is uniform whatever G is, and returns h = ⌊(m + 2^(s−1)) / 2^s⌋: m
rounded to a multiple of 2^s. As h·2^s = m + e with |e| ≤ 2^(s−1), party p gets h·2^s − r ≡ G + e (mod n), and
the representative nearest to zero is exactly G + e as long as |G| + 2^(s−1) < n/2: a carry of G + r past n,
or a negative G, changes nothing modulo n. So p learns its mean gradient to half a unit of :data:`RESOLUTION`,
and the lower bits of G stay unknown to both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtxeth.errors import ConfigError, TaskError
from dtxeth.learning.table import Matrix

RESOLUTION: Final = 24
"""Mean gradients are given back in units no finer than 2⁻²⁴."""

MAX_RESIDUAL: Final = float(1 << 16)
"""Largest share |u| of one party in a residual d; beyond it training has diverged."""


def check_headroom(values: Matrix, precision: int, scale: int, largest: float, key_bits: int) -> None:
    """Assert, before any ciphertext is made, that no batch sum can overflow the plaintext space.

    log₂ rows + log₂ max|x| + precision + scale + log₂ max|d| < key_bits − 2.

    Args:
        values: The party's standardised features, shape (rows, features).
        precision: Fractional bits of a feature.
        scale: Fractional bits of a residual.
        largest: A bound of |d|.
        key_bits: Length of the modulus.

    Raises:
        ConfigError: The sum could overflow.
    """
    feature = max(float(np.abs(values).max()), 1.0)
    terms = (math.log2(len(values)), math.log2(feature), precision + scale, math.log2(largest))
    if sum(terms) >= key_bits - 2:
        formula = " + ".join(f"{term:.0f}" for term in terms)
        raise ConfigError(
            f"a sum could take {formula} bits, the key has {key_bits}: lower precision or lengthen the key"
        )


def encode(values: Matrix, precision: int) -> NDArray[np.int64]:
    """Round ``values`` to multiples of 2^−precision, as integers.

    Standardised features are at most √rows, residuals at most :data:`MAX_RESIDUAL`, and precision at most 28:
    64 bits are plenty.
    """
    return np.rint(np.ldexp(values, precision)).astype(np.int64)


def encode_residual(share: Matrix, precision: int, scale: int) -> list[int]:
    """Round one party's share of the residuals of a batch to ``precision`` fractional bits, of ``scale``.

    Raises:
        TaskError: A share is beyond :data:`MAX_RESIDUAL`.
    """
    if not np.all(np.abs(share) <= MAX_RESIDUAL):  # also catches NaN
        raise TaskError(
            f"training diverged, a residual exceeds {MAX_RESIDUAL:g}: lower the learning rate or momentum"
        )
    return [int(u) << (scale - precision) for u in encode(share, precision)]


def dropped_bits(rows: int, scale: int) -> int:
    """Return s, the low bits of a batch sum that stay unknown: 2^s ≥ rows · 2^(scale − RESOLUTION).

    Args:
        rows: Rows of the batch.
        scale: Fractional bits of the sum.
    """
    return scale - RESOLUTION + (rows - 1).bit_length()


def round_off(masked: Sequence[int], shift: int) -> list[int]:
    """At the key holder: round decrypted residues m in 0..n−1 to multiples of 2^shift, in units of it."""
    half = 1 << (shift - 1)
    return [(m + half) >> shift for m in masked]


def unmask(rounded: Sequence[int], masks: Sequence[int], n: int, shift: int) -> list[int]:
    """At p: recover the batch sums to within 2^(shift−1), as signed integers of the sums' scale.

    Args:
        rounded: What :func:`round_off` returned, in 0..⌈n / 2^shift⌉.
        masks: The masks r that were added modulo ``n``.
        n: The modulus.
        shift: Bits dropped.
    """
    half = n // 2
    return [((h << shift) - r + half) % n - half for h, r in zip(rounded, masks, strict=True)]


def decode_mean(sums: Sequence[int], rows: int, scale: int) -> Matrix:
    """Turn batch sums with ``scale`` fractional bits into means."""
    return np.ldexp(np.array(sums, dtype=np.float64), -scale) / rows
