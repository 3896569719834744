"""NodeRegistry: registration, being online, heartbeats."""

from __future__ import annotations

import pytest

from dtxeth.chain.bindings.errors import (
    AlreadyRegistered,
    HeartbeatTooSoon,
    InvalidEndpoint,
    InvalidNodeName,
    InvalidSlotSeconds,
    NodeNameTaken,
    NodeOffline,
    NoRole,
    UnknownNode,
    UnknownNodeName,
    WrongRole,
)
from dtxeth.chain.bindings.events import HeartbeatCounted, NodeOnlineChanged, NodeRegistered, NodeUpdated
from dtxeth.chain.bindings.types import Node, Role
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.deploy import Parameters, deploy
from tests.contracts.world import DAY, NOTHING, SLOT, World, account, event, refused

FINGERPRINT = b"\x07" * 32
NODE, STRANGER = account("node-1"), account("stranger")


def test_a_node_registers_and_is_online(world: World) -> None:
    receipt = world.nodes.register(
        Role.EXECUTOR, "fresh", "https://fresh:1", FINGERPRINT, 42, sender=STRANGER
    )
    expected = event(
        NodeRegistered, STRANGER.address, Role.EXECUTOR, "fresh", "https://fresh:1", FINGERPRINT, 42
    )
    assert receipt.events == (expected,)
    assert world.nodes.node_of(STRANGER.address) == Node(
        *(
            Role.EXECUTOR,
            True,
            False,
            world.now(),
            0,
            world.now(),
            42,
            FINGERPRINT,
            "fresh",
            "https://fresh:1",
        )
    )
    assert world.nodes.node_named(Role.EXECUTOR, "fresh") == STRANGER.address


@pytest.mark.parametrize("length", [1, 64])
def test_a_name_of_allowed_length_is_taken(world: World, length: int) -> None:
    world.nodes.register(Role.EXECUTOR, "n" * length, "u" * 256, NOTHING, 0, sender=STRANGER)
    assert world.nodes.node_of(STRANGER.address).name == "n" * length


def test_registration_without_a_role_is_refused(world: World) -> None:
    with refused(NoRole):
        world.nodes.register(Role.NONE, "fresh", "http://fresh", NOTHING, 0, sender=STRANGER)


@pytest.mark.parametrize("length", [0, 65])
def test_a_name_of_another_length_is_refused(world: World, length: int) -> None:
    with refused(InvalidNodeName, length, 64):
        world.nodes.register(Role.STORAGE, "n" * length, "http://x", NOTHING, 0, sender=STRANGER)


@pytest.mark.parametrize("length", [0, 257])
def test_an_endpoint_of_another_length_is_refused(world: World, length: int) -> None:
    with refused(InvalidEndpoint, length, 256):
        world.nodes.register(Role.STORAGE, "fresh", "u" * length, NOTHING, 0, sender=STRANGER)
    with refused(InvalidEndpoint, length, 256):
        world.nodes.update("u" * length, NOTHING, 0, sender=NODE)


def test_a_name_is_unique_in_its_role_only(world: World) -> None:
    with refused(NodeNameTaken, "node-1", NODE.address):
        world.nodes.register(Role.STORAGE, "node-1", "http://x", NOTHING, 0, sender=STRANGER)
    world.nodes.register(Role.EXECUTOR, "node-1", "http://x", NOTHING, 0, sender=STRANGER)
    assert world.nodes.node_named(Role.STORAGE, "node-1") == NODE.address
    assert world.nodes.node_named(Role.EXECUTOR, "node-1") == STRANGER.address


def test_an_account_registers_once(world: World) -> None:
    for role in (Role.STORAGE, Role.EXECUTOR):
        with refused(AlreadyRegistered, NODE.address):
            world.nodes.register(role, "another", "http://x", NOTHING, 0, sender=NODE)


def test_a_node_is_updated(world: World) -> None:
    before = world.nodes.node_of(NODE.address)
    receipt = world.nodes.update("https://moved", FINGERPRINT, 7, sender=NODE)
    assert receipt.events == (event(NodeUpdated, NODE.address, "https://moved", FINGERPRINT, 7),)
    after = world.nodes.node_of(NODE.address)
    assert (after.endpoint, after.tls_fingerprint, after.capacity) == ("https://moved", FINGERPRINT, 7)
    assert (after.name, after.role, after.registered_at) == (before.name, before.role, before.registered_at)


