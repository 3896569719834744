"""FileRegistry: revisions, deletion, and how holdings end."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AlreadyHolding,
    ExpiryNotInFuture,
    ExpiryShortened,
    ExpiryTooFar,
    FileDeletedAlready,
    HoldingNotReleasable,
    InvalidAcknowledgement,
    NoCause,
    NotFileOwner,
    NotLiveHolding,
    RetentionOver,
    TooFewAcknowledgements,
    TooFewHoldings,
    UnknownFile,
    UnknownHolding,
    ZeroManifestDigest,
)
from dtxeth.chain.bindings.events import (
    FileDeleted,
    FileRevised,
    HoldingAdded,
    HoldingEnded,
    HoldingReleased,
)
from dtxeth.chain.bindings.types import Cause, HoldingState, Possession
from tests.contracts.world import DAY, NOTHING, RULES, Held, World, account, event, refused

OWNER, STRANGER = account("owner-1"), account("stranger")
ONE, TWO, THREE = (account(f"node-{number}").address for number in (1, 2, 3))
DIGEST = keccak(b"new manifest")


@pytest.fixture
def file(world: World) -> Held:
    """Two copies, on node-1 (holding 1) and node-2 (holding 2)."""
    return world.publish("owner-1", ["node-1", "node-2"])


def state(world: World, holding_id: int) -> HoldingState:
    return world.files.holding(holding_id).state


def used(world: World) -> list[tuple[int, int]]:
    """Bytes and holdings of each node."""
    pledges = [world.nodes.pledge_of(node) for node in (ONE, TWO, THREE)]
    return [(pledge.used, pledge.holdings) for pledge in pledges]


# --- revisions ---


def test_a_repair_moves_a_holding(world: World, file: Held) -> None:
    receipt = world.revise(file, ["node-3"], dropped=(1,))
    revised = (FileRevised, file.file_id, OWNER.address, Cause.REPAIR, 2, world.now(), file.expires_at, 1, 1)
    three = world.files.holding(3)
    assert receipt.events == (
        event(*revised, DIGEST),
        event(HoldingEnded, 1, file.file_id, ONE, 2),
        event(HoldingReleased, 1, file.file_id, ONE),
        event(HoldingAdded, 3, file.file_id, THREE, 2, 3000, three.root, NOTHING),
    )
    assert sorted(world.files.holdings_of(file.file_id)) == [2, 3]
    assert [world.files.holding_on(file.file_id, node) for node in (ONE, TWO, THREE)] == [0, 2, 3]
    assert [state(world, number).name for number in (1, 2, 3)] == ["RELEASED", "LIVE", "LIVE"]
    assert used(world) == [(0, 0), (3000, 1), (3000, 1)]
    known = world.files.file_of(file.file_id)
    assert (known.version, known.manifest_digest) == (2, DIGEST)
    assert three.version == 2
    assert world.files.holding(2).version == 1


def test_a_node_that_holds_the_file_swaps_its_holding(world: World, file: Held) -> None:
    receipt = world.revise(file, ["node-1"])
    assert [type(found).__name__ for found in receipt.events] == [
        *("FileRevised", "HoldingEnded", "HoldingReleased", "HoldingAdded")
    ]
    assert world.files.holdings_of(file.file_id) == (3, 2)
    assert world.files.holding_on(file.file_id, ONE) == 3
    assert used(world) == [(3000, 1), (3000, 1), (0, 0)]


def test_a_node_with_no_room_for_two_swaps_its_holding(world: World) -> None:
    world.chain.faucet(account("small").address, 10**17)
    world.register("small", 3000)
    file = world.publish("owner-1", ["small"])
    world.revise(file, ["small"])
    assert world.nodes.pledge_of(account("small").address).used == 3000


def test_a_dropped_node_may_join_in_the_same_revision(world: World, file: Held) -> None:
    world.revise(file, ["node-1"], dropped=(1,))
    assert world.files.holdings_of(file.file_id) == (2, 3)
    assert world.files.holding_on(file.file_id, ONE) == 3


def test_a_revision_re_encodes(world: World, file: Held) -> None:
    world.revise(file, ["node-1", "node-2", "node-3"], cause=Cause.RECODE, needed=2, total=3)
    known = world.files.file_of(file.file_id)
    assert (known.needed, known.total) == (2, 3)
    assert world.files.holdings_of(file.file_id) == (3, 4, 5)


def test_a_revision_may_only_replace_the_manifest(world: World, file: Held) -> None:
    world.revise(file, cause=Cause.REFRESH)
    assert world.files.file_of(file.file_id).version == 2
    assert world.files.holdings_of(file.file_id) == (1, 2)


def test_an_acknowledgement_counts_for_one_version(world: World, file: Held) -> None:
    revision = world.revision(file)
    old = [world.join("node-3", file, revision)]
    world.revise(file, ["node-3"])
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(revision, old, sender=OWNER)
    early = [world.join("node-3", file, revision, version=4)]
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(revision, early, sender=OWNER)
    world.files.revise(world.revision(file), [world.join("node-3", file, revision)], sender=OWNER)


def test_an_acknowledgement_for_publication_does_not_revise(world: World, file: Held) -> None:
    first = world.acknowledge("node-3", OWNER, file.publication)
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(world.revision(file), [first], sender=OWNER)


def test_an_acknowledgement_binds_the_expiry(world: World, file: Held) -> None:
    revision = world.revision(file, expires_at=file.expires_at + DAY)
    given = [world.join("node-1", file, revision, expiresAt=file.expires_at)]
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(revision, given, sender=OWNER)


@pytest.mark.parametrize(
    ("changes", "error", "values"),
    [
        ({"cause": Cause.NONE}, NoCause, ()),
        ({"manifest_digest": NOTHING}, ZeroManifestDigest, ()),
        ({"dropped": (1, 2)}, TooFewHoldings, (0, 1)),
        ({"needed": 3, "total": 3}, TooFewHoldings, (2, 3)),
    ],
)
def test_a_revision_that_says_nonsense_is_refused(
    world: World, file: Held, changes: dict[str, Any], error: Any, values: tuple[int, ...]
) -> None:
    with refused(error, *values):
        world.revise(file, **changes)
    assert world.files.file_of(file.file_id).version == 1


def test_only_live_holdings_of_the_file_are_dropped(world: World, file: Held) -> None:
    other = world.publish("owner-1", ["node-1"])
    for dropped in ((1, 1), (*other.holding_ids,), (0,), (99,)):
        with refused(NotLiveHolding, dropped[-1], file.file_id):
            world.revise(file, dropped=dropped)
    world.revise(file, dropped=(1,))
    with refused(NotLiveHolding, 1, file.file_id):
        world.revise(file, dropped=(1,))


def test_a_node_joins_once_a_revision(world: World, file: Held) -> None:
    with refused(AlreadyHolding, file.file_id, ONE):
        world.revise(file, ["node-1", "node-1"])
    with refused(AlreadyHolding, file.file_id, THREE):
        world.revise(file, ["node-3", "node-3"])


def test_only_the_owner_revises_and_deletes(world: World, file: Held) -> None:
    with refused(NotFileOwner, file.file_id, STRANGER.address, OWNER.address):
        world.files.revise(world.revision(file), [], sender=STRANGER)
    with refused(NotFileOwner, file.file_id, STRANGER.address, OWNER.address):
        world.files.delete_file(file.file_id, sender=STRANGER)
    with refused(UnknownFile, NOTHING):
        world.files.revise(world.revision(file, file_id=NOTHING), [], sender=OWNER)
    with refused(UnknownFile, NOTHING):
        world.files.delete_file(NOTHING, sender=OWNER)


def test_a_revision_proves_as_the_namespace_says(world: World) -> None:
    file = world.publish("owner-1", namespace_id=world.namespace("owner-1", 1, 1, Possession.BOTH))
    world.revise(file, ["node-2"])
    held = world.files.holding(2)
    assert held.root != NOTHING
    assert held.commitments_root != NOTHING


# --- renewal ---


def test_a_renewal_prolongs_what_is_acknowledged(world: World, file: Held) -> None:
    later = file.expires_at + 30 * DAY
    world.revise(file, ["node-1"], cause=Cause.RENEWAL, expires_at=later)
    assert world.files.file_of(file.file_id).expires_at == later
    assert [world.files.holding(number).expires_at for number in (3, 2)] == [later, file.expires_at]


def test_a_renewal_needs_the_word_of_enough_nodes_to_read_the_file(world: World) -> None:
    """Naive: the owner alone moves the expiry, and executors rely on a file that nobody keeps."""
    namespace = world.namespace("owner-1", 2, 3, Possession.MERKLE)
    file = world.publish("owner-1", ["node-1", "node-2", "node-3"], namespace_id=namespace)
    later = file.expires_at + DAY
    for nodes in ([], ["node-1"]):
        with refused(TooFewAcknowledgements, len(nodes), 2):
            world.revise(file, nodes, cause=Cause.RENEWAL, expires_at=later)
    world.revise(file, ["node-1", "node-2"], cause=Cause.RENEWAL, expires_at=later)


def test_an_expiry_is_not_shortened_nor_past_nor_too_far(world: World, file: Held) -> None:
    with refused(ExpiryShortened, file.file_id, file.expires_at - 1, file.expires_at):
        world.revise(file, ["node-1"], expires_at=file.expires_at - 1)
    revision = world.revision(file, expires_at=2**64 - 1)
    with pytest.raises(ExpiryTooFar):
        world.files.revise(revision, [], sender=OWNER)
    now = world.now()
    world.at(now + 1)
    with refused(ExpiryNotInFuture, now + 1, now + 1):
        world.revise(file, expires_at=now + 1)


def test_an_expired_file_is_renewed_for_seven_days(world: World, file: Held) -> None:
    assert world.files.retention() == 7 * DAY
    world.at(file.expires_at)
    revision = world.revision(file, expires_at=file.expires_at + 60 * DAY)
    given = [world.join("node-1", file, revision, deadline=2**40)]
    mark = world.chain.snapshot()
    last = file.expires_at + 7 * DAY
    world.at(last + 1)
    with refused(RetentionOver, file.file_id, last):
        world.files.revise(revision, given, sender=OWNER)
    world.chain.rollback(mark)
    world.at(last)
    world.files.revise(revision, given, sender=OWNER)
    assert world.files.is_live(file.file_id)
    world.chain.mine()
    world.files.release([2], sender=STRANGER)  # was not renewed
    assert world.files.holdings_of(file.file_id) == (3,)


def test_an_expired_file_is_renewed_or_not_revised(world: World, file: Held) -> None:
    world.at(file.expires_at + 1)
    with refused(ExpiryNotInFuture, file.expires_at, file.expires_at + 1):
        world.revise(file, dropped=(1,))


# --- deletion ---


def test_a_file_is_deleted_with_its_holdings(world: World, file: Held) -> None:
    receipt = world.files.delete_file(file.file_id, sender=OWNER)
    assert receipt.events == (
        event(FileDeleted, file.file_id, OWNER.address),
        event(HoldingEnded, 1, file.file_id, ONE, 1),
        event(HoldingReleased, 1, file.file_id, ONE),
        event(HoldingEnded, 2, file.file_id, TWO, 1),
        event(HoldingReleased, 2, file.file_id, TWO),
    )
    assert world.files.file_of(file.file_id).deleted
    assert not world.files.is_live(file.file_id)
    assert world.files.holdings_of(file.file_id) == ()
    assert world.files.holding_on(file.file_id, ONE) == 0
    assert used(world) == [(0, 0)] * 3


def test_a_deleted_file_is_over(world: World, file: Held) -> None:
    revision = world.revision(file)
    given = [world.join("node-3", file, revision)]
    world.files.delete_file(file.file_id, sender=OWNER)
    with refused(FileDeletedAlready, file.file_id):
        world.files.delete_file(file.file_id, sender=OWNER)
    with refused(FileDeletedAlready, file.file_id):
        world.files.revise(revision, given, sender=OWNER)
    with refused(FileDeletedAlready, file.file_id):
        world.files.require_live(file.file_id)
    with refused(FileDeletedAlready, file.file_id):
        world.authorizations.apply_for(file.file_id, 1, sender=STRANGER)


def test_an_authorization_ends_with_its_file(world: World, file: Held) -> None:
    number = world.authorize(file, "executor-1", 1)
    reader = account("executor-1").address
    assert world.authorizations.is_current(number, reader, file.file_id)
    world.files.delete_file(file.file_id, sender=OWNER)
    assert not world.authorizations.is_current(number, reader, file.file_id)


def test_an_expired_file_is_deleted_before_its_retention_is_over(world: World, file: Held) -> None:
    world.at(file.expires_at + 1)
    world.files.delete_file(file.file_id, sender=OWNER)
    assert used(world) == [(0, 0)] * 3


# --- holdings whose challenge is open, and whose time is over ---


@pytest.mark.parametrize("end", ["drop", "swap", "delete"])
def test_a_holding_under_challenge_is_kept_until_it_is_settled(world: World, file: Held, end: str) -> None:
    challenge_id = world.draw(file)
    if end == "delete":
        world.files.delete_file(file.file_id, sender=OWNER)
    else:
        world.revise(file, ["node-1"] if end == "swap" else [], dropped=(1,) if end == "drop" else ())
    assert state(world, 1) == HoldingState.RELEASING
    kept = world.nodes.pledge_of(ONE).used
    with refused(HoldingNotReleasable, 1, HoldingState.RELEASING):
        world.files.release([1], sender=STRANGER)
    world.prove(challenge_id)
    assert state(world, 1) == HoldingState.RELEASING
    receipt = world.files.release([1], sender=STRANGER)
    assert receipt.events == (event(HoldingReleased, 1, file.file_id, ONE),)
    assert world.nodes.pledge_of(ONE).used == kept - 3000


def test_swapping_a_holding_does_not_void_a_lost_challenge(world: World, file: Held) -> None:
    challenge_id = world.draw(file)
    world.revise(file, ["node-1"])
    stake = world.nodes.pledge_of(ONE).stake
    world.miss(challenge_id)
    lost = 3000 * 7 * RULES.slash_percent // 100
    assert world.nodes.pledge_of(ONE).stake == stake - lost
    assert world.challenges.fault_of(1)[1] == lost
    world.files.release([1], sender=STRANGER)


def test_a_lapsed_holding_is_released_after_its_retention(world: World, file: Held) -> None:
    last = file.expires_at + 7 * DAY
    world.at(last)
    with refused(HoldingNotReleasable, 1, HoldingState.LIVE):
        world.files.release([1, 2], sender=STRANGER)
    world.at(last + 1)
    receipt = world.files.release([2, 1], sender=STRANGER)
    assert receipt.events == (
        event(HoldingEnded, 2, file.file_id, TWO, 1),
        event(HoldingReleased, 2, file.file_id, TWO),
        event(HoldingEnded, 1, file.file_id, ONE, 1),
        event(HoldingReleased, 1, file.file_id, ONE),
    )
    assert world.files.holdings_of(file.file_id) == ()
    assert used(world) == [(0, 0)] * 3


def test_who_releases_later_is_not_refused(world: World, file: Held) -> None:
    """Else whoever releases one holding undoes the other's list."""
    world.at(file.expires_at + 7 * DAY + 1)
    world.files.release([1], sender=STRANGER)
    receipt = world.files.release([1, 2, 2], sender=OWNER)
    assert [type(found).__name__ for found in receipt.events] == ["HoldingEnded", "HoldingReleased"]
    with refused(UnknownHolding, 3):
        world.files.release([1, 3], sender=OWNER)


def test_a_lapsed_holding_with_an_unclosed_challenge_is_released_in_two_steps(
    world: World, file: Held
) -> None:
    challenge_id = world.draw(file)
    world.at(file.expires_at + 7 * DAY + 1)
    world.files.release([1], sender=STRANGER)
    assert state(world, 1) == HoldingState.RELEASING
    with refused(HoldingNotReleasable, 1, HoldingState.RELEASING):
        world.files.release([1], sender=STRANGER)
    world.miss(challenge_id)
    world.files.release([1], sender=STRANGER)
    assert state(world, 1) == HoldingState.RELEASED
