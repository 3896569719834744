"""Health in the SDK: of nodes, files, namespaces and the whole network, as heartbeats and challenges make it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dtxeth.chain import Parameters, reverts
from dtxeth.chain.bindings.types import Level
from dtxeth.errors import ChainUnavailableError, UnknownNameError
from dtxeth.roles import DataOwner, LocalNetwork
from dtxeth.roles.care import Care
from dtxeth.roles.health import FileHealth, NamespaceHealth, worst
from tests.roles.paper import publish, turn_into_paper

SLOT = 6 * 3600
RED, YELLOW, GREEN = Level


@pytest.fixture
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(
        storage_nodes=3, executors=0, parameters=Parameters(slot_seconds=SLOT, lost_slots=4)
    ) as made:
        turn_into_paper(made.storage_nodes)
        made.pass_time(1)
        yield made


@pytest.fixture
def owner(network: LocalNetwork) -> DataOwner:
    owner = network.data_owner("owner", care=Care(0, repairs=False))
    owner.add_namespace("copies", 3)
    owner.add_namespace("coded", erasure=(2, 3))
    return owner


def test_a_node_is_green_once_it_has_proved(network: LocalNetwork, owner: DataOwner) -> None:
    file = publish(owner, network.storage_nodes, owner.namespace_id("copies"))
    node = network.storage_nodes[0].address
    before = network.health_of(node)
    assert (before.name, before.online, before.draining) == ("storage1", True, False)
    assert (before.level, before.health.judges) == (YELLOW, 0)
    assert network.health().nodes == {RED: 0, YELLOW: 3, GREEN: 0}
    owner.challenge(file, 1)
    assert network.health_of(node).level is GREEN
    health = network.health()
    assert (health.nodes, health.lost, health.files) == (
        {RED: 0, YELLOW: 0, GREEN: 3},
        0,
        {RED: 0, YELLOW: 0, GREEN: 1},
    )
    assert health.level is GREEN


def test_a_silent_node_is_lost_and_heartbeats_come_by_themselves(
    network: LocalNetwork, owner: DataOwner
) -> None:
    copies = publish(owner, network.storage_nodes, owner.namespace_id("copies"))
    coded = publish(owner, network.storage_nodes, owner.namespace_id("coded"))
    silent, *others = network.storage_nodes
    network.remove_worker(silent)
    network.pass_time(5 * SLOT)
    assert network.health_of(silent.address).health.lost
    for node in others:
        assert network.health_of(node.address).health.heartbeats > 9000
    assert owner.health(copies) == FileHealth(copies, YELLOW, unsound=1, needed=1, total=3)
    assert owner.health(coded.hex()) == FileHealth(coded, YELLOW, unsound=1, needed=2, total=3)
    others[0].go_offline()
    assert owner.health(copies).level is YELLOW
    assert owner.health(coded) == FileHealth(coded, RED, unsound=2, needed=2, total=3)
    assert owner.health("coded") == NamespaceHealth(
        owner.namespace_id("coded"), RED, {RED: 1, YELLOW: 0, GREEN: 0}
    )
    health = network.health()
    assert (health.nodes[RED], health.lost, health.level) == (1, 1, RED)
    owner.delete(coded)
    assert network.health().level is YELLOW
    network.index.sync()
    assert owner.health("coded").level is GREEN  # nothing is left in it
    assert [stored for stored in owner.belongings.files if stored == coded] == []


def test_a_node_that_left_does_not_count(network: LocalNetwork, owner: DataOwner) -> None:
    assert network.storage_nodes[2].leave() > 0
    assert sum(network.health().nodes.values()) == 2
    assert network.storage_nodes[2].has_left


def test_what_is_unknown(network: LocalNetwork, owner: DataOwner) -> None:
    with pytest.raises(UnknownNameError, match="has no namespace 'nothing' \\(there are: coded, copies\\)"):
        owner.health("nothing")
    with pytest.raises(reverts.UnknownFile):
        owner.health(bytes(32))
    with pytest.raises(reverts.UnknownNode):
        network.health_of(owner.address)


def test_the_worst_counts() -> None:
    assert worst({RED: 0, YELLOW: 0, GREEN: 5}) is GREEN
    assert worst({RED: 0, YELLOW: 1, GREEN: 5}) is YELLOW
    assert worst({RED: 1, YELLOW: 0, GREEN: 5}) is RED


def test_a_daemon_outlives_a_chain_that_is_away(
    network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, turns = threading.Event(), []

    def sync() -> int:
        turns.append(len(turns))
        if len(turns) < 4:
            raise ChainUnavailableError("no chain answers: start one")
        stop.set()
        return 0

    monkeypatch.setattr(network.index, "sync", sync)
    network.serve(stop, pause=0.01)
    assert turns == [0, 1, 2, 3]
