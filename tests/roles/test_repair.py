"""The repairer: what makes it act, that it finishes whatever happens to it, and that it never makes things worse."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtxeth.chain import Parameters
from dtxeth.chain.bindings.types import Cause, Level
from dtxeth.errors import ChainUnavailableError, InputError, UnknownNameError
from dtxeth.roles import DataOwner, LocalNetwork, StorageNode, StoredFile
from dtxeth.roles.care import Care
from dtxeth.roles.repair import FIRST_REST, Repairer
from tests.roles.sabotage import FAULTS, Killed, Sabotage, chain_away

SLOT = 600
PARAMETERS = Parameters(slot_seconds=SLOT, lost_slots=2)
DATA = secrets.token_bytes(5000)


@dataclass
class Ward:
    """Storage nodes, an owner, and one file."""

    network: LocalNetwork
    owner: DataOwner
    file: StoredFile
    folder: Path

    @property
    def holders(self) -> list[StorageNode]:
        """The nodes that hold the file, by the chain."""
        files = self.owner.contracts.file_registry
        on = {files.holding(number).node for number in files.holdings_of(self.file.id)}
        return [node for node in self.network.storage_nodes if node.address in on]

    @property
    def version(self) -> int:
        return self.owner.contracts.file_registry.file_of(self.file.id).version

    def versions(self) -> set[int]:
        files = self.owner.contracts.file_registry
        return {files.holding(number).version for number in files.holdings_of(self.file.id)}

    def check(self) -> None:
        """The file downloads, bit for bit."""
        self.owner.download(self.file, self.folder / "copy")
        assert (self.folder / "copy").read_bytes() == DATA

    def mend(self) -> None:
        """Let the owner's worker, begun anew, do what it can."""
        self.owner.repairer = Repairer(self.owner)
        self.network.index.sync()
        while self.owner.step():
            self.network.index.sync()

    def causes(self) -> list[Cause]:
        return [Cause[migration.cause.upper()] for migration in self.owner.migrations(self.file)]


def build(folder: Path, nodes: int, redundancy: tuple[int, int]) -> Path:
    with LocalNetwork(nodes, 0, home=folder / "home", parameters=PARAMETERS) as network:
        owner = network.data_owner("owner", care=Care(challenges_per_day=0))
        owner.add_namespace("any", erasure=redundancy)
        (folder / "data").write_bytes(DATA)
        owner.upload(folder / "data", "any")
        network.pass_time(1)
    return folder


@contextmanager
def reopened(closed: Path, folder: Path) -> Iterator[Ward]:
    with LocalNetwork.open(shutil.copytree(closed / "home", folder / "home")) as network:
        owner = network.data_owner("owner")
        yield Ward(network, owner, owner.files()[0], folder)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("ward"), 5, (2, 3))


