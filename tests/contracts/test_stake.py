"""NodeRegistry: what a storage node has at stake, and what a failed challenge takes of it."""

from __future__ import annotations

from typing import Any

import pytest

from dtxeth.chain.bindings.errors import (
    CapacityExceeded,
    NodeOffline,
    NodeOnline,
    NoStakeNeeded,
    NotTheContract,
    StakeTooSmall,
    StillHolding,
    UnknownNode,
    WrongRole,
)
from dtxeth.chain.bindings.events import (
    Credited,
    NodeDrainingChanged,
    NodeRegistered,
    NodeSlashed,
    StakeChanged,
    Withdrawn,
)
from dtxeth.chain.bindings.types import Algorithm, Fault, Pledge, Role
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.deploy import Parameters, deploy
from tests.contracts.world import CAPACITY, ETHER, NOTHING, RATE, RULES, STAKE, World, account, event, refused

NODE, STRANGER, OWNER = account("node-1"), account("stranger"), account("owner-1")
BOND = 3000 * RATE
SLASH = BOND * RULES.slash_percent // 100


def fail(world: World, file: Any, times: int = 1) -> None:
    """Have node-1 miss challenges of its holding."""
    for _ in range(times):
        world.at(world.now() + RULES.min_interval)
        world.miss(world.draw(file, 1))


# --- putting at stake ---


def test_a_storage_node_registers_with_its_stake(world: World) -> None:
    assert world.nodes.stake_for(1000) == 1000 * RATE
    with refused(StakeTooSmall, STRANGER.address, 6999, 7000):
        world.register("stranger", 1000, 6999)
    receipt = world.register("stranger", 1000, 7001)
    assert receipt.events == (
        event(NodeRegistered, STRANGER.address, Role.STORAGE, "stranger", "http://stranger", NOTHING, 1000),
        event(StakeChanged, STRANGER.address, 7001),
    )
    assert world.nodes.pledge_of(STRANGER.address) == Pledge(0, 0, 7001)
    assert world.nodes.room_of(STRANGER.address) == 1000


def test_an_executor_has_nothing_at_stake(world: World) -> None:
    arguments = (Role.EXECUTOR, "fresh", "http://fresh", NOTHING, 0)
    with refused(NoStakeNeeded, Role.EXECUTOR):
        world.nodes.register(*arguments, sender=STRANGER, value=1)
    world.nodes.register(*arguments, sender=STRANGER)
    with refused(WrongRole, STRANGER.address, Role.EXECUTOR, Role.STORAGE):
        world.nodes.add_stake(sender=STRANGER, value=1)
    with refused(WrongRole, STRANGER.address, Role.EXECUTOR, Role.STORAGE):
        world.nodes.unstake(sender=STRANGER)
    with refused(WrongRole, STRANGER.address, Role.EXECUTOR, Role.STORAGE):
        world.nodes.set_draining(True, sender=STRANGER)


def test_more_is_put_at_stake_for_more_capacity(world: World) -> None:
    with refused(StakeTooSmall, NODE.address, STAKE, STAKE + RATE):
        world.nodes.update("http://x", NOTHING, CAPACITY + 1, sender=NODE)
    receipt = world.nodes.add_stake(sender=NODE, value=RATE)
    assert receipt.events == (event(StakeChanged, NODE.address, STAKE + RATE),)
    assert world.nodes.room_of(NODE.address) == CAPACITY
    world.nodes.update("http://x", NOTHING, CAPACITY + 1, sender=NODE)
    assert world.nodes.room_of(NODE.address) == CAPACITY + 1
    with refused(UnknownNode, STRANGER.address):
        world.nodes.add_stake(sender=STRANGER, value=1)


def test_a_node_that_offers_less_keeps_what_it_holds(world: World) -> None:
    world.publish("owner-1")
    world.nodes.update("http://x", NOTHING, 10, sender=NODE)
    assert world.nodes.pledge_of(NODE.address).used == 3000
    assert world.nodes.room_of(NODE.address) == 0
    with refused(CapacityExceeded, NODE.address, 6000, 10):
        world.publish("owner-2")


