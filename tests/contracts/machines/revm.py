"""A chain on pyrevm: what :class:`dtxeth.chain.Chain` is on eth-tester, a hundred times faster.

The typed bindings, the deployment and the machines run on it unchanged. Blocks and time pass exactly as on
the in-process chain: a block a transaction, a second a block, and nothing happens when a transaction reverts.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from eth_utils import to_checksum_address
from pyrevm import EVM, BlockEnv, CfgEnv, Env

from dtxeth.chain.abi import Call, Log, decode
from dtxeth.chain.accounts import Account
from dtxeth.chain.chain import DEVELOPER, Chain, Receipt
from dtxeth.chain.reverts import decode_revert

_NOBODY = "0x" + 20 * "00"
_REVERT = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")
_decode = functools.lru_cache(4096)(decode)  # the machines look at the same state again and again


class RevmChain(Chain):
    """An in-memory chain without fees, signatures or receipts to look up."""

    is_development = True
    chain_id = 1337

    def __init__(self) -> None:
        self._events = {}
        self._evm = EVM(env=Env(cfg=CfgEnv(chain_id=self.chain_id)), spec_id="PRAGUE")
        self._evm.set_balance(DEVELOPER.address, 10**30)
        self._number, self._time, self._next_time = 0, 1, 2
        self._marks: list[tuple[Any, int, int]] = []

    def request(self, method: str, *params: Any) -> Any:
        return getattr(self, f"_{method}")(*params)

    def call(
        self, call: Call, *, sender: str | None = None, value: int = 0, block: int | str = "latest"
    ) -> tuple[Any, ...]:
        assert block == "latest", "pyrevm keeps no old states"
        self._set_block(self._number, self._time)
        return _decode(call.outputs, self._run(sender or _NOBODY, call, value, is_static=True))

    def transact(self, account: Account, call: Call, value: int = 0) -> Receipt:
        self._set_block(self._number + 1, self._next_time)
        contract = None
        if call.to is None:
            contract = to_checksum_address(self._evm.deploy(account.address, call.data, value))
        else:
            self._run(account.address, call, value)
        result = self._evm.result
        self._evm_mine()
        logs = [
            Log(log.address, tuple(log.data[0]), log.data[1], self._number, b"", b"", index)
            for index, log in enumerate(result.logs)
        ]
        events = [self.decode_log(log) for log in logs]
        return Receipt(
            b"",
            self._number,
            result.gas_used,
            contract,
            tuple(event for event in events if event is not None),
        )

    def _run(self, sender: str, call: Call, value: int, **options: Any) -> bytes:
        try:
            return self._evm.message_call(sender, call.to, calldata=call.data, value=value, **options)
        except RuntimeError as error:
            reverted = _REVERT.fullmatch(str(error))
            if reverted is None:
                raise
            raise decode_revert(bytes.fromhex(reverted[1])) from None

    def _set_block(self, number: int, time: int) -> None:
        self._evm.set_block_env(BlockEnv(number=number, timestamp=time))

    # --- JSON-RPC methods ---

    def _eth_blockNumber(self) -> str:  # noqa: N802  # the method's name; so below
        return hex(self._number)

    def _eth_getBlockByNumber(self, number: str, _full: bool) -> dict[str, str]:  # noqa: N802
        if number == "latest":
            return {"timestamp": hex(self._time)}
        return {"hash": "0x" + self._evm.block_hash(int(number, 16)).hex()}

    def _eth_getBalance(self, address: str, _tag: str) -> str:  # noqa: N802
        return hex(self._evm.get_balance(address))

    def _eth_getTransactionCount(self, address: str, _tag: str) -> str:  # noqa: N802
        return hex(self._evm.basic(address).nonce)

    def _eth_getCode(self, address: str, _tag: str) -> str:  # noqa: N802
        return "0x" + self._evm.get_code(address).rstrip(b"\0").hex()

    def _evm_mine(self) -> None:
        self._number, self._time, self._next_time = self._number + 1, self._next_time, self._next_time + 1

    def _evm_setNextBlockTimestamp(self, timestamp: int) -> None:  # noqa: N802
        self._next_time = timestamp

    def _evm_snapshot(self) -> int:
        self._marks.append((self._evm.snapshot(), self._number, self._time))
        return len(self._marks) - 1

    def _evm_revert(self, mark: int) -> None:
        checkpoint, self._number, self._time = self._marks[mark]
        self._next_time = self._time + 1
        self._evm.revert(checkpoint)
        del self._marks[mark:]
