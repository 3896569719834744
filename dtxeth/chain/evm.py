"""The in-process chain: eth-tester's py-evm back end, one block a transaction, optionally kept in a file.

It differs from stock eth-tester in four ways. A transaction that reverts is refused instead of mined, so
nobody has to estimate gas and run everything twice. Transactions and receipts are found by hash, not by a
walk over all blocks. The state may lie in SQLite, so a chain can be closed and reopened. The KZG trusted
setup is loaded once a process, the one that proofs are made with.

The clock is the chain's own: every block moves it by one second, :meth:`Evm.schedule` further, and nothing
else, so that no deadline lapses because the machine is busy.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.consensus import ConsensusApplier, NoProofConsensus
from eth.constants import BLANK_ROOT_HASH, GENESIS_PARENT_HASH, ZERO_ADDRESS, ZERO_HASH32
from eth.db.atomic import AtomicDB
from eth.exceptions import CanonicalHeadNotFound, HeaderNotFound, TransactionNotFound
from eth.precompiles import point_evaluation
from eth.typing import AccountState
from eth.vm.forks import PragueVM
from eth.vm.forks.cancun.transaction_context import CancunTransactionContext
from eth.vm.message import Message
from eth_tester.backends.pyevm.main import PyEVMBackend
from eth_typing import Address, BlockNumber, Hash32
from eth_utils import to_canonical_address

from dtxeth.chain.database import SqliteDB
from dtxeth.crypto import kzg

CHAIN_ID = 1337
BLOCK_GAS_LIMIT = 30_000_000

# py-evm would read the trusted setup anew, in 2.5 s, at every call of the point evaluation precompile.
point_evaluation.load_trusted_setup = lambda path, precompute: kzg.trusted_setup()


class _Chain(MiningChain):
    chain_id = CHAIN_ID
    vm_configuration = ConsensusApplier(NoProofConsensus).amend_vm_configuration(
        ((BlockNumber(0), PragueVM),)
    )

    def create_header_from_parent(
        self, parent_header: BlockHeaderAPI, **header_params: Any
    ) -> BlockHeaderAPI:
        fixed = {"gas_limit": BLOCK_GAS_LIMIT, "timestamp": parent_header.timestamp + 1}
        return super().create_header_from_parent(parent_header, **fixed | header_params)


class Evm(PyEVMBackend):  # type: ignore[misc]  # eth-tester ships no types
    """A chain of blocks with at most one transaction each. Not thread-safe: the provider holds the lock.

    Args:
        path: File that keeps the chain; None keeps it in memory.
        funded: Account that owns all of the genesis' money.
    """

    def __init__(self, path: Path | None, funded: str) -> None:
        self._database = None if path is None else SqliteDB(path)
        database = AtomicDB() if self._database is None else AtomicDB(self._database)
        self.chain: Any  # py-evm's interfaces name half of what its classes have
        try:
            self.chain = _Chain(database)
        except CanonicalHeadNotFound:
            self.chain = _Chain.from_genesis(database, _genesis(), _fortune(to_canonical_address(funded)))
            self._commit()

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if self._database is not None:
            self._database.close()

    def _commit(self) -> None:
        if self._database is not None:
            self._database.commit()

    @property
    def head(self) -> BlockHeaderAPI:
        """The header of the latest block."""
        head: BlockHeaderAPI = self.chain.get_canonical_head()
        return head

    @property
    def base_fee(self) -> int:
        """Price of gas in the next block, in wei."""
        return int(self.chain.header.base_fee_per_gas)

    def header(self, number: int) -> BlockHeaderAPI | None:
        """The header of a block, None if the chain is not so long."""
        if not 0 <= number <= self.head.block_number:  # numbers above a reverted head still lead somewhere
            return None
        header: BlockHeaderAPI = self.chain.get_canonical_block_header_by_number(BlockNumber(number))
        return header

    def header_by_hash(self, block_hash: bytes) -> BlockHeaderAPI | None:
        """The header of a block of the canonical chain."""
        try:
            header = self.chain.get_block_header_by_hash(Hash32(block_hash))
        except HeaderNotFound:
            return None
        return header if self.header(header.block_number) == header else None

    def mine(self) -> None:
        """Add an empty block."""
        self.mine_blocks()
        self._commit()

    @property
    def pending_time(self) -> int:
        """The time of the next block."""
        return int(self.chain.header.timestamp)

    def schedule(self, timestamp: int) -> None:
        """Let the next block be of this second, which is after the latest block's."""
        self.chain.set_header_timestamp(timestamp)

    def send(self, raw: bytes) -> bytes:
        """Run a signed transaction and mine it.

        Returns:
            Its hash.

        Raises:
            ValidationError: If the chain would not take it: nonce, balance, signature, gas.
            VMError: If it fails; nothing has changed then.
        """
        vm = self.chain.get_vm()
        transaction = vm.get_transaction_builder().decode(raw)
        empty = vm.get_block()
        receipt, computation = vm.apply_transaction(empty.header, transaction)
        computation.raise_if_error()
        header = vm.add_receipt_to_header(empty.header, receipt).copy(mix_hash=os.urandom(32))
        full = vm.set_block_transactions_and_withdrawals(empty, header, (transaction,), (receipt,))
        mined = vm.mine_block(full).block
        self.chain.chaindb.persist_block(mined)
        self.chain.header = self.chain.create_header_from_parent(mined.header)
        self._commit()
        return bytes(transaction.hash)

    def view(self, to: bytes, data: bytes, sender: bytes, value: int, header: BlockHeaderAPI) -> bytes:
        """Run a message on the state after a block, and forget what it did.

        Returns:
            What it returns.

        Raises:
            VMError: If it fails.
        """
        state = self.chain.get_vm(header).state
        message = Message(
            gas=BLOCK_GAS_LIMIT,
            to=Address(to),
            sender=Address(sender),
            value=value,
            data=data,
            code=state.get_code(Address(to)),
        )
        context = CancunTransactionContext(gas_price=0, origin=Address(sender))
        computation = state.computation_class.apply_message(state, message, context)
        computation.raise_if_error()
        return bytes(computation.output)

    def find(self, transaction_hash: bytes) -> BlockHeaderAPI | None:
        """Return the header of the block that holds a transaction."""
        try:
            number, _ = self.chain.chaindb.get_transaction_index(Hash32(transaction_hash))
        except TransactionNotFound:
            return None
        header = self.header(number)
        if header is None or transaction_hash not in self.transaction_hashes(header):
            return None  # the block was reverted
        return header

    def transaction_hashes(self, header: BlockHeaderAPI) -> tuple[bytes, ...]:
        """Return the hashes of a block's transactions."""
        return tuple(self.chain.chaindb.get_block_transaction_hashes(header))

    def content(self, header: BlockHeaderAPI) -> tuple[SignedTransactionAPI, ReceiptAPI] | None:
        """Return the transaction of a block, and its receipt; None of an empty block."""
        vm = self.chain.get_vm(header)
        transactions = self.chain.chaindb.get_block_transactions(header, vm.get_transaction_builder())
        receipts = self.chain.chaindb.get_receipts(header, vm.get_receipt_builder())
        return next(zip(transactions, receipts, strict=True), None)

    def revert_to(self, block_hash: bytes) -> None:
        """Make an earlier block the latest again."""
        chaindb = self.chain.chaindb
        header = self.chain.get_block_header_by_hash(Hash32(block_hash))
        chaindb._set_as_canonical_chain_head(chaindb.db, header, GENESIS_PARENT_HASH)
        self.chain.header = self.chain.create_header_from_parent(header)
        self._commit()


def _genesis() -> dict[str, Any]:
    return {
        "coinbase": ZERO_ADDRESS,
        "difficulty": 0,
        "extra_data": b"",
        "gas_limit": BLOCK_GAS_LIMIT,
        "mix_hash": ZERO_HASH32,
        "receipt_root": BLANK_ROOT_HASH,
        "timestamp": int(time.time()),
        "transaction_root": BLANK_ROOT_HASH,
    }


def _fortune(account: Address) -> AccountState:
    return {account: {"balance": 10**9 * 10**18, "nonce": 0, "code": b"", "storage": {}}}
