"""Who an executor meets in the session of a task, and where, as the chain has it at that moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from dtxeth.chain import Contracts
from dtxeth.roles.network import Network
from dtxeth.transport import Peer


class PeersOnChain(Mapping[str, Peer]):
    """Executors by address; each look-up asks the registry, so that a new endpoint or certificate counts at once.

    Args:
        contracts: The contracts.
        addresses: The executors.
    """

    def __init__(self, contracts: Contracts, addresses: Sequence[str]) -> None:
        self._contracts = contracts
        self._addresses = tuple(addresses)

    def __getitem__(self, address: str) -> Peer:
        if address not in self._addresses:
            raise KeyError(address)
        node = self._contracts.node_registry.node_of(address)
        return Peer(node.endpoint, node.tls_fingerprint)

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)


def session_id(network: Network, task_id: int) -> bytes:
    """32 bytes that stand for one task of one deployment on one chain."""
    registry = network.contracts.task_registry.address
    return hashlib.sha256(f"{network.chain.chain_id} {registry} {task_id}".encode()).digest()
