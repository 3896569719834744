"""What all actors have in common: an account, an encryption key that others can look up, and reading files."""

from __future__ import annotations

from dtxeth.chain import Account, Contracts, reverts
from dtxeth.chain.bindings.events import NodeRegistered, PartyInvited, TaskStarted
from dtxeth.chain.bindings.types import Kind, Role
from dtxeth.errors import ConfigError, PolicyError, UnknownNameError
from dtxeth.learning.policy import Policy
from dtxeth.roles import grants
from dtxeth.roles.files import FileRef, file_id_of
from dtxeth.roles.network import Network, Place
from dtxeth.storage import RemoteFile, RequestSigner, authorized_file_key, owned_file_key, public_key_of

MAX_REASON = 256
"""Bytes of a reason on chain."""


def public_reason(text: str) -> str:
    """Cut a reason to the length that the contracts take."""
    return text.encode()[:MAX_REASON].decode(errors="ignore")


class Actor:
    """Somebody with an account on the network.

    Args:
        network: The surroundings.
        account: Signs this actor's transactions and requests.
        name: What people call it; only its address counts on chain.
    """

    def __init__(self, network: Network, account: Account, name: str) -> None:
        self.network = network
        self.account = account
        self.name = name
        self.signer = RequestSigner(account, network.contracts.file_registry)
        self._publish_encryption_key()

    @property
    def address(self) -> str:
        """Checksum address of the account."""
        return self.account.address

    @property
    def contracts(self) -> Contracts:
        """Bindings of the contracts."""
        return self.network.contracts

    @property
    def busy(self) -> bool:
        """Whether it works on something in the background."""
        return False

    @property
    def due(self) -> int | None:
        """See :attr:`~dtxeth.roles.network.Worker.due`."""
        return None

    def step(self) -> bool:
        """Do everything that can be done now; returns whether anything was."""
        return False

    def encryption_key_of(self, address: str) -> bytes:
        """The X25519 key under which secrets for an account are wrapped.

        Raises:
            UnknownNameError: The account never published one.
        """
        key, version = self.contracts.key_registry.key_of(address)
        if not version:
            raise UnknownNameError(
                f"account {address} has published no encryption key: it has to join the network first"
            )
        return key

    def open_file(self, file: FileRef, task_id: int = 0) -> tuple[RemoteFile, Policy]:
        """Find a file that this actor owns, or is authorised to read for a task.

        Args:
            file: The file.
            task_id: The task that it is authorised for; unimportant to the owner.

        Returns:
            The file, its manifest fetched and verified; and the floors that its owner set.

        Raises:
            PolicyError: This actor has no authorization for the file and task.
            StorageError: The manifest cannot be had.
        """
        file_id, files = file_id_of(file), self.contracts.file_registry
        _, versions = self.contracts.key_registry.key_of(self.address)
        nodes = self.network.storage_nodes_by_address()
        if files.file_of(file_id).owner == self.address:
            file_key = owned_file_key(self.account, files, file_id, versions)
            return RemoteFile(file_id, file_key, self.signer, nodes), Policy(row_key=self.row_key)
        authorizations = self.contracts.file_authorization
        authorization_id = authorizations.latest_of(file_id, self.address, task_id)
        if not authorizations.is_current(authorization_id, self.address, file_id):
            raise PolicyError(
                f"{self.name} has no current authorization for file 0x{file_id.hex()} and task {task_id}: "
                "apply to its owner"
            )
        secret = authorized_file_key(self.account, files, authorizations, authorization_id, versions)
        file_key, policy = grants.unpack(secret)
        return RemoteFile(file_id, file_key, self.signer, nodes, authorization_id), policy

    def tasks_before(self, file_id: bytes, task_id: int, kind: Kind) -> int:
        """How many tasks of a kind were started on a file before a task: what the owner's limit counts.

        Of predictions, how many other models were used: a model shows the same of a file each time.
        """
        tasks, index = self.contracts.task_registry, self.network.index
        earlier = [
            event.task_id for event in index.events(PartyInvited, file_id=file_id) if event.task_id < task_id
        ]
        started = [number for number in earlier if index.events(TaskStarted, task_id=number)]
        records = [record for number in started if (record := tasks.task_of(number)).kind is kind]
        if kind is Kind.TRAIN:
            return len(records)
        models = {record.model_task_id for record in records}
        return len(models - {tasks.task_of(task_id).model_task_id})

    @property
    def row_key(self) -> bytes:
        """Key under which executors remember the rows of this account's files."""
        return self.account.encryption_key(self.network.chain.chain_id, purpose="rows").private_bytes_raw()

    def enlist(self, role: Role, capacity: int = 0, place: Place | None = None) -> None:
        """Register this actor as a node, unless it is one; bring what is on chain up to where the node is now.

        Args:
            role: Storage or executor; an account keeps it for good.
            capacity: Bytes that a storage node offers, with the stake that they need.
            place: Where it is reached; by default where its process is.

        Raises:
            ConfigError: The account is another node's already, or the name another account's.
            ChainError: The account cannot pay the stake.
        """
        nodes, place = self.contracts.node_registry, place or self.network.place
        kind = role.name.lower()
        try:
            known = nodes.node_of(self.address)
        except reverts.UnknownNode:
            self._require_free(role)
            place = place or Place(f"local://{self.name}")
            stake = nodes.stake_for(capacity)
            nodes.register(
                role,
                self.name,
                place.endpoint,
                place.tls_fingerprint,
                capacity,
                sender=self.account,
                value=stake,
            )
            return
        if (known.role, known.name) != (role, self.name):
            raise ConfigError(
                f"account {self.address} is registered as {known.role.name.lower()} node {known.name!r}, not as "
                f"{kind} node {self.name!r}: correct name and role, or use another keystore"
            )
        if place is not None and place != Place(known.endpoint, known.tls_fingerprint):
            nodes.update(place.endpoint, place.tls_fingerprint, known.capacity, sender=self.account)

    def _require_free(self, role: Role) -> None:
        try:
            holder = self.contracts.node_registry.node_named(role, self.name)
        except reverts.UnknownNodeName:
            return
        raise ConfigError(
            f"{role.name.lower()} node {self.name!r} is registered by account {holder}, the keystore is of "
            f"{self.address}: use that account's keystore, or another name"
        )

    def online_nodes(self, role: Role) -> list[str]:
        """Addresses of the nodes of a role that are online, in the order of registration."""
        nodes = self.contracts.node_registry
        registered = [event.node for event in self.network.index.events(NodeRegistered, role=role)]
        return [node for node in registered if nodes.is_online(node, role)]

    def withdraw(self) -> int:
        """Take what the contracts owe this account: rewards, refunds, deposits, stakes; returns wei."""
        taken = 0
        contracts = self.contracts
        for contract in (contracts.task_registry, contracts.storage_challenge, contracts.node_registry):
            owed = contract.credit_of(self.address)
            if owed:
                contract.withdraw(sender=self.account)
            taken += owed
        return taken

    def rotate_encryption_key(self) -> int:
        """Publish the next encryption key; secrets that were wrapped to earlier ones stay readable.

        Returns:
            Its version.
        """
        keys = self.contracts.key_registry
        _, version = keys.key_of(self.address)
        key = self.account.encryption_key(self.network.chain.chain_id, version + 1)
        keys.publish(public_key_of(key), sender=self.account)
        return version + 1

    def _publish_encryption_key(self) -> None:
        keys = self.contracts.key_registry
        published, version = keys.key_of(self.address)
        own = public_key_of(self.account.encryption_key(self.network.chain.chain_id, max(version, 1)))
        if published != own:
            self._require_money()
            keys.publish(own, sender=self.account)

    def _require_money(self) -> None:
        chain = self.network.chain
        if not chain.balance(self.address):
            raise ConfigError(
                f"account {self.address} of {self.name} has no money on chain {chain.chain_id}: send it some"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.address})"
