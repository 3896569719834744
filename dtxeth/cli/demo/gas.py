"""What every kind of transaction costs, read off the transactions of a run."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

from eth_utils.abi import function_abi_to_4byte_selector

from dtxeth.chain import Chain, Contracts, Receipt
from dtxeth.chain.abi import Call
from dtxeth.chain.deploy import NAMES, artifact


class GasLedger:
    """Gas of the transactions that a process sends, by contract and function.

    Args:
        chain: The chain to watch from now on.
        contracts: The contracts whose functions are named.
    """

    def __init__(self, chain: Chain, contracts: Contracts) -> None:
        self._names = {
            (
                contracts.deployment.addresses[name],
                bytes(function_abi_to_4byte_selector(entry)),
            ): f"{name}.{entry['name']}"
            for name in NAMES
            for entry in artifact(name)["abi"]
            if entry["type"] == "function"
        }
        self._used: defaultdict[str, list[int]] = defaultdict(list)
        chain.on_transaction = self._note

    def means(self) -> dict[str, int]:
        """Mean gas of each operation, by name."""
        return {name: round(mean(used)) for name, used in sorted(self._used.items())}

    def counts(self) -> dict[str, int]:
        """Number of transactions of each operation, by name."""
        return {name: len(used) for name, used in sorted(self._used.items())}

    def _note(self, call: Call, receipt: Receipt) -> None:
        name = self._names.get((call.to or "", call.data[:4]))
        if name is not None:
            self._used[name].append(receipt.gas_used)
