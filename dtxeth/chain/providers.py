"""Where JSON-RPC requests go: to the in-process chain, or to a node by its URL.

The in-process provider speaks the dialect of development nodes (``evm_mine``, ``evm_setNextBlockTimestamp``,
``evm_snapshot``, ``evm_revert``), so that everything above talks to it exactly as to anvil.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import requests
from eth._utils.address import generate_contract_address
from eth.abc import BlockHeaderAPI
from eth.exceptions import Revert, VMError
from eth_typing import Address
from eth_utils import ValidationError, to_checksum_address
from requests.adapters import HTTPAdapter
from web3 import HTTPProvider
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from dtxeth.chain.evm import BLOCK_GAS_LIMIT, CHAIN_ID, Evm
from dtxeth.errors import InputError

REVERTED = 3
"""JSON-RPC error code of an execution that reverted; its ``data`` is what the contract returned."""

_ZERO_ADDRESS = "0x" + 20 * "00"
_REQUEST_SECONDS = 30
_CONNECTIONS = 64  # kept open; more may be made for a moment

Json = dict[str, Any]


def http_provider(url: str) -> HTTPProvider:
    """Return a provider for a node.

    Args:
        url: ``http://…`` or ``https://…``.

    Raises:
        InputError: If the URL is of another kind.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(
            f"chain URL {url!r} is not of JSON-RPC over HTTP; give http://host:port or https://…"
        )
    try:
        session = _session(url)
    except ValueError as error:
        raise InputError(f"chain URL {url!r} is none ({error}); give http://host:port or https://…") from None
    return HTTPProvider(
        url,
        request_kwargs={"timeout": _REQUEST_SECONDS, "headers": HTTPProvider.get_request_headers()},
        session=session,
        exception_retry_configuration=None,
    )


def _session(url: str) -> requests.Session:
    """Return a session for all threads, with the proxies, certificates and password that the environment has now.

    Left to itself requests looks them up at every request, which takes as long as the request; and web3 gives every
    thread a session, hence a connection, of its own.
    """
    session = requests.Session()
    settings = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify = settings["proxies"], settings["verify"]
    session.auth = requests.utils.get_netrc_auth(url)
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return session


