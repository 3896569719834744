"""What a node accepts and signs; every good case has its corrupted twin."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, Possession
from dtxeth.crypto import kzg, merkle
from dtxeth.errors import (
    BusyError,
    InputError,
    IntegrityError,
    StorageError,
    UnknownNameError,
)
from dtxeth.storage.blockstore import cid_of
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.records import Stage
from tests.storage.sender import DRAFT, NONE, Sender, blocks, settle, sha256
from tests.storage.world import World


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
