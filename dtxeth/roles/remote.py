"""A network whose other actors run elsewhere: the chain says who they are and where they are reached."""

from __future__ import annotations

import fcntl
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, TypeVar

import structlog

from dtxeth.chain import Account, Chain, Contracts, Deployment, EventIndex, load_deployment, open_chain
from dtxeth.chain.rows import NodeRow
from dtxeth.config import OwnerConfig
from dtxeth.errors import ChainUnavailableError, DeploymentError, InputError, TaskError
from dtxeth.learning.policy import Policy
from dtxeth.roles.care import Care
from dtxeth.roles.data_owner import DataOwner
from dtxeth.roles.members import MemberNetwork
from dtxeth.roles.operator import StorageOperator
from dtxeth.storage import StorageNodeApi
from dtxeth.storage.http import HttpStorageNode

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE: Final = 0.5
"""Seconds between two looks at the chain while something is waited for."""

Accounts = Callable[[str, str], Account]
"""Returns the account of a role and name."""


class RemoteNetwork(MemberNetwork):
    """A network of many processes, as one of them sees it.

    Storage nodes are reached over HTTP at the endpoint that they have on chain; a node that moves is found again as
    soon as it says so there. Actors that joined here work while something is waited for, or in :meth:`serve`.

    Args:
        chain: The chain; closed with the network.
        deployment: Where the contracts are, verified.
        home: Folder for the index and the settings of owners.
        accounts: Where the accounts of members come from.
        drives: Roles whose actors work in this process; all by default. An owner whose daemon runs elsewhere should
            not work here as well.

    Attributes:
        temporary: The folder, if it is to be removed at the end.
    """

    temporary: tempfile.TemporaryDirectory[str] | None = None

    def __init__(
        self,
        chain: Chain,
        deployment: Deployment,
        home: Path,
        accounts: Accounts,
        *,
        drives: Collection[str] = ("storage", "owner", "executor", "requester"),
    ) -> None:
        self.home = home
        self._accounts, self._roles = accounts, frozenset(drives)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        contracts = Contracts(chain, deployment)
        self._index_lock = _locked(home / "index.lock")
        index = home / "index.sqlite" if self._index_lock is not None else ":memory:"
        super().__init__(chain, contracts, EventIndex(contracts, index))
        self._clients: dict[str, HttpStorageNode] = {}
        self._clients_lock = threading.Lock()
        self._retired: list[HttpStorageNode] = []
        try:
            self.index.sync()
        except BaseException:
            self.close()
            raise

    def storage_nodes_by_address(self) -> dict[str, StorageNodeApi]:
        """The storage nodes that say on chain where they are reached; those of this process directly."""
        nodes: dict[str, StorageNodeApi] = dict(self._remote_nodes())
        return nodes | super().storage_nodes_by_address()

    def data_owner(
        self, name: str, policy: Policy | None = None, *, manual: bool = False, care: Care | None = None
    ) -> DataOwner:
        """See :meth:`MemberNetwork.data_owner`.

        Raises:
            InputError: Settings are given for an owner that works elsewhere, who would not hear of them.
        """
        if self._drives("owner"):
            return super().data_owner(name, policy, manual=manual, care=care)
        if policy is not None or manual or care is not None:
            raise InputError(
                f"owner {name} works in a process of its own: edit [owner] in its configuration, and restart it"
            )
        return self.join_owner(name, OwnerConfig())

    def operator(self, name: str) -> StorageOperator:
        """Who decides about the storage node of this name: its account, if its keystore is here.

        Raises:
            UnknownNameError: There is no such node.
            KeystoreError: Its keystore is not here.
        """
        self.node_named(name)
        return self.join("operator", name, lambda account: StorageOperator(self, account, name))

    def wait(
        self, until: Callable[[], T | None], what: str, *, timeout: float = 3600.0, patience: int = 0
    ) -> T:
        """Work, and look at the chain, until a condition holds; others do their part elsewhere.

        Args:
            until: Returns the awaited value, or None.
            what: What is awaited, for the error.
            timeout: Seconds of real time after which to give up.
            patience: Of no meaning here: time passes by itself.

        Raises:
            TaskError: Time is up.
        """
        end = time.monotonic() + timeout
        while True:
            with suppress(ChainUnavailableError):  # a chain that is away only delays
                if (found := until()) is not None:
                    return found
                if self.pump():
                    continue
            if time.monotonic() > end:
                raise TaskError(f"{what}: still not there after {timeout:.0f} s")
            time.sleep(PAUSE)

    def close(self) -> None:
        """Let go of all files and connections."""
        for client in (*self._clients.values(), *self._retired):
            client.close()
        super().close()
        if self._index_lock is not None:
            self._index_lock.close()
        if self.temporary is not None:
            self.temporary.cleanup()

    def _account(self, role: str, name: str) -> Account:
        return self._accounts("storage" if role == "operator" else role, name)

    def _drives(self, role: str) -> bool:
        return role in self._roles

    def _remote_nodes(self) -> dict[str, HttpStorageNode]:
        with self._clients_lock:
            found = {}
            for row in self.index.page(NodeRow, role="storage"):
                with suppress(InputError):  # an endpoint that is no URL: nobody can reach that node
                    found[row.address] = self._client(row.address, row.endpoint)
            return found

    def _client(self, address: str, endpoint: str) -> HttpStorageNode:
        known = self._clients.get(address)
        if known is not None and known.url == endpoint.rstrip("/"):
            return known
        client = HttpStorageNode(endpoint)
        if known is not None:
            log.info("a storage node has moved", node=address, endpoint=endpoint)
            self._retired.append(known)  # something may still be on its way from there
        self._clients[address] = client
        return client


def connect_network(
    url: str,
    deployment: Path,
    home: Path,
    accounts: Accounts,
    *,
    drives: Collection[str] = ("storage", "owner", "executor", "requester"),
) -> RemoteNetwork:
    """Open a network by the URL of its chain.

    Args:
        url: JSON-RPC URL.
        deployment: Record of the contracts' deployment, or the folder of such records.
        home: As for :class:`RemoteNetwork`; likewise the rest.
        accounts: See there.
        drives: See there.

    Raises:
        ChainUnavailableError: No chain answers at the URL.
        DeploymentError: There is no record for this chain, or its contracts are not there or not ours.
    """
    chain = open_chain(url)
    try:
        return RemoteNetwork(chain, find_deployment(chain, deployment), home, accounts, drives=drives)
    except BaseException:
        chain.close()
        raise


def find_deployment(chain: Chain, path: Path) -> Deployment:
    """Read a deployment's record, from its file or from the folder with one for each chain, and verify it.

    Raises:
        DeploymentError: There is none for this chain, or its contracts are not there or not ours.
    """
    if not path.is_dir():
        record = Deployment.read(path)
        record.verify(chain)
        return record
    if not (path / f"{chain.chain_id}.json").exists():
        others = ", ".join(sorted(record.stem for record in path.glob("*.json"))) or "none"
        raise DeploymentError(
            f"{path} has no deployment on chain {chain.chain_id} (there are for chain: {others}): correct the "
            "chain's URL, or add the record"
        )
    return load_deployment(chain, path)


def _locked(path: Path) -> IO[bytes] | None:
    """Take a lock for as long as the file is open; None if another process has it."""
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock
