"""A whole network in one process: chain, storage nodes, executors, and whoever joins them."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

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
from dtxeth.config import LocalConfig, OwnerConfig
from dtxeth.errors import ConfigError, InputError
from dtxeth.learning.policy import Policy
from dtxeth.roles.actor import Actor
from dtxeth.roles.care import DEFAULT_CARE, Care
from dtxeth.roles.data_owner import DataOwner
from dtxeth.roles.executor import Executor
from dtxeth.roles.network import Network
from dtxeth.roles.requester import Requester
from dtxeth.roles.storage_node import StorageNode
from dtxeth.storage.blockstore import BlockStore, EmbeddedBlockStore, IpfsBlockStore

ALLOWANCE = 1000 * 10**18
"""Wei that a development chain's faucet gives to whoever joins."""

LIGHT_SCRYPT = 2**12
"""Work factor for keystores whose password is 32 random bytes: there is nothing to guess."""

DEFAULT_REPLICAS = 2
"""Replicas of a namespace that is added by uploading into it."""

DEPLOYMENTS = "deployments"
"""Folder in a network's home that says where its contracts are."""

A = TypeVar("A", bound=Actor)


class LocalNetwork(Network):
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
        parameters: Parameters | None = None,
    ) -> None:
        config = LocalConfig.of(
            "the network", storage_nodes=storage_nodes, executors=executors, url=url, ipfs=ipfs
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
            deployer = self._account(chain, "deployer", "deployer")
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
        self._actors: dict[tuple[str, str], Actor] = {}
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

    def data_owner(
        self, name: str, policy: Policy | None = None, *, manual: bool = False, care: Care | None = None
    ) -> DataOwner:
        """The data owner of this name, who joins the network if new.

        Args:
            name: Letters, digits, dots, dashes and underscores.
            policy: Rules by which it answers applications for its files; by default those that it had before, or the
                default ones.
            manual: Leave applications to be answered by hand.
            care: How its worker looks after its files; by default as before, or the default way.

        Raises:
            ConfigError: Its ``owner.toml`` is not valid.
        """
        path = self.home / "owners" / f"{name}.toml"
        known = OwnerConfig.load(path) if path.exists() else _with_care(OwnerConfig(), DEFAULT_CARE)
        config = known if policy is None and not manual else _with_policy(known, policy or Policy(), manual)
        if care is not None:
            config = _with_care(config, care)
        owner = self._join("owner", name, lambda account: DataOwner(self, account, name, _to_policy(config)))
        owner.policy, owner.manual, owner.care = _to_policy(config), config.manual, _to_care(config)
        owner.default_replicas = DEFAULT_REPLICAS
        path.parent.mkdir(exist_ok=True, mode=0o700)
        config.save(path)
        return owner

    def requester(self, name: str) -> Requester:
        """The requester of this name, who joins the network if new."""
        return self._join("requester", name, lambda account: Requester(self, account, name))

    def executor(self, name: str) -> Executor:
        """The executor of this name, who joins the network if new."""
        home = self.home / "executors" / name
        return self._join("executor", name, lambda account: Executor(self, account, name, home))

    def storage(self, name: str) -> StorageNode:
        """The storage node of this name, who joins the network if new."""
        home = self.home / "nodes" / name
        ipfs, capacity = self.config.ipfs, self.config.capacity

        def start(account: Account) -> StorageNode:
            store: BlockStore = EmbeddedBlockStore(home / "blocks") if ipfs is None else IpfsBlockStore(ipfs)
            return StorageNode(self, account, name, home, store, capacity)

        return self._join("storage", name, start)

    @property
    def actors(self) -> list[Actor]:
        """Everybody who has joined or come back since the network was opened."""
        return list(self._actors.values())

    @property
    def storage_nodes(self) -> list[StorageNode]:
        """The running storage nodes."""
        return [actor for actor in self.actors if isinstance(actor, StorageNode)]

    @property
    def executor_addresses(self) -> frozenset[str]:
        """Addresses of the running executors."""
        return frozenset(executor.address for executor in self.executors)

    @property
    def executors(self) -> list[Executor]:
        """The running executors."""
        return [actor for actor in self.actors if isinstance(actor, Executor)]

    def close(self) -> None:
        """Let go of all files; a temporary network is removed."""
        for node in self.storage_nodes:
            node.service.close()
        self.index.close()
        self.chain.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _join(self, role: str, name: str, make: Callable[[Account], A]) -> A:
        known = self._actors.get((role, name))
        if known is not None:
            return cast(A, known)  # the role decides the class
        actor = make(self._account(self.chain, role, name))
        self._actors[role, name] = actor
        self.add_worker(actor)
        return actor

    def _account(self, chain: Chain, role: str, name: str) -> Account:
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


def _with_policy(config: OwnerConfig, policy: Policy, manual: bool) -> OwnerConfig:
    rules = {
        "manual": manual,
        "min_rows": policy.min_rows,
        "max_leverage": policy.max_leverage,
        "requesters": None if policy.requesters is None else sorted(policy.requesters),
        "algorithms": None if policy.algorithms is None else sorted(policy.algorithms),
        "executors": None if policy.executors is None else sorted(policy.executors),
        "max_tasks": policy.max_tasks,
    }
    return OwnerConfig.of("the policy", **config.model_dump() | rules)


def _with_care(config: OwnerConfig, care: Care) -> OwnerConfig:
    return OwnerConfig.of("the care", **config.model_dump() | asdict(care))


def _to_policy(config: OwnerConfig) -> Policy:
    return Policy(
        min_rows=config.min_rows,
        max_leverage=config.max_leverage,
        requesters=None if config.requesters is None else frozenset(config.requesters),
        algorithms=None if config.algorithms is None else frozenset(config.algorithms),
        executors=None if config.executors is None else frozenset(config.executors),
        max_tasks=config.max_tasks,
    )


def _to_care(config: OwnerConfig) -> Care:
    return Care(config.challenges_per_day, config.offline_grace_seconds, config.repairs)
