"""The index of events, in step with the chain whatever the chain does."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dtxeth.chain import Account, Chain, Contracts, EventIndex, deploy
from dtxeth.chain import event_index as module
from dtxeth.chain.bindings.events import HeartbeatCounted, KeyPublished, NamespaceAdded, NodeRegistered
from dtxeth.chain.bindings.types import Possession, Role
from dtxeth.chain.rows import NamespaceRow
from dtxeth.errors import ChainError, InputError


def _add(contracts: Contracts, owner: Account, *names: str) -> None:
    for name in names:
        contracts.file_registry.add_namespace(name, 1, 3, Possession.MERKLE, sender=owner)


def _names(index: EventIndex, **filters: object) -> list[str]:
    return [event.name for event in index.events(NamespaceAdded, **filters)]


def test_events_are_found_by_kind_and_arguments(each_contracts: Contracts, accounts: list[Account]) -> None:
    index = EventIndex(each_contracts)
    _add(each_contracts, accounts[0], "a", "b")
    _add(each_contracts, accounts[1], "a", "c")
    each_contracts.key_registry.publish(b"\1" * 32, sender=accounts[0])
    assert _names(index) == []
    assert index.sync() == each_contracts.chain.block_number == index.block
    assert _names(index) == ["a", "b", "a", "c"]
    assert _names(index, owner=accounts[1].address) == ["a", "c"]
    assert _names(index, name="a") == ["a", "a"]
    assert _names(index, name="a", owner=accounts[1].address) == ["a"]
    assert _names(index, owner=accounts[2].address) == []
    (published,) = index.events(KeyPublished)
    assert (published.account, published.key, published.version) == (accounts[0].address, b"\1" * 32, 1)
    assert published.log.address == each_contracts.key_registry.address


def test_pages_and_order(contracts: Contracts, accounts: list[Account]) -> None:
    index = EventIndex(contracts)
    _add(contracts, accounts[0], *"abcdef")
    index.sync()
    assert _names(index, limit=2) == ["a", "b"]
    assert _names(index, limit=2, offset=3) == ["d", "e"]
    assert _names(index, offset=4) == ["e", "f"]
    assert _names(index, newest_first=True, limit=2, offset=1) == ["e", "d"]
    assert _names(index, limit=0) == []


def test_wrong_filters_are_refused(contracts: Contracts) -> None:
    index = EventIndex(contracts)
    with pytest.raises(
        InputError, match="NamespaceAdded has no argument 'colour'; it has namespace_id, owner"
    ):
        index.events(NamespaceAdded, colour="red")
    with pytest.raises(InputError, match="cannot hold"):
        index.events(NamespaceAdded, owner="nobody")


def test_contracts_of_others_are_not_listened_to(chain: Chain, accounts: list[Account]) -> None:
    ours, theirs = (Contracts(chain, deploy(chain, account)) for account in accounts[:2])
    index = EventIndex(ours)
    _add(theirs, accounts[0], "theirs")
    _add(ours, accounts[0], "ours")
    index.sync()
    assert _names(index) == ["ours"]
    assert _names(index, contract=ours.file_registry.address) == ["ours"]
    assert _names(index, contract=ours.node_registry.address) == []


def test_it_survives_a_restart_and_reads_no_block_twice(
    each_contracts: Contracts, accounts: list[Account], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "index.sqlite"
    index = EventIndex(each_contracts, file)
    _add(each_contracts, accounts[0], "a", "b")
    index.sync()
    index.close()
    asked: list[str] = []
    request = Chain.request

    def recording(chain: Chain, method: str, *params: object) -> object:
        asked.append(method)
        return request(chain, method, *params)

    monkeypatch.setattr(Chain, "request", recording)
    index = EventIndex(each_contracts, file)
    assert index.block == each_contracts.chain.block_number
    assert _names(index) == ["a", "b"]
    index.sync()
    assert "eth_getLogs" not in asked
    _add(each_contracts, accounts[0], "c")
    index.sync()
    assert asked.count("eth_getLogs") == 1
    assert _names(index) == ["a", "b", "c"]
    index.close()


def test_an_index_of_another_deployment_is_emptied(
    chain: Chain, accounts: list[Account], tmp_path: Path
) -> None:
    first, second = (Contracts(chain, deploy(chain, account)) for account in accounts[:2])
    for contracts, names in ((first, ["a"]), (second, ["b"])):
        _add(contracts, accounts[0], *names)
        index = EventIndex(contracts, tmp_path / "index.sqlite")
        index.sync()
        assert _names(index) == names
        index.close()


def test_a_file_that_is_no_index_is_refused(contracts: Contracts, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader,\n" * 100)
    with pytest.raises(ChainError, match=r"letter\.txt cannot be opened"):
        EventIndex(contracts, tmp_path / "letter.txt")


def test_another_programs_database_is_left_alone(contracts: Contracts, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "letters.sqlite")) as database:
        database.executescript("CREATE TABLE letters (text); INSERT INTO letters VALUES ('Dear reader');")
    with pytest.raises(ChainError, match=r"letters\.sqlite cannot be opened: it is another program's"):
        EventIndex(contracts, tmp_path / "letters.sqlite")
    with closing(sqlite3.connect(tmp_path / "letters.sqlite")) as database:
        assert database.execute("SELECT text FROM letters").fetchall() == [("Dear reader",)]


def test_an_index_of_another_version_is_rebuilt(
    contracts: Contracts, accounts: list[Account], tmp_path: Path
) -> None:
    _add(contracts, accounts[0], "a")
    index = EventIndex(contracts, tmp_path / "index.sqlite")
    index.sync()
    index.close()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as database, database:
        database.execute("UPDATE deployment SET identity = identity || 'older'")
        database.execute("DROP VIEW namespaces")
    index = EventIndex(contracts, tmp_path / "index.sqlite")
    assert _names(index) == []
    index.sync()
    assert [row.name for row in index.page(NamespaceRow)] == _names(index) == ["a"]
    index.close()


def test_a_read_that_breaks_off_leaves_nothing_behind(
    contracts: Contracts, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = EventIndex(contracts)
    index.sync()
    block = index.block
    _add(contracts, accounts[0], "a")
    with monkeypatch.context() as broken:
        broken.setattr(NamespaceAdded, "from_log", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            index.sync()
        assert index.block == block
        assert index.page(NamespaceRow).total == 0
    index.sync()
    assert [row.name for row in index.page(NamespaceRow)] == _names(index) == ["a"]


@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_dropped_blocks_are_forgotten(
    each_contracts: Contracts, accounts: list[Account], length: int
) -> None:
    """The chain goes back by three blocks and on by another road: none, a shorter, an equal, a longer one."""
    chain, index = each_contracts.chain, EventIndex(each_contracts)
    _add(each_contracts, accounts[0], "kept")
    mark = chain.snapshot()
    _add(each_contracts, accounts[1], *(f"dropped {number}" for number in range(3)))
    index.sync()
    assert len(_names(index)) == 4
    chain.rollback(mark)
    others = [f"other {number}" for number in range(length)]
    _add(each_contracts, accounts[2], *others)
    assert index.sync() == chain.block_number
    assert _names(index) == ["kept", *others]


@pytest.mark.anvil
def test_anvil_reorganises(anvil_contracts: Contracts, accounts: list[Account]) -> None:
    index = EventIndex(anvil_contracts)
    _add(anvil_contracts, accounts[0], "a", "b", "c")
    index.sync()
    head = anvil_contracts.chain.block_number
    anvil_contracts.chain.request("anvil_reorg", 2, [])
    assert anvil_contracts.chain.block_number == head
    index.sync()
    assert _names(index) == ["a"]
    _add(anvil_contracts, accounts[1], "d")
    index.sync()
    assert _names(index) == ["a", "d"]


def test_a_drop_deeper_than_its_memory_empties_the_index(
    each_contracts: Contracts, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPAN", 2)
    chain, index = each_contracts.chain, EventIndex(each_contracts)
    mark = chain.snapshot()
    _add(each_contracts, accounts[0], *"abcdef")
    index.sync()
    chain.rollback(mark)
    _add(each_contracts, accounts[0], "g")
    index.sync()
    assert _names(index) == ["g"]


def test_old_blocks_are_read_in_spans(
    each_contracts: Contracts, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 2)
    monkeypatch.setattr(module, "SPAN", 3)
    chain, names = each_contracts.chain, [f"n{number}" for number in range(12)]
    near = EventIndex(each_contracts)
    for name in names:
        _add(each_contracts, accounts[0], name)
        near.sync()
    far = EventIndex(each_contracts)
    far.sync()
    assert _names(near) == _names(far) == names
    assert near.page(NamespaceRow) == far.page(NamespaceRow)
    times = [int(chain.block(number)["timestamp"], 16) for number in range(far.block - 11, far.block + 1)]
    assert [row.added_at for row in far.page(NamespaceRow)] == times
    mark = chain.snapshot()
    _add(each_contracts, accounts[0], *(f"dropped {number}" for number in range(7)))
    far.sync()
    chain.rollback(mark)
    _add(each_contracts, accounts[0], "instead")
    for index in (near, far):
        index.sync()
        assert _names(index) == [*names, "instead"]


def test_threads_share_an_index(contracts: Contracts, accounts: list[Account]) -> None:
    index, failures = EventIndex(contracts), []
    _add(contracts, accounts[0], *"abcdefgh")

    def follow() -> None:
        try:
            for _ in range(20):
                index.sync()
                assert _names(index) == list("abcdefgh")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_kinds_in_one_block_keep_their_order(each_contracts: Contracts, accounts: list[Account]) -> None:
    index, registry = EventIndex(each_contracts), each_contracts.node_registry
    registry.register(Role.STORAGE, "alpha", "http://alpha", bytes(32), 1, sender=accounts[0], value=10**9)
    registry.heartbeat(sender=accounts[0])
    index.sync()
    (registered,) = index.events(NodeRegistered, role=Role.STORAGE)
    (beat,) = index.events(HeartbeatCounted, node=accounts[0].address)
    assert registered.log.block_number < beat.log.block_number


def test_only_later_events_are_asked_for(contracts: Contracts, accounts: list[Account]) -> None:
    index = EventIndex(contracts)
    blocks = [
        contracts.key_registry.publish(bytes([n]) * 32, sender=accounts[0]).block_number for n in (1, 2, 3)
    ]
    index.sync()
    for position, block in enumerate(blocks, start=1):
        later = index.events(KeyPublished, after=block, account=accounts[0].address)
        assert [event.key[0] for event in later] == [1, 2, 3][position:]
