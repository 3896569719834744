"""A storage node that threw away some of what it should keep, and hopes that nobody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dtxeth.crypto import merkle
from dtxeth.roles import StorageNode
from dtxeth.storage.prover import Proof, cut_leaves
from dtxeth.storage.records import Records

SHARE = 0.05
"""Share of the leaves of each holding that it alters."""


@dataclass(frozen=True)
class Loot:
    """What a cheat has of one holding: what is left of the leaves, and the hashes that they should have.

    Attributes:
        leaves: The leaves, some altered.
        hashes: Hashes of the original leaves.
        altered: Which leaves are altered.
    """

    leaves: list[bytes]
    hashes: list[bytes]
    altered: frozenset[int]


def turn(node: StorageNode, rng: np.random.Generator) -> dict[bytes, Loot]:
    """Make a node a cheat: alter leaves on its disk, and answer challenges from what is left.

    It keeps all hashes, so that it still proves every leaf that it has: only a challenge of an altered one catches it.

    Args:
        node: The node; from now on it cheats.
        rng: Chooses the leaves.

    Returns:
        What it has left, by file id.
    """
    records = Records(node.home / "node.sqlite")
    loot = {}
    for holding in node.service.holdings():
        paths = [_path(node.home, piece.cid) for piece in records.pieces(holding.file_id, holding.owner)]
        loot[holding.file_id] = _alter(paths, rng)
    records.close()

    def answer(holding_id: int, indices: Sequence[int]) -> Proof:
        left = loot[node.contracts.file_registry.holding(holding_id).file_id]
        hashes = merkle.multiproof(left.hashes, indices)
        return Proof(tuple(left.leaves[index] for index in indices), tuple(hashes))

    node.service.answer = answer  # type: ignore[method-assign]  # what a dishonest operator would do
    return loot


def _alter(paths: list[Path], rng: np.random.Generator) -> Loot:
    """Alter a share of the leaves in a holding's blocks, on disk."""
    leaves = [leaf for path in paths for leaf in cut_leaves(path.read_bytes())]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    chosen = rng.choice(len(leaves), size=max(1, round(SHARE * len(leaves))), replace=False)
    for index in chosen:
        leaves[index] = bytes(byte ^ 0xFF for byte in leaves[index])
    rest = b"".join(leaves)
    for path in paths:
        size = path.stat().st_size
        path.write_bytes(rest[:size])
        rest = rest[size:]
    return Loot(leaves, hashes, frozenset(int(index) for index in chosen))


def _path(home: Path, cid: str) -> Path:
    (path,) = home.glob(f"blocks/blocks/*/{cid}")
    return path
