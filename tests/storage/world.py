"""A storage network for tests: in-process nodes on the in-process chain, and owners who publish on it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dtxeth.chain import Account, Chain, Contracts
from dtxeth.chain.bindings.types import Possession, Role
from dtxeth.storage import (
    NodeLimits,
    RemoteFile,
    RequestSigner,
    StorageNode,
    StorageNodeApi,
    Terms,
    Upload,
    owned_file_key,
    public_key_of,
    upload,
    wrap_file_key,
)
from dtxeth.storage.blockstore import BlockStore, EmbeddedBlockStore

NODES = 4
CAPACITY = 1 << 30
MONTH = 30 * 86_400


class Down:
    """A node that cannot be reached."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def refuse(*_: object) -> object:
            raise ConnectionError("connection refused")

        return refuse


@dataclass
class World:
    """Four storage nodes, an owner with a namespace of two replicas, and whoever else a test needs."""

    contracts: Contracts
    accounts: list[Account]
    directory: Path
    nodes: dict[str, StorageNodeApi] = field(default_factory=dict)
    real: list[StorageNode] = field(default_factory=list)
    namespace: bytes = b""

    @property
    def chain(self) -> Chain:
        return self.contracts.chain

    @property
    def owner(self) -> Account:
        return self.accounts[0]

    @property
    def executor(self) -> Account:
        return self.accounts[1]

    def start(self) -> None:
        for number, account in enumerate(self.accounts[2 : 2 + NODES]):
            self.register(account, f"node{number}")
            node = self.node(account, self.directory / str(number))
            self.real.append(node)
            self.nodes[node.address] = node
        self.namespace = self.add_namespace("study", 1, 2)

    def register(self, account: Account, name: str) -> None:
        """Register a storage node with the stake that its capacity needs."""
        registry = self.contracts.node_registry
        stake = registry.stake_for(CAPACITY)
        registry.register(Role.STORAGE, name, "inproc:", bytes(32), CAPACITY, sender=account, value=stake)

    def add_namespace(
        self, name: str, needed: int, total: int, possession: Possession = Possession.MERKLE
    ) -> bytes:
        registry = self.contracts.file_registry
        registry.add_namespace(name, needed, total, possession, sender=self.owner)
        return registry.namespace_id_of(self.owner.address, name)

    def node(
        self, account: Account, directory: Path, store: BlockStore | None = None, **limits: Any
    ) -> StorageNode:
        """Start a storage node on a directory; limits other than the tests' by name."""
        directory.mkdir(parents=True, exist_ok=True)
        given = {"capacity": CAPACITY, "staging_seconds": 600, "acknowledgement_seconds": 600} | limits
        store = store or EmbeddedBlockStore(directory)
        return StorageNode(account, self.contracts, store, NodeLimits(**given), directory / "records.sqlite")

    def holder(self, holding_id: int) -> StorageNode:
        """The node of a holding."""
        address = self.contracts.file_registry.holding(holding_id).node
        return next(node for node in self.real if node.address == address)

    def stop(self) -> None:
        for node in self.real:
            node.close()

    def signer(self, account: Account) -> RequestSigner:
        return RequestSigner(account, self.contracts.file_registry)

    def terms(self, name: str = "rows.csv") -> Terms:
        return Terms(name, self.namespace, self.chain.now() + MONTH, rows=3, columns=("id", "x"))

    def upload(self, data: bytes, name: str = "rows.csv") -> Upload:
        key = public_key_of(self.owner.encryption_key(self.chain.chain_id))
        return upload(io.BytesIO(data), self.terms(name), self.signer(self.owner), key, self.nodes)

    def publish(self, data: bytes, name: str = "rows.csv") -> Upload:
        stored = self.upload(data, name)
        self.contracts.file_registry.publish(stored.publication, stored.acknowledgements, sender=self.owner)
        return stored

    def open(self, file_id: bytes) -> RemoteFile:
        """Open a file with nothing but the owner's account and the chain."""
        key = owned_file_key(self.owner, self.contracts.file_registry, file_id)
        return RemoteFile(file_id, key, self.signer(self.owner), self.nodes)

    def grant(self, stored: Upload, seconds: int = 600, task: int = 7) -> int:
        """Authorize the executor for a file."""
        registry, authorization = self.contracts.file_registry, self.contracts.file_authorization
        key = public_key_of(self.executor.encryption_key(self.chain.chain_id))
        applier = self.executor.address
        wrapped = wrap_file_key(stored.file_key, key, registry, stored.file_id, applier, task)
        expiry = self.chain.now() + seconds
        authorization.grant(stored.file_id, applier, task, wrapped, expiry, sender=self.owner)
        return authorization.latest_of(stored.file_id, applier, task)


@pytest.fixture
def world(contracts: Contracts, accounts: list[Account], tmp_path: Path) -> Iterator[World]:
    made = World(contracts, list(accounts), tmp_path / "nodes")
    made.start()
    yield made
    made.stop()
