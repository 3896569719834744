"""What a node accepts, signs, keeps, forgets and proves; every good case has its corrupted twin."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace

import pytest

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeDrawn, ChallengeOpened
from dtxeth.chain.bindings.types import ChallengeStatus
from dtxeth.chain.reverts import UnknownHolding
from dtxeth.crypto import merkle
from dtxeth.errors import CryptoError, InputError, IntegrityError, PolicyError, StorageError, UnknownNameError
from dtxeth.storage import Claim, StorageNode, api
from dtxeth.storage.blockstore import EmbeddedBlockStore, cid_of
from dtxeth.storage.pieces import SLICE_SIZE, holding_root, leaf_count, subtree_roots
from dtxeth.storage.records import HoldingState
from dtxeth.storage.requests import LIFETIME
from tests.storage.world import World

FILE = bytes(range(32))


class Sender:
    """An owner who speaks to a node without the uploader."""

    def __init__(self, world: World, account: Account | None = None, node: StorageNode | None = None) -> None:
        self.world, self.node = world, node or world.real[0]
        self.signer = world.signer(account or world.owner)

    def put(self, position: int, piece: bytes) -> None:
        digest = hashlib.sha256(piece).digest()
        credentials = self.signer.sign(self.node.address, "PUT", api.piece_at(FILE, position), digest)
        self.node.put_piece(credentials, FILE, position, piece)

    def acknowledge(self, claim: Claim):
        body = hashlib.sha256(claim.to_bytes()).digest()
        credentials = self.signer.sign(self.node.address, "PUT", api.holding_of(FILE), body)
        return self.node.acknowledge(credentials, FILE, claim)

    def abandon(self) -> None:
        self.node.abandon(self.signer.sign(self.node.address, "DELETE", api.holding_of(FILE)), FILE)

    def claim(self, *pieces: bytes) -> Claim:
        full = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces if len(piece) == SLICE_SIZE]
        root = holding_root(subtree_roots(full, [piece for piece in pieces if len(piece) < SLICE_SIZE]))
        sizes = [len(piece) for piece in pieces]
        return Claim(root, sum(map(leaf_count, sizes)), sum(sizes), self.world.chain.now() + 99_999)


@pytest.fixture
def sender(world: World) -> Sender:
    return Sender(world)


# --- staging ---


def test_signs_for_what_it_holds(sender: Sender) -> None:
    pieces = secrets.token_bytes(SLICE_SIZE), b"short", b"manifest"
    for position, piece in enumerate(pieces):
        sender.put(position, piece)
    claim = sender.claim(*pieces)
    given = sender.acknowledge(claim)
    assert (given.node, given.root, given.leaf_count, given.size) == (
        sender.node.address, claim.root, 4096 + 2, SLICE_SIZE + 13
    )  # fmt: skip
    assert given.deadline == sender.world.chain.now() + 600
    assert sender.acknowledge(claim) == given
    (kept,) = sender.node.holdings()
    assert (kept.state, kept.root) == (HoldingState.ACKNOWLEDGED, claim.root)


@pytest.mark.parametrize("change", [{"root": bytes(32)}, {"leaf_count": 3}, {"size": 14}])
def test_refuses_a_claim_that_is_not_so(sender: Sender, change: dict[str, object]) -> None:
    sender.put(0, b"short")
    sender.put(1, b"manifest")
    with pytest.raises(IntegrityError, match="not what is claimed"):
        sender.acknowledge(replace(sender.claim(b"short", b"manifest"), **change))


def test_refuses_to_sign_for_what_it_lost(sender: Sender) -> None:
    sender.put(0, b"piece")
    store = sender.node._store
    store.pin_rm(cid_of(b"piece"))
    with pytest.raises(StorageError, match="not pinned"):
        sender.acknowledge(sender.claim(b"piece"))
    with pytest.raises(UnknownNameError, match="nothing of file"):
        Sender(sender.world, sender.world.executor).acknowledge(sender.claim(b"piece"))


@pytest.mark.parametrize("size", [0, SLICE_SIZE + 1])
def test_piece_sizes(sender: Sender, size: int) -> None:
    with pytest.raises(InputError, match=f"piece of {size} bytes"):
        sender.put(0, bytes(size))


def test_pieces_come_in_order_full_ones_first(sender: Sender) -> None:
    with pytest.raises(InputError, match="0 is next"):
        sender.put(1, b"x")
    sender.put(0, b"short slice")
    with pytest.raises(InputError, match="1 is next"):
        sender.put(0, b"again")
    sender.put(1, b"manifest")
    with pytest.raises(InputError, match="nothing may follow"):
        sender.put(2, b"one too many")


def test_full_manifest_ends_a_holding(sender: Sender) -> None:
    sender.put(0, b"short slice")
    sender.put(1, bytes(SLICE_SIZE))
    with pytest.raises(InputError, match="nothing may follow"):
        sender.put(2, b"more")


def test_capacity(world: World) -> None:
    node = world.node(world.accounts[7], world.directory / "small", capacity=10)
    sender = Sender(world, node=node)
    sender.put(0, b"123456")
    with pytest.raises(InputError, match="only 4 of 10 bytes are free"):
        sender.put(1, b"12345")
    sender.put(1, b"1234")
    assert node.status().free == 0
    sender.abandon()
    assert node.status().free == 10
    node.close()


def test_stagings_of_different_owners_do_not_mix(sender: Sender) -> None:
    other = Sender(sender.world, sender.world.executor)
    sender.put(0, b"mine")
    other.put(0, b"theirs")
    other.put(1, b"mine")
    assert sender.acknowledge(sender.claim(b"mine")).size == 4
    other.abandon()
    assert sender.node._store.block_get(cid_of(b"mine")) == b"mine"
    with pytest.raises(UnknownNameError):
        sender.node._store.block_get(cid_of(b"theirs"))


def test_full_disk_drops_the_staging(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise StorageError("no space left")

    sender.put(0, b"first")
    monkeypatch.setattr(EmbeddedBlockStore, "block_put", full)
    with pytest.raises(StorageError, match="no space"):
        sender.put(1, b"second")
    assert sender.node.holdings() == []
    assert sender.node.status().used == 0


# --- forgetting ---


def test_forgets_stale_staging_and_unpublished_acknowledgements(sender: Sender) -> None:
    chain, node = sender.world.chain, sender.node
    sender.put(0, b"piece")
    assert node.forget_stale() == 0
    chain.advance(601)
    assert node.forget_stale() == 1
    sender.put(0, b"piece")
    sender.acknowledge(sender.claim(b"piece"))
    chain.advance(599)
    assert node.forget_stale() == 0
    chain.advance(601)
    assert node.forget_stale() == 1
    assert node.status().used == 0
    assert node._store.repo_stat().blocks == 0


def test_keeps_what_was_published(world: World) -> None:
    stored = world.publish(b"rows")
    world.chain.advance(10_000)
    assert [node.forget_stale() for node in world.real] == [0] * 4
    assert world.open(stored.file_id).read() == b"rows"
    states = [holding.state for node in world.real for holding in node.holdings()]
    assert states == [HoldingState.PUBLISHED] * 2


def test_acknowledged_pieces_cannot_be_withdrawn_or_changed(sender: Sender) -> None:
    sender.put(0, b"piece")
    sender.acknowledge(sender.claim(b"piece"))
    with pytest.raises(PolicyError, match="stays for now"):
        sender.abandon()
    with pytest.raises(PolicyError, match="new file id"):
        sender.put(1, b"more")


def test_survives_a_restart(world: World) -> None:
    stored = world.publish(secrets.token_bytes(SLICE_SIZE))
    for node, account in zip(list(world.real), world.accounts[2:], strict=False):
        node.close()
        world.nodes[node.address] = world.node(account, world.directory / str(world.real.index(node)))
    assert len(world.open(stored.file_id).read()) == SLICE_SIZE
    assert sum(node.status().used for node in world.nodes.values()) > 2 * SLICE_SIZE
    for node in world.nodes.values():
        node.close()


# --- serving ---


def test_serves_only_pieces_of_the_very_file(world: World) -> None:
    one, two = world.publish(b"one"), world.publish(b"two")
    for held in two.manifest.nodes:
        node = next(node for node in world.real if node.address == held.node)
        digest = held.pieces[0].digest
        signer = world.signer(world.owner)
        with pytest.raises(UnknownNameError):
            node.get_piece(
                signer.sign(node.address, "GET", api.piece_named(one.file_id, digest, 0)),
                one.file_id,
                digest,
                0,
            )
        good = signer.sign(node.address, "GET", api.piece_named(two.file_id, digest, 0))
        assert hashlib.sha256(node.get_piece(good, two.file_id, digest, 0)).digest() == digest


def test_serves_nothing_before_publication(world: World) -> None:
    stored = world.upload(b"rows")
    node = next(node for node in world.real if node.address == stored.manifest.nodes[0].node)
    resource = api.manifest_of(stored.file_id, 0)
    with pytest.raises(UnknownNameError, match="no published holding"):
        node.get_manifest(world.signer(world.owner).sign(node.address, "GET", resource), stored.file_id, 0)


# --- requests ---


def test_request_is_good_for_one_node_one_thing_one_time(sender: Sender) -> None:
    world, node, resource = sender.world, sender.node, api.piece_at(FILE, 0)
    digest = hashlib.sha256(b"piece").digest()
    good = sender.signer.sign(node.address, "PUT", resource, digest)
    spoilt = {
        "another sender": replace(good, sender=world.executor.address),
        "another nonce": replace(good, nonce=bytes(32)),
        "another deadline": replace(good, deadline=good.deadline - 1),
        "another node": sender.signer.sign(world.real[1].address, "PUT", resource, digest),
        "another method": sender.signer.sign(node.address, "GET", resource, digest),
        "another resource": sender.signer.sign(node.address, "PUT", api.piece_at(FILE, 1), digest),
        "another body": sender.signer.sign(node.address, "PUT", resource, bytes(32)),
    }
    for how, credentials in spoilt.items():
        with pytest.raises((PolicyError, CryptoError)):
            node.put_piece(credentials, FILE, 0, b"piece")
        assert node.holdings() == [], how
    with pytest.raises(CryptoError, match="no signature"):
        node.put_piece(replace(good, signature=b"none"), FILE, 0, b"piece")
    node.put_piece(good, FILE, 0, b"piece")
    with pytest.raises(PolicyError, match="seen before"):
        node.put_piece(good, FILE, 0, b"piece")


def test_replay_after_a_restart_and_deadlines(world: World) -> None:
    account, directory = world.accounts[7], world.directory / "restarted"
    node = world.node(account, directory)
    sender = Sender(world, node=node)
    credentials = sender.signer.sign(node.address, "DELETE", api.holding_of(FILE))
    node.abandon(credentials, FILE)
    node.close()
    node = world.node(account, directory)
    with pytest.raises(PolicyError, match="seen before"):
        node.abandon(credentials, FILE)
    late = sender.signer.sign(node.address, "DELETE", api.holding_of(FILE))
    with pytest.raises(PolicyError, match="sign it anew"):
        node.abandon(replace(late, deadline=late.deadline + LIFETIME + 1), FILE)
    world.chain.advance(LIFETIME + 1)
    for old in (late, credentials):
        with pytest.raises(PolicyError, match="sign it anew"):
            node.abandon(old, FILE)
    node.close()


# --- proving ---


def open_and_draw(world: World, holding_id: int, leaves: int) -> tuple[int, tuple[int, ...]]:
    challenges = world.contracts.storage_challenge
    opened = challenges.open(
        holding_id, leaves, sender=world.owner, value=challenges.deposit_for(leaves)
    ).event(ChallengeOpened)
    world.chain.mine(world.contracts.deployment.parameters.draw_delay + 1)
    challenges.draw(opened.challenge_id, sender=world.executor).event(ChallengeDrawn)
    return opened.challenge_id, challenges.leaf_indices(opened.challenge_id)


def test_answers_a_challenge_on_chain(world: World) -> None:
    stored = world.publish(secrets.token_bytes(2 * SLICE_SIZE))
    for holding_id in world.contracts.file_registry.holdings_of(stored.file_id):
        address = world.contracts.file_registry.holding(holding_id).node
        number = next(i for i, node in enumerate(world.real) if node.address == address)
        challenge, indices = open_and_draw(world, holding_id, 8)
        proof = world.real[number].answer(holding_id, indices)
        world.contracts.storage_challenge.prove(
            challenge, proof.leaves, proof.hashes, sender=world.accounts[2 + number]
        )
        assert world.contracts.storage_challenge.challenge(challenge).status is ChallengeStatus.PROVED


def test_cannot_answer_from_altered_bytes(world: World) -> None:
    stored = world.publish(b"rows")
    holding_id = world.contracts.file_registry.holdings_of(stored.file_id)[0]
    address = world.contracts.file_registry.holding(holding_id).node
    node = next(node for node in world.real if node.address == address)
    assert node.answer(holding_id, [0]).leaves
    for path in world.directory.glob("*/blocks/*/*"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match="altered"):
        node.answer(holding_id, [0])
    other = next(node for node in world.real if node.address != address)
    with pytest.raises(UnknownNameError, match="is not held"):
        other.answer(holding_id, [0])
    with pytest.raises(UnknownHolding):
        node.answer(999, [0])
