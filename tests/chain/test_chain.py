"""The chain as everything above sees it: in-process and on anvil alike."""

from __future__ import annotations

import threading

import pytest
from web3 import HTTPProvider

from dtxeth.chain import Account, Chain, Contracts, open_chain, reverts
from dtxeth.chain.abi import Call
from dtxeth.chain.bindings.events import NamespaceAdded, NodeRegistered
from dtxeth.chain.bindings.types import Possession, Role
from dtxeth.errors import ChainError, ChainUnavailableError, ContractRevert, InputError

FINGERPRINT = bytes(32)
STAKE = 10**16


def test_faucet_and_transfer_move_money(each_chain: Chain, accounts: list[Account]) -> None:
    poor = Account.create()
    each_chain.faucet(poor.address, 10**18)
    assert each_chain.balance(poor.address) == 10**18
    receipt = each_chain.transact(accounts[0], Call(poor.address, b""), 5)
    assert each_chain.balance(poor.address) == 10**18 + 5
    assert receipt.gas_used == 21_000
    assert receipt.block_number == each_chain.block_number


def test_nobody_spends_what_it_has_not(each_chain: Chain) -> None:
    poor = Account.create()
    with pytest.raises(ChainError, match="refuses"):
        each_chain.transact(poor, Call(poor.address, b""), 1)


def test_time_and_blocks_advance_on_request(each_chain: Chain) -> None:
    before, block = each_chain.now(), each_chain.block_number
    each_chain.advance(3600)
    assert each_chain.now() == before + 3600
    each_chain.mine(3)
    assert each_chain.block_number == block + 4


def test_the_next_transaction_is_of_the_second_asked_for(
    each_contracts: Contracts, accounts: list[Account]
) -> None:
    chain, registry = each_contracts.chain, each_contracts.node_registry
    due = chain.now() + 5000
    chain.schedule(due)
    with pytest.raises(reverts.UnknownNode):
        registry.heartbeat(sender=accounts[0])
    registry.register(Role.STORAGE, "alpha", "http://alpha", FINGERPRINT, 1, sender=accounts[0], value=STAKE)
    assert registry.node_of(accounts[0].address).registered_at == due == chain.now()
    for back in (lambda: chain.schedule(due), lambda: chain.advance(0)):
        with pytest.raises(InputError, match="is not after the latest block's"):
            back()


def test_rollback_restores_state_and_head(each_chain: Chain, accounts: list[Account]) -> None:
    block, balance = each_chain.block(each_chain.block_number), each_chain.balance(accounts[1].address)
    mark = each_chain.snapshot()
    each_chain.faucet(accounts[1].address, 7)
    each_chain.mine(2)
    each_chain.rollback(mark)
    assert each_chain.block(each_chain.block_number)["hash"] == block["hash"]
    assert each_chain.balance(accounts[1].address) == balance
    with pytest.raises(ChainError, match="no block"):
        each_chain.block(each_chain.block_number + 1)


def test_receipt_decodes_events(each_contracts: Contracts, accounts: list[Account]) -> None:
    receipt = each_contracts.file_registry.add_namespace("study", 2, 3, Possession.MERKLE, sender=accounts[0])
    event = receipt.event(NamespaceAdded)
    assert (event.owner, event.name, event.needed, event.total) == (accounts[0].address, "study", 2, 3)
    assert event.possession is Possession.MERKLE
    assert event.log.block_number == receipt.block_number
    assert event.log.transaction_hash == receipt.transaction_hash
    with pytest.raises(ChainError, match="0 NodeRegistered events"):
        receipt.event(NodeRegistered)


def test_views_return_structs_and_enums(each_contracts: Contracts, accounts: list[Account]) -> None:
    node = accounts[0]
    each_contracts.node_registry.register(
        Role.STORAGE, "alpha", "http://alpha", FINGERPRINT, 10**9, sender=node, value=STAKE
    )
    record = each_contracts.node_registry.node_of(node.address)
    assert record.role is Role.STORAGE
    assert (record.online, record.name, record.capacity) == (True, "alpha", 10**9)
    assert record.registered_at == each_contracts.chain.now()


def test_a_view_can_ask_about_the_past(each_contracts: Contracts, accounts: list[Account]) -> None:
    chain, before = each_contracts.chain, each_contracts.chain.block_number
    call = Call(accounts[3].address, b"")
    each_contracts.key_registry.publish(b"\1" * 32, sender=accounts[3])
    assert chain.call(call, block=before) == ()
    with pytest.raises(ChainError):
        chain.call(call, block=before + 1000)


def test_refusal_changes_nothing_and_is_typed(each_contracts: Contracts, accounts: list[Account]) -> None:
    chain, registry = each_contracts.chain, each_contracts.node_registry
    registry.register(Role.STORAGE, "alpha", "http://alpha", FINGERPRINT, 1, sender=accounts[0], value=STAKE)
    block, balance = chain.block_number, chain.balance(accounts[1].address)
    with pytest.raises(reverts.NodeNameTaken, match='The name "alpha" belongs to node 0x') as caught:
        registry.register(
            Role.STORAGE, "alpha", "http://beta", FINGERPRINT, 1, sender=accounts[1], value=STAKE
        )
    assert (caught.value.name, caught.value.node) == ("alpha", accounts[0].address)
    assert (chain.block_number, chain.balance(accounts[1].address)) == (block, balance)


