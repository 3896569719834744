"""A storage node that threw away some of what it should keep, and hopes that nobody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dtxeth.chain.bindings.types import Algorithm
from dtxeth.crypto import kzg, merkle
from dtxeth.crypto.polynomial import BLOB_DATA
from dtxeth.roles import StorageNode
from dtxeth.storage.prover import cut_leaves
from dtxeth.storage.records import Records, StoredHolding

SHARE = 0.05
"""Share of the leaves of each holding that it alters, where leaves are what it is asked for."""


@dataclass(frozen=True)
class Loot:
    """What a cheat has of one holding: what is left of the bytes, and what proves the rest.

    Attributes:
        units: The leaves or blobs, some altered.
        hashes: Of the original leaves, or the commitments of the original blobs.
        altered: Which units are altered.
    """

    units: list[bytes]
    hashes: list[bytes]
    altered: frozenset[int]

    def answer(self, algorithm: Algorithm, indices: Sequence[int], seed: bytes) -> bytes:
        """Answer a challenge from what is left: right unless an altered unit is drawn."""
        drawn = [self.units[index] for index in indices]
        if algorithm is Algorithm.KZG:
            return kzg.prove(seed, indices, drawn, self.hashes)
        return merkle.encode_answer(drawn, merkle.multiproof(self.hashes, indices))


def turn(node: StorageNode, rng: np.random.Generator) -> dict[bytes, Loot]:
    """Make a node a cheat: alter its disk, and answer challenges from what is left.

    Of a holding that is proved by leaves it alters 5 % of them; of one that is proved by commitments, one byte. It
    keeps all hashes and commitments, so that it still proves everything that it has: only a challenge of an altered
    leaf or blob catches it. What it takes in later it keeps honestly.

    Args:
        node: The node; from now on it cheats.
        rng: Chooses what is altered.

    Returns:
        What it has left, by file id.
    """
    records = Records(node.home / "node.sqlite")
    loot: dict[int, Loot] = {}
    files: dict[bytes, Loot] = {}
    for held in node.service.holdings():
        if held.holding_id:
            loot[held.holding_id] = files[held.file_id] = _plunder(node, records, held, rng)
    records.close()
    honest = node.service.answer

    def answer(holding_id: int, algorithm: Algorithm, indices: Sequence[int], seed: bytes) -> bytes:
        if holding_id in loot:
            return loot[holding_id].answer(algorithm, indices, seed)
        return honest(holding_id, algorithm, indices, seed)

    node.service.answer = answer  # type: ignore[method-assign]  # what a dishonest operator would do
    return files


def _plunder(node: StorageNode, records: Records, held: StoredHolding, rng: np.random.Generator) -> Loot:
    pieces = records.pieces(held)
    paths = [_path(node.home, piece.cid) for piece in pieces]
    if held.claim is None or held.claim.leaf_count:
        return _alter_leaves(paths, rng)
    stored = b"".join(piece.commitments or b"" for piece in pieces)
    commitments = [stored[at : at + kzg.POINT_SIZE] for at in range(0, len(stored), kzg.POINT_SIZE)]
    return _alter_byte(paths, commitments, rng)


def _alter_leaves(paths: list[Path], rng: np.random.Generator) -> Loot:
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


def _alter_byte(paths: list[Path], commitments: list[bytes], rng: np.random.Generator) -> Loot:
    """Alter one byte of a holding's blocks, on disk."""
    chosen = int(rng.integers(len(paths)))
    data = bytearray(paths[chosen].read_bytes())
    position = int(rng.integers(len(data)))
    data[position] ^= 1
    paths[chosen].write_bytes(data)
    cut = [kzg.blobs(path.read_bytes()) for path in paths]
    altered = sum(len(blobs) for blobs in cut[:chosen]) + position // BLOB_DATA
    return Loot([blob for blobs in cut for blob in blobs], commitments, frozenset({altered}))


def _path(home: Path, cid: str) -> Path:
    (path,) = home.glob(f"blocks/blocks/*/{cid}")
    return path
