"""MerkleTree: the library on chain computes what its Python twin does, on whatever it is given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtxeth.chain.abi import Call, Function
from dtxeth.chain.bindings.errors import InvalidLeaf, InvalidProofLength
from dtxeth.crypto import merkle
from dtxeth.errors import CryptoError
from tests.contracts.world import World, refused

ROOT = Function("root", ("bytes", "uint32[]", "uint32"), ("bytes32",))
ON_CHAIN = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Harness:
    """The library on chain."""

    def __init__(self, world: World, artifact: dict[str, Any]) -> None:
        self.world = world
        self.address = world.deploy(artifact)

    def root(self, leaves: list[bytes], indices: list[int], leaf_count: int, proof: list[bytes]) -> bytes:
        """The root that the contract computes."""
        return self.root_of(merkle.encode_answer(leaves, proof), indices, leaf_count)

    def root_of(self, answer: bytes, indices: list[int], leaf_count: int) -> bytes:
        """The root that the contract computes from an answer."""
        (root,) = self.world.chain.call(Call.of(self.address, ROOT, answer, indices, leaf_count))
        assert isinstance(root, bytes)
        return root


@pytest.fixture
def harness(world: World, test_artifacts: dict[str, Any]) -> Harness:
    return Harness(world, test_artifacts["MerkleHarness"])


@st.composite
def proven_trees(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Distinct leaves of a tree of up to 40, and some of their numbers, ascending."""
    count = draw(st.integers(1, 40))
    filler = draw(st.binary(min_size=0, max_size=merkle.LEAF_SIZE - 1))
    leaves = [bytes([number]) + filler for number in range(count)]
    indices = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=8))
    return leaves, sorted(indices)


def flip(data: bytes, bit: int) -> bytes:
    """Return data with one bit flipped."""
    value = bytearray(data)
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(value)


@ON_CHAIN
@given(proven_trees())
def test_the_root_is_that_of_the_python_twin(harness: Harness, tree: tuple[list[bytes], list[int]]) -> None:
    leaves, indices = tree
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    proof = merkle.multiproof(hashes, indices)
    assert harness.root([leaves[i] for i in indices], indices, len(leaves), proof) == merkle.root(hashes)


@ON_CHAIN
@given(proven_trees(), st.integers(0, 2000), st.data())
def test_every_corruption_changes_the_root_or_is_refused(
    harness: Harness, tree: tuple[list[bytes], list[int]], bit: int, data: st.DataObject
) -> None:
    leaves, indices = tree
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    root, proof = merkle.root(hashes), merkle.multiproof(hashes, indices)
    proven = [leaves[i] for i in indices]

    place = data.draw(st.integers(0, len(proven) - 1))
    corrupted = [*proven[:place], flip(proven[place], bit), *proven[place + 1 :]]
    assert harness.root(corrupted, indices, len(leaves), proof) != root

    with refused(InvalidProofLength, 32 * len(proof) + 32, 32 * len(proof)):
        harness.root(proven, indices, len(leaves), [*proof, root])
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:place], flip(proof[place], bit), *proof[place + 1 :]]
        assert harness.root(proven, indices, len(leaves), changed) != root
        with refused(InvalidProofLength, 32 * len(proof) - 32, 32 * len(proof)):
            harness.root(proven, indices, len(leaves), proof[:place] + proof[place + 1 :])


@ON_CHAIN
@given(proven_trees(), st.data())
def test_leaves_prove_nothing_at_other_places(
    harness: Harness, tree: tuple[list[bytes], list[int]], data: st.DataObject
) -> None:
    leaves, indices = tree
    other = data.draw(st.sets(st.integers(0, len(leaves) - 1), min_size=len(indices), max_size=len(indices)))
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    proven, moved = [leaves[i] for i in indices], sorted(other)
    proof = merkle.multiproof(hashes, moved)
    root = harness.root(proven, moved, len(leaves), proof)
    assert (root == merkle.root(hashes)) == (moved == indices)


@ON_CHAIN
@given(st.binary(max_size=600), st.integers(1, 4))
def test_the_contract_reads_an_answer_as_its_twin_does(harness: Harness, answer: bytes, count: int) -> None:
    indices, leaf_count = list(range(count)), 4
    try:
        leaves, proof = merkle.decode_answer(answer, count)
    except CryptoError:
        with pytest.raises((InvalidLeaf, InvalidProofLength)):
            harness.root_of(answer, indices, leaf_count)
        return
    needed = merkle.multiproof([bytes(32)] * leaf_count, indices)
    if len(proof) == len(needed):
        root = harness.root_of(answer, indices, leaf_count)
        assert merkle.verify_multiproof(root, leaf_count, indices, leaves, proof)
    else:
        with refused(InvalidProofLength, 32 * len(proof), 32 * len(needed)):
            harness.root_of(answer, indices, leaf_count)


@pytest.mark.parametrize(
    ("answer", "position", "length"),
    [
        (b"", 0, 0),
        (b"\x00", 0, 0),
        (b"\x01", 0, 1),
        (b"\x02a", 0, 2),
        (b"\xf9" + bytes(249), 0, 249),
        (b"\x01a", 1, 0),
        (b"\x01a\x05abcd", 1, 5),
    ],
)
def test_leaves_that_are_empty_too_long_or_cut_off_are_refused(
    harness: Harness, answer: bytes, position: int, length: int
) -> None:
    with refused(InvalidLeaf, position, length, merkle.LEAF_SIZE):
        harness.root_of(answer, [0, 1], 2)
    with pytest.raises(CryptoError, match=f"leaf {position} of the answer has {length} bytes"):
        merkle.decode_answer(answer, 2)


def test_the_tallest_tree_is_climbed(harness: Harness) -> None:
    # The last of 2³² - 1 leaves has no sibling and is promoted; on the 31 levels above it is the right child.
    leaf, last, proof = b"last", 2**32 - 2, [bytes([level]) * 32 for level in range(31)]
    expected = merkle.leaf_hash(leaf)
    for sibling in proof:
        expected = merkle.node_hash(sibling, expected)
    assert harness.root([leaf], [last], 2**32 - 1, proof) == expected
    with refused(InvalidProofLength, 30 * 32, 31 * 32):
        harness.root([leaf], [last], 2**32 - 1, proof[:30])
