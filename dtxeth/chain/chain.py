"""One chain: sends transactions, views state, tells the time."""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from eth_utils import keccak, to_checksum_address
from web3 import Web3
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint

from dtxeth.chain.abi import Call, Event, Log, decode
from dtxeth.chain.accounts import Account
from dtxeth.chain.evm import BLOCK_GAS_LIMIT
from dtxeth.chain.providers import LocalProvider, http_provider
from dtxeth.chain.receipt import Receipt
from dtxeth.chain.reverts import decode_revert
from dtxeth.errors import ChainError, ChainUnavailableError, ContractRevert, InputError

RECEIPT_SECONDS = 180
"""How long to wait until a transaction is in a block, or until a chain that went away with it is back."""

NONCE_ATTEMPTS = 5
"""How often a transaction whose nonce another process has taken is numbered anew."""

_TAKEN = re.compile("nonce too low|replacement transaction underpriced", re.I)
"""What geth, anvil and others say of a nonce that is taken."""

_WRITING = ("evm_", "eth_send")

RACE_GAS = 400_000
"""Added to every estimate: of executors that report at once, the last finishes the task and pays all 16."""

DEVELOPER = Account.from_key(
    bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
)
"""The rich account of development chains, in-process and anvil's: everybody knows its key."""


class Chain:
    """An EVM chain. Thread-safe; nonces are counted under a lock.

    Use :func:`open_chain`.

    Attributes:
        w3: The same chain for web3.py, for what this class does not offer.
        chain_id: Its EIP-155 id.
        on_transaction: Told of every transaction sent from here, and its receipt; for gas ledgers.
        writes: Counts the requests from here that may have changed the chain.
    """

    def __init__(self, provider: BaseProvider) -> None:
        self._provider = provider
        self.on_transaction: Callable[[Call, Receipt], None] | None = None
        self.writes = 0
        self._nonces = threading.Lock()
        self._events: dict[tuple[str, bytes], type[Event]] = {}
        self.w3 = Web3(provider)
        self.chain_id = int(self.request("eth_chainId"), 16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the chain's file, if it has one."""
        if isinstance(self._provider, LocalProvider):
            self._provider.close()

    def request(self, method: str, *params: Any) -> Any:
        """Make a JSON-RPC request and return its result.

        Raises:
            ContractRevert: If a contract refuses; the subclass is the custom error.
            ChainUnavailableError: If nothing that speaks JSON-RPC answers.
            ChainError: If the node refuses.
        """
        try:
            response = self._provider.make_request(RPCEndpoint(method), params)
        except (OSError, ValueError) as problem:  # of requests: connection, timeout, status; of json
            raise ChainUnavailableError(
                f"no chain answers at {self._place} ({type(problem).__name__}); check the URL or start one"
            ) from problem
        finally:
            if method.startswith(_WRITING):
                self.writes += 1
        if not isinstance(response, dict) or not {"result", "error"} & response.keys():
            raise ChainUnavailableError(f"what answers at {self._place} is no chain; check the URL")
        if "error" in response:
            error: Any = response["error"]
            if re.fullmatch("0x([0-9a-fA-F]{2})*", str(error.get("data"))):
                raise decode_revert(bytes.fromhex(error["data"][2:]))
            raise ChainError(f"the chain refuses {method}: {error.get('message')}")
        return response["result"]

    @property
    def _place(self) -> str:
        """Scheme, host and port; the rest of a URL may be a secret."""
        url = urlsplit(str(getattr(self._provider, "endpoint_uri", "in-process")))
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url.netloc else url.path

    # --- state ---

    @property
    def block_number(self) -> int:
        """Number of the latest block."""
        return int(self.request("eth_blockNumber"), 16)

    def now(self) -> int:
        """Return the time of the latest block, in seconds: the only clock that contracts know."""
        return int(self.block("latest")["timestamp"], 16)

    def block(self, number: int | str) -> dict[str, Any]:
        """Return a block's header as JSON-RPC gives it.

        Raises:
            ChainError: If there is no such block.
        """
        block: dict[str, Any] | None = self.request("eth_getBlockByNumber", _tag(number), False)
        if block is None:
            raise ChainError(f"chain {self.chain_id} has no block {number}")
        return block

    def nonce(self, address: str) -> int:
        """Number that the account's next transaction will have."""
        return int(self.request("eth_getTransactionCount", address, "pending"), 16)

    def balance(self, address: str) -> int:
        """Return an account's money, in wei."""
        return int(self.request("eth_getBalance", address, "latest"), 16)

    def code(self, address: str) -> bytes:
        """Return a contract's code, empty if there is none."""
        return bytes.fromhex(self.request("eth_getCode", address, "latest")[2:])

    def call(
        self, call: Call, *, sender: str | None = None, value: int = 0, block: int | str = "latest"
    ) -> tuple[Any, ...]:
        """View: run a call on the state after a block, and change nothing.

        Args:
            call: Contract, function, arguments.
            sender: Who asks; nobody by default.
            value: Wei that come with it.
            block: Number of the block, or ``"latest"``.

        Returns:
            What it returns, decoded.

        Raises:
            ContractRevert: If the contract refuses.
        """
        request = self._message(call, sender, value)
        return decode(call.outputs, bytes.fromhex(self.request("eth_call", request, _tag(block))[2:]))

    # --- transactions ---

    def bind(self, address: str, events: tuple[type[Event], ...]) -> None:
        """Have receipts decode these events of a contract."""
        self._events |= {(address, event.topic): event for event in events}

    def decode_log(self, log: Log) -> Event | None:
        """Decode a log, if a bound contract wrote it."""
        kind = self._events.get((log.address, log.topics[0])) if log.topics else None
        return None if kind is None else kind.from_log(log)

    def transact(self, account: Account, call: Call, value: int = 0) -> Receipt:
        """Sign a transaction, send it, and wait until it is in a block.

        Args:
            account: Who signs and pays.
            call: Contract, function, arguments.
            value: Wei that go with it.

        Returns:
            Its receipt, with the events of bound contracts.

        Raises:
            ContractRevert: If the contract refuses; nothing was sent then, unless the state changed in
                between.
            ChainError: If the chain refuses (say, for want of money), or does not include it in time.
            ChainUnavailableError: If the chain is away; gone in the middle of it, it is waited for.
            InputError: If the value is negative.
        """
        if value < 0:
            raise InputError(f"a transaction cannot carry {value} wei; give 0 or more")
        request = self._message(call, account.address, value)
        gas = self._gas(request)
        price = int(self.request("eth_gasPrice"), 16)
        transaction = {
            "type": 2,
            "chainId": self.chain_id,
            "to": call.to or "",
            "value": value,
            "data": call.data,
            "gas": gas,
            "maxFeePerGas": 2 * price,
            "maxPriorityFeePerGas": min(2 * price, int(self.request("eth_maxPriorityFeePerGas"), 16)),
        }
        transaction_hash = self._number_and_send(account, transaction)
        receipt = self._wait(transaction_hash)
        if int(receipt["status"], 16) == 0:
            self._explain(request, receipt)
        done = self._receipt(receipt)
        if self.on_transaction is not None:
            self.on_transaction(call, done)
        return done

    def _message(self, call: Call, sender: str | None, value: int) -> dict[str, str]:
        parts = {"from": sender, "to": call.to, "value": hex(value), "data": "0x" + call.data.hex()}
        return {key: part for key, part in parts.items() if part is not None}

    def _gas(self, request: dict[str, str]) -> int:
        if isinstance(self._provider, LocalProvider):
            return BLOCK_GAS_LIMIT  # it refuses what would revert: nothing to find out beforehand
        return int(self.request("eth_estimateGas", request), 16) * 6 // 5 + RACE_GAS

    def _number_and_send(self, account: Account, transaction: dict[str, Any]) -> str:
        """Sign with the next nonce; with the one after it, if another process of the account's was faster."""
        for attempt in range(NONCE_ATTEMPTS):
            with self._nonces:
                transaction["nonce"] = self.nonce(account.address)
                try:
                    return self._send(account.sign_transaction(transaction))
                except ContractRevert:
                    raise
                except ChainError as error:
                    if attempt == NONCE_ATTEMPTS - 1 or not _TAKEN.search(str(error)):
                        raise
        raise AssertionError("unreachable")

    def _send(self, raw: bytes) -> str:
        """Send a signed transaction; when the answer is lost, send it again: it has one nonce, so it runs once."""
        deadline, pause, unsure = time.monotonic() + RECEIPT_SECONDS, 0.01, False
        transaction_hash = "0x" + keccak(raw).hex()
        while True:
            try:
                self.request("eth_sendRawTransaction", "0x" + raw.hex())
                return transaction_hash
            except ContractRevert:
                raise
            except ChainUnavailableError as error:
                unsure = True
                if time.monotonic() > deadline:
                    raise _unsure(transaction_hash, error) from error
            except ChainError:
                if not unsure:
                    raise
                return transaction_hash  # "already known", "nonce too low": it had got through
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _wait(self, transaction_hash: str) -> dict[str, Any]:
        deadline, pause = time.monotonic() + RECEIPT_SECONDS, 0.01
        while True:
            late = ChainError(
                f"transaction {transaction_hash} is in no block after {RECEIPT_SECONDS} s; it may still be mined"
            )
            try:
                receipt: dict[str, Any] | None = self.request("eth_getTransactionReceipt", transaction_hash)
            except ChainUnavailableError as error:
                receipt, late = None, _unsure(transaction_hash, error)
            if receipt is not None:
                return receipt
            if time.monotonic() > deadline:
                raise late
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _explain(self, request: dict[str, str], receipt: dict[str, Any]) -> None:
        """Raise the reason of a mined failure: run it again on the state before its block."""
        self.request("eth_call", request, hex(int(receipt["blockNumber"], 16) - 1))
        raise ContractRevert(f"transaction {receipt['transactionHash']} failed in its block; send it again")

    def _receipt(self, receipt: dict[str, Any]) -> Receipt:
        events = [self.decode_log(Log.from_json(log)) for log in receipt["logs"]]
        contract = receipt.get("contractAddress")
        return Receipt(
            transaction_hash=bytes.fromhex(receipt["transactionHash"][2:]),
            block_number=int(receipt["blockNumber"], 16),
            gas_used=int(receipt["gasUsed"], 16),
            contract=contract and to_checksum_address(contract),
            events=tuple(event for event in events if event is not None),
        )

    # --- development chains only ---

    @functools.cached_property
    def is_development(self) -> bool:
        """Whether blocks and time are ours to make: in-process, or anvil."""
        if isinstance(self._provider, LocalProvider):
            return True
        return str(self.request("web3_clientVersion")).startswith("anvil")

    def _require_development(self, wish: str) -> None:
        if not self.is_development:
            raise InputError(
                f"chain {self.chain_id} is not a development chain; {wish} works in-process and on anvil only"
            )

    def mine(self, blocks: int = 1) -> None:
        """Add empty blocks.

        Raises:
            InputError: If this is not a development chain; likewise below.
        """
        self._require_development("mine")
        for _ in range(blocks):
            self.request("evm_mine")

    def advance(self, seconds: int) -> None:
        """Let time pass: add a block that is exactly so much later than the latest."""
        self.schedule(self.now() + seconds)
        self.request("evm_mine")

    def schedule(self, timestamp: int) -> None:
        """Let the next block be of this second.

        Raises:
            InputError: If it is not later than the latest block.
        """
        self._require_development("schedule")
        if timestamp <= self.now():
            raise InputError(
                f"second {timestamp} is not after the latest block's, {self.now()}; give a later one"
            )
        self.request("evm_setNextBlockTimestamp", timestamp)

    def faucet(self, address: str, wei: int) -> Receipt:
        """Give an account money."""
        self._require_development("faucet")
        return self.transact(DEVELOPER, Call(address, b""), wei)

    def snapshot(self) -> str:
        """Remember the present state; :meth:`rollback` returns to it, once."""
        self._require_development("snapshot")
        mark: str = self.request("evm_snapshot")
        return mark

    def rollback(self, mark: str) -> None:
        """Return to a snapshot."""
        self._require_development("rollback")
        self.request("evm_revert", mark)


def open_chain(url: str | None = None, path: Path | None = None) -> Chain:
    """Open a chain.

    Args:
        url: JSON-RPC URL of a node; None opens an in-process chain.
        path: File that keeps the in-process chain, to be reopened later; None keeps it in memory.

    Raises:
        InputError: If the URL is not of HTTP, or both are given.
        ChainUnavailableError: If no chain answers at the URL.
        ChainError: If the file cannot be used.
    """
    if url is None:
        return Chain(LocalProvider(path, DEVELOPER.address))
    if path is not None:
        raise InputError(f"chain URL {url} and chain file {path} exclude each other; give one of them")
    return Chain(http_provider(url))


def _unsure(transaction_hash: str, error: ChainUnavailableError) -> ChainUnavailableError:
    return ChainUnavailableError(
        f"{error}. Transaction {transaction_hash} may have been sent: see whether it was before doing that again"
    )


def _tag(number: int | str) -> str:
    return number if isinstance(number, str) else hex(number)
