"""Answers to Merkle possession challenges: leaves and a multiproof, from the few pieces that they concern."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, zip_longest

from dtxeth.crypto import merkle
from dtxeth.errors import InputError
from dtxeth.storage.pieces import FULL_LEAVES


@dataclass(frozen=True)
class Proof:
    """What a node posts for a challenge.

    Attributes:
        leaves: Bytes of the drawn leaves, in order.
        hashes: Their multiproof, as ``merkle.multiproof`` orders it.
    """

    leaves: tuple[bytes, ...]
    hashes: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Pack it as ``StorageChallenge.prove`` takes it."""
        return merkle.encode_answer(self.leaves, self.hashes)


def prove(indices: Sequence[int], subtrees: Sequence[bytes], read: Callable[[int], list[bytes]]) -> Proof:
    """Prove leaves of a holding, reading only the subtrees they lie in.

    A multiproof goes level by level. Below the subtrees' roots every sibling lies in the same subtree, so
    these levels are those of the subtrees' own proofs side by side; from the roots upwards it is the proof
    over the roots.

    Args:
        indices: Leaf numbers, ascending and distinct.
        subtrees: Roots of the aligned subtrees of 4096 leaves.
        read: Gives the leaves (their bytes) of one subtree.

    Raises:
        InputError: An index out of range.
    """
    leaves: list[bytes] = []
    levels: list[list[list[bytes]]] = []
    numbers = []
    for number, group in groupby(indices, lambda index: index // FULL_LEAVES):
        if not 0 <= number < len(subtrees):
            raise InputError(f"subtree {number} of a holding that has {len(subtrees)}: ask for leaves it has")
        within = [index % FULL_LEAVES for index in group]
        data = read(number)
        if within[-1] >= len(data):
            raise InputError(f"leaf {within[-1]} of a subtree that has {len(data)}: ask for leaves it has")
        leaves += [data[index] for index in within]
        levels.append(list(_by_level([merkle.leaf_hash(leaf) for leaf in data], within)))
        numbers.append(number)
    below = chain.from_iterable(chain.from_iterable(zip_longest(*levels, fillvalue=[])))
    return Proof(tuple(leaves), (*below, *merkle.multiproof(subtrees, numbers)))


def cut_leaves(piece: bytes) -> list[bytes]:
    """Cut a piece into its leaves."""
    return [piece[start : start + merkle.LEAF_SIZE] for start in range(0, len(piece), merkle.LEAF_SIZE)]


def _by_level(hashes: list[bytes], known: list[int]) -> Iterator[list[bytes]]:
    """Yield one subtree's multiproof, level by level."""
    while len(hashes) > 1:
        yield [hashes[i ^ 1] for i in known if i ^ 1 not in known and i ^ 1 < len(hashes)]
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        hashes = [merkle.node_hash(left, right) for left, right in pairs] + hashes[len(hashes) & ~1 :]
        known = sorted({i // 2 for i in known})
