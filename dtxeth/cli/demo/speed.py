"""How fast the steps of storing are, each on its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dtxeth.crypto import kzg, merkle
from dtxeth.storage import coding
from dtxeth.storage.pieces import SLICE_SIZE

NEEDED, TOTAL = 4, 6
STRIPES = 2


def measure(rng: np.random.Generator) -> dict[str, float]:
    """Time commitments and coding on two stripes of random slices, all cores.

    Returns:
        MiB of slices a second, by step.
    """
    stripes = [tuple(rng.bytes(SLICE_SIZE) for _ in range(NEEDED)) for _ in range(STRIPES)]
    slices = [piece for stripe in stripes for piece in stripe]
    kzg.commit(slices[:1])  # starts the processes and loads the setup
    steps: dict[str, Callable[[], object]] = {
        "commit_merkle": lambda: [merkle.piece_root(piece) for piece in slices],
        "commit_kzg": lambda: kzg.commit(slices),
        "encode": lambda: [
            coding.encode(stripe, shard) for stripe in stripes for shard in range(NEEDED, TOTAL)
        ],
    }
    rates = {}
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        rates[name] = round(len(slices) * SLICE_SIZE / 2**20 / (time.perf_counter() - began), 1)
    return rates
