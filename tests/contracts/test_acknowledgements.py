"""FileRegistry: what counts as a node's acknowledgement, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtxeth.chain.bindings.errors import (
    AcknowledgementExpired,
    AlreadyHolding,
    CapacityExceeded,
    InvalidAcknowledgement,
    InvalidHolding,
    NodeDraining,
    NodeOffline,
    TooManyHoldings,
    UnknownFile,
    UnknownHolding,
    UnknownNode,
    WrongRole,
)
from dtxeth.chain.bindings.types import Possession, Role
from tests.contracts.world import CAPACITY, HOUR, NOTHING, ZERO, World, account, refused

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
        {"root": b"\1" * 32},
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
        {"version": 2},
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


MERKLE, KZG, BOTH = Possession.MERKLE, Possession.KZG, Possession.BOTH
BLOB = 126_976
MOST = 2**32 - 1


@pytest.mark.parametrize(
    ("possession", "leaf_count", "blob_count", "size"),
    [
        *((MERKLE, 0, 0, 0), (MERKLE, 0, 0, 1), (MERKLE, 1, 0, 0), (MERKLE, 2, 0, 1), (MERKLE, 1, 0, 249)),
        *((MERKLE, 13, 0, 13 * 248 + 1), (MERKLE, MOST, 0, 2**63), (MERKLE, 1, 1, 1)),
        *((KZG, 0, 0, 1), (KZG, 0, 1, 0), (KZG, 0, 2, 1), (KZG, 0, 1, BLOB + 1), (KZG, 1, 1, 1)),
        *((BOTH, 0, 1, 1), (BOTH, 1, 0, 1), (BOTH, 1, 1, 249), (BOTH, 600, 1, BLOB + 1)),
    ],
)
def test_a_holding_that_no_pieces_give_is_refused(
    world: World, possession: Possession, leaf_count: int, blob_count: int, size: int
) -> None:
    publication = world.publication(OWNER, namespace_id=world.namespace("owner-1", 1, 1, possession))
    claim = {"leafCount": leaf_count, "blobCount": blob_count, "size": size}
    claim |= {"root": b"\1" * 32, "commitmentsRoot": b"\1" * 32}
    if not leaf_count:
        claim["root"] = NOTHING
    if not blob_count:
        claim["commitmentsRoot"] = NOTHING
    given = world.acknowledge("node-1", OWNER, publication, **claim)
    with refused(InvalidHolding, NODE, leaf_count, blob_count, size):
        world.files.publish(publication, [given], sender=OWNER)


@pytest.mark.parametrize(
    ("possession", "leaf_count", "blob_count", "size"),
    [
        *((MERKLE, 1, 0, 1), (MERKLE, 1, 0, 248), (MERKLE, 3, 0, 3)),
        *((KZG, 0, 1, 1), (KZG, 0, 1, BLOB), (BOTH, 512, 1, BLOB), (BOTH, 1, 1, 248)),
    ],
)
def test_a_holding_at_the_bounds_is_taken(
    world: World, possession: Possession, leaf_count: int, blob_count: int, size: int
) -> None:
    publication = world.publication(OWNER, namespace_id=world.namespace("owner-1", 1, 1, possession))
    claim = {"leafCount": leaf_count, "blobCount": blob_count, "size": size}
    claim |= {"root": b"\1" * 32 if leaf_count else NOTHING}
    claim |= {"commitmentsRoot": b"\2" * 32 if blob_count else NOTHING}
    given = world.acknowledge("node-1", OWNER, publication, **claim)
    world.files.publish(publication, [given], sender=OWNER)
    held = world.files.holding(1)
    assert (held.size, held.leaf_count, held.blob_count) == (size, leaf_count, blob_count)
    assert world.files.merkle_target(1) == (NODE, leaf_count, claim["root"])
    assert world.files.kzg_target(1) == (NODE, blob_count, claim["commitmentsRoot"])


@pytest.mark.parametrize("missing", ["root", "commitmentsRoot"])
def test_a_root_of_zero_is_no_root(world: World, missing: str) -> None:
    publication = world.publication(OWNER, namespace_id=world.namespace("owner-1", 1, 1, BOTH))
    given = world.acknowledge("node-1", OWNER, publication, possession=BOTH, **{missing: NOTHING})
    with refused(InvalidHolding, NODE, given.leaf_count, given.blob_count, given.size):
        world.files.publish(publication, [given], sender=OWNER)


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


def test_a_draining_node_takes_nothing_new(world: World) -> None:
    world.nodes.set_draining(True, sender=account("node-1"))
    publication = world.publication(OWNER)
    given = [world.acknowledge("node-1", OWNER, publication)]
    with refused(NodeDraining, NODE):
        world.files.publish(publication, given, sender=OWNER)
    world.nodes.set_draining(False, sender=account("node-1"))
    world.files.publish(publication, given, sender=OWNER)


def test_a_node_takes_no_more_than_it_has_room_for(world: World) -> None:
    publication = world.publication(OWNER)
    most = {"leafCount": CAPACITY // 248 + 1, "size": CAPACITY}
    world.publish("owner-2", ["node-1"])
    given = world.acknowledge("node-1", OWNER, publication, **most)
    with refused(CapacityExceeded, NODE, CAPACITY + 3000, CAPACITY):
        world.files.publish(publication, [given], sender=OWNER)
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication, **most | {"size": CAPACITY - 3000})
    world.files.publish(publication, [given], sender=OWNER)
    assert world.nodes.room_of(NODE) == 0


def test_64_holdings_fit_into_a_block_and_a_65th_is_refused(world: World) -> None:
    names = [f"many-{number}" for number in range(65)]
    for name in names:
        world.chain.faucet(account(name).address, 10**17)
        world.register(name, 10**6)
    publication = world.publication(OWNER)
    given = [world.acknowledge(name, OWNER, publication) for name in names]
    with refused(TooManyHoldings, 65, 64):
        world.files.publish(publication, given, sender=OWNER)
    receipt = world.files.publish(publication, given[:64], sender=OWNER)
    file_id = world.files.file_id_of(OWNER.address, publication.salt)
    assert world.files.holdings_of(file_id) == tuple(range(1, 65))
    assert receipt.gas_used < 15_000_000
    assert world.files.delete_file(file_id, sender=OWNER).gas_used < 5_000_000
