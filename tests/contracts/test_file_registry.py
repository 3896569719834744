"""FileRegistry: namespaces, and files with their holdings."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    EmptyFile,
    ExpiryNotInFuture,
    ExpiryTooFar,
    FileExists,
    FileExpired,
    InvalidNamespaceName,
    InvalidRedundancy,
    InvalidWrappedKey,
    NamespaceExists,
    NoPossession,
    NotNamespaceOwner,
    TooFewAcknowledgements,
    UnknownFile,
    UnknownHolding,
    UnknownNamespace,
    ZeroManifestDigest,
)
from dtxeth.chain.bindings.events import (
    FilePublished,
    HoldingAdded,
    NamespaceAdded,
    RedundancyChanged,
)
from dtxeth.chain.bindings.types import File, Holding, HoldingState, Namespace, Possession
from dtxeth.errors import ContractRevert
from tests.contracts.world import DAY, HOUR, NODES, NOTHING, World, account, event, refused

OWNER, OTHER, STRANGER = account("owner-1"), account("owner-2"), account("stranger")
NODE = account("node-1").address


# --- namespaces ---


def test_a_namespace_is_added(world: World) -> None:
    receipt = world.files.add_namespace("trial", 2, 3, Possession.BOTH, sender=OWNER)
    namespace_id = keccak(encode(["address", "string"], [OWNER.address, "trial"]))
    added = (NamespaceAdded, namespace_id, OWNER.address, "trial", 2, 3, Possession.BOTH)
    assert receipt.events == (event(*added),)
    assert world.files.namespace_id_of(OWNER.address, "trial") == namespace_id
    assert world.files.namespace_of(namespace_id) == Namespace(
        OWNER.address, 2, 3, Possession.BOTH, world.now(), "trial"
    )


def test_a_namespace_is_unique_for_its_owner_only(world: World) -> None:
    world.files.add_namespace("trial", 1, 1, Possession.KZG, sender=OWNER)
    with refused(NamespaceExists, "trial"):
        world.files.add_namespace("trial", 1, 2, Possession.KZG, sender=OWNER)
    world.files.add_namespace("trial", 1, 2, Possession.KZG, sender=OTHER)
    assert world.files.namespace_of(world.files.namespace_id_of(OWNER.address, "trial")).total == 1


@pytest.mark.parametrize("length", [0, 65])
def test_a_namespace_with_a_bad_name_is_refused(world: World, length: int) -> None:
    with refused(InvalidNamespaceName, length, 64):
        world.files.add_namespace("n" * length, 1, 1, Possession.MERKLE, sender=OWNER)
    world.files.add_namespace("n" * 64, 1, 1, Possession.MERKLE, sender=OWNER)


def test_a_namespace_must_say_how_possession_is_proved(world: World) -> None:
    with refused(NoPossession):
        world.files.add_namespace("trial", 1, 1, Possession.NONE, sender=OWNER)


@pytest.mark.parametrize(("needed", "total"), [(0, 0), (0, 1), (2, 1), (1, 65), (65, 65), (255, 255)])
def test_redundancy_out_of_range_is_refused(world: World, needed: int, total: int) -> None:
    with refused(InvalidRedundancy, needed, total, 64):
        world.files.add_namespace("trial", needed, total, Possession.MERKLE, sender=OWNER)
    study = world.files.namespace_id_of(OWNER.address, "study")
    with refused(InvalidRedundancy, needed, total, 64):
        world.files.set_redundancy(study, needed, total, sender=OWNER)
    file = world.publish("owner-1")
    with refused(InvalidRedundancy, needed, total, 64):
        world.revise(file, ["node-1"], needed=needed, total=total)


@pytest.mark.parametrize(("needed", "total"), [(1, 1), (1, 64), (64, 64)])
def test_redundancy_at_the_bounds_is_taken(world: World, needed: int, total: int) -> None:
    assert world.files.max_holdings() == 64
    world.files.add_namespace("trial", needed, total, Possession.MERKLE, sender=OWNER)


def test_the_owner_changes_redundancy(world: World) -> None:
    study = world.files.namespace_id_of(OWNER.address, "study")
    receipt = world.files.set_redundancy(study, 1, 2, sender=OWNER)
    assert receipt.events == (event(RedundancyChanged, study, OWNER.address, 1, 2),)
    assert world.files.namespace_of(study).total == 2
    publication = world.publication(OWNER)
    with refused(TooFewAcknowledgements, 1, 2):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)
    with refused(NotNamespaceOwner, study, STRANGER.address, OWNER.address):
        world.files.set_redundancy(study, 1, 1, sender=STRANGER)
    with refused(UnknownNamespace, NOTHING):
        world.files.set_redundancy(NOTHING, 1, 1, sender=OWNER)
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
        *(world.now(), publication.expires_at, 1, 1, publication.manifest_digest, publication.sealed_info),
    )
    added = tuple(
        event(HoldingAdded, number, file_id, ack.node, 1, ack.size, ack.root, NOTHING)
        for number, ack in enumerate(given, start=1)
    )
    assert receipt.events == (published, *added)

    assert world.files.file_of(file_id) == File(
        *(OWNER.address, 1, 1, 1, False, publication.namespace_id, publication.size, publication.rows),
        *(world.now(), publication.expires_at, publication.manifest_digest, publication.wrapped_key),
    )
    assert world.files.owner_of(file_id) == OWNER.address
    assert world.files.holdings_of(file_id) == (1, 2, 3)
    for number, ack in enumerate(given, start=1):
        assert world.files.holding(number) == Holding(
            *(file_id, ack.node, ack.leaf_count, 0, HoldingState.LIVE, ack.size),
            *(publication.expires_at, 1, ack.root, NOTHING),
        )
        assert world.files.merkle_target(number) == (ack.node, ack.leaf_count, ack.root)
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
        for of_holding in (world.files.holding, world.files.merkle_target, world.files.kzg_target):
            with refused(UnknownHolding, number):
                of_holding(number)


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


def test_a_file_expires_within_a_century(world: World) -> None:
    latest = world.now() + 2 + 36525 * DAY
    publication = world.publication(OWNER, expires_at=latest + 1)
    world.at(latest - 36525 * DAY)
    with refused(ExpiryTooFar, latest + 1, latest):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)
    publication = world.publication(OWNER, expires_at=latest)
    world.at(latest - 36525 * DAY)
    world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)


@pytest.mark.parametrize("expires_at", [2**64 - 1, 2**63, 2**40])
def test_an_expiry_at_the_end_of_time_does_not_overflow(world: World, expires_at: int) -> None:
    publication = world.publication(OWNER, expires_at=expires_at)
    with pytest.raises(ExpiryTooFar):
        world.files.publish(publication, [world.acknowledge("node-1", OWNER, publication)], sender=OWNER)


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
