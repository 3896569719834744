"""What a node accepts, signs, keeps, forgets and proves; every good case has its corrupted twin."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace

import pytest

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeDrawn, ChallengeOpened
from dtxeth.chain.bindings.types import (
    Acknowledgement,
    Algorithm,
    Cause,
    ChallengeStatus,
    HoldingState,
    Possession,
    Publication,
    Revision,
)
from dtxeth.chain.reverts import UnknownHolding
from dtxeth.crypto import kzg, merkle
from dtxeth.errors import (
    BusyError,
    CryptoError,
    InputError,
    IntegrityError,
    PolicyError,
    StorageError,
    UnknownNameError,
)
from dtxeth.storage import Claim, StorageNode, api
from dtxeth.storage.blockstore import cid_of
from dtxeth.storage.pieces import SLICE_SIZE, holding_root, leaf_count, subtree_roots
from dtxeth.storage.rates import RateLimiter, Rates
from dtxeth.storage.records import Stage
from dtxeth.storage.requests import LIFETIME
from tests.storage.world import MONTH, World

DRAFT = b"draft of the test"[:16]
WEEK = 7 * 86_400
NONE = bytes(32)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass
class Sender:
    """An owner who speaks to one node without an uploader, about one file."""

    world: World
    node: StorageNode
    account: Account
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    draft: bytes = DRAFT

    def __post_init__(self) -> None:
        self.signer = self.world.signer(self.account)
        self.file = self.world.contracts.file_registry.file_id_of(self.account.address, self.salt)

    def put(self, *pieces: bytes, first: int = 0) -> None:
        for position, piece in enumerate(pieces, start=first):
            resource = api.piece_at(self.file, self.draft, position)
            credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(piece))
            self.node.put_piece(credentials, self.file, self.draft, position, piece)

    def keep(self, position: int, *pieces: bytes) -> None:
        digests = [sha256(piece) for piece in pieces]
        resource = api.kept_at(self.file, self.draft, position)
        credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(b"".join(digests)))
        self.node.keep_pieces(credentials, self.file, self.draft, position, digests)

    def commitments(self) -> list[bytes]:
        resource = api.commitments_of(self.file, self.draft)
        credentials = self.signer.sign(self.node.address, "GET", resource)
        given = self.node.commitments(credentials, self.file, self.draft)
        return [given[start : start + 48] for start in range(0, len(given), 48)]

    def acknowledge(self, claim: Claim) -> Acknowledgement:
        resource = api.draft_of(self.file, self.draft)
        credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(claim.to_bytes()))
        return self.node.acknowledge(credentials, self.file, self.draft, claim)

    def abandon(self) -> None:
        resource = api.draft_of(self.file, self.draft)
        self.node.abandon(self.signer.sign(self.node.address, "DELETE", resource), self.file, self.draft)

    def piece(self, piece: bytes, authorization: int = 0, account: Account | None = None) -> bytes:
        digest = sha256(piece)
        resource = api.piece_named(self.file, digest, authorization)
        credentials = self.world.signer(account or self.account).sign(self.node.address, "GET", resource)
        return self.node.get_piece(credentials, self.file, digest, authorization)

    def manifest(self, digest: bytes) -> bytes:
        resource = api.manifest_of(self.file, digest, 0)
        credentials = self.signer.sign(self.node.address, "GET", resource)
        return self.node.get_manifest(credentials, self.file, digest, 0)

    def claim(self, *pieces: bytes, possession: Possession = Possession.MERKLE, **changes: int) -> Claim:
        root, leaves, commitments_root, blobs = NONE, 0, NONE, 0
        if possession is not Possession.KZG:
            full = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces if len(piece) == SLICE_SIZE]
            rest = [piece for piece in pieces if len(piece) < SLICE_SIZE]
            root = holding_root(subtree_roots(full, rest))
            leaves = sum(leaf_count(len(piece)) for piece in pieces)
        if possession is not Possession.MERKLE:
            commitments = kzg.commit(pieces)
            commitments_root, blobs = kzg.commitments_root(commitments), len(commitments)
        size, expiry = sum(map(len, pieces)), self.world.chain.now() + MONTH
        made = Claim(1, root, leaves, commitments_root, blobs, size, expiry)
        return replace(made, **changes)

    def publish(self, *pieces: bytes, possession: Possession = Possession.MERKLE) -> int:
        """Publish a file with this node as its only one; returns the holding's number."""
        self.put(*pieces)
        claim = self.claim(*pieces, possession=possession)
        given = self.acknowledge(claim)
        registry = self.world.contracts.file_registry
        name = f"alone-{secrets.token_hex(4)}"
        registry.add_namespace(name, 1, 1, possession, sender=self.account)
        publication = Publication(
            salt=self.salt,
            namespace_id=registry.namespace_id_of(self.account.address, name),
            size=100,
            rows=0,
            expires_at=claim.expires_at,
            manifest_digest=sha256(pieces[-1]),
            wrapped_key=b"key",
            sealed_info=b"info",
        )
        registry.publish(publication, (given,), sender=self.account)
        return registry.holding_on(self.file, self.node.address)

    def revise(self, claim: Claim, given: Acknowledgement, manifest: bytes) -> int:
        """Swap the node's holding; returns the new one's number."""
        registry = self.world.contracts.file_registry
        revision = Revision(
            file_id=self.file,
            cause=Cause.REFRESH,
            needed=1,
            total=1,
            expires_at=claim.expires_at,
            manifest_digest=sha256(manifest),
            dropped=(),
        )
        registry.revise(revision, (given,), sender=self.account)
        return registry.holding_on(self.file, self.node.address)

    def stages(self) -> list[Stage]:
        return [held.stage for held in self.node.holdings()]


