"""Secrets of one party in one task, all derived from a single 32-byte secret.

Deriving instead of drawing makes a resumed or repeated run equal to the first bit for bit, and keeps one mask
from ever covering two different gradients: whatever a secret depends on is part of its derivation path.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgpack
import numpy as np

from dtxeth.errors import InputError
from dtxeth.learning.table import Matrix

SECRET_BYTES: Final = 32
_SLACK_BITS: Final = 128


class TaskSecrets:
    """Pseudorandom values of one party in one task (SHAKE-256 as a PRF, keyed by its prefix).

    Args:
        secret: 32 bytes that nobody else knows.
        task: Identifies the task on its chain; equal secrets give unrelated values in different tasks.

    Raises:
        InputError: The secret does not have 32 bytes.
    """

    def __init__(self, secret: bytes, task: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise InputError(f"a task secret has {SECRET_BYTES} bytes, got {len(secret)}")
        self._secret = secret
        self._task = task

    def child(self, *path: str | int | bytes) -> TaskSecrets:
        """Return secrets of a part of the task, such as a fold: unrelated to these and to those of other parts."""
        return TaskSecrets(self.derive(SECRET_BYTES, "child", *path), self._task)

    def derive(self, length: int, *path: str | int | bytes) -> bytes:
        """Return ``length`` pseudorandom bytes that belong to ``path``."""
        prefix: bytes = msgpack.packb(["dtxeth", self._secret, self._task, *path])
        return hashlib.shake_256(prefix).digest(length)

    def integers(self, count: int, bound: int, *path: str | int | bytes) -> list[int]:
        """Return ``count`` integers uniform in 0..bound−1, up to a bias below 2⁻¹²⁸."""
        width = (bound.bit_length() + _SLACK_BITS + 7) // 8
        stream = self.derive(count * width, *path)
        return [int.from_bytes(stream[i * width : (i + 1) * width], "big") % bound for i in range(count)]

    def uniform(self, count: int, *path: str | int | bytes) -> Matrix:
        """Return ``count`` floats uniform in [0, 1)."""
        return np.array(self.integers(count, 1 << 53, *path), dtype=np.float64) / (1 << 53)

    def permutation(self, count: int, *path: str | int | bytes) -> list[int]:
        """Return a random order of 0..count−1, by sorting 128-bit tags."""
        stream = self.derive(16 * count, *path)
        return sorted(range(count), key=lambda i: stream[16 * i : 16 * i + 16])
