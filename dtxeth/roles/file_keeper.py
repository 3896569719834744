"""What becomes of files once they are stored: namespaces, health, expiry, deletion, and who watches over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeFailed, ChallengeOpened, FilePublished, NamespaceAdded
from dtxeth.chain.bindings.types import Possession
from dtxeth.chain.rows import MigrationRow
from dtxeth.errors import InputError, UnknownNameError
from dtxeth.roles import health
from dtxeth.roles.actor import Actor
from dtxeth.roles.care import Belongings, Care
from dtxeth.roles.challenger import Challenger
from dtxeth.roles.files import FileRef, StoredFile, file_id_of
from dtxeth.roles.network import Network
from dtxeth.roles.repair import Repair, Repairer
from dtxeth.storage import Candidate, StorageNodeApi, candidate, owned_file_key, unseal_info

DAY = 24 * 3600

MAX_DAYS = 36_525
"""A century: no file is kept longer."""

MAX_SHARDS = 64
"""Most shards of a stripe: FileRegistry takes as many holdings of a file."""

PossessionName = Literal["merkle", "kzg", "both"]
"""How the nodes of a namespace prove that they hold its files."""


class FileKeeper(Actor):
    """Owns namespaces and files, and looks after them.

    Args:
        network: The surroundings.
        account: Signs its transactions and requests.
        name: What people call it.
        care: How its worker looks after the files.
    """

    def __init__(self, network: Network, account: Account, name: str, care: Care) -> None:
        super().__init__(network, account, name)
        self.belongings = Belongings(network.index, self.address)
        self.challenger = Challenger(self, care, self.belongings)
        self.repairer = Repairer(self)

    @property
    def care(self) -> Care:
        """How the worker looks after the files; may be changed at any time."""
        return self.challenger.care

    @care.setter
    def care(self, care: Care) -> None:
        self.challenger.care = care

    @property
    def due(self) -> int | None:
        """See :attr:`~dtxeth.roles.network.Worker.due`."""
        dates = [date for date in (self.challenger.due, self.repairer.due) if date is not None]
        return min(dates, default=None)

    def watch(self) -> bool:
        """Challenge, draw, close and repair; part of a worker's step."""
        return self.challenger.step() | self.repairer.step()

    # --- namespaces ---

    def add_namespace(
        self,
        name: str,
        replicas: int | None = None,
        *,
        erasure: tuple[int, int] | None = None,
        possession: PossessionName = "merkle",
    ) -> bytes:
        """Add a namespace; without more words its files are kept in 2 copies.

        Args:
            name: Unique among this owner's; public.
            replicas: On how many storage nodes each file is copied whole. Or instead:
            erasure: (k, n): a file is coded for n nodes, any k of which give it back.
            possession: How nodes prove that they hold the files: ``merkle`` finds scattered losses and costs
                little to compute, ``kzg`` finds a single altered byte of every blob drawn, ``both`` alternates.

        Returns:
            Id of the namespace.

        Raises:
            InputError: The redundancy is out of range or given twice, or no such possession.
            ContractRevert: The name is taken or too long.
        """
        needed, total = redundancy_of(2 if replicas is None and erasure is None else replicas, erasure)
        asked = _possession(possession)
        files = self.contracts.file_registry
        files.add_namespace(name, needed, total, asked, sender=self.account)
        return files.namespace_id_of(self.address, name)

    def set_redundancy(
        self, name: str, replicas: int | None = None, *, erasure: tuple[int, int] | None = None
    ) -> None:
        """Change how the files of a namespace are kept; the worker re-encodes those that are there, in the background.

        Args:
            name: One of this owner's namespaces.
            replicas: As for :meth:`add_namespace`.
            erasure: As for :meth:`add_namespace`.

        Raises:
            InputError: The redundancy is out of range, or given not at all or twice.
            UnknownNameError: There is no such namespace.
        """
        needed, total = redundancy_of(replicas, erasure)
        namespace_id = self.namespace_id(name)
        self.contracts.file_registry.set_redundancy(namespace_id, needed, total, sender=self.account)

    def namespace_id(self, name: str) -> bytes:
        """Id of one of this owner's namespaces.

        Raises:
            UnknownNameError: There is no such namespace.
        """
        self.network.index.sync()
        own = [event.name for event in self.network.index.events(NamespaceAdded, owner=self.address)]
        if name not in own:
            known = ", ".join(sorted(own)) or "none"
            raise UnknownNameError(
                f"{self.name} has no namespace {name!r} (there are: {known}): add it first"
            )
        return self.contracts.file_registry.namespace_id_of(self.address, name)

    # --- files ---

    def files(self) -> list[StoredFile]:
        """This owner's files, in the order of publication, expired ones included, deleted ones not."""
        self.network.index.sync()
        kept = set(self.belongings.files)
        events = self.network.index.events(FilePublished, owner=self.address)
        return [self.describe(event) for event in events if event.file_id in kept]

    def file(self, file: FileRef) -> StoredFile:
        """One of this owner's files, expired or not.

        Raises:
            UnknownNameError: This owner has no such file, or has deleted it.
        """
        self.network.index.sync()
        file_id = file_id_of(file)
        for event in self.network.index.events(FilePublished, owner=self.address, file_id=file_id):
            if file_id in self.belongings.files:
                return self.describe(event)
        raise UnknownNameError(f"{self.name} has no file 0x{file_id.hex()}: list what there is")

    def expired(self) -> list[StoredFile]:
        """This owner's files that are past their expiry; for 7 days they can still be renewed."""
        now = self.network.chain.now()
        return [file for file in self.files() if file.expires_at < now]

    def renew(self, file: FileRef, days: int) -> StoredFile:
        """Have the nodes of a file keep it longer; possible until 7 days after its expiry.

        Nodes that cannot be asked, or do not want to, are replaced.

        Args:
            file: One of this owner's files.
            days: How much longer, counted from its expiry, or from now if that is past.

        Returns:
            The file with its new expiry.

        Raises:
            InputError: Not this owner's file, deleted, its retention is over, or a number of days that cannot be.
            NotEnoughNodesError: Too few of its nodes are left.
        """
        file_id, now, files = file_id_of(file), self.network.chain.now(), self.contracts.file_registry
        record = files.file_of(file_id)
        if record.owner != self.address:
            raise InputError(
                f"file 0x{file_id.hex()} belongs to {record.owner}, not to {self.name}: only its owner can renew it"
            )
        if now > record.expires_at + files.retention():
            raise InputError(
                f"file 0x{file_id.hex()} expired at {record.expires_at}, its retention is over: publish it anew"
            )
        expires_at = max(now, record.expires_at) + days * DAY
        if days < 1 or expires_at > now + MAX_DAYS * DAY:
            raise InputError(
                f"a file cannot be renewed for {days} days: give at least 1, and at most {MAX_DAYS} days from now"
            )
        self.repairer.renew(file_id, expires_at)
        self.network.index.sync()
        (published,) = self.network.index.events(FilePublished, file_id=file_id)
        return self.describe(published)

    def repairs(self) -> list[Repair]:
        """Which of this owner's files wait for a repair, why, and what is in its way."""
        self.network.index.sync()
        return self.repairer.pending()

    def migrations(self, file: FileRef | None = None) -> list[MigrationRow]:
        """What has moved between nodes, of one of this owner's files or of all, in the order of the chain."""
        only: dict[str, Any] = {} if file is None else {"file": file_id_of(file)}
        return list(self.network.find(MigrationRow, owner=self.address, **only).rows)

    def delete(self, file: FileRef) -> None:
        """Delete a file before its expiry: it can be read no longer, and its nodes free the space.

        Raises:
            ContractRevert: Not a file of this owner's, or deleted already.
        """
        self.contracts.file_registry.delete_file(file_id_of(file), sender=self.account)

    def health(self, what: FileRef) -> health.FileHealth | health.NamespaceHealth:
        """How healthy a file or a namespace is.

        Args:
            what: A file (its handle, or its id), or the name of one of this owner's namespaces.

        Raises:
            UnknownNameError: There is no such namespace.
            ContractRevert: There is no such file.
        """
        contracts, index = self.contracts, self.network.index
        if isinstance(what, str) and not _is_id(what):
            return health.namespace_health(contracts, index, self.namespace_id(what))
        return health.file_health(contracts, file_id_of(what))

    # --- what uploads and revisions need ---

    def file_key(self, file_id: bytes) -> bytes:
        """Key of a file of this owner's.

        Raises:
            CryptoError: It is somebody else's.
        """
        _, versions = self.contracts.key_registry.key_of(self.address)
        return owned_file_key(self.account, self.contracts.file_registry, file_id, versions)

    def reachable_nodes(self) -> dict[str, StorageNodeApi]:
        """The storage nodes that can be reached, by address."""
        return self.network.storage_nodes_by_address()

    def candidates(self, nodes: Iterable[str]) -> list[Candidate]:
        """What the chain, and this owner's own challenges, say of nodes that might store something."""
        contracts, strikes = self.contracts, self._strikes()
        return [
            candidate(contracts.node_registry, contracts.storage_challenge, node, strikes[node])
            for node in nodes
        ]

    def _strikes(self) -> Counter[str]:
        """Challenges of this owner's that each node has failed in the last month."""
        index, record = self.network.index, self.contracts.storage_challenge.challenge
        own = {event.challenge_id for event in index.events(ChallengeOpened, challenger=self.address)}
        since = self.network.chain.now() - 30 * DAY
        failed = [event for event in index.events(ChallengeFailed) if event.challenge_id in own]
        return Counter(event.node for event in failed if record(event.challenge_id).deadline > since)

    def describe(self, event: FilePublished) -> StoredFile:
        """Open what is sealed in the record of an own file."""
        files = self.contracts.file_registry
        info = unseal_info(event.sealed_info, self.file_key(event.file_id))
        return StoredFile(
            id=event.file_id,
            name=info.name,
            owner=event.owner,
            namespace=files.namespace_of(event.namespace_id).name,
            size=event.size,
            rows=event.rows,
            published_at=event.published_at,
            expires_at=files.file_of(event.file_id).expires_at,
        )


