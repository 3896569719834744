"""Merkle trees: the vectors of certificate transparency, and every corruption of a proof."""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.crypto import merkle
from dtxeth.errors import CryptoError

# From google/certificate-transparency, merkle_tree_test.cc.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@st.composite
def proven_trees(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Leaves of a tree of up to 40, and some of their numbers, ascending."""
    leaves = draw(st.lists(st.binary(min_size=1, max_size=merkle.LEAF_SIZE), min_size=1, max_size=40))
    indices = draw(st.sets(st.integers(0, len(leaves) - 1), min_size=1, max_size=min(len(leaves), 8)))
    return leaves, sorted(indices)


def flip_bit(data: bytes, bit: int) -> bytes:
    """Return data with one bit flipped."""
    value = bytearray(data)
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(value)


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    hashes = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES[:count]]
    assert merkle.root(hashes).hex() == CT_ROOTS[count - 1]


def test_no_leaves_have_no_root() -> None:
    with pytest.raises(CryptoError, match="0 leaves"):
        merkle.root([])


def test_an_odd_leaf_is_promoted_and_not_paired_with_itself() -> None:
    a, b, c = (merkle.leaf_hash(leaf) for leaf in (b"a", b"b", b"c"))
    assert merkle.root([a, b, c]) != merkle.root([a, b, c, c])


def test_an_inner_node_is_no_leaf() -> None:
    a, b = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.leaf_hash(a + b) != merkle.root([a, b])


@pytest.mark.parametrize(("size", "count"), [(0, 0), (1, 1), (248, 1), (249, 2), (248 * 3, 3)])
def test_a_piece_is_cut_into_leaves(size: int, count: int) -> None:
    piece = bytes(range(256)) * 3
    hashes = merkle.leaf_hashes(piece[:size])
    assert len(hashes) == count
    assert hashes == [merkle.leaf_hash(piece[:size][i : i + 248]) for i in range(0, size, 248)]


def test_roots_of_many_pieces_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [bytes([number]) * (300_000 + 7 * number) for number in range(6)]
    expected = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces]
    assert [merkle.piece_root(piece) for piece in pieces] == expected
    for jobs in ("1", "2"):
        monkeypatch.setenv("DTXETH_JOBS", jobs)
        assert merkle.piece_roots(pieces) == expected
    assert merkle.piece_roots([]) == []
    with pytest.raises(CryptoError, match="0 leaves"):
        merkle.piece_roots([b""])


@given(proven_trees(), st.integers(0, 8 * merkle.LEAF_SIZE - 1))
def test_a_multiproof_proves_its_leaves_and_no_others(tree: tuple[list[bytes], list[int]], bit: int) -> None:
    leaves, indices = tree
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    root, proof = merkle.root(hashes), merkle.multiproof(hashes, indices)
    proven = [leaves[i] for i in indices]
    assert merkle.verify_multiproof(root, len(leaves), indices, proven, proof)

    corrupted_leaves = [flip_bit(proven[0], bit), *proven[1:]]
    assert not merkle.verify_multiproof(root, len(leaves), indices, corrupted_leaves, proof)
    assert not merkle.verify_multiproof(flip_bit(root, bit), len(leaves), indices, proven, proof)
    assert not merkle.verify_multiproof(root, len(leaves), indices, proven, [*proof, root])
    assert not merkle.verify_multiproof(root, len(leaves), indices, proven[:-1], proof)
    assert not merkle.verify_multiproof(root, len(leaves), indices, [b"", *proven[1:]], proof)
    assert not merkle.verify_multiproof(root, len(leaves), indices, [bytes(249), *proven[1:]], proof)
    for position, value in enumerate(proof):
        changed = [*proof[:position], flip_bit(value, bit), *proof[position + 1 :]]
        assert not merkle.verify_multiproof(root, len(leaves), indices, proven, changed)
        dropped = proof[:position] + proof[position + 1 :]
        assert not merkle.verify_multiproof(root, len(leaves), indices, proven, dropped)


@given(proven_trees())
def test_a_leaf_proves_nothing_at_another_place(tree: tuple[list[bytes], list[int]]) -> None:
    leaves, indices = tree
    leaves = [bytes([number]) + leaf[1:] for number, leaf in enumerate(leaves)]  # distinct
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    root, proof = merkle.root(hashes), merkle.multiproof(hashes, indices)
    proven = [leaves[i] for i in indices]
    for shift in (-1, 1):
        moved = [i + shift for i in indices]
        assert not merkle.verify_multiproof(root, len(leaves), moved, proven, proof)


@pytest.mark.parametrize("indices", [[], [-1], [3], [1, 1], [2, 1], [0, 5]])
def test_unfit_indices_are_refused(indices: list[int]) -> None:
    hashes = [merkle.leaf_hash(leaf) for leaf in (b"a", b"b", b"c")]
    with pytest.raises(CryptoError, match="3 leaves"):
        merkle.multiproof(hashes, indices)
    assert not merkle.verify_multiproof(merkle.root(hashes), 3, indices, [b"a"] * len(indices), [])


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**32 - 1), st.integers(1, 32))
def test_drawn_indices_lie_one_in_each_stretch(seed: bytes, leaf_count: int, leaves: int) -> None:
    indices = merkle.draw_indices(seed, leaf_count, leaves)
    count = min(leaves, leaf_count)
    assert len(indices) == count
    for number, index in enumerate(indices):
        first, end = number * leaf_count // count, (number + 1) * leaf_count // count
        assert first <= index < end
        digest = keccak(encode(["bytes32", "uint256"], [seed, number]))
        assert (index - first - int.from_bytes(digest, "big")) % (end - first) == 0


def test_a_challenge_of_all_leaves_draws_each() -> None:
    assert merkle.draw_indices(bytes(32), 5, 32) == [0, 1, 2, 3, 4]
