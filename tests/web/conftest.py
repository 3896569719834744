from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

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


class Stage:
    """An application that is another one in every test: a server takes a while to close."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Stage, Server]]:
    stage = Stage()
    with serve(stage) as server:
        yield stage, server


@pytest.fixture
def server(service: MemoryNode, stage: tuple[Stage, Server]) -> Server:
    stage[0].app = storage_node_app(service)
    return stage[1]


@pytest.fixture
def node(server: Server) -> Iterator[HttpStorageNode]:
    with HttpStorageNode(server.url) as node:
        yield node
