"""The in-process chain: what it promises beyond any other chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth.precompiles import point_evaluation

from dtxeth.chain import Account, Chain, Contracts, Deployment, deploy, open_chain, reverts
from dtxeth.chain.abi import Call
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.database import SqliteDB
from dtxeth.chain.evm import CHAIN_ID
from dtxeth.errors import ChainError, InputError


def test_a_chain_is_closed_reopened_and_goes_on(tmp_path: Path) -> None:
    account, file = Account.create(), tmp_path / "chain.sqlite"
    with open_chain(path=file) as chain:
        chain.faucet(account.address, 10**18)
        deployment = deploy(chain, DEVELOPER, directory=tmp_path)
        Contracts(chain, deployment).key_registry.publish(b"\1" * 32, sender=account)
        chain.advance(1000)
        block, now, balance = chain.block(chain.block_number), chain.now(), chain.balance(account.address)
    with open_chain(path=file) as chain:
        assert chain.block(chain.block_number) == block
        assert (chain.now(), chain.balance(account.address)) == (now, balance)
        assert deploy(chain, DEVELOPER, directory=tmp_path) == deployment
        contracts = Contracts(chain, Deployment.read(tmp_path / f"{CHAIN_ID}.json"))
        assert contracts.key_registry.key_of(account.address) == (b"\1" * 32, 1)
        contracts.key_registry.publish(b"\2" * 32, sender=account)
        assert contracts.key_registry.key_of(account.address) == (b"\2" * 32, 2)
        assert chain.block_number == int(block["number"], 16) + 1


def test_a_crash_leaves_a_whole_block(tmp_path: Path) -> None:
    """What was written but not committed is gone; the chain of before is there."""
    database = SqliteDB(tmp_path / "pairs.sqlite")
    database[b"block"] = b"1"
    database.commit()
    database[b"block"] = b"2"
    database[b"half"] = b"state"
    database._connection.close()
    reopened = SqliteDB(tmp_path / "pairs.sqlite")
    assert reopened[b"block"] == b"1"
    assert b"half" not in reopened
    reopened.close()


def test_the_database_is_a_mapping(tmp_path: Path) -> None:
    database = SqliteDB(tmp_path / "pairs.sqlite")
    database[b"a"] = b"1"
    database[b"a"] = b"2"
    assert database[b"a"] == b"2"
    assert b"a" in database
    del database[b"a"]
    with pytest.raises(KeyError):
        database[b"a"]
    with pytest.raises(KeyError):
        del database[b"a"]
    database.close()


def test_a_chain_file_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    with open_chain(path=tmp_path / "chain.sqlite"), pytest.raises(ChainError, match="cannot be opened"):
        open_chain(path=tmp_path / "chain.sqlite")
    open_chain(path=tmp_path / "chain.sqlite").close()


def test_a_file_that_is_no_chain_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader,\n" * 100)
    with pytest.raises(ChainError, match=r"letter\.txt cannot be opened"):
        open_chain(path=file)
    assert file.read_text() == "Dear reader,\n" * 100


def test_url_and_file_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exclude each other"):
        open_chain("http://127.0.0.1:8545", tmp_path / "chain.sqlite")


def test_every_transaction_is_a_block_of_a_second(chain: Chain, accounts: list[Account]) -> None:
    block, now = chain.block_number, chain.now()
    for _ in range(3):
        chain.transact(accounts[0], Call(accounts[1].address, b""), 1)
    assert (chain.block_number, chain.now()) == (block + 3, now + 3)


def test_a_receipt_of_a_reverted_block_is_gone(chain: Chain, accounts: list[Account]) -> None:
    mark = chain.snapshot()
    receipt = chain.transact(accounts[0], Call(accounts[1].address, b""), 1)
    dropped = chain.block(receipt.block_number)
    wanted = "0x" + receipt.transaction_hash.hex()
    assert chain.request("eth_getTransactionReceipt", wanted) is not None
    chain.rollback(mark)
    assert chain.request("eth_getTransactionReceipt", wanted) is None
    chain.mine()
    assert chain.request("eth_getTransactionReceipt", wanted) is None
    assert chain.request("eth_getBlockByHash", dropped["hash"], False) is None


def test_logs_are_found_by_block_range_address_and_topic(
    contracts: Contracts, accounts: list[Account]
) -> None:
    chain, registry = contracts.chain, contracts.key_registry
    first = registry.publish(b"\1" * 32, sender=accounts[0])
    second = registry.publish(b"\2" * 32, sender=accounts[1])

    def found(**query: object) -> list[int]:
        return [int(log["blockNumber"], 16) for log in chain.request("eth_getLogs", query)]

    start = hex(first.block_number)
    assert found(fromBlock=start) == [first.block_number, second.block_number]
    assert found(fromBlock=start, toBlock=start, address=registry.address) == [first.block_number]
    assert found(fromBlock=start, address=contracts.node_registry.address) == []
    topic = "0x" + first.events[0].log.topics[0].hex()
    owner = "0x" + bytes(12).hex() + accounts[1].address[2:].lower()
    assert found(fromBlock=start, topics=[topic, owner]) == [second.block_number]
    assert found(fromBlock=start, topics=[None, [owner]]) == [second.block_number]
    assert found(blockHash=chain.block(first.block_number)["hash"]) == [first.block_number]
    with pytest.raises(ChainError, match="no block"):
        found(blockHash="0x" + bytes(32).hex())


def test_stock_web3_understands_it(chain: Chain, accounts: list[Account]) -> None:
    w3 = chain.w3
    assert w3.eth.chain_id == CHAIN_ID
    assert w3.eth.get_balance(accounts[0].address) == chain.balance(accounts[0].address)
    assert w3.eth.get_block("latest")["number"] == chain.block_number
    assert w3.eth.get_transaction_count(DEVELOPER.address) > 0
    assert w3.is_connected()


def test_the_trusted_setup_is_loaded_once() -> None:
    path = point_evaluation.TRUSTED_SETUP_PATH
    assert point_evaluation.load_trusted_setup(path, 0) is point_evaluation.load_trusted_setup(path, 0)


def test_storage_and_code_can_be_read(contracts: Contracts) -> None:
    address = contracts.file_registry.address
    assert contracts.chain.code(address)
    assert len(contracts.chain.request("eth_getStorageAt", address, "0x0", "latest")) == 66
    with pytest.raises(ChainError, match="no block"):
        contracts.chain.request("eth_getBalance", address, "0xffffff")


def test_views_may_send_money_along(contracts: Contracts, accounts: list[Account]) -> None:
    call = Call(contracts.key_registry.address, b"")
    with pytest.raises(reverts.ContractRevert):
        contracts.chain.call(call, sender=accounts[0].address, value=1)