@pytest.fixture
def sender(world: World) -> Sender:
    return Sender(world, world.real[0], world.owner)


def blocks(node: StorageNode) -> int:
    return node._shelf.store.repo_stat().blocks


def open_and_draw(
    world: World, holding_id: int, algorithm: Algorithm, count: int
) -> tuple[int, bytes, tuple[int, ...]]:
    challenges = world.contracts.storage_challenge
    deposit = challenges.deposit_for(algorithm, count)
    receipt = challenges.open(holding_id, algorithm, count, sender=world.owner, value=deposit)
    number = receipt.event(ChallengeOpened).challenge_id
    world.chain.mine(world.contracts.deployment.parameters.draw_delay + 1)
    drawn = challenges.draw(number, sender=world.executor).event(ChallengeDrawn)
    return number, drawn.seed, challenges.drawn_indices(number)


def settle(world: World, holding_id: int, algorithm: Algorithm, count: int) -> ChallengeStatus:
    """Challenge a holding and have its node answer."""
    number, seed, indices = open_and_draw(world, holding_id, algorithm, count)
    node = world.holder(holding_id)
    answer = node.answer(holding_id, algorithm, indices, seed)
    account = next(account for account in world.accounts if account.address == node.address)
    challenges = world.contracts.storage_challenge
    prove = challenges.prove_kzg if algorithm is Algorithm.KZG else challenges.prove
    prove(number, seed, answer, sender=account)
    return challenges.challenge(number).status


# --- staging ---


def test_signs_for_what_it_holds(sender: Sender) -> None:
    pieces = secrets.token_bytes(SLICE_SIZE), b"short", b"manifest"
    sender.put(*pieces)
    claim = sender.claim(*pieces)
    given = sender.acknowledge(claim)
    assert (given.node, given.root, given.leaf_count, given.size) == (
        sender.node.address, claim.root, 4096 + 2, SLICE_SIZE + 13
    )  # fmt: skip
    assert (given.commitments_root, given.blob_count) == (NONE, 0)
    assert given.deadline == sender.world.chain.now() + 600
    assert sender.acknowledge(claim) == given
    (kept,) = sender.node.holdings()
    assert (kept.stage, kept.claim) == (Stage.ACKNOWLEDGED, claim)
    assert sender.node._records.pieces(kept)[0].commitments is None  # nobody asked


@pytest.mark.parametrize(
    "change",
    [
        {"root": bytes([1] * 32)},
        {"leaf_count": 3},
        {"size": 14},
        {"commitments_root": bytes([1] * 32), "blob_count": 2},
    ],
)
def test_refuses_a_claim_that_is_not_so(sender: Sender, change: dict[str, int]) -> None:
    sender.put(b"short", b"manifest")
    with pytest.raises(IntegrityError, match="not what is claimed"):
        sender.acknowledge(sender.claim(b"short", b"manifest", **change))
    assert sender.stages() == [Stage.STAGED]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"root": NONE, "leaf_count": 0}, "without any root"),
        ({"root": NONE}, "without any root"),
        ({"commitments_root": bytes([1] * 32)}, "give a count with each root"),
        ({"leaf_count": 0}, "give a count with each root"),
        ({"version": 0}, "1 is next"),
        ({"version": 2}, "1 is next"),
        ({"expires_at": 1}, "choose a later one"),
    ],
)
def test_refuses_a_claim_that_cannot_be(sender: Sender, change: dict[str, int], reason: str) -> None:
    sender.put(b"piece")
    with pytest.raises(InputError, match=reason):
        sender.acknowledge(sender.claim(b"piece", **change))
    assert sender.stages() == [Stage.STAGED]


