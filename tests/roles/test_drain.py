"""Storage nodes' stakes, their going offline, draining and leaving; and what they release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dtxeth.chain import Parameters, reverts
from dtxeth.chain.bindings.types import HoldingState
from dtxeth.config import LocalConfig
from dtxeth.errors import TaskError
from dtxeth.roles import DataOwner, LocalNetwork
from dtxeth.roles.care import Care
from tests.roles.paper import DAY, paper_of, publish, turn_into_paper

PARAMETERS = Parameters(slot_seconds=DAY)
GIB = 2**30


@pytest.fixture
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(storage_nodes=2, executors=0, parameters=PARAMETERS) as made:
        turn_into_paper(made.storage_nodes)
        yield made


@pytest.fixture
def owner(network: LocalNetwork) -> DataOwner:
    owner = network.data_owner("owner", care=Care(0, repairs=False))
    owner.add_namespace("any", 1)
    return owner


def test_nodes_join_with_their_stake(network: LocalNetwork) -> None:
    registry = network.contracts.node_registry
    for node in network.storage_nodes:
        assert registry.pledge_of(node.address).stake == registry.stake_for(network.config.capacity)
        assert registry.room_of(node.address) == network.config.capacity


def test_a_slashed_node_is_topped_up_by_hand(network: LocalNetwork, owner: DataOwner) -> None:
    node, registry = network.storage_nodes[0], network.contracts.node_registry
    file = publish(owner, [node], owner.namespace_id("any"))
    network.remove_worker(node)
    assert [result.fault.name for result in owner.challenge(file)] == ["MISSED"]
    network.add_worker(node)
    network.pass_time(DAY)
    missing = registry.stake_for(node.capacity) - registry.pledge_of(node.address).stake
    assert missing > 0
    assert (node.top_up(), node.top_up()) == (missing, 0)
    assert registry.pledge_of(node.address).stake == registry.stake_for(node.capacity)
    assert owner.withdraw() >= missing // 2


def test_a_node_drains_and_leaves(network: LocalNetwork, owner: DataOwner) -> None:
    node, registry = network.storage_nodes[0], network.contracts.node_registry
    file = publish(owner, [node], owner.namespace_id("any"))
    stake = registry.pledge_of(node.address).stake
    with pytest.raises(TaskError, match="move everything off storage1"):
        node.leave()  # nobody moves the piece
    assert registry.node_of(node.address).draining
    assert not node.has_left
    with pytest.raises(reverts.NodeDraining):
        publish(owner, [node], owner.namespace_id("any"))
    owner.delete(file)
    assert node.leave() == stake
    assert node.has_left
    assert node.leave() == 0


def test_draining_and_being_offline_end(network: LocalNetwork, owner: DataOwner) -> None:
    node, registry = network.storage_nodes[0], network.contracts.node_registry
    node.drain()
    node.go_offline()
    network.pass_time(2 * DAY)
    heartbeat = registry.node_of(node.address).last_heartbeat
    assert heartbeat < network.chain.now() - DAY
    node.drain(False)
    node.go_online()
    publish(owner, [node], owner.namespace_id("any"))
    network.pass_time(1)
    assert registry.node_of(node.address).last_heartbeat > heartbeat


def test_holdings_are_released_in_batches(network: LocalNetwork, owner: DataOwner) -> None:
    node, files = network.storage_nodes[0], network.contracts.file_registry
    ids = [publish(owner, [node], owner.namespace_id("any"), days=1) for _ in range(3)]
    holdings = [files.holding_on(file_id, node.address) for file_id in ids]
    fresh = files.holding_on(publish(owner, [node], owner.namespace_id("any")), node.address)
    network.pass_time(8 * DAY + 60)
    paper_of(node).releasable = [*holdings[:2], fresh, holdings[2]]  # one too many, wrongly
    before = network.chain.nonce(node.address)
    network.pass_time(DAY)
    assert [files.holding(holding).state for holding in holdings] == [HoldingState.RELEASED] * 3
    assert files.holding(fresh).state is HoldingState.LIVE
    assert network.chain.nonce(node.address) == before + 2  # the day's heartbeat, and one release


def test_what_was_decided_outlives_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with LocalNetwork(storage_nodes=3, executors=0, home=home) as network:
        network.storage_nodes[0].go_offline()
        network.storage_nodes[1].leave()
    config = LocalConfig.load(home / "network.toml")
    config.model_copy(update={"capacity": 20 * GIB}).save(home / "network.toml")
    with LocalNetwork.open(home) as network:
        registry = network.contracts.node_registry
        offline, left, online = network.storage_nodes
        assert [registry.node_of(node.address).online for node in network.storage_nodes] == [
            False,
            False,
            True,
        ]
        assert registry.room_of(online.address) == registry.room_of(offline.address) == 20 * GIB
        assert registry.pledge_of(left.address).stake == 0
        left.go_online()
        assert registry.pledge_of(left.address).stake == registry.stake_for(20 * GIB)