def test_a_node_goes_offline_and_back(world: World) -> None:
    receipt = world.nodes.set_online(False, sender=NODE)
    assert receipt.events == (event(NodeOnlineChanged, NODE.address, False),)
    assert world.nodes.set_online(False, sender=NODE).events == ()
    assert not world.nodes.is_online(NODE.address, Role.STORAGE)
    with refused(NodeOffline, NODE.address):
        world.nodes.require_online(NODE.address, Role.STORAGE)
    world.at(world.now() + 100)
    receipt = world.nodes.set_online(True, sender=NODE)
    assert world.nodes.node_of(NODE.address).online_changed_at == world.now()
    assert receipt.events == (event(NodeOnlineChanged, NODE.address, True),)
    world.nodes.require_online(NODE.address, Role.STORAGE)


def test_only_a_node_of_the_role_is_online_in_it(world: World) -> None:
    assert world.nodes.is_online(NODE.address, Role.STORAGE)
    assert not world.nodes.is_online(NODE.address, Role.EXECUTOR)
    assert not world.nodes.is_online(STRANGER.address, Role.STORAGE)
    assert not world.nodes.is_online(STRANGER.address, Role.NONE)
    with refused(WrongRole, NODE.address, Role.STORAGE, Role.EXECUTOR):
        world.nodes.require_online(NODE.address, Role.EXECUTOR)
    with refused(UnknownNode, STRANGER.address):
        world.nodes.require_online(STRANGER.address, Role.STORAGE)


def test_unknown_nodes_are_named(world: World) -> None:
    with refused(UnknownNode, STRANGER.address):
        world.nodes.node_of(STRANGER.address)
    with refused(UnknownNodeName, Role.STORAGE, "nobody"):
        world.nodes.node_named(Role.STORAGE, "nobody")
    with refused(UnknownNodeName, Role.STORAGE, "executor-1"):
        world.nodes.node_named(Role.STORAGE, "executor-1")


def test_only_nodes_change_themselves(world: World) -> None:
    with refused(UnknownNode, STRANGER.address):
        world.nodes.update("http://x", NOTHING, 0, sender=STRANGER)
    with refused(UnknownNode, STRANGER.address):
        world.nodes.set_online(True, sender=STRANGER)
    with refused(UnknownNode, STRANGER.address):
        world.nodes.heartbeat(sender=STRANGER)


def test_one_heartbeat_a_slot_counts(world: World) -> None:
    slot = (world.now() // SLOT + 2) * SLOT
    world.at(slot)
    receipt = world.nodes.heartbeat(sender=NODE)
    day = slot // DAY
    assert receipt.events == (event(HeartbeatCounted, NODE.address, day, 1),)
    assert world.nodes.node_of(NODE.address).last_heartbeat == slot

    world.at(slot + SLOT - 1)
    with refused(HeartbeatTooSoon, NODE.address, slot + SLOT):
        world.nodes.heartbeat(sender=NODE)
    assert world.nodes.heartbeats_on(NODE.address, day) == 1

    world.at(slot + SLOT)
    world.nodes.heartbeat(sender=NODE)
    assert world.nodes.node_of(NODE.address).last_heartbeat == slot + SLOT


def test_heartbeats_are_counted_by_day(world: World) -> None:
    day = world.now() // DAY + 1
    world.at(day * DAY - 1)
    world.nodes.heartbeat(sender=NODE)
    for place in range(3):
        world.at(day * DAY + place * SLOT)
        receipt = world.nodes.heartbeat(sender=NODE)
        assert receipt.events == (event(HeartbeatCounted, NODE.address, day, place + 1),)
    assert world.nodes.heartbeats_on(NODE.address, day - 1) == 1
    assert world.nodes.heartbeats_on(NODE.address, day) == 3
    assert world.nodes.heartbeats_on(NODE.address, day + 1) == 0


def test_an_offline_node_has_no_heartbeat(world: World) -> None:
    world.nodes.set_online(False, sender=NODE)
    with refused(NodeOffline, NODE.address):
        world.nodes.heartbeat(sender=NODE)


@pytest.mark.parametrize("seconds", [1, DAY])
def test_the_slot_is_told(world: World, seconds: int) -> None:
    made = deploy(world.chain, DEVELOPER, Parameters(slot_seconds=seconds))
    assert Contracts(world.chain, made).node_registry.slot_seconds() == seconds


@pytest.mark.parametrize("seconds", [0, DAY + 1])
def test_a_slot_out_of_range_is_refused(world: World, seconds: int) -> None:
    with refused(InvalidSlotSeconds, seconds):
        deploy(world.chain, DEVELOPER, Parameters(slot_seconds=seconds))