def test_a_transaction_mined_as_a_failure_says_why(
    each_contracts: Contracts, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody else had come first, between the estimate and the block."""
    monkeypatch.setattr(Chain, "_gas", lambda *_: 1_000_000)
    with pytest.raises(reverts.UnknownNode):
        each_contracts.node_registry.heartbeat(sender=accounts[5])


def test_wrong_arguments_are_refused_before_anything_is_sent(
    contracts: Contracts, accounts: list[Account]
) -> None:
    block = contracts.chain.block_number
    with pytest.raises(InputError, match="bytes32"):
        contracts.key_registry.publish(b"\1" * 31, sender=accounts[0])
    assert contracts.chain.block_number == block


def test_threads_share_an_account(each_contracts: Contracts, accounts: list[Account]) -> None:
    failures: list[BaseException] = []

    def rotate() -> None:
        try:
            for _ in range(5):
                each_contracts.key_registry.publish(b"\2" * 32, sender=accounts[0])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert each_contracts.key_registry.key_of(accounts[0].address) == (b"\2" * 32, 20)


@pytest.mark.anvil
def test_two_processes_share_an_account(
    anvil: str, anvil_contracts: Contracts, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one sends after this one has looked at the nonce: it is numbered anew, and sent once."""
    chain, poor = anvil_contracts.chain, Account.create().address
    honest = chain.nonce
    with open_chain(anvil) as other:

        def overtaken(address: str) -> int:
            nonce = honest(address)
            monkeypatch.setattr(chain, "nonce", honest)
            other.transact(accounts[0], Call(poor, b""), 1)
            return nonce

        monkeypatch.setattr(chain, "nonce", overtaken)
        chain.transact(accounts[0], Call(poor, b""), 2)
    assert chain.balance(poor) == 3


def test_nothing_behind_the_url() -> None:
    with pytest.raises(ChainUnavailableError, match=r"no chain answers at http://127\.0\.0\.1:9 ") as caught:
        open_chain("http://user:secret@127.0.0.1:9/key")
    assert "secret" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"[]", b'{"hello": 1}', b"<html>"])
def test_something_else_behind_the_url(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HTTPProvider, "_make_request", lambda *_: answer)
    with pytest.raises(ChainUnavailableError, match="check the URL"):
        open_chain("http://127.0.0.1:9")


def test_errors_without_revert_data_are_no_reverts(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"code": -32000, "message": "out of ink", "data": "Reverted 0x"}
    monkeypatch.setattr(chain._provider, "make_request", lambda *_: {"error": error})
    with pytest.raises(ChainError, match="refuses eth_blockNumber: out of ink") as caught:
        chain.request("eth_blockNumber")
    assert not isinstance(caught.value, ContractRevert)


def test_a_transaction_that_stays_out_of_blocks(
    chain: Chain, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtxeth.chain.chain.RECEIPT_SECONDS", 0.02)
    request = chain.request
    answers = {"eth_getTransactionReceipt": None}
    monkeypatch.setattr(
        chain,
        "request",
        lambda method, *params: answers[method] if method in answers else request(method, *params),
    )
    with pytest.raises(ChainError, match="in no block after"):
        chain.faucet(accounts[0].address, 1)


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "eth_getTransactionReceipt"])
@pytest.mark.parametrize("arrives", [False, True])
def test_a_transaction_is_sent_once_though_the_chain_goes_away(
    each_chain: Chain, accounts: list[Account], monkeypatch: pytest.MonkeyPatch, method: str, arrives: bool
) -> None:
    """The request, or only its answer, is lost three times."""
    request, losses = each_chain.request, [3]

    def flaky(asked: str, *params: object) -> object:
        if asked != method or not losses[0]:
            return request(asked, *params)
        losses[0] -= 1
        if arrives and losses[0] == 2:
            request(asked, *params)
        raise ChainUnavailableError("no chain answers")

    before = each_chain.balance(accounts[3].address)
    monkeypatch.setattr(each_chain, "request", flaky)
    each_chain.faucet(accounts[3].address, 5)
    assert losses == [0]
    assert each_chain.balance(accounts[3].address) == before + 5


def test_a_chain_that_does_not_come_back(
    chain: Chain, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtxeth.chain.chain.RECEIPT_SECONDS", 0.02)
    request = chain.request

    def away(method: str, *params: object) -> object:
        if method == "eth_sendRawTransaction":
            raise ChainUnavailableError("no chain answers")
        return request(method, *params)

    monkeypatch.setattr(chain, "request", away)
    with pytest.raises(
        ChainUnavailableError, match=r"no chain answers\. Transaction 0x[0-9a-f]{64} may have been"
    ):
        chain.faucet(accounts[0].address, 1)


def test_money_is_not_negative(chain: Chain, accounts: list[Account]) -> None:
    with pytest.raises(InputError, match="cannot carry -1 wei"):
        chain.transact(accounts[0], Call(accounts[1].address, b""), -1)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8545", "127.0.0.1:8545", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="JSON-RPC over HTTP"):
        open_chain(url)


def test_a_request_the_chain_does_not_know(each_chain: Chain) -> None:
    with pytest.raises(ChainError, match="refuses eth_nonsense"):
        each_chain.request("eth_nonsense")


def test_faucet_needs_a_development_chain(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "is_development", False)
    for wish in (
        lambda: chain.faucet(Account.create().address, 1),
        chain.mine,
        lambda: chain.advance(1),
        chain.snapshot,
    ):
        with pytest.raises(InputError, match="not a development chain"):
            wish()


def test_unknown_code_gives_no_reason(each_chain: Chain, accounts: list[Account]) -> None:
    """Creation code that is one REVERT instruction."""
    with pytest.raises(ContractRevert):
        each_chain.transact(accounts[0], Call(None, bytes.fromhex("60006000fd")))