@pytest.mark.parametrize("capacity", [0, 1, 2**64 - 1])
def test_a_stake_is_rounded_up_and_a_bond_down(world: World, capacity: int) -> None:
    nodes = Contracts(world.chain, deploy(world.chain, DEVELOPER, Parameters(stake_per_gib=3))).node_registry
    assert nodes.stake_for(capacity) == -(-capacity * 3 // 2**30)
    assert nodes.bond_of(capacity) == capacity * 3 // 2**30


def test_no_stake_is_asked_for_where_the_rate_is_zero(world: World) -> None:
    nodes = Contracts(world.chain, deploy(world.chain, DEVELOPER, Parameters(stake_per_gib=0))).node_registry
    nodes.register(Role.STORAGE, "free", "http://free", NOTHING, 2**64 - 1, sender=STRANGER)
    assert nodes.room_of(STRANGER.address) == 2**64 - 1


# --- taking it back ---


def test_stake_leaves_as_a_whole_offline_and_holding_nothing(world: World) -> None:
    file = world.publish("owner-1")
    with refused(NodeOnline, NODE.address):
        world.nodes.unstake(sender=NODE)
    world.nodes.set_online(False, sender=NODE)
    with refused(StillHolding, NODE.address, 1):
        world.nodes.unstake(sender=NODE)
    world.files.delete_file(file.file_id, sender=OWNER)
    receipt = world.nodes.unstake(sender=NODE)
    assert receipt.events == (
        event(StakeChanged, NODE.address, 0),
        event(Credited, NODE.address, STAKE),
    )
    assert world.nodes.withdraw(sender=NODE).events == (event(Withdrawn, NODE.address, STAKE),)
    with refused(UnknownNode, STRANGER.address):
        world.nodes.unstake(sender=STRANGER)


def test_stake_stays_while_a_challenge_is_open(world: World) -> None:
    file = world.publish("owner-1")
    challenge_id = world.draw(file)
    world.files.delete_file(file.file_id, sender=OWNER)
    world.nodes.set_online(False, sender=NODE)
    with refused(StillHolding, NODE.address, 1):
        world.nodes.unstake(sender=NODE)
    world.miss(challenge_id)
    world.files.release([1], sender=NODE)
    world.nodes.unstake(sender=NODE)
    assert world.nodes.credit_of(NODE.address) == STAKE - SLASH


def test_a_node_without_stake_takes_nothing(world: World) -> None:
    world.nodes.set_online(False, sender=NODE)
    world.nodes.unstake(sender=NODE)
    with refused(NodeOffline, NODE.address):
        world.publish("owner-1")
    world.nodes.set_online(True, sender=NODE)
    assert world.nodes.room_of(NODE.address) == 0
    with refused(CapacityExceeded, NODE.address, 3000, 0):
        world.publish("owner-1")
    world.nodes.add_stake(sender=NODE, value=BOND)
    world.publish("owner-1")


def test_a_node_drains_and_takes_it_back(world: World) -> None:
    receipt = world.nodes.set_draining(True, sender=NODE)
    assert receipt.events == (event(NodeDrainingChanged, NODE.address, True),)
    assert world.nodes.node_of(NODE.address).draining
    assert world.nodes.set_draining(True, sender=NODE).events == ()
    world.at(world.now() + RULES.slot_seconds)
    world.nodes.heartbeat(sender=NODE)
    assert world.nodes.set_draining(False, sender=NODE).events == (
        event(NodeDrainingChanged, NODE.address, False),
    )
    with refused(UnknownNode, STRANGER.address):
        world.nodes.set_draining(True, sender=STRANGER)


# --- slashing ---


def test_a_failed_challenge_takes_a_part_of_the_bond(world: World) -> None:
    file = world.publish("owner-1")
    assert world.nodes.bond_of(3000) == BOND
    receipt = world.miss(world.draw(file))
    assert event(NodeSlashed, NODE.address, OWNER.address, SLASH, SLASH - SLASH // 2) in receipt.events
    assert event(StakeChanged, NODE.address, STAKE - SLASH) in receipt.events
    assert world.nodes.pledge_of(NODE.address).stake == STAKE - SLASH
    assert world.nodes.credit_of(OWNER.address) == SLASH // 2
    assert world.nodes.burned() == SLASH - SLASH // 2
    assert world.challenges.fault_of(1) == (Fault.MISSED, SLASH)
    assert world.nodes.room_of(NODE.address) == CAPACITY - SLASH // RATE - 3000
    every = sum(world.nodes.pledge_of(account(f"node-{number}").address).stake for number in (1, 2, 3))
    assert world.chain.balance(world.nodes.address) == every + SLASH


def test_all_failures_of_a_holding_take_its_bond_at_most(world: World) -> None:
    file = world.publish("owner-1")
    fail(world, file, 4)
    assert world.challenges.fault_of(1) == (Fault.MISSED, BOND)  # 40 + 40 + 20 + 0 percent
    assert world.nodes.pledge_of(NODE.address).stake == STAKE - BOND
    assert world.nodes.credit_of(OWNER.address) + world.nodes.burned() == BOND


def test_an_odd_wei_is_burned(world: World) -> None:
    publication = world.publication(OWNER)
    given = world.acknowledge("node-1", OWNER, publication, leafCount=1, size=4)
    world.files.publish(publication, [given], sender=OWNER)
    world.challenges.open(1, Algorithm.MERKLE, 1, sender=OWNER, value=RULES.deposit_per_leaf)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(1, sender=OWNER)
    receipt = world.miss(1)
    assert event(NodeSlashed, NODE.address, OWNER.address, 11, 6) in receipt.events


@pytest.mark.parametrize("function", ["hold", "free", "slash"])
def test_only_the_contracts_count_and_slash(world: World, function: str) -> None:
    expected = world.challenges.address if function == "slash" else world.files.address
    arguments = (NODE.address, 1, STRANGER.address) if function == "slash" else (NODE.address, 1)
    for caller in (NODE, OWNER, STRANGER, DEVELOPER):
        with refused(NotTheContract, caller.address, expected):
            getattr(world.nodes, function)(*arguments, sender=caller)


def test_the_owner_fetches_its_half(world: World) -> None:
    fail(world, world.publish("owner-1"))
    assert world.nodes.withdraw(sender=OWNER).events == (event(Withdrawn, OWNER.address, SLASH // 2),)
    assert world.challenges.deposit_for(Algorithm.MERKLE, 1) == world.challenges.credit_of(OWNER.address)
    assert world.chain.balance(OWNER.address) < ETHER  # it paid for gas
