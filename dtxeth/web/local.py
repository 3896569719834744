"""The nodes and owners of a local network, served over HTTP on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from dtxeth.config import OwnerConfig
from dtxeth.roles import DataOwner, LocalNetwork, StorageNode
from dtxeth.storage.http import HttpStorageNode
from dtxeth.web.limits import Limits
from dtxeth.web.owner import owner_app
from dtxeth.web.server import Server, serve
from dtxeth.web.storage_node import storage_node_app

LOOPBACK = "127.0.0.1"


class LocalServers:
    """Serves each storage node of a local network, and each of its data owners.

    The storage nodes' URLs become their endpoints on chain, and everybody in the process reaches them there, over
    HTTP, until :meth:`close`::

        with LocalNetwork(storage_nodes=6) as network, LocalServers(network) as servers:
            network.data_owner("hospital").upload("patients.csv", namespace="study")

    Args:
        network: The network.
        limits: What each server takes, from whom, how fast.

    Attributes:
        storage_nodes: URL of each storage node, by the node's name.
        owners: URL of each data owner who had joined, by name.
    """

    def __init__(self, network: LocalNetwork, limits: Limits | None = None) -> None:
        self._network, self._limits = network, limits
        self._servers: dict[str, Server] = {}
        self._clients = ExitStack()
        self.storage_nodes: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        try:
            for node in network.storage_nodes:
                self._open(node)
            for owner in network.actors:
                if isinstance(owner, DataOwner):
                    self._open_owner(owner)
        except BaseException:
            self.close()
            raise

    def kill(self, address: str) -> None:
        """Take the server of a node or owner away, as if its process had died."""
        self._servers.pop(address).close()

    def close(self) -> None:
        """Close all servers; the storage nodes are reached inside the process again."""
        for server in self._servers.values():
            server.stop()
        for server in self._servers.values():
            server.close()
        doors = self._network.storage_nodes_by_address()
        for node in self._network.storage_nodes:
            if isinstance(doors.get(node.address), HttpStorageNode):  # else it was stopped, or came back
                self._network.open_door(node.address, node.service)
                self._announce(node, f"local://{node.name}")
        self._servers.clear()
        self._clients.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, node: StorageNode) -> None:
        server = self._serve(node.address, storage_node_app(node.service, self._limits))
        self._announce(node, server.url)
        endpoint = self._network.contracts.node_registry.node_of(node.address).endpoint
        self._network.open_door(node.address, self._clients.enter_context(HttpStorageNode(endpoint)))
        self.storage_nodes[node.name] = endpoint

    def _open_owner(self, owner: DataOwner) -> None:
        home = self._network.home / "owners"
        config = OwnerConfig.load(home / f"{owner.name}.toml")
        app = owner_app(owner, config.clients, self._limits, home / f"{owner.name}.sqlite")
        self.owners[owner.name] = self._serve(owner.address, app).url

    def _serve(self, address: str, app: ASGIApp) -> Server:
        self._servers[address] = server = serve(app, LOOPBACK, limits=self._limits)
        return server

    def _announce(self, node: StorageNode, endpoint: str) -> None:
        """Put where a node is reached on chain; all else about it stays."""
        registry = self._network.contracts.node_registry
        record = registry.node_of(node.address)
        registry.update(endpoint, record.tls_fingerprint, record.capacity, sender=node.account)
