"""Storing and reading files: data owners their samples, executors the predictions that they deliver."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from dtxeth.chain.bindings.events import FilePublished
from dtxeth.errors import ChainUnavailableError, DataError, InputError, NotEnoughNodesError, UnknownNameError
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.policy import Policy
from dtxeth.learning.table import Table
from dtxeth.roles import grants
from dtxeth.roles.file_keeper import DAY, MAX_DAYS, FileKeeper
from dtxeth.roles.files import FileRef, StoredFile
from dtxeth.storage import Terms, upload, wrap_file_key

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class FileOwner(FileKeeper):
    """Stores files, reads them, and hands them to others."""

    default_replicas: int | None = None
    """Replicas of a namespace that is added by uploading into it; None: it has to be added first."""

    def upload(
        self,
        path: Path | str,
        namespace: str,
        *,
        days: int = 365,
        id: str | None = None,
        label: str | None = None,
        binary: bool = False,
        progress: Progress | None = None,
    ) -> StoredFile:
        """Seal a file, spread it over the online storage nodes, and publish it in one transaction.

        Args:
            path: The file; a name ending in ``.csv`` makes it a table, whose number of rows is public.
            namespace: One of this owner's namespaces.
            days: How long to keep it.
            id: Column of row ids: the table is checked as executors will, before anything is sent.
            label: Label column, to be checked too.
            binary: The label must have exactly two values, as logistic regression needs.
            progress: Called as pieces reach their nodes.

        Raises:
            DataError: The file cannot be read, or is not a table that can be learned from.
            UnknownNameError: There is no such namespace.
            NotEnoughNodesError: Fewer usable storage nodes than replicas.
            ChainUnavailableError: The chain is away; the text says if the file may be published all the same.
        """
        path = Path(path)
        try:
            rows, columns = (0, ()) if path.suffix != ".csv" else _shape(path, id, label, binary)
            with path.open("rb") as reader:
                return self._store(reader, path.name, namespace, rows, columns, days, progress)
        except ChainUnavailableError:  # an OSError, but not the file's
            raise
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): check the path") from None

    def download(self, file: FileRef, destination: Path | str, progress: Progress | None = None) -> int:
        """Fetch, verify and decrypt a file of this owner's.

        Args:
            file: The file.
            destination: Where to write it; it appears only when complete and verified.
            progress: Called as bytes are written.

        Returns:
            Its size in bytes.

        Raises:
            StorageError: It cannot be had whole from the nodes that are reachable.
        """
        remote, _ = self.open_file(file)
        remote.save(Path(destination), progress)
        return remote.manifest.size

    def deliver(self, content: bytes, name: str, reader: str, task_id: int, until: int) -> bytes:
        """Store a file and let one other account read it; what of this is done already is not done again.

        Args:
            content: The plaintext.
            name: Its name; sealed.
            reader: Address of the account.
            task_id: The task that it comes from, and the only file of this owner's that does.
            until: Chain time to which the reader may fetch it, at least.

        Returns:
            Id of the file.
        """
        namespace = f"task {task_id}"
        file_id, expires_at = self._delivered(namespace) or self._deposit(content, name, namespace, until)
        authorizations = self.contracts.file_authorization
        if not authorizations.latest_of(file_id, reader, task_id):
            wrapped = self.wrap_for(reader, file_id, task_id, Policy())
            authorizations.grant(file_id, reader, task_id, wrapped, expires_at, sender=self.account)
        return file_id

    def _delivered(self, namespace: str) -> tuple[bytes, int] | None:
        """Id and expiry of the file that lies in a namespace already."""
        self.network.index.sync()
        namespace_id = self.contracts.file_registry.namespace_id_of(self.address, namespace)
        for file in self.network.index.events(FilePublished, owner=self.address, namespace_id=namespace_id):
            return file.file_id, file.expires_at
        return None

    def _deposit(self, content: bytes, name: str, namespace: str, until: int) -> tuple[bytes, int]:
        days = (until - self.network.chain.now()) // DAY + 30
        rows = content.count(b"\n") - 1 if name.endswith(".csv") else 0
        stored = self._store(io.BytesIO(content), name, namespace, rows, (), days, None)
        return stored.id, stored.expires_at

    def wrap_for(
        self, reader: str, file_id: bytes, task_id: int, policy: Policy, network: Network | None = None
    ) -> bytes:
        """Wrap the key of an own file, and the policy's floors, for an account that may read it for a task."""
        files = self.contracts.file_registry
        secret = grants.pack(self.file_key(file_id), replace(policy, row_key=self.row_key), network)
        return wrap_file_key(secret, self.encryption_key_of(reader), files, file_id, reader, task_id)

    def _store(
        self,
        reader: BinaryIO,
        name: str,
        namespace: str,
        rows: int,
        columns: tuple[str, ...],
        days: int,
        progress: Progress | None,
    ) -> StoredFile:
        if not 1 <= days <= MAX_DAYS:
            raise InputError(f"a file cannot be kept for {days} days: give 1 to {MAX_DAYS}")
        terms = Terms(name, self._namespace(namespace), self.network.chain.now() + days * DAY, rows, columns)
        nodes = self.reachable_nodes()
        stored = upload(
            reader,
            terms,
            self.signer,
            self.encryption_key_of(self.address),
            nodes,
            candidates=self.candidates(nodes),
            progress=progress,
        )
        receipt = self.contracts.file_registry.publish(
            stored.publication, stored.acknowledgements, sender=self.account
        )
        event = receipt.event(FilePublished)
        # Without another request: it is published, and must not look as if it were not.
        return StoredFile(
            id=event.file_id,
            name=name,
            owner=event.owner,
            namespace=namespace,
            size=event.size,
            rows=event.rows,
            published_at=event.published_at,
            expires_at=terms.expires_at,
        )

    def _namespace(self, name: str) -> bytes:
        try:
            return self.namespace_id(name)
        except UnknownNameError:
            if self.default_replicas is None:
                raise
        usable = sum(one.usable for one in self.candidates(self.reachable_nodes()))
        if usable < self.default_replicas:
            raise NotEnoughNodesError(
                f"{usable} usable storage nodes, {self.default_replicas} replicas: start more nodes"
            )
        return self.add_namespace(name, self.default_replicas)


def _shape(path: Path, id: str | None, label: str | None, binary: bool) -> tuple[int, tuple[str, ...]]:
    """Count the rows of a table and name its columns, without holding more than a row in memory."""
    if id is not None:
        table = Table.from_csv(path.read_bytes(), id, label, binary=binary, name=path.name)
        return len(table), (id, *table.features)
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = csv.reader(file, strict=True)
            columns = tuple(next(rows, ()))
            count = sum(1 for row in rows if row)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path.name} is not CSV in UTF-8: {error}") from None
    if not columns or not count:
        raise DataError(f"{path.name} has no header line or no rows: a table needs both")
    return count, columns
