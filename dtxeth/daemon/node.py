"""A node as a process: configuration and account in, an actor at work and a server before it, until told to stop."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from dtxeth.chain import Account
from dtxeth.config import NodeConfig, OwnerConfig, StorageConfig
from dtxeth.daemon.balance import BalanceWatch
from dtxeth.daemon.checks import check_clock, check_versions
from dtxeth.daemon.monitor import Monitor, monitor_app
from dtxeth.daemon.pidfile import PidFile
from dtxeth.errors import ConfigError, InputError
from dtxeth.roles import Executor, StorageNode
from dtxeth.roles.actor import Actor
from dtxeth.roles.network import Place
from dtxeth.roles.remote import RemoteNetwork, connect_network
from dtxeth.storage.blockstore import BlockStore, EmbeddedBlockStore, IpfsBlockStore
from dtxeth.web import Limits, Server, owner_app, storage_node_app
from dtxeth.web.owner import MAX_UPLOAD
from dtxeth.web.server import listen, serve, url_of

log = structlog.get_logger(__name__)

PAUSE: Final = 1.0
"""Seconds that a node with nothing to do rests before it looks at the chain again."""

MODELS: Final = "models"
"""Folder of an executor's vault in its home."""

CERTIFICATE: Final = "tls"
"""Name of its TLS key and certificate there."""

WILDCARDS: Final = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - what to refuse as an endpoint


class NodeDaemon:
    """A storage node, data owner or executor.

    Args:
        config: Its configuration.
        folder: Where the configuration's paths begin.
    """

    def __init__(self, config: NodeConfig, folder: Path) -> None:
        self.config = config
        self._folder = folder
        self.home = folder / config.home

    @property
    def pid_file(self) -> PidFile:
        """Says whether it runs, and as which process."""
        return PidFile(self.home / "node.pid")

    def run(self, account: Account, stop: threading.Event) -> None:
        """Work and serve until told to stop.

        Args:
            account: The node's.
            stop: Set it to stop.

        Raises:
            ConfigError: The node runs already, an address is taken, or the account is another node's.
            ChainError: The chain is away, not of this deployment, or at odds with the clock.
            StorageError: The IPFS daemon does not answer, or all peers are of another version.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as stack:
            stack.enter_context(self.pid_file.claim())
            network = stack.enter_context(self.connect(account))
            check_clock(network.chain)
            check_versions(network.storage_nodes_by_address().values())
            actor = self._open(network, stack)
            network.add_worker(BalanceWatch(network.chain, account.address, self.config.low_balance))
            if self.config.monitor is not None:
                monitor = Monitor(network, actor, self.config.role)
                host, port = split(self.config.monitor)
                stack.enter_context(serve(monitor_app(monitor), host, port))
            log.info("the node is there", name=actor.name, role=self.config.role, account=actor.address)
            network.serve(stop, PAUSE)
            log.info("the node stops", name=actor.name)
            if actor.busy:
                os._exit(
                    0
                )  # closing things under a running task would make it fail; it goes on after the next start

    def connect(self, account: Account) -> RemoteNetwork:
        """Open the network with the node's account and settings."""
        config = self.config
        deployment = self._folder / config.deployment
        return connect_network(config.chain, deployment, self.home, lambda role, name: account)

    def _open(self, network: RemoteNetwork, stack: ExitStack) -> Actor:
        match self.config.role:
            case "storage":
                return self._storage(network, stack)
            case "owner":
                return self._owner(network, stack)
        return self._executor(network, stack)

    def _storage(self, network: RemoteNetwork, stack: ExitStack) -> StorageNode:
        config, settings = self.config, self.config.storage or StorageConfig()
        listener = stack.enter_context(listen(*split(config.listen)))
        network.place = Place(self._endpoint(url_of(listener)))
        store: BlockStore = (
            EmbeddedBlockStore(self.home / "blocks")
            if settings.ipfs is None
            else IpfsBlockStore(settings.ipfs)
        )

        def start(account: Account) -> StorageNode:
            return StorageNode(network, account, config.name, self.home, store, settings.capacity)

        node = network.join("storage", config.name, start)
        stack.enter_context(Server(storage_node_app(node.service), listener, Limits()))
        return node

    def _owner(self, network: RemoteNetwork, stack: ExitStack) -> Actor:
        settings = self.config.owner or OwnerConfig()
        listener = stack.enter_context(listen(*split(self.config.listen)))
        owner = network.join_owner(self.config.name, settings)
        limits = replace(Limits(), body=MAX_UPLOAD)
        app = owner_app(owner, settings.clients, limits, self.home / "requests.sqlite")
        stack.enter_context(Server(app, listener, limits))
        return owner

    def _executor(self, network: RemoteNetwork, stack: ExitStack) -> Executor:
        config = self.config
        endpoint = config.endpoint
        if endpoint is None:
            self._endpoint("")

        def start(account: Account) -> Executor:
            return Executor(network, account, config.name, self.home / MODELS, config.listen, endpoint)

        return network.join("executor", config.name, start)

    def rotate_certificate(self) -> None:
        """Forget an executor's TLS key and certificate; the next start makes new ones, and tells the chain.

        Raises:
            InputError: It is no executor, or it runs.
        """
        if self.config.role != "executor":
            raise InputError(f"{self.config.name} has no certificate: only executors have one")
        if self.pid_file.pid is not None:
            raise InputError(f"node {self.config.name} runs: stop it first, then rotate, then start it")
        (self.home / MODELS / CERTIFICATE).unlink(missing_ok=True)

    def _endpoint(self, own: str) -> str:
        """Where others reach the node: as configured, or where it listens."""
        host, _ = split(self.config.listen)
        if self.config.endpoint is None and host in WILDCARDS:
            raise ConfigError(
                f"endpoint is missing: {self.config.listen} is no address that others can reach, say where they can"
            )
        return self.config.endpoint or own


def split(address: str) -> tuple[str, int]:
    """Take ``host:port`` apart."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
