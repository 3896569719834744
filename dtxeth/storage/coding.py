"""Redundancy: the sealed file is cut into stripes of k slices, each coded into n shards, any k of which suffice.

The code is the systematic Reed-Solomon code of zfec (Rizzo, *Effective Erasure Codes for Reliable Computer
Communication Protocols*, 1997): the first k shards are the stripe's slices themselves. With k = 1 every shard
is a copy. Shard i depends on k and i only, not on n, so that a file gains and loses shards without its others
changing.

The last stripe is cut evenly: of R bytes, each shard has ceil(R / k), the last ones padded with zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import zfec

from dtxeth.errors import InputError, IntegrityError
from dtxeth.storage.pieces import SLICE_SIZE

MAX_NODES = 64
"""Most nodes of a file, hence most shards of a stripe; ``FileRegistry.maxHoldings``."""


@dataclass(frozen=True)
class Redundancy:
    """k of n.

    Attributes:
        needed: k, the shards that give a stripe back.
        total: n, the shards of a stripe, on as many nodes.

    Raises:
        InputError: Not 1 ≤ k ≤ n ≤ 64.
    """

    needed: int
    total: int

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.total <= MAX_NODES:
            raise InputError(
                f"redundancy {self.needed} of {self.total}: expected 1 ≤ k ≤ n ≤ {MAX_NODES} for k of n"
            )

    def __str__(self) -> str:
        return f"{self.needed} of {self.total}"


@dataclass(frozen=True)
class Layout:
    """How a sealed file is cut.

    Attributes:
        redundancy: k of n.
        size: Bytes of the sealed file, at least 1.
    """

    redundancy: Redundancy
    size: int

    @property
    def stripe_size(self) -> int:
        """Bytes of every stripe but the last."""
        return self.redundancy.needed * SLICE_SIZE

    @property
    def stripes(self) -> int:
        """Number of stripes."""
        return -(-self.size // self.stripe_size)

    def length(self, stripe: int) -> int:
        """Bytes of a stripe."""
        return min(self.stripe_size, self.size - stripe * self.stripe_size)

    def shard_size(self, stripe: int) -> int:
        """Bytes of each shard of a stripe."""
        return -(-self.length(stripe) // self.redundancy.needed)

    def is_short(self, stripe: int) -> bool:
        """Whether the shards of a stripe are shorter than a slice; only those of the last one can be."""
        return self.shard_size(stripe) < SLICE_SIZE

    def shard_range(self, stripe: int, shard: int) -> tuple[int, int]:
        """Where in the sealed file the bytes of a slice begin and end, its padding left out; for shards below k."""
        size = self.shard_size(stripe)
        start, end = stripe * self.stripe_size, stripe * self.stripe_size + self.length(stripe)
        return min(start + shard * size, end), min(start + (shard + 1) * size, end)


def encode(slices: tuple[bytes, ...], shard: int) -> bytes:
    """Make one shard of a stripe; zfec lets other threads run meanwhile.

    Args:
        slices: The k slices of the stripe, all of one length.
        shard: Which, below 64.
    """
    if shard < len(slices):
        return slices[shard]
    if len(slices) == 1:
        return slices[0]
    (coded,) = _encoder(len(slices)).encode(slices, (shard,))
    return bytes(coded)


def decode(shards: Mapping[int, bytes], needed: int) -> tuple[bytes, ...]:
    """Give the slices of a stripe back; without any work if they are the shards.

    Args:
        shards: At least k shards of one length, by number.
        needed: k.

    Raises:
        IntegrityError: Fewer than k shards, or of different lengths.
    """
    # Slices before others: the fewer are missing, the less there is to compute.
    chosen = sorted(shards)[:needed]
    if len(chosen) < needed or len({len(shards[number]) for number in chosen}) != 1:
        raise IntegrityError(
            f"shards of {sorted(len(shard) for shard in shards.values())} bytes: expected {needed} of one length"
        )
    if needed == 1 or chosen[-1] < needed:
        return tuple(shards[number] for number in chosen)
    return tuple(_decoder(needed).decode(tuple(shards[number] for number in chosen), tuple(chosen)))


@lru_cache
def _encoder(needed: int) -> zfec.Encoder:
    return zfec.Encoder(needed, MAX_NODES)


@lru_cache
def _decoder(needed: int) -> zfec.Decoder:
    return zfec.Decoder(needed, MAX_NODES)
