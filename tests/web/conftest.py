from __future__ import annotations

from collections.abc import Iterator

import pytest

from dtxeth.chain import Account, Contracts
from dtxeth.storage import RequestSigner
from dtxeth.storage.http import HttpStorageNode
from dtxeth.web import Server, serve, storage_node_app
from tests.web.node import MemoryNode


@pytest.fixture
def service(contracts: Contracts, accounts: list[Account]) -> MemoryNode:
    return MemoryNode(accounts[5], contracts.file_registry)


@pytest.fixture
def signer(contracts: Contracts, accounts: list[Account]) -> RequestSigner:
    return RequestSigner(accounts[0], contracts.file_registry)


@pytest.fixture
def server(service: MemoryNode) -> Iterator[Server]:
    with serve(storage_node_app(service)) as server:
        yield server


@pytest.fixture
def node(server: Server) -> Iterator[HttpStorageNode]:
    with HttpStorageNode(server.url) as node:
        yield node