class LocalProvider(BaseProvider):
    """JSON-RPC on an in-process chain, thread-safe by one lock.

    Args:
        path: File that keeps the chain; None keeps it in memory.
        funded: Account that owns all of the genesis' money.
    """

    def __init__(self, path: Path | None, funded: str) -> None:
        super().__init__()
        self._evm = Evm(path, funded)
        self._lock = threading.RLock()
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: "dtxeth in-process chain (eth-tester, py-evm)",
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_blockNumber": lambda: hex(self._evm.head.block_number),
            "eth_gasPrice": lambda: hex(self._evm.base_fee),
            "eth_maxPriorityFeePerGas": lambda: hex(0),
            "eth_estimateGas": lambda *_: hex(BLOCK_GAS_LIMIT),
            "eth_getBalance": lambda address, tag="latest": hex(
                self._state(tag).get_balance(_bytes(address))
            ),
            "eth_getTransactionCount": lambda address, tag="latest": hex(
                self._state(tag).get_nonce(_bytes(address))
            ),
            "eth_getCode": lambda address, tag="latest": _hex(self._state(tag).get_code(_bytes(address))),
            "eth_getStorageAt": self._storage_at,
            "eth_getBlockByNumber": lambda tag, _full=False: self._block(self._header(tag)),
            "eth_getBlockByHash": lambda digest, _full=False: self._block(
                self._evm.header_by_hash(_bytes(digest))
            ),
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_sendRawTransaction": lambda raw: _hex(self._evm.send(_bytes(raw))),
            "evm_mine": lambda *_: self._evm.mine(),
            "evm_increaseTime": lambda seconds: self._evm.schedule(self._evm.pending_time + seconds),
            "evm_setNextBlockTimestamp": lambda timestamp: self._evm.schedule(timestamp),
            "evm_snapshot": lambda: _hex(self._evm.head.hash),
            "evm_revert": lambda block_hash: self._evm.revert_to(_bytes(block_hash)),
        }

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Say that the chain is there; it always is."""
        return True

    def close(self) -> None:
        """Let go of the chain's file."""
        with self._lock:
            self._evm.close()

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer one JSON-RPC request."""
        function = self._methods.get(method)
        if function is None:
            return _error(-32601, f"the in-process chain has no method {method}")
        with self._lock:
            try:
                return {"jsonrpc": "2.0", "id": 0, "result": function(*params)}
            except Revert as error:
                return _error(REVERTED, "execution reverted", _hex(error.args[0] if error.args else b""))
            except VMError as error:
                return _error(-32000, f"execution failed: {error}")
            except ValidationError as error:
                return _error(-32000, str(error))

    def _header(self, tag: str) -> BlockHeaderAPI | None:
        head = self._evm.head
        number = _number(tag, head.block_number)
        return head if number == head.block_number else self._evm.header(number)

    def _state(self, tag: str) -> Any:
        header = self._header(tag)
        if header is None:
            raise ValidationError(f"there is no block {tag}")
        return self._evm.chain.get_vm(header).state

    def _storage_at(self, address: str, slot: str, tag: str = "latest") -> str:
        return _hex(self._state(tag).get_storage(_bytes(address), int(slot, 16)).to_bytes(32, "big"))

    def _call(self, request: Json, tag: str = "latest") -> str:
        header = self._header(tag)
        if header is None:
            raise ValidationError(f"there is no block {tag}")
        data = _bytes(request.get("data") or request.get("input") or "0x")
        sender = _bytes(request.get("from", _ZERO_ADDRESS))
        return _hex(
            self._evm.view(_bytes(request["to"]), data, sender, int(request.get("value", "0x0"), 16), header)
        )

    def _block(self, header: BlockHeaderAPI | None) -> Json | None:
        if header is None:
            return None
        return {
            "number": hex(header.block_number),
            "hash": _hex(header.hash),
            "parentHash": _hex(header.parent_hash),
            "timestamp": hex(header.timestamp),
            "gasLimit": hex(header.gas_limit),
            "gasUsed": hex(header.gas_used),
            "baseFeePerGas": hex(header.base_fee_per_gas or 0),
            "stateRoot": _hex(header.state_root),
            "transactions": [
                _hex(transaction_hash) for transaction_hash in self._evm.transaction_hashes(header)
            ],
        }

    def _receipt(self, transaction_hash: str) -> Json | None:
        header = self._evm.find(_bytes(transaction_hash))
        content = None if header is None else self._evm.content(header)
        if header is None or content is None:
            return None
        transaction, receipt = content
        return {
            "transactionHash": transaction_hash,
            "transactionIndex": "0x0",
            "blockHash": _hex(header.hash),
            "blockNumber": hex(header.block_number),
            "from": to_checksum_address(transaction.sender),
            "to": to_checksum_address(transaction.to) if transaction.to else None,
            "contractAddress": None if transaction.to else _created(transaction.sender, transaction.nonce),
            "gasUsed": hex(receipt.gas_used),
            "cumulativeGasUsed": hex(receipt.gas_used),
            "effectiveGasPrice": hex(header.base_fee_per_gas or 0),
            "status": "0x1",
            "logs": self._block_logs(header),
        }

    def _logs(self, query: Json) -> list[Json]:
        addresses = query.get("address", [])
        wanted = {address.lower() for address in ([addresses] if isinstance(addresses, str) else addresses)}
        topics = [[topic] if isinstance(topic, str) else topic for topic in query.get("topics", [])]
        return [
            log
            for header in self._headers(query)
            for log in self._block_logs(header)
            if (not wanted or log["address"].lower() in wanted)
            and len(log["topics"]) >= len(topics)
            and all(
                not allowed or topic in allowed for topic, allowed in zip(log["topics"], topics, strict=False)
            )
        ]

    def _headers(self, query: Json) -> Iterator[BlockHeaderAPI]:
        """Headers of the blocks that a log query names."""
        if "blockHash" in query:
            header = self._evm.header_by_hash(_bytes(query["blockHash"]))
            if header is None:
                raise ValidationError(f"there is no block {query['blockHash']}")
            yield header
            return
        first, last = (query.get(end, "latest") for end in ("fromBlock", "toBlock"))
        head = self._evm.head.block_number
        for number in range(_number(first, head), min(head, _number(last, head)) + 1):
            header = self._evm.header(number)
            if header is not None:
                yield header

    def _block_logs(self, header: BlockHeaderAPI) -> list[Json]:
        content = self._evm.content(header)
        if content is None:
            return []
        transaction, receipt = content
        return [
            {
                "address": to_checksum_address(log.address),
                "topics": [_hex(topic.to_bytes(32, "big")) for topic in log.topics],
                "data": _hex(log.data),
                "blockNumber": hex(header.block_number),
                "blockHash": _hex(header.hash),
                "transactionHash": _hex(transaction.hash),
                "transactionIndex": "0x0",
                "logIndex": hex(index),
                "removed": False,
            }
            for index, log in enumerate(receipt.logs)
        ]


def _number(tag: str, head: int) -> int:
    """Return the block number that a tag means; nothing is ever pending here."""
    if tag.startswith("0x"):
        return int(tag, 16)
    return 0 if tag == "earliest" else head


def _created(sender: bytes, nonce: int) -> str:
    """Return the address of the contract that a transaction created."""
    return to_checksum_address(generate_contract_address(Address(sender), nonce))


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _error(code: int, message: str, data: str | None = None) -> RPCResponse:
    error: Json = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return cast(RPCResponse, {"jsonrpc": "2.0", "id": 0, "error": error})
