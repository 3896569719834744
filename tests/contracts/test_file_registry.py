"""FileRegistry: namespaces, publication with acknowledgements, holdings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AcknowledgementExpired,
    AlreadyHolding,
    EmptyFile,
    ExpiryNotInFuture,
    FileExists,
    FileExpired,
    InvalidAcknowledgement,
    InvalidHolding,
    InvalidNamespaceName,
    InvalidReplicas,
    InvalidWrappedKey,
    NamespaceExists,
    NodeOffline,
    NotFileOwner,
    NotNamespaceOwner,
    TooFewAcknowledgements,
    TooManyHoldings,
    UnknownFile,
    UnknownHolding,
    UnknownNamespace,
    UnknownNode,
    WrongRole,
    ZeroManifestDigest,
)
from dtxeth.chain.bindings.events import (
    FilePublished,
    HoldingAdded,
    ManifestReplaced,
    NamespaceAdded,
    ReplicasChanged,
)
from dtxeth.chain.bindings.types import File, Holding, Namespace, Role
from dtxeth.errors import ContractRevert
from tests.contracts.world import DAY, HOUR, NODES, NOTHING, ZERO, World, account, event, refused

OWNER, OTHER, STRANGER = account("owner-1"), account("owner-2"), account("stranger")
NODE = account("node-1").address


# --- namespaces ---


def test_a_namespace_is_added(world: World) -> None:
    receipt = world.files.add_namespace("trial", 3, sender=OWNER)
    namespace_id = keccak(encode(["address", "string"], [OWNER.address, "trial"]))
    assert receipt.events == (event(NamespaceAdded, namespace_id, OWNER.address, "trial", 3),)
    assert world.files.namespace_id_of(OWNER.address, "trial") == namespace_id
    assert world.files.namespace_of(namespace_id) == Namespace(OWNER.address, 3, world.now(), "trial")


def test_a_namespace_is_unique_for_its_owner_only(world: World) -> None:
    world.files.add_namespace("trial", 1, sender=OWNER)
    with refused(NamespaceExists, "trial"):
        world.files.add_namespace("trial", 2, sender=OWNER)
    world.files.add_namespace("trial", 2, sender=OTHER)
    assert world.files.namespace_of(world.files.namespace_id_of(OWNER.address, "trial")).replicas == 1


@pytest.mark.parametrize("length", [0, 65])
def test_a_namespace_with_a_bad_name_is_refused(world: World, length: int) -> None:
    with refused(InvalidNamespaceName, length, 64):
        world.files.add_namespace("n" * length, 1, sender=OWNER)
    world.files.add_namespace("n" * 64, 1, sender=OWNER)


@pytest.mark.parametrize("replicas", [0, 65, 255])
def test_replicas_out_of_range_are_refused(world: World, replicas: int) -> None:
    with refused(InvalidReplicas, replicas, 64):
        world.files.add_namespace("trial", replicas, sender=OWNER)
    study = world.files.namespace_id_of(OWNER.address, "study")
    with refused(InvalidReplicas, replicas, 64):
        world.files.set_replicas(study, replicas, sender=OWNER)
    world.files.add_namespace("trial", world.files.max_holdings(), sender=OWNER)


def test_the_owner_changes_replicas(world: World) -> None:
    study = world.files.namespace_id_of(OWNER.address, "study")
    receipt = world.files.set_replicas(study, 2, sender=OWNER)
    assert receipt.events == (event(ReplicasChanged, study, OWNER.address, 2),)
    assert world.files.namespace_of(study).replicas == 2
    publication = world.publication(OWNER)
    with refused(TooFewAcknowledgements, 1, 2):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)
    with refused(NotNamespaceOwner, study, STRANGER.address, OWNER.address):
        world.files.set_replicas(study, 1, sender=STRANGER)
    with refused(UnknownNamespace, NOTHING):
        world.files.set_replicas(NOTHING, 1, sender=OWNER)
    with refused(UnknownNamespace, NOTHING):
        world.files.namespace_of(NOTHING)


# --- publication ---


def test_a_file_is_published_with_its_holdings(world: World) -> None:
    publication = world.publication(OWNER)
    given = [world.acknowledge(node, OWNER, publication) for node in NODES]
    receipt = world.files.publish(publication, given, sender=OWNER)

    file_id = keccak(encode(["address", "bytes32"], [OWNER.address, publication.salt]))
    assert world.files.file_id_of(OWNER.address, publication.salt) == file_id
    published = event(
        FilePublished,
        *(file_id, OWNER.address, publication.namespace_id, publication.size, publication.rows),
        *(world.now(), publication.expires_at, publication.manifest_digest, publication.sealed_info),
    )
    added = tuple(
        event(HoldingAdded, number, file_id, ack.node, ack.root, ack.leaf_count, ack.size)
        for number, ack in enumerate(given, start=1)
    )
    assert receipt.events == (published, *added)

    assert world.files.file_of(file_id) == File(
        *(OWNER.address, publication.namespace_id, publication.size, publication.rows),
        *(world.now(), publication.expires_at, publication.manifest_digest, publication.wrapped_key),
    )
    assert world.files.owner_of(file_id) == OWNER.address
    assert world.files.holdings_of(file_id) == (1, 2, 3)
    for number, ack in enumerate(given, start=1):
        assert world.files.holding(number) == Holding(file_id, ack.node, ack.root, ack.leaf_count, ack.size)
        assert world.files.holding_on(file_id, ack.node) == number
    assert world.files.holding_on(file_id, STRANGER.address) == 0


def test_a_file_lives_up_to_the_second_it_expires(world: World) -> None:
    file = world.publish("owner-1")
    world.view_at(file.expires_at)
    assert world.files.is_live(file.file_id)
    assert world.files.require_live(file.file_id) == (OWNER.address, file.expires_at)
    world.chain.mine()
    assert not world.files.is_live(file.file_id)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.files.require_live(file.file_id)


def test_what_was_never_published_is_unknown(world: World) -> None:
    views: list[Any] = [
        *(world.files.file_of, world.files.owner_of, world.files.is_live, world.files.require_live),
        world.files.holdings_of,
    ]
    for view in views:
        with refused(UnknownFile, NOTHING):
            view(NOTHING)
    for number in (0, 1):
        with refused(UnknownHolding, number):
            world.files.holding(number)


def test_a_file_is_published_once(world: World) -> None:
    publication = world.publication(OWNER)
    given = [world.acknowledge("node-1", OWNER, publication)]
    world.files.publish(publication, given, sender=OWNER)
    with refused(FileExists, world.files.file_id_of(OWNER.address, publication.salt)):
        world.files.publish(publication, given, sender=OWNER)


def test_publishing_into_another_namespace_is_refused(world: World) -> None:
    publication = world.publication(STRANGER, namespace_id=world.publication(OWNER).namespace_id)
    with refused(NotNamespaceOwner, publication.namespace_id, STRANGER.address, OWNER.address):
        world.files.publish(
            publication, [world.acknowledge("node-1", STRANGER, publication)], sender=STRANGER
        )
    publication = world.publication(OWNER, namespace_id=NOTHING)
    with refused(UnknownNamespace, NOTHING):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)


def test_a_file_must_expire_in_the_future(world: World) -> None:
    time = world.now() + HOUR
    publication = world.publication(OWNER, expires_at=time)
    given = [world.acknowledge("node-1", OWNER, publication)]
    world.at(time)
    with refused(ExpiryNotInFuture, time, time):
        world.files.publish(publication, given, sender=OWNER)
    world.at(time - 1)
    world.files.publish(publication, given, sender=OWNER)


@pytest.mark.parametrize(
    ("changes", "error", "values"),
    [
        ({"size": 0}, EmptyFile, ()),
        ({"manifest_digest": NOTHING}, ZeroManifestDigest, ()),
        ({"wrapped_key": b""}, InvalidWrappedKey, (0, 256)),
        ({"wrapped_key": bytes(257)}, InvalidWrappedKey, (257, 256)),
    ],
)
def test_a_publication_that_says_nonsense_is_refused(
    world: World, changes: dict[str, Any], error: Any, values: tuple[int, ...]
) -> None:
    publication = world.publication(OWNER, **changes)
    with refused(error, *values):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)


# --- acknowledgements ---


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


def test_the_domain_is_told(world: World) -> None:
    _, name, version, chain_id, address, _, _ = world.files.eip712_domain()
    assert {
        "name": name,
        "version": version,
        "chainId": chain_id,
        "verifyingContract": address,
    } == world.domain


def test_money_sent_to_a_registry_is_refused(world: World) -> None:
    for contract in (world.keys, world.nodes, world.files, world.authorizations):
        with pytest.raises(ContractRevert):
            world.chain.faucet(contract.address, 1)