def test_refuses_to_sign_for_what_it_lost(sender: Sender) -> None:
    sender.put(b"piece", b"manifest")
    claim = sender.claim(b"piece", b"manifest")
    sender.node._shelf.store.pin_rm(cid_of(b"piece"))
    with pytest.raises(StorageError, match="no longer pinned"):
        sender.acknowledge(claim)
    with pytest.raises(UnknownNameError, match="no such draft"):
        Sender(sender.world, sender.node, sender.world.executor, sender.salt).acknowledge(claim)


@pytest.mark.parametrize("size", [0, SLICE_SIZE + 1])
def test_piece_sizes(sender: Sender, size: int) -> None:
    with pytest.raises(InputError, match=f"piece of {size} bytes"):
        sender.put(bytes(size))


def test_pieces_come_in_order_full_ones_first(sender: Sender) -> None:
    with pytest.raises(InputError, match="0 is next"):
        sender.put(b"x", first=1)
    sender.put(b"short shard")
    with pytest.raises(InputError, match="1 is next"):
        sender.put(b"again")
    sender.put(b"manifest", first=1)
    with pytest.raises(InputError, match="nothing may follow"):
        sender.put(b"one too many", first=2)
    assert blocks(sender.node) == 2


def test_malformed_ids(sender: Sender) -> None:
    for file, draft in ((bytes(31), DRAFT), (bytes(33), DRAFT), (bytes(32), b""), (bytes(32), bytes(17))):
        sender.file, sender.draft = file, draft
        for ask in (
            lambda: sender.put(b"x"),
            sender.abandon,
            sender.commitments,
            lambda: sender.keep(0, b"x"),
        ):
            with pytest.raises(InputError, match="expected"):
                ask()


def test_a_full_manifest_after_a_short_piece(sender: Sender) -> None:
    """The one case in which a full piece is no aligned subtree."""
    pieces = b"short shard", secrets.token_bytes(SLICE_SIZE)
    sender.put(*pieces)
    with pytest.raises(InputError, match="nothing may follow"):
        sender.put(b"more", first=2)
    leaves = [leaf for piece in pieces for leaf in merkle.leaf_hashes(piece)]
    sender.acknowledge(replace(sender.claim(*pieces), root=merkle.root(leaves), leaf_count=len(leaves)))


def test_capacity_counts_each_block_once(world: World) -> None:
    node = world.node(world.accounts[7], world.directory / "small", capacity=10)
    sender = Sender(world, node, world.owner)
    other = Sender(world, node, world.owner, draft=secrets.token_bytes(16))
    sender.put(b"123456")
    with pytest.raises(InputError, match="only 4 of 10 bytes are free"):
        sender.put(b"12345", first=1)
    sender.put(b"1234", first=1)
    other.put(b"123456", b"1234")
    assert node.status().free == 0
    sender.abandon()
    assert node.status().free == 0
    other.abandon()
    assert (node.status().free, blocks(node)) == (10, 0)
    node.close()


def test_drafts_of_different_owners_do_not_mix(sender: Sender) -> None:
    other = Sender(sender.world, sender.node, sender.world.executor)
    other.file = sender.file
    sender.put(b"mine")
    other.put(b"theirs", b"mine")
    assert sender.acknowledge(sender.claim(b"mine")).size == 4
    other.abandon()
    assert sender.node._shelf.store.block_get(cid_of(b"mine")) == b"mine"
    with pytest.raises(UnknownNameError):
        sender.node._shelf.store.block_get(cid_of(b"theirs"))


