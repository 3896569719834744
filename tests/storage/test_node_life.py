"""What becomes of drafts and holdings: kept, served, proved, forgotten, as the chain has it."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, HoldingState, Possession
from dtxeth.chain.reverts import UnknownHolding
from dtxeth.errors import (
    IntegrityError,
    PolicyError,
    UnknownNameError,
)
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.records import Stage
from tests.storage.sender import NONE, WEEK, Sender, blocks, open_and_draw, settle, sha256
from tests.storage.world import MONTH


def test_forgets_stale_drafts_and_unpublished_acknowledgements(sender: Sender) -> None:
    chain, node = sender.world.chain, sender.node
    sender.put(b"piece")
    assert node.sweep().dropped == 0
    chain.advance(601)
    assert node.sweep().dropped == 1
    sender.put(b"piece")
    sender.acknowledge(sender.claim(b"piece"))
    chain.advance(599)
    assert node.sweep().dropped == 0
    chain.advance(601)
    assert node.sweep() == replace(node.sweep(), dropped=1, freed=5)
    assert (node.status().used, blocks(node)) == (0, 0)
    with pytest.raises(UnknownNameError, match="no such draft"):
        sender.acknowledge(sender.claim(b"piece"))


def test_keeps_what_was_published(sender: Sender) -> None:
    sender.publish(b"shard", b"manifest")
    sender.world.chain.advance(10_000)
    assert sender.node.sweep().dropped == 0
    assert sender.stages() == [Stage.LIVE]
    assert sender.piece(b"shard") == b"shard"
    with pytest.raises(PolicyError, match="acknowledged: begin another"):
        sender.put(b"more", first=2)
    with pytest.raises(PolicyError, match="stays for now"):
        sender.abandon()
    with pytest.raises(PolicyError, match="is published"):
        sender.acknowledge(sender.claim(b"shard", b"manifest", version=2))


def test_acknowledged_pieces_cannot_be_withdrawn_or_changed(sender: Sender) -> None:
    sender.put(b"piece")
    sender.acknowledge(sender.claim(b"piece"))
    with pytest.raises(PolicyError, match="stays for now"):
        sender.abandon()
    with pytest.raises(PolicyError, match="begin another"):
        sender.put(b"more", first=1)
    with pytest.raises(PolicyError, match="other roots"):
        sender.acknowledge(sender.claim(b"piece", possession=Possession.BOTH))


def test_drops_an_acknowledgement_that_the_file_has_passed(sender: Sender) -> None:
    """Two drafts for one version: the one that is published ends the other."""
    sender.publish(b"shard", b"manifest 1")
    one, two = (replace(sender, draft=secrets.token_bytes(16)) for _ in range(2))
    for later, manifest in ((one, b"manifest 2"), (two, b"another 2")):
        later.keep(0, b"shard")
        later.put(manifest, first=1)
        claim = later.claim(b"shard", manifest, version=2)
        given = later.acknowledge(claim)
    two.revise(claim, given, b"another 2")
    assert sender.node.sweep().dropped == 2
    (kept,) = sender.node.holdings()
    assert (kept.draft, kept.stage, kept.manifest_digest) == (two.draft, Stage.LIVE, sha256(b"another 2"))


def test_ended_holdings_answer_until_they_are_released(sender: Sender) -> None:
    world, registry = sender.world, sender.world.contracts.file_registry
    holding = sender.publish(secrets.token_bytes(3000), b"manifest")
    number, seed, indices = open_and_draw(world, holding, Algorithm.MERKLE, 3)
    registry.delete_file(sender.file, sender=world.owner)
    assert registry.holding(holding).state is HoldingState.RELEASING
    swept = sender.node.sweep()
    assert (swept.dropped, swept.releasable, sender.stages()) == (0, (), [Stage.ENDED])
    answer = sender.node.answer(holding, Algorithm.MERKLE, indices, seed)
    world.contracts.storage_challenge.prove(number, seed, answer, sender=world.accounts[2])
    assert world.contracts.storage_challenge.challenge(number).status is ChallengeStatus.PROVED
    assert sender.node.sweep().releasable == (holding,)
    registry.release([holding], sender=world.accounts[2])
    swept = sender.node.sweep()
    assert (swept.dropped, swept.freed, swept.releasable) == (1, 3008, ())
    assert blocks(sender.node) == 0
    with pytest.raises(UnknownNameError, match="not held"):
        sender.node.answer(holding, Algorithm.MERKLE, indices, seed)


def test_a_holding_that_came_and_ended_unseen(sender: Sender) -> None:
    """Published, challenged, deleted before the node has looked once: it must answer all the same."""
    world, node = sender.world, sender.node
    node.sweep()
    holding = sender.publish(secrets.token_bytes(3000), b"manifest")
    number, seed, indices = open_and_draw(world, holding, Algorithm.MERKLE, 3)
    world.contracts.file_registry.delete_file(sender.file, sender=world.owner)
    assert (node.sweep().dropped, sender.stages()) == (0, [Stage.ENDED])
    answer = node.answer(holding, Algorithm.MERKLE, indices, seed)
    world.contracts.storage_challenge.prove(number, seed, answer, sender=world.accounts[2])
    assert world.contracts.storage_challenge.challenge(number).status is ChallengeStatus.PROVED


def test_expiry_and_retention(sender: Sender) -> None:
    world, node = sender.world, sender.node
    holding = sender.publish(b"shard", b"manifest")
    grant = world.contracts.file_authorization
    grant.grant(
        sender.file, world.executor.address, 7, b"key", world.chain.now() + MONTH - 100, sender=world.owner
    )
    number = grant.latest_of(sender.file, world.executor.address, 7)
    assert sender.piece(b"shard", number, world.executor) == b"shard"
    world.chain.advance(MONTH + 1)
    with pytest.raises(PolicyError, match="no current authorization"):
        sender.piece(b"shard", number, world.executor)
    assert sender.piece(b"shard") == b"shard"  # its owner may still renew it
    assert node.sweep().releasable == ()
    world.chain.advance(WEEK + 1)
    assert node.sweep().releasable == (holding,)
    world.contracts.file_registry.release([holding], sender=world.accounts[2])
    assert node.sweep().dropped == 1
    assert node.status().used == 0


def test_deleted_files_are_their_owners_alone(sender: Sender) -> None:
    world = sender.world
    holding = sender.publish(b"shard", b"manifest")
    grant = world.contracts.file_authorization
    grant.grant(sender.file, world.executor.address, 7, b"key", world.chain.now() + 600, sender=world.owner)
    number = grant.latest_of(sender.file, world.executor.address, 7)
    open_and_draw(world, holding, Algorithm.MERKLE, 1)
    world.contracts.file_registry.delete_file(sender.file, sender=world.owner)
    with pytest.raises(PolicyError, match="no current authorization"):
        sender.piece(b"shard", number, world.executor)
    assert sender.piece(b"shard") == b"shard"


def test_another_owners_file(sender: Sender) -> None:
    sender.publish(b"shard", b"manifest")
    thief = Sender(sender.world, sender.node, sender.world.executor)
    thief.file = sender.file
    thief.put(b"shard", b"manifest")
    with pytest.raises(PolicyError, match="only its owner may revise"):
        thief.acknowledge(sender.claim(b"shard", b"manifest", version=2))
    with pytest.raises(PolicyError, match="no current authorization"):
        thief.piece(b"shard")


def test_serves_nothing_before_publication(sender: Sender) -> None:
    sender.put(b"shard", b"manifest")
    for ask in (lambda: sender.piece(b"shard"), lambda: sender.manifest(sha256(b"manifest"))):
        with pytest.raises(UnknownNameError, match="no published holding"):
            ask()


def test_serves_only_pieces_of_the_very_file(sender: Sender) -> None:
    other = Sender(sender.world, sender.node, sender.world.owner)
    sender.publish(b"one", b"manifest 1")
    other.publish(b"two", b"manifest 2")
    with pytest.raises(UnknownNameError):
        sender.piece(b"two")
    assert other.piece(b"two") == b"two"


def test_answers_a_merkle_challenge_on_chain(sender: Sender) -> None:
    holding = sender.publish(secrets.token_bytes(SLICE_SIZE), secrets.token_bytes(5000), b"manifest")
    assert settle(sender.world, holding, Algorithm.MERKLE, 8) is ChallengeStatus.PROVED


def test_cannot_answer_from_altered_bytes(sender: Sender) -> None:
    holding = sender.publish(b"shard", b"manifest", possession=Possession.BOTH)
    node, world = sender.node, sender.world
    assert node.answer(holding, Algorithm.MERKLE, [0], NONE)
    for path in world.directory.glob("*/blocks/*/bafk*[!n]"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    for algorithm in (Algorithm.MERKLE, Algorithm.KZG):
        with pytest.raises(IntegrityError, match="altered"):
            node.answer(holding, algorithm, [0], NONE)
    with pytest.raises(UnknownNameError, match="is not held"):
        world.real[1].answer(holding, Algorithm.MERKLE, [0], NONE)
    with pytest.raises(UnknownHolding):
        node.answer(999, Algorithm.MERKLE, [0], NONE)
