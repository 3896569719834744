"""Per-node encryption, holding roots from subtrees, proofs from single pieces, and placement."""

from __future__ import annotations

import secrets

import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import merkle
from dtxeth.errors import InputError, NotEnoughNodesError
from dtxeth.storage.pieces import (
    FULL_LEAVES,
    SLICE_SIZE,
    encrypt_piece,
    holding_root,
    leaf_count,
    slice_count,
    subtree_roots,
)
from dtxeth.storage.placement import place
from dtxeth.storage.prover import cut_leaves, prove
from dtxeth.storage.seal import new_file_key

NODE, OTHER = (to_checksum_address(bytes([number]) * 20) for number in (1, 2))


def test_sizes_of_the_design() -> None:
    assert SLICE_SIZE == 8 * 126_976 == 4096 * 248 < 1 << 20
    assert (slice_count(1), slice_count(SLICE_SIZE), slice_count(SLICE_SIZE + 1)) == (1, 1, 2)
    assert FULL_LEAVES & (FULL_LEAVES - 1) == 0


@given(st.binary(max_size=500))
def test_piece_encryption_inverts_itself(data: bytes) -> None:
    key = new_file_key()
    piece = encrypt_piece(key, bytes(16), NODE, 0, data)
    assert encrypt_piece(key, bytes(16), NODE, 0, piece) == data


def test_no_two_pieces_share_keystream() -> None:
    """The encryption of zeros is the keystream: another key, id, node or generation gives another."""
    key, ident = new_file_key(), secrets.token_bytes(16)
    variants = [
        (key, ident, NODE, 0),
        (key, ident, OTHER, 0),
        (key, ident, NODE, 1),
        (key, bytes(16), NODE, 0),
        (new_file_key(), ident, NODE, 0),
    ]
    assert len({encrypt_piece(*variant, bytes(64)) for variant in variants}) == len(variants)


def holding(full: int, short_sizes: list[int]) -> list[bytes]:
    return [secrets.token_bytes(SLICE_SIZE) for _ in range(full)] + [
        secrets.token_bytes(n) for n in short_sizes
    ]


HOLDINGS = {
    "manifest alone": (0, [300]),
    "one leaf": (0, [1]),
    "short slice and manifest": (0, [700, 300]),
    "full": (1, [300]),
    "full ones": (3, [SLICE_SIZE - 1, 4_000]),
    "no short slice": (2, []),
}


def subtrees_of(pieces: list[bytes]) -> list[bytes]:
    full = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces if len(piece) == SLICE_SIZE]
    return subtree_roots(full, [piece for piece in pieces if len(piece) < SLICE_SIZE])


@pytest.mark.parametrize("shape", HOLDINGS)
def test_root_and_proofs_are_those_of_the_whole_tree(shape: str) -> None:
    pieces = holding(*HOLDINGS[shape])
    leaves = [leaf for piece in pieces for leaf in cut_leaves(piece)]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    subtrees = subtrees_of(pieces)
    root = holding_root(subtrees)
    assert root == merkle.root(hashes)
    assert sum(leaf_count(len(piece)) for piece in pieces) == len(leaves)
    read: list[int] = []

    def subtree(number: int) -> list[bytes]:
        read.append(number)
        return leaves[number * FULL_LEAVES : (number + 1) * FULL_LEAVES]

    for draw in range(8):
        indices = merkle.draw_indices(secrets.token_bytes(32), len(leaves), 1 + 3 * draw)
        read.clear()
        proof = prove(indices, subtrees, subtree)
        assert list(proof.leaves) == [leaves[index] for index in indices]
        assert list(proof.hashes) == merkle.multiproof(hashes, indices)
        assert merkle.verify_multiproof(root, len(leaves), indices, proof.leaves, proof.hashes)
        assert read == sorted({index // FULL_LEAVES for index in indices})
        flipped = [bytes([proof.leaves[0][0] ^ 1]) + proof.leaves[0][1:], *proof.leaves[1:]]
        assert not merkle.verify_multiproof(root, len(leaves), indices, flipped, proof.hashes)


def test_leaves_that_are_not_there() -> None:
    with pytest.raises(InputError, match="ask for leaves it has"):
        prove([FULL_LEAVES], [bytes(32)], lambda _: [b"x"])
    with pytest.raises(InputError, match="has no root"):
        holding_root([])


# --- placement ---


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_placement_is_distinct_complete_and_optimal(slices: int, replicas: int, rooms: list[int]) -> None:
    free = {f"node{number}": room * SLICE_SIZE + 7 for number, room in enumerate(rooms)}
    # With one place a node reserved for the manifest, a placement exists if and only if:
    possible = sum(min(max(room - 1, 0), slices) for room in rooms) >= slices * replicas
    try:
        placed = place(slices, replicas, free)
    except NotEnoughNodesError:
        assert not possible
        return
    assert possible
    assert all(
        len(set(numbers)) == len(numbers) <= free[node] // SLICE_SIZE - 1 for node, numbers in placed.items()
    )
    copies = [number for numbers in placed.values() for number in numbers]
    assert sorted(copies) == sorted(list(range(slices)) * replicas)
    assert all(slices - 1 not in numbers[:-1] for numbers in placed.values())


def test_placement_spreads_and_shuffles() -> None:
    placed = place(400, 2, {f"node{number}": 1 << 40 for number in range(4)})
    assert all(len(numbers) == 200 for numbers in placed.values())
    assert all(numbers != sorted(numbers) for numbers in placed.values())


def test_placement_fills_what_is_emptiest() -> None:
    placed = place(10, 1, {"large": 100 * SLICE_SIZE, "small": 50 * SLICE_SIZE})
    assert list(placed) == ["large"]


def test_too_few_nodes_and_too_little_room() -> None:
    with pytest.raises(NotEnoughNodesError, match="1 usable storage nodes, 2 replicas"):
        place(1, 2, {"node": 1 << 40})
    with pytest.raises(NotEnoughNodesError, match="no room for 3 slices"):
        place(3, 2, {"a": 3 * SLICE_SIZE, "b": 3 * SLICE_SIZE})