def test_quotas(world: World) -> None:
    node = world.node(world.accounts[7], world.directory / "mean", drafts=2, staged_bytes=10)
    first, second, third = (Sender(world, node, world.owner, draft=secrets.token_bytes(16)) for _ in range(3))
    first.put(b"12345")
    second.put(b"12345")
    with pytest.raises(BusyError, match="has 2 drafts"):
        third.put(b"1")
    with pytest.raises(BusyError, match="has 10 bytes in drafts"):
        first.put(b"1", first=1)
    Sender(world, node, world.executor).put(b"others do")
    second.abandon()
    first.put(b"1", first=1)
    node.close()


def test_rate_limit_is_each_accounts_own(world: World) -> None:
    node = world.node(world.accounts[7], world.directory / "slow", rates=Rates(account=1e-6, total=1e3))
    sender = Sender(world, node, world.owner)
    spoilt = replace(sender.signer.sign(node.address, "DELETE", "/x"), signature=bytes(65))
    with pytest.raises(CryptoError):  # nobody else uses up an account's allowance
        node.abandon(spoilt, sender.file, DRAFT)
    with pytest.raises(BusyError, match="asks more than"):
        sender.abandon()
    node.close()


def test_token_buckets() -> None:
    now = 0.0
    limiter = RateLimiter(Rates(account=2, total=3), clock=lambda: now)
    for account in "aaaabb":
        limiter.take(account)
    with pytest.raises(BusyError, match="account a"):
        limiter.take("a")
    with pytest.raises(BusyError, match="the node is asked"):
        limiter.take("b")
    now = 0.5
    limiter.take("a")
    with pytest.raises(BusyError, match="account a"):
        limiter.take("a")


# --- keeping pieces ---


def test_keeps_pieces_for_the_next_version(sender: Sender) -> None:
    shard = secrets.token_bytes(SLICE_SIZE)
    first = sender.publish(shard, b"manifest 1")
    later = replace(sender, draft=secrets.token_bytes(16))
    later.keep(0, shard)
    later.put(b"manifest 2", first=1)
    claim = later.claim(shard, b"manifest 2", version=2)
    with pytest.raises(InputError, match="2 is next"):
        later.acknowledge(replace(claim, version=1))
    second = later.revise(claim, later.acknowledge(claim), b"manifest 2")
    assert second != first
    assert sender.node.status().used == SLICE_SIZE + 20
    assert sender.node.sweep().dropped == 1
    assert sender.node.status().used == SLICE_SIZE + 10
    assert later.piece(shard) == shard
    assert later.manifest(sha256(b"manifest 2")) == b"manifest 2"
    with pytest.raises(UnknownNameError, match="no manifest"):
        later.manifest(sha256(b"manifest 1"))
    assert settle(sender.world, second, Algorithm.MERKLE, 4) is ChallengeStatus.PROVED


def test_keeps_nothing_of_others_or_other_files(sender: Sender) -> None:
    sender.put(b"mine")
    other = Sender(sender.world, sender.node, sender.world.executor)
    other.file = sender.file
    elsewhere = Sender(sender.world, sender.node, sender.world.owner)
    for asking in (other, elsewhere):
        with pytest.raises(UnknownNameError, match="send it"):
            asking.keep(0, b"mine")
    drafts = replace(sender, draft=secrets.token_bytes(16))
    drafts.keep(0, b"mine")
    with pytest.raises(InputError, match="1 is next"):
        drafts.keep(0, b"mine")
    with pytest.raises(InputError, match="0 pieces to keep"):
        drafts.keep(1)
    with pytest.raises(InputError, match="nothing may follow"):
        drafts.keep(1, b"mine", b"mine")
    assert drafts.acknowledge(drafts.claim(b"mine")).size == 4


def test_does_not_keep_what_was_altered(sender: Sender) -> None:
    sender.put(b"piece")
    (path,) = (sender.world.directory / "0").glob("blocks/*/bafk*[!n]")
    path.write_bytes(b"Piece")
    later = replace(sender, draft=secrets.token_bytes(16))
    with pytest.raises(IntegrityError, match="altered"):
        later.keep(0, b"piece")
    later.put(b"piece")  # heals it for both
    assert sender.acknowledge(sender.claim(b"piece")).size == 5


# --- commitments ---