def redundancy_of(replicas: int | None, erasure: Sequence[int] | None) -> tuple[int, int]:
    """Read a redundancy as k of n.

    Args:
        replicas: Number of copies. Or instead:
        erasure: (k, n).

    Returns:
        (k, n), where n copies are (1, n).

    Raises:
        InputError: Neither or both are given, or they are out of range.
    """
    if (replicas is None) == (erasure is None):
        raise InputError("give either replicas=r or erasure=(k, n)")
    match (1, replicas) if erasure is None else tuple(erasure):
        case (int(needed), int(total)) if 1 <= needed <= total <= MAX_SHARDS:
            return needed, total
    asked = f"{replicas} replicas" if erasure is None else f"erasure {tuple(erasure)}"
    raise InputError(
        f"{asked} is out of range: give 1 ≤ k ≤ n ≤ {MAX_SHARDS} shards, or 1 to {MAX_SHARDS} copies"
    )


def _possession(name: str) -> Possession:
    known = {"merkle": Possession.MERKLE, "kzg": Possession.KZG, "both": Possession.BOTH}
    if name not in known:
        raise InputError(f"possession {name!r} is unknown: choose one of {', '.join(known)}")
    return known[name]


def _is_id(text: str) -> bool:
    try:
        return len(bytes.fromhex(text.removeprefix("0x"))) == 32
    except ValueError:
        return False