@pytest.fixture
def ward(closed: Path, tmp_path: Path) -> Iterator[Ward]:
    with reopened(closed, tmp_path) as ward:
        yield ward


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Two copies on four nodes, for tests that leave it so, with no node draining."""
    built = build(tmp_path_factory.mktemp("built"), 4, (1, 2))
    with reopened(built, tmp_path_factory.mktemp("pair")) as ward:
        yield ward


# --- what makes it act ---


def test_a_silent_node_is_replaced(ward: Ward) -> None:
    silent = ward.holders[0]
    silent.stop()
    ward.network.pass_time(4 * SLOT)
    assert silent not in ward.holders
    (migration,) = ward.owner.migrations()
    assert (migration.cause, migration.left) == ("repair", (silent.address,))
    assert len(migration.joined) == 1
    assert ward.owner.health(ward.file).level is Level.YELLOW or ward.owner.repairs() == []
    ward.check()


def test_a_caught_node_is_replaced(ward: Ward) -> None:
    caught = ward.holders[0]
    for path in caught.home.glob("blocks/blocks/*/*"):
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    ward.owner.challenge(ward.file, 1)
    ward.network.pass_time(FIRST_REST + 1)
    assert caught not in ward.holders
    assert ward.causes() == [Cause.REPAIR]
    ward.check()


def test_a_node_may_be_offline_for_a_while(ward: Ward) -> None:
    away = ward.holders[0]
    ward.owner.care = Care(challenges_per_day=0, offline_grace_seconds=2 * SLOT)
    away.go_offline()
    ward.network.pass_time(SLOT)
    assert ward.owner.repairs() == []
    assert ward.causes() == []
    ward.network.pass_time(2 * SLOT)
    assert away not in ward.holders
    ward.check()


def test_a_node_drains_and_leaves_with_its_stake(ward: Ward) -> None:
    leaving = ward.holders[0]
    stake = ward.network.contracts.node_registry.pledge_of(leaving.address).stake
    assert leaving.leave() == stake
    assert ward.causes() == [Cause.DRAIN]
    assert leaving.service.status().used == 0
    ward.check()


@pytest.mark.parametrize("redundancy", [(1, 2), (1, 4), (2, 4), (3, 5)])
def test_files_follow_their_namespace(ward: Ward, redundancy: tuple[int, int]) -> None:
    ward.owner.set_redundancy("any", erasure=redundancy)
    (waiting,) = ward.owner.repairs()
    assert (waiting.cause, waiting.attempts) == (Cause.RECODE, 0)
    ward.network.pass_time(FIRST_REST + 1)
    record = ward.owner.contracts.file_registry.file_of(ward.file.id)
    assert (record.needed, record.total) == redundancy
    assert len(ward.holders) == redundancy[1]
    assert ward.owner.repairs() == []
    ward.check()


def test_a_file_that_is_fine_is_not_touched(ward: Ward) -> None:
    ward.network.pass_time(5 * SLOT)
    ward.owner.care = Care(challenges_per_day=0, repairs=False)
    ward.holders[0].stop()
    ward.network.pass_time(5 * SLOT)
    assert ward.version == 1


def test_a_survivor_that_was_away_is_refreshed(ward: Ward) -> None:
    leaving, away = ward.holders[:2]
    leaving.drain()
    door = ward.network._doors.pop(away.address)
    ward.mend()
    assert ward.causes() == [Cause.DRAIN]
    assert ward.versions() == {1, 2}
    (waiting,) = ward.owner.repairs()
    assert (waiting.cause, waiting.attempts) == (Cause.REFRESH, 1)
    assert "wait for them" in str(waiting.problem)
    ward.network.open_door(away.address, door)
    ward.network.pass_time(FIRST_REST + 1)
    assert ward.versions() == {3}
    ward.check()


# --- never worse ---


def test_without_enough_nodes_everything_stays(ward: Ward) -> None:
    first, second = ward.holders[:2]
    for node in ward.network.storage_nodes:
        if node not in ward.holders:
            node.drain()  # it takes nothing new
    first.stop()
    ward.network.pass_time(4 * SLOT)
    (waiting,) = ward.owner.repairs()
    assert waiting.attempts >= 1
    assert f"{first.name} is lost" in waiting.why
    assert "start more nodes" in str(waiting.problem)
    assert waiting.next_attempt > ward.network.chain.now()
    assert (ward.version, len(ward.holders)) == (1, 3)
    ward.check()
    second.stop()  # fewer than k are left
    ward.network.pass_time(4 * SLOT)
    assert (ward.version, len(ward.holders)) == (1, 3)
    assert ward.owner.health(ward.file).level is Level.RED
    attempts = ward.owner.repairs()[0].attempts
    assert attempts < 12  # it rests longer and longer
    for node in ward.network.storage_nodes:
        if node not in ward.holders:
            node.drain(False)
    ward.network.storage("storage6")
    ward.network.pass_time(2 * FIRST_REST)
    assert ward.version == 1  # one shard of two is no file


def test_what_can_be_done_is_done_first(ward: Ward) -> None:
    """Two holdings are to be replaced, and there is one node for it: the caught one goes, the draining one waits."""
    caught, draining = ward.holders[:2]
    spare, other = (node for node in ward.network.storage_nodes if node not in ward.holders)
    other.drain()
    ward.owner.care = Care(challenges_per_day=0, repairs=False)
    for path in caught.home.glob("blocks/blocks/*/*"):
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    ward.owner.challenge(ward.file, 1)
    draining.drain()
    ward.owner.care = Care(challenges_per_day=0)
    ward.network.pass_time(FIRST_REST + 1)
    assert caught not in ward.holders
    assert {draining, spare} <= set(ward.holders)
    (waiting,) = ward.owner.repairs()
    assert waiting.why == (f"{draining.name} is draining",)
    other.drain(False)
    ward.network.pass_time(2 * FIRST_REST)
    assert draining not in ward.holders
    ward.check()


# --- interrupted ---


@pytest.mark.long
def test_killed_before_every_call_it_is_done_by_the_next(pair: Ward) -> None:
    """Every call to a node or the chain is the last one once, the transaction also the last one that got through."""
    done, number, killed = False, 0, []
    while not done:
        leaving = pair.holders[0]
        leaving.drain()
        with Sabotage(pair.network) as sabotage:

            def kill(count: int, node: str, method: str, last: int = number) -> None:
                if count >= last:
                    raise Killed

            def kill_after(count: int, node: str, method: str, result: Any) -> Any:
                if method == "transact":
                    raise Killed
                return result

            sabotage.before, sabotage.after = kill, kill_after
            version = pair.version
            with pytest.raises(Killed):
                pair.mend()
            killed.append(sabotage.calls[min(number, len(sabotage.calls) - 1)])
            done = pair.version > version
        pair.check()
        pair.mend()
        assert leaving not in pair.holders
        assert pair.owner.repairs() == []
        pair.check()
        leaving.drain(False)
        number += 1
    assert {"status", "get_manifest", "put_piece", "keep_pieces", "acknowledge", "transact"} <= set(killed)


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("status", "dies"),
        ("get_manifest", "hangs"),
        ("get_manifest", "flips a bit"),
        ("get_piece", "dies"),
        ("get_piece", "flips a bit"),
        ("get_piece", "truncates"),
        ("put_piece", "disk full"),
        ("put_piece", "hangs"),
        ("keep_pieces", "dies"),
        ("outline", "hangs"),
        ("outline", "flips a bit"),
        ("outline", "truncates"),
        ("acknowledge", "dies"),
    ],
)
def test_faults_of_a_survivor_and_of_a_fresh_node(pair: Ward, method: str, fault: str) -> None:
    """The node that leaves is good, one of those that it can leave to is good, and all others are at fault."""
    leaving, survivor = pair.holders
    spare = next(node for node in pair.network.storage_nodes if node not in pair.holders)
    leaving.drain()
    with Sabotage(pair.network) as sabotage:

        def spoil(count: int, node: str, called: str, result: Any) -> Any:
            return FAULTS[fault](result) if called == method and node in bad else result

        bad = {survivor.address} if method.startswith("get_") else {survivor.address, spare.address}
        sabotage.after = spoil
        pair.mend()
        assert method in sabotage.calls
        pair.check()
    pair.network.pass_time(FIRST_REST + 1)
    assert leaving not in pair.holders
    assert (len(pair.holders), len(pair.versions()), pair.owner.repairs()) == (2, 1, [])
    pair.check()
    leaving.drain(False)


def test_the_chain_is_away_at_any_request_of_a_repair(pair: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    request, after, count = pair.network.chain.request, 1, 1000
    while after <= count:
        leaving = pair.holders[0]
        leaving.drain()
        pair.network.index.sync()
        pair.owner.repairer = Repairer(pair.owner)
        count = 0

        def flaky(method: str, *parameters: Any, first: int = after) -> Any:
            nonlocal count
            count += 1
            if first <= count <= first + 3:
                chain_away()
            return request(method, *parameters)

        with monkeypatch.context() as patch:
            patch.setattr(pair.network.chain, "request", flaky)
            with suppress(ChainUnavailableError):
                while pair.owner.step():
                    pass
        pair.check()
        pair.network.pass_time(FIRST_REST + 1)
        assert leaving not in pair.holders
        leaving.drain(False)
        after += 12
    pair.check()


# --- the doors ---


def test_bad_input_changes_nothing(ward: Ward) -> None:
    owner, block = ward.owner, ward.network.chain.block_number
    for replicas, erasure in [
        (None, (3, 2)),
        (0, None),
        (65, None),
        (None, (0, 3)),
        (2, (2, 3)),
        (None, (2, 3, 4)),
    ]:
        with pytest.raises(InputError):
            owner.add_namespace("bad", replicas, erasure=erasure)  # type: ignore[arg-type]
        with pytest.raises(InputError):
            owner.set_redundancy("any", replicas, erasure=erasure)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give either"):
        owner.set_redundancy("any")
    with pytest.raises(InputError, match="possession 'zk' is unknown: choose one of merkle, kzg, both"):
        owner.add_namespace("bad", possession="zk")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no namespace 'none'"):
        owner.set_redundancy("none", 3)
    assert ward.network.chain.block_number == block
