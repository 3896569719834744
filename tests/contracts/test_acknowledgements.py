"""FileRegistry: what counts as a node's acknowledgement, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AcknowledgementExpired,
    AlreadyHolding,
    FileExpired,
    InvalidAcknowledgement,
    InvalidHolding,
    NodeOffline,
    NotFileOwner,
    TooFewAcknowledgements,
    TooManyHoldings,
    UnknownFile,
    UnknownHolding,
    UnknownNode,
    WrongRole,
    ZeroManifestDigest,
)
from dtxeth.chain.bindings.events import (
    HoldingAdded,
    ManifestReplaced,
)
from dtxeth.chain.bindings.types import Role
from tests.contracts.world import DAY, HOUR, NOTHING, ZERO, World, account, event, refused

OWNER, OTHER, STRANGER = account("owner-1"), account("owner-2"), account("stranger")
NODE = account("node-1").address


def test_all_acknowledgements_count_or_none(world: World) -> None:
    publication = world.publication(OWNER)
    good = world.acknowledge("node-1", OWNER, publication)
    bad = world.acknowledge("node-2", OWNER, publication, signer="stranger")
    with refused(InvalidAcknowledgement, bad.node, STRANGER.address):
        world.files.publish(publication, [good, bad], sender=OWNER)
    with refused(UnknownFile, world.files.file_id_of(OWNER.address, publication.salt)):
        world.files.file_of(world.files.file_id_of(OWNER.address, publication.salt))
    with refused(UnknownHolding, 1):
        world.files.holding(1)


@pytest.mark.parametrize(
    "corruption",
    [
        {"root": bytes(32)},
        {"leaf_count": 14},
        {"size": 3001},
        {"deadline": 2**63},
        {"node": account("node-2").address},
    ],
)
def test_an_acknowledgement_of_other_values_is_refused(world: World, corruption: dict[str, Any]) -> None:
    publication = world.publication(OWNER)
    good = world.acknowledge("node-1", OWNER, publication)
    with pytest.raises(InvalidAcknowledgement) as caught:
        world.files.publish(publication, [replace(good, **corruption)], sender=OWNER)
    assert caught.value.node == corruption.get("node", NODE)
    assert caught.value.signer not in (NODE, corruption.get("node", NODE))
    world.files.publish(publication, [good], sender=OWNER)


@pytest.mark.parametrize(
    "signed",
    [
        {"fileId": bytes(32)},
        {"owner": STRANGER.address},
        {"expiresAt": 2**40},
        {"domain": {"chainId": 1}},
        {"domain": {"verifyingContract": ZERO}},
        {"domain": {"version": "2"}},
    ],
)
def test_an_acknowledgement_for_another_purpose_is_refused(world: World, signed: dict[str, Any]) -> None:
    publication = world.publication(OWNER)
    other = world.acknowledge("node-1", OWNER, publication, **signed)
    with pytest.raises(InvalidAcknowledgement):
        world.files.publish(publication, [other], sender=OWNER)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(65), b"\xff" * 65])
def test_a_signature_that_is_none_is_refused(world: World, signature: bytes) -> None:
    publication = world.publication(OWNER)
    given = replace(world.acknowledge("node-1", OWNER, publication), signature=signature)
    with refused(InvalidAcknowledgement, NODE, ZERO):
        world.files.publish(publication, [given], sender=OWNER)


def test_the_other_signature_of_the_same_key_is_refused(world: World) -> None:
    publication = world.publication(OWNER)
    good = world.acknowledge("node-1", OWNER, publication)
    r, s, v = good.signature[:32], int.from_bytes(good.signature[32:64], "big"), good.signature[64]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    malleable = r + (order - s).to_bytes(32, "big") + bytes([55 - v])
    with refused(InvalidAcknowledgement, NODE, ZERO):
        world.files.publish(publication, [replace(good, signature=malleable)], sender=OWNER)


def test_an_acknowledgement_of_one_owner_is_useless_to_another(world: World) -> None:
    publication = world.publication(OWNER)
    given = [world.acknowledge("node-1", OWNER, publication)]
    taken = replace(publication, namespace_id=world.files.namespace_id_of(OTHER.address, "study"))
    with pytest.raises(InvalidAcknowledgement):
        world.files.publish(taken, given, sender=OTHER)
    world.files.publish(publication, given, sender=OWNER)


def test_an_acknowledgement_counts_up_to_its_deadline(world: World) -> None:
    publication = world.publication(OWNER)
    deadline = world.now() + HOUR
    given = [world.acknowledge("node-1", OWNER, publication, deadline=deadline)]
    world.at(deadline + 1)
    with refused(AcknowledgementExpired, NODE, deadline):
        world.files.publish(publication, given, sender=OWNER)
    world.at(deadline)
    world.files.publish(publication, given, sender=OWNER)


@pytest.mark.parametrize(
    ("leaf_count", "size"), [(0, 0), (0, 1), (1, 0), (2, 1), (1, 249), (13, 13 * 248 + 1), (2**32 - 1, 2**63)]
)
def test_a_holding_that_no_pieces_give_is_refused(world: World, leaf_count: int, size: int) -> None:
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication, leafCount=leaf_count, size=size)
    with refused(InvalidHolding, NODE, leaf_count, size):
        world.files.publish(publication, [given], sender=OWNER)


@pytest.mark.parametrize(("leaf_count", "size"), [(1, 1), (1, 248), (2**32 - 1, (2**32 - 1) * 248)])
def test_a_holding_at_the_bounds_is_taken(world: World, leaf_count: int, size: int) -> None:
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication, leafCount=leaf_count, size=size)
    world.files.publish(publication, [given], sender=OWNER)
    assert world.files.holding(1).size == size


def test_a_node_acknowledges_once(world: World) -> None:
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication)
    with refused(AlreadyHolding, world.files.file_id_of(OWNER.address, publication.salt), NODE):
        world.files.publish(publication, [given, given], sender=OWNER)


def test_only_online_storage_nodes_hold_files(world: World) -> None:
    publication = world.publication(OWNER)
    for name, error, values in (
        ("stranger", UnknownNode, (STRANGER.address,)),
        ("executor-1", WrongRole, (account("executor-1").address, Role.EXECUTOR, Role.STORAGE)),
    ):
        with refused(error, *values):
            world.files.publish(publication, [world.acknowledge(name, OWNER, publication)], sender=OWNER)
    world.nodes.set_online(False, sender=account("node-1"))
    with refused(NodeOffline, NODE):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)


def test_64_holdings_fit_into_a_block(world: World) -> None:
    publication = world.publication(OWNER)
    names = [f"many-{number}" for number in range(64)]
    for name in names:
        world.chain.faucet(account(name).address, 10**16)
        world.nodes.register(Role.STORAGE, name, "http://many", NOTHING, 0, sender=account(name))
    given = [world.acknowledge(name, OWNER, publication) for name in names]
    receipt = world.files.publish(publication, given, sender=OWNER)
    file_id = world.files.file_id_of(OWNER.address, publication.salt)
    assert world.files.holdings_of(file_id) == tuple(range(1, 65))
    assert receipt.gas_used < 15_000_000


def test_a_file_has_at_most_64_holdings(world: World) -> None:
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication)
    with refused(TooManyHoldings, 65, 64):
        world.files.publish(publication, [given] * 65, sender=OWNER)


# --- further holdings ---


def test_a_file_is_spread_over_further_nodes(world: World) -> None:
    file = world.publish("owner-1")
    publication = world.publication(OWNER, expires_at=file.expires_at)
    more = world.acknowledge("node-2", OWNER, publication, fileId=file.file_id)
    digest = keccak(b"new manifest")
    receipt = world.files.add_holdings(file.file_id, digest, [more], sender=OWNER)
    assert receipt.events == (
        event(ManifestReplaced, file.file_id, digest),
        event(HoldingAdded, 2, file.file_id, more.node, more.root, more.leaf_count, more.size),
    )
    assert world.files.holdings_of(file.file_id) == (1, 2)
    assert world.files.file_of(file.file_id).manifest_digest == digest

    with refused(AlreadyHolding, file.file_id, more.node):
        world.files.add_holdings(file.file_id, digest, [more], sender=OWNER)


def test_spreading_needs_the_owner_a_live_file_and_acknowledgements(world: World) -> None:
    file = world.publish("owner-1")
    publication = world.publication(OWNER, expires_at=file.expires_at)
    late = {"fileId": file.file_id, "deadline": file.expires_at + DAY}
    more = world.acknowledge("node-2", OWNER, publication, **late)
    digest = keccak(b"new manifest")
    with refused(NotFileOwner, file.file_id, STRANGER.address, OWNER.address):
        world.files.add_holdings(file.file_id, digest, [more], sender=STRANGER)
    with refused(UnknownFile, NOTHING):
        world.files.add_holdings(NOTHING, digest, [more], sender=OWNER)
    with refused(TooFewAcknowledgements, 0, 1):
        world.files.add_holdings(file.file_id, digest, [], sender=OWNER)
    with refused(ZeroManifestDigest):
        world.files.add_holdings(file.file_id, NOTHING, [more], sender=OWNER)
    with refused(TooManyHoldings, 65, 64):
        world.files.add_holdings(file.file_id, digest, [more] * 64, sender=OWNER)
    world.at(file.expires_at + 1)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.files.add_holdings(file.file_id, digest, [more], sender=OWNER)
    world.at(file.expires_at)
    world.files.add_holdings(file.file_id, digest, [more], sender=OWNER)
