"""Nodes that do not hold what they signed for, and owners who blame nodes that do."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import pytest

from dtxeth.chain import Account
from dtxeth.chain.bindings.types import Algorithm, Challenge, ChallengeStatus, Fault
from dtxeth.chain.reverts import InvalidAcknowledgement
from dtxeth.crypto import merkle
from dtxeth.errors import ContractRevert, IntegrityError, PolicyError
from dtxeth.storage import StorageNode, Upload
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.blockstore import cid_of_digest
from dtxeth.storage.prover import cut_leaves
from tests.storage.sender import Sender, open_and_draw
from tests.storage.world import World

DATA = secrets.token_bytes(200_000)


def holder(world: World, holding_id: int) -> tuple[StorageNode, Account]:
    address = world.contracts.file_registry.holding(holding_id).node
    number = next(number for number, node in enumerate(world.real) if node.address == address)
    return world.real[number], world.accounts[2 + number]


def outcome(world: World, challenge: int, answer: bytes, account: Account) -> Challenge:
    """Post an answer; one of the wrong shape is refused without a verdict, and then the window lapses."""
    challenges = world.contracts.storage_challenge
    try:
        challenges.prove(challenge, challenges.challenge(challenge).seed, answer, sender=account)
    except ContractRevert:
        world.chain.advance(world.contracts.deployment.parameters.answer_window + 1)
        challenges.close(challenge, sender=world.executor)
    return challenges.challenge(challenge)


def answer(node: StorageNode, holding_id: int, indices: Sequence[int]) -> bytes:
    return node.answer(holding_id, Algorithm.MERKLE, indices, bytes(32))


@pytest.fixture
def stored(world: World) -> Upload:
    return world.publish(DATA)


@pytest.fixture
def holdings(world: World, stored: Upload) -> tuple[int, ...]:
    return world.contracts.file_registry.holdings_of(stored.file_id)


# --- a node that keeps answers instead of bytes ---


def test_precomputed_answers(world: World, holdings: tuple[int, ...]) -> None:
    """Naive: the challenges are a list fixed at upload; a node answers all beforehand, drops the bytes."""
    node, account = holder(world, holdings[0])
    count = world.contracts.file_registry.holding(holdings[0]).leaf_count
    root = world.contracts.file_registry.holding(holdings[0]).root
    fixed_seeds = [hashlib.sha256(bytes([number])).digest() for number in range(5)]
    draws = [merkle.draw_indices(seed, count, 4) for seed in fixed_seeds]
    kept = [answer(node, holdings[0], draw) for draw in draws]
    # The naive verifier is satisfied for ever, with the bytes gone.
    assert all(
        merkle.verify_multiproof(root, count, draw, *merkle.decode_answer(packed, len(draw)))
        for draw, packed in zip(draws, kept, strict=True)
    )
    # Ours draws from a block that did not exist when the challenge was opened: the kept answers are wrong.
    challenge, _, indices = open_and_draw(world, holdings[0], Algorithm.MERKLE, 4)
    assert list(indices) not in draws
    assert outcome(world, challenge, kept[0], account).status is ChallengeStatus.FAILED


def test_replayed_answer(world: World, holdings: tuple[int, ...]) -> None:
    """An answer that was right once is wrong for the next challenge of the same holding."""
    node, account = holder(world, holdings[0])
    first, _, indices = open_and_draw(world, holdings[0], Algorithm.MERKLE, 4)
    given = answer(node, holdings[0], indices)
    assert outcome(world, first, given, account).status is ChallengeStatus.PROVED
    world.chain.advance(world.contracts.deployment.parameters.min_interval + 1)
    second, _, others = open_and_draw(world, holdings[0], Algorithm.MERKLE, 4)
    assert others != indices
    assert outcome(world, second, given, account).status is ChallengeStatus.FAILED


# --- a node that answers from another node's copy ---


def test_answer_from_another_nodes_copy(world: World, stored: Upload, holdings: tuple[int, ...]) -> None:
    one, two = stored.manifest.nodes

    def block(held) -> bytes:
        node = next(node for node in world.real if node.address == held.node)
        return node._shelf.store.block_get(cid_of_digest(held.pieces[0].digest))

    # Naive: both replicas are the same bytes. One node may delete its copy and prove from the other's.
    same = DATA
    leaves = cut_leaves(same)
    hashes = merkle.leaf_hashes(same)
    indices = merkle.draw_indices(secrets.token_bytes(32), len(leaves), 8)
    borrowed = [cut_leaves(same)[index] for index in indices]
    assert merkle.verify_multiproof(
        merkle.root(hashes), len(leaves), indices, borrowed, merkle.multiproof(hashes, indices)
    )
    # Ours: the copies have the same length and not a leaf in common; the other's answer does not prove.
    assert len(block(one)) == len(block(two))
    assert not set(cut_leaves(block(one))) & set(cut_leaves(block(two)))
    (node, account), (other, _) = holder(world, holdings[0]), holder(world, holdings[1])
    challenge, _, drawn = open_and_draw(world, holdings[0], Algorithm.MERKLE, 8)
    verdict = outcome(world, challenge, answer(other, holdings[1], drawn), account)
    assert (verdict.status, verdict.fault) == (ChallengeStatus.FAILED, Fault.WRONG)
    assert answer(node, holdings[0], drawn) != answer(other, holdings[1], drawn)


# --- an owner who frames a node ---


def test_owner_claims_a_root_that_is_not_of_the_bytes(world: World) -> None:
    framer = Sender(world, world.real[0], world.owner)
    framer.put(b"what was sent")
    claim = framer.claim(b"what is claimed")
    # Naive: a node that signs what it is told can never prove it.
    naive = sign_acknowledgement(
        world.accounts[2], world.contracts.file_registry, framer.file, world.owner.address, claim, 1 << 40
    )
    honest_leaves = cut_leaves(b"what was sent")
    assert not merkle.verify_multiproof(naive.root, naive.leaf_count, [0], honest_leaves, [])
    # Ours refuses to sign, and signs for the truth.
    with pytest.raises(IntegrityError, match="not what is claimed"):
        framer.acknowledge(claim)
    true = framer.claim(b"what was sent")
    assert framer.acknowledge(true).root == true.root


def test_owner_withdraws_pieces_after_the_acknowledgement(world: World) -> None:
    """Naive: the owner collects the signature, has the node drop the bytes, publishes, and challenges."""
    framer = Sender(world, world.real[0], world.owner)
    framer.put(b"bytes")
    framer.acknowledge(framer.claim(b"bytes"))
    with pytest.raises(PolicyError, match="stays"):
        framer.abandon()
    world.chain.advance(300)
    assert framer.node.sweep().dropped == 0


def test_owner_reuses_an_acknowledgement_for_another_file(world: World, stored: Upload) -> None:
    other = world.upload(b"another file")
    with pytest.raises(InvalidAcknowledgement):
        world.contracts.file_registry.publish(other.publication, stored.acknowledgements, sender=world.owner)