def test_commitments(sender: Sender) -> None:
    """As pieces arrive, from the first request on; afterwards the chain takes them, and answers to challenges."""
    shard, manifest = secrets.token_bytes(130_000), b"manifest"
    expected = kzg.commit([shard, manifest])
    sender.put(shard)
    assert sender.commitments() == expected[:2]
    sender.put(manifest, first=1)
    assert sender.commitments() == expected
    claim = sender.claim(shard, manifest, possession=Possession.KZG)
    for spoilt in ({"blob_count": 2}, {"commitments_root": bytes([1] * 32)}):
        with pytest.raises(IntegrityError, match="not what is claimed"):
            sender.acknowledge(replace(claim, **spoilt))
    given = sender.acknowledge(claim)
    assert (given.root, given.leaf_count) == (NONE, 0)
    assert (given.commitments_root, given.blob_count) == (kzg.commitments_root(expected), 3)


@pytest.mark.parametrize(("possession", "counts"), [(Possession.KZG, (1, 4)), (Possession.BOTH, (2,))])
def test_answers_kzg_challenges(sender: Sender, possession: Possession, counts: tuple[int, ...]) -> None:
    world = sender.world
    holding = sender.publish(secrets.token_bytes(300_000), b"manifest", possession=possession)
    for count in counts:
        assert settle(world, holding, Algorithm.KZG, count) is ChallengeStatus.PROVED
        world.chain.advance(3600)
    if possession is Possession.BOTH:
        assert settle(world, holding, Algorithm.MERKLE, 5) is ChallengeStatus.PROVED
    else:
        with pytest.raises(InputError, match="no root for MERKLE"):
            sender.node.answer(holding, Algorithm.MERKLE, [0], bytes(32))
    with pytest.raises(InputError, match="blobs it has"):
        sender.node.answer(holding, Algorithm.KZG, [4], bytes(32))


# --- the life of a holding ---


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


# --- requests ---


def test_request_is_good_for_one_node_one_thing_one_time(sender: Sender) -> None:
    world, node, resource = sender.world, sender.node, api.piece_at(sender.file, DRAFT, 0)
    digest = sha256(b"piece")
    good = sender.signer.sign(node.address, "PUT", resource, digest)
    spoilt = {
        "another sender": replace(good, sender=world.executor.address),
        "another nonce": replace(good, nonce=bytes(32)),
        "a short nonce": replace(good, nonce=bytes(31)),
        "another deadline": replace(good, deadline=good.deadline - 1),
        "another node": sender.signer.sign(world.real[1].address, "PUT", resource, digest),
        "another method": sender.signer.sign(node.address, "GET", resource, digest),
        "another position": sender.signer.sign(
            node.address, "PUT", api.piece_at(sender.file, DRAFT, 1), digest
        ),
        "another draft": sender.signer.sign(
            node.address, "PUT", api.piece_at(sender.file, bytes(16), 0), digest
        ),
        "another body": sender.signer.sign(node.address, "PUT", resource, NONE),
    }
    for how, credentials in spoilt.items():
        with pytest.raises((PolicyError, CryptoError)):
            node.put_piece(credentials, sender.file, DRAFT, 0, b"piece")
        assert node.holdings() == [], how
    for signature in (b"none", bytes(65), good.signature[:64], good.signature[:64] + b"\x05"):
        with pytest.raises((PolicyError, CryptoError)):
            node.put_piece(replace(good, signature=signature), sender.file, DRAFT, 0, b"piece")
    node.put_piece(good, sender.file, DRAFT, 0, b"piece")
    with pytest.raises(PolicyError, match="seen before"):
        node.put_piece(good, sender.file, DRAFT, 0, b"piece")


def test_replay_after_a_restart_and_deadlines(world: World) -> None:
    account, directory = world.accounts[7], world.directory / "restarted"
    node = world.node(account, directory)
    signer, file = world.signer(world.owner), bytes(32)
    credentials = signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT))
    node.abandon(credentials, file, DRAFT)
    node.close()
    node = world.node(account, directory)
    with pytest.raises(PolicyError, match="seen before"):
        node.abandon(credentials, file, DRAFT)
    late = signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT))
    with pytest.raises(PolicyError, match="sign it anew"):
        node.abandon(replace(late, deadline=late.deadline + LIFETIME + 1), file, DRAFT)
    world.chain.advance(LIFETIME + 1)
    for old in (late, credentials):
        with pytest.raises(PolicyError, match="sign it anew"):
            node.abandon(old, file, DRAFT)
    node.abandon(signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT)), file, DRAFT)
    assert node._records.database.execute("SELECT count(*) FROM request").fetchone() == (1,)  # old ones go
    node.close()


# --- proving ---


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
