"""Per-node encryption, holding roots from subtrees, proofs from single pieces."""

from __future__ import annotations

import secrets

import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.crypto import merkle
from dtxeth.errors import InputError
from dtxeth.storage.pieces import (
    FULL_LEAVES,
    SLICE_SIZE,
    encrypt_piece,
    holding_root,
    leaf_count,
    subtree_roots,
)
from dtxeth.storage.prover import cut_leaves, prove
from dtxeth.storage.seal import new_file_key

NODE, OTHER = (to_checksum_address(bytes([number]) * 20) for number in (1, 2))


def test_sizes_of_the_design() -> None:
    assert SLICE_SIZE == 8 * 126_976 == 4096 * 248 < 1 << 20
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
