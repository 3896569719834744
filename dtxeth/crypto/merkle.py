"""Merkle trees over the leaves of stored pieces: the twin of ``contracts/libraries/MerkleTree.sol``.

The tree is that of RFC 9162, section 2.1 (RFC 6962 before it), with SHA-256: a leaf is hashed as
``SHA-256(0x00 ‖ data)``, an inner node as ``SHA-256(0x01 ‖ left ‖ right)``, and a node without a sibling is
promoted to the next level as it is, never paired with itself. The two tags keep a node from passing for a
leaf; promotion keeps two lists of leaves from having one root.

A *multiproof* proves several leaves at once. Climbing level by level and left to right, it holds one hash for
each sibling that the proven nodes do not give themselves, so a proof of leaves that lie together is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from typing import Final

from eth_utils.crypto import keccak

from dtxeth.crypto.parallel import effective_jobs
from dtxeth.crypto.sha256 import DIGEST_SIZE, digests
from dtxeth.errors import CryptoError

LEAF_SIZE: Final = 248
"""Bytes of a leaf; the last leaf of a piece may be shorter.

It weighs the answer's calldata (a leaf costs as much as eight hashes of its path) against the owner's hashing
speed (shorter leaves are slower). 512 leaves are the 126,976 data bytes of one KZG blob, and a tagged leaf is
eight words to the SHA-256 precompile.
"""
_PAIR: Final = 2 * DIGEST_SIZE


def leaf_hash(data: bytes | memoryview) -> bytes:
    """Hash one leaf.

    Args:
        data: 1 to :data:`LEAF_SIZE` bytes (not checked here; the empty leaf is used by the RFC's vectors).

    Returns:
        ``SHA-256(0x00 ‖ data)``.
    """
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node.

    Args:
        left: 32-byte hash of its left child.
        right: 32-byte hash of its right child.

    Returns:
        ``SHA-256(0x01 ‖ left ‖ right)``.
    """
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(piece: bytes | memoryview) -> list[bytes]:
    """Hash the leaves of a piece.

    Args:
        piece: Any bytes; cut into leaves of :data:`LEAF_SIZE`, the last one possibly shorter.

    Returns:
        One 32-byte hash a leaf, in order; none for an empty piece.
    """
    return _cut(_leaf_level(piece))


def root(hashes: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes.

    Args:
        hashes: At least one 32-byte leaf hash.

    Returns:
        The 32-byte root.

    Raises:
        CryptoError: If there is no hash.
    """
    *_, top = _levels(b"".join(hashes))
    return top


def piece_root(piece: bytes | memoryview) -> bytes:
    """Compute the root of a piece's own tree; what :func:`root` gives over its :func:`leaf_hashes`, and sooner.

    Args:
        piece: Any bytes but none.

    Returns:
        The 32-byte root.

    Raises:
        CryptoError: If it is empty.
    """
    *_, top = _levels(_leaf_level(piece))
    return top


def piece_roots(pieces: Sequence[bytes]) -> list[bytes]:
    """Compute the roots of many pieces' own trees in threads, on all cores unless something else is set.

    Args:
        pieces: None of them empty.

    Returns:
        What :func:`piece_root` gives for each.

    Raises:
        CryptoError: A piece is empty.
    """
    with ThreadPoolExecutor(effective_jobs(default=-1)) as threads:
        return list(threads.map(piece_root, pieces))


def multiproof(hashes: Sequence[bytes], indices: Sequence[int]) -> list[bytes]:
    """Prove leaves.

    Args:
        hashes: All leaf hashes of the tree.
        indices: Numbers of the leaves to prove, ascending and distinct, at least one.

    Returns:
        The hashes that a verifier lacks, level by level from the leaves, each level left to right.

    Raises:
        CryptoError: If an index is out of range, or they are not ascending and distinct.
    """
    _check_indices(indices, len(hashes))
    proof: list[bytes] = []
    known = list(indices)
    for level in map(_cut, _levels(b"".join(hashes))):
        have = set(known)
        proof += [level[i ^ 1] for i in known if i ^ 1 not in have and i ^ 1 < len(level)]
        known = _parents(known)
    return proof


def verify_multiproof(
    expected_root: bytes,
    leaf_count: int,
    indices: Sequence[int],
    leaves: Sequence[bytes],
    proof: Sequence[bytes],
) -> bool:
    """Check a multiproof the way the contract does.

    Args:
        expected_root: 32-byte root of the tree.
        leaf_count: Number of leaves in the tree.
        indices: Numbers of the leaves, ascending and distinct.
        leaves: Their bytes, in the order of ``indices``; 1 to :data:`LEAF_SIZE` bytes each.
        proof: What :func:`multiproof` gave.

    Returns:
        True if the leaves and the proof give ``expected_root`` and use every hash of the proof; False
        otherwise, whatever the other values are.
    """
    try:
        _check_indices(indices, leaf_count)
    except CryptoError:
        return False
    if len(leaves) != len(indices) or not all(1 <= len(leaf) <= LEAF_SIZE for leaf in leaves):
        return False
    unused = iter(proof)
    nodes = [(index, leaf_hash(leaf)) for index, leaf in zip(indices, leaves, strict=True)]
    width = leaf_count
    try:
        while width > 1:
            nodes = _climb(nodes, width, unused)
            width = (width + 1) // 2
    except StopIteration:
        return False
    return nodes[0][1] == expected_root and next(unused, None) is None


def encode_answer(leaves: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """Pack leaves and their multiproof as the contract reads them.

    Args:
        leaves: The drawn leaves, 1 to :data:`LEAF_SIZE` bytes each, in order.
        proof: What :func:`multiproof` gave for them.

    Returns:
        For each leaf its length in one byte and its bytes; then the hashes.

    Raises:
        CryptoError: A leaf of another length.
    """
    for position, leaf in enumerate(leaves):
        _check_leaf(position, leaf, len(leaf))
    return b"".join([*(bytes([len(leaf)]) + leaf for leaf in leaves), *proof])


def decode_answer(answer: bytes, count: int) -> tuple[list[bytes], list[bytes]]:
    """Unpack an answer, as the contract does.

    Args:
        answer: From whomever.
        count: How many leaves were drawn.

    Returns:
        The leaves and the hashes of the multiproof.

    Raises:
        CryptoError: A leaf is empty, too long or cut off, or a hash is.
    """
    leaves = []
    start = 0
    for position in range(count):
        length = answer[start] if start < len(answer) else 0
        leaves.append(_check_leaf(position, answer[start + 1 : start + 1 + length], length))
        start += 1 + length
    if (len(answer) - start) % 32:
        raise CryptoError(f"{len(answer) - start} bytes after the leaves are no whole number of hashes")
    return leaves, [answer[i : i + 32] for i in range(start, len(answer), 32)]


def draw_indices(seed: bytes, leaf_count: int, leaves: int) -> list[int]:
    """Draw the leaves of a challenge, one from each of ``leaves`` equal stretches of the holding.

    A stratified draw is ascending and distinct by construction, and misses altered leaves no more often than
    independent draws do: the product of the stretches' chances is at most the power of their mean.

    Args:
        seed: 32 bytes, the challenge's seed.
        leaf_count: Leaves in the holding, at least 1.
        leaves: Leaves asked for, at least 1; all of them if there are fewer.

    Returns:
        Leaf numbers, ascending and distinct.
    """
    count = min(leaves, leaf_count)
    indices = []
    for stretch in range(count):
        first, end = stretch * leaf_count // count, (stretch + 1) * leaf_count // count
        indices.append(first + _draw(seed, stretch) % (end - first))
    return indices


def _draw(seed: bytes, stretch: int) -> int:
    """Return ``uint256(keccak256(abi.encode(seed, stretch)))``; modulo a uint32 its bias is below 2⁻²²⁴."""
    return int.from_bytes(keccak(seed + stretch.to_bytes(32, "big")), "big")


def _leaf_level(piece: bytes | memoryview) -> bytes:
    """Return the hashes of a piece's leaves, one after the other."""
    whole = len(piece) // LEAF_SIZE * LEAF_SIZE
    last = [leaf_hash(piece[whole:])] if whole < len(piece) else []
    return b"".join([digests(b"\x00", piece[:whole], LEAF_SIZE), *last])


def _levels(level: bytes) -> Iterator[bytes]:
    """Yield the levels of the tree, from the leaves to the root, each as its hashes one after the other."""
    if not level:
        raise CryptoError("a Merkle tree of 0 leaves has no root; give at least one leaf")
    yield level
    while len(level) > DIGEST_SIZE:
        paired = len(level) // _PAIR * _PAIR
        level = digests(b"\x01", level[:paired], _PAIR) + level[paired:]
        yield level


def _cut(level: bytes) -> list[bytes]:
    return [level[start : start + DIGEST_SIZE] for start in range(0, len(level), DIGEST_SIZE)]


def _parents(indices: Sequence[int]) -> list[int]:
    """Return the distinct parents of ascending nodes, ascending."""
    return list(dict.fromkeys(i // 2 for i in indices))


def _climb(nodes: Sequence[tuple[int, bytes]], width: int, proof: Iterator[bytes]) -> list[tuple[int, bytes]]:
    """Return the parents of the known ``nodes``, taking missing siblings from ``proof``."""
    parents: list[tuple[int, bytes]] = []
    position = 0
    while position < len(nodes):
        index, value = nodes[position]
        position += 1
        if index % 2 == 1:
            value = node_hash(next(proof), value)
        elif position < len(nodes) and nodes[position][0] == index + 1:
            value = node_hash(value, nodes[position][1])
            position += 1
        elif index + 1 < width:
            value = node_hash(value, next(proof))
        parents.append((index // 2, value))
    return parents


def _check_leaf(position: int, leaf: bytes, length: int) -> bytes:
    if not 1 <= length <= LEAF_SIZE or len(leaf) != length:
        raise CryptoError(
            f"leaf {position} of the answer has {length} bytes or is cut off; a leaf has 1 to {LEAF_SIZE}"
        )
    return leaf


def _check_indices(indices: Sequence[int], leaf_count: int) -> None:
    ascending = all(low < high for low, high in pairwise(indices))
    if not indices or not ascending or indices[0] < 0 or indices[-1] >= leaf_count:
        raise CryptoError(
            f"leaf indices {list(indices)} do not fit a tree of {leaf_count} leaves; "
            "give at least one, ascending and distinct"
        )
