"""A whole network in one process: chain, storage nodes, executors, and whoever joins them."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from dtxeth.chain import (
    Account,
    Chain,
    Contracts,
    Deployment,
    EventIndex,
    Parameters,
    create_keystore,
    deploy,
    list_keystores,
    load_deployment,
    load_keystore,
    open_chain,
)
from dtxeth.config import LocalConfig
from dtxeth.errors import ConfigError, InputError, UnknownNameError
from dtxeth.roles.executor import Executor
from dtxeth.roles.members import MemberNetwork
from dtxeth.roles.operator import StorageOperator
from dtxeth.roles.storage_node import StorageNode
from dtxeth.storage.blockstore import BlockStore, EmbeddedBlockStore, IpfsBlockStore

ALLOWANCE = 1000 * 10**18
"""Wei that a development chain's faucet gives to whoever joins."""

LIGHT_SCRYPT = 2**12
"""Work factor for keystores whose password is 32 random bytes: there is nothing to guess."""

LOOPBACK = "127.0.0.1:0"
"""Where executors listen for each other."""

DEPLOYMENTS = "deployments"
"""Folder in a network's home that says where its contracts are."""


class LocalNetwork(MemberNetwork):
    """A network of one process, for trying things out, for tests and for demonstrations.

    Everything is real but the distance between the actors: EVM bytecode, encrypted pieces on disk, signed
    requests, Paillier under 2048 bits.

    Args:
        storage_nodes: How many storage nodes to start.
        executors: How many executors to start.
        home: Folder that keeps everything, so that :meth:`open` can go on later; by default a temporary one.
        url: JSON-RPC URL of a development node, such as anvil's; by default the chain is in the process.
        ipfs: Multiaddr of an IPFS daemon's RPC, such as ``/ip4/127.0.0.1/tcp/5001``, where the storage nodes keep
            their pieces; by default each has a folder.
        transport: What connects the executors: ``memory``, or ``grpc`` for sockets and TLS on loopback.
        parameters: What the contracts are told: stakes, deadlines, slots; by default what they are in earnest.

    Raises:
        ConfigError: A number is out of range, or ``home`` has a network already.
        ChainUnavailableError: No chain answers at ``url``.
        InputError: The chain there is no development chain.
        StorageError: No IPFS daemon answers at ``ipfs``.
    """

    def __init__(
        self,
        storage_nodes: int = 4,
        executors: int = 2,
        *,
        home: Path | str | None = None,
        url: str | None = None,
        ipfs: str | None = None,
        transport: str = "memory",
        parameters: Parameters | None = None,
    ) -> None:
        config = LocalConfig.of(
            "the network",
            storage_nodes=storage_nodes,
            executors=executors,
            url=url,
            ipfs=ipfs,
            transport=transport,
        )
        self._temporary = tempfile.TemporaryDirectory(prefix="dtxeth-") if home is None else None
        folder = Path(self._temporary.name) if self._temporary else Path(home or "")
        if (folder / "network.toml").exists():
            raise ConfigError(
                f"{folder} has a network already: open it with LocalNetwork.open, or choose another folder"
            )
        with _chain_of(config, folder) as chain:
            if not chain.is_development:
                raise InputError(
                    f"{url} is no development chain, whose faucet a local network needs: give anvil's URL"
                )
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_secret(folder / "password", secrets.token_hex(32))
            config.save(folder / "network.toml")
            self.home, self.config = folder, config
            deployer = self._funded(chain, "deployer", "deployer")
            self._start(chain, deploy(chain, deployer, parameters, folder / DEPLOYMENTS))

    @classmethod
    def open(cls, home: Path | str) -> Self:
        """Go on with a network that was closed.

        Raises:
            ConfigError: ``home`` has no network, or its ``network.toml`` is not valid.
            KeystoreError: ``home/password`` does not open its keystores.
            ChainUnavailableError: No chain answers at its URL any more.
            DeploymentError: The chain has no contracts of this network, or other ones.
        """
        network = cls.__new__(cls)
        network._temporary = None
        network.home, network.config = Path(home), LocalConfig.load(Path(home) / "network.toml")
        with _chain_of(network.config, network.home) as chain:
            network._start(chain, load_deployment(chain, network.home / DEPLOYMENTS))
        return network

    def _start(self, chain: Chain, deployment: Deployment) -> None:
        contracts = Contracts(chain, deployment)
        super().__init__(chain, contracts, EventIndex(contracts, self.home / "index.sqlite"))
        self.index.sync()
        for number in range(1, self.config.storage_nodes + 1):
            self.storage(f"storage{number}")
        for number in range(1, self.config.executors + 1):
            self.executor(f"executor{number}")
        for role, come_back in (("owner", self.data_owner), ("requester", self.requester)):
            for keystore in list_keystores(self.home / "keys" / role):
                come_back(keystore.name)
        self.index.sync()

    def executor(self, name: str) -> Executor:
        """The executor of this name, who joins the network if new."""
        home = self.home / "executors" / name
        listen = LOOPBACK if self.config.transport == "grpc" else None
        return self.join("executor", name, lambda account: Executor(self, account, name, home, listen))

    def storage(self, name: str) -> StorageNode:
        """The storage node of this name, who joins the network if new."""
        home = self.home / "nodes" / name
        ipfs, capacity = self.config.ipfs, self.config.capacity

        def start(account: Account) -> StorageNode:
            store: BlockStore = EmbeddedBlockStore(home / "blocks") if ipfs is None else IpfsBlockStore(ipfs)
            return StorageNode(self, account, name, home, store, capacity)

        return self.join("storage", name, start)

    def operator(self, name: str) -> StorageOperator:
        """The running storage node of this name.

        Raises:
            UnknownNameError: There is none.
        """
        for node in self.storage_nodes:
            if node.name == name:
                return node
        raise UnknownNameError(f"there is no storage node {name!r}: `dtxeth node list` shows them")

    @property
    def executor_addresses(self) -> frozenset[str]:
        """Addresses of the running executors."""
        return frozenset(executor.address for executor in self.executors)

    def close(self) -> None:
        """Let go of all files; a temporary network is removed."""
        super().close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _account(self, role: str, name: str) -> Account:
        return self._funded(self.chain, role, name)

    def _funded(self, chain: Chain, role: str, name: str) -> Account:
        keys = self.home / "keys" / role
        password = _read_secret(self.home / "password")
        if not (keys / f"{name}.json").exists():
            create_keystore(keys, password, name, scrypt_n=LIGHT_SCRYPT)
        account = load_keystore(keys / f"{name}.json", password)
        if not chain.balance(account.address):
            chain.faucet(account.address, ALLOWANCE)
        return account


@contextmanager
def _chain_of(config: LocalConfig, home: Path) -> Iterator[Chain]:
    """Open a network's chain; close it again if what is done with it fails."""
    if config.url is None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    chain = open_chain(config.url, None if config.url else home / "chain.sqlite")
    try:
        yield chain
    except BaseException:
        chain.close()
        raise


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): it opens the keystores, restore it"
        ) from None
