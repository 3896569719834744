"""Upload: seal, place, code, encrypt for every node, push in parallel, gather the acknowledgements.

When a node fails, its shards go to another one; when it fails after the others have been told where everything
is, the upload starts again without it. Nothing is on chain before the caller publishes the result.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dtxeth.chain.bindings.types import Acknowledgement, Possession, Publication
from dtxeth.errors import InputError, NodeError, NotEnoughNodesError, StorageError
from dtxeth.storage import seal
from dtxeth.storage.api import StorageNodeApi
from dtxeth.storage.client import NodeClient
from dtxeth.storage.coding import Layout, Redundancy
from dtxeth.storage.draft import Draft, FileKeys
from dtxeth.storage.info import FileInfo, seal_info
from dtxeth.storage.keys import OWNERS_TASK, wrap_file_key
from dtxeth.storage.manifest import Manifest, check_name, manifest_bound, seal_manifest
from dtxeth.storage.placement import Candidate, place
from dtxeth.storage.pusher import Progress, Pusher, survey
from dtxeth.storage.requests import RequestSigner
from dtxeth.storage.spool import Spool, spool


@dataclass(frozen=True)
class Terms:
    """What an owner says about a file.

    Attributes:
        name: File name, sealed.
        namespace_id: Namespace to publish it into; its redundancy is the file's.
        expires_at: Last second for which the nodes keep it.
        rows: Rows of the table in it, 0 if it is no table; public.
        columns: Names of its columns, sealed.
    """

    name: str
    namespace_id: bytes
    expires_at: int
    rows: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upload:
    """A file on its nodes, ready for ``FileRegistry.publish(publication, acknowledgements)``.

    Attributes:
        file_id: Id that it will have.
        publication: First argument of ``publish``.
        acknowledgements: Second argument of ``publish``.
        manifest: What was stored where.
        faults: Nodes that failed on the way and were replaced.
        file_key: The file key.
    """

    file_id: bytes
    publication: Publication
    acknowledgements: tuple[Acknowledgement, ...]
    manifest: Manifest
    faults: tuple[NodeError, ...]
    file_key: bytes = field(repr=False)


def upload(
    reader: BinaryIO,
    terms: Terms,
    signer: RequestSigner,
    public_key: bytes,
    nodes: Mapping[str, StorageNodeApi],
    *,
    candidates: Iterable[Candidate] | None = None,
    progress: Progress | None = None,
    spool_directory: Path | None = None,
) -> Upload:
    """Store a file on storage nodes; nothing is on chain until the result is published.

    Args:
        reader: The plaintext, read once.
        terms: Name, namespace, expiry.
        signer: Signs as the owner.
        public_key: The owner's 32-byte encryption key, for which the file key is wrapped.
        nodes: The storage nodes that can be reached, by address.
        candidates: What the chain says of those that may be chosen; by default all of ``nodes`` may, alike.
        progress: Told of the pushed bytes.
        spool_directory: Where the sealed file waits; by default the system's directory for temporary files.

    Raises:
        InputError: A name, expiry or size that cannot be.
        UnknownNamespace: There is no such namespace.
        NotEnoughNodesError: Too few nodes could be reached, or had room, for the redundancy.
        StorageError: The disk of ``spool_directory`` is full.
    """
    check_name(terms.name)
    registry = signer.file_registry
    namespace = registry.namespace_of(terms.namespace_id)
    redundancy = Redundancy(namespace.needed, namespace.total)
    if terms.expires_at <= (now := registry.chain.now()):
        raise InputError(f"expiry {terms.expires_at}: the chain's time is {now} already, choose a later one")
    if not 0 <= terms.rows < 1 << 64:
        raise InputError(f"{terms.rows} rows: expected 0 or more")
    clients = {address: NodeClient(address, node, signer) for address, node in nodes.items()}
    usable, faults = survey(clients, candidates)
    _require(redundancy, usable, faults)
    file_key = seal.new_file_key()
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=spool_directory))
            sealed = spool(file, reader, file_key)
        except OSError as error:
            raise StorageError(f"the sealed file cannot be spooled: {error.strerror or error}") from error
        job = _Job(sealed, Layout(redundancy, sealed.size), namespace.possession, file_key, terms, signer)
        while True:
            try:
                return job.run(clients, usable, faults, public_key, progress)
            except NodeError as fault:
                faults.append(fault)
                usable.pop(fault.node, None)


def _require(redundancy: Redundancy, usable: Mapping[str, Candidate], faults: Iterable[NodeError]) -> None:
    count = sum(candidate.usable for candidate in usable.values())
    if count < redundancy.total:
        raise _not_enough(
            f"{count} usable storage nodes, {redundancy.total} are needed for {redundancy}", faults
        )


@dataclass(frozen=True)
class _Job:
    sealed: Spool
    layout: Layout
    possession: Possession
    file_key: bytes
    terms: Terms
    signer: RequestSigner

    def run(
        self,
        clients: Mapping[str, NodeClient],
        usable: dict[str, Candidate],
        faults: list[NodeError],
        public_key: bytes,
        progress: Progress | None,
    ) -> Upload:
        """Try once, under a file id of its own; a NodeError says which node to leave out next time."""
        layout, terms, registry = self.layout, self.terms, self.signer.file_registry
        reserve = manifest_bound(terms.name, layout.stripes * layout.redundancy.total)
        owner, salt = self.signer.account.address, secrets.token_bytes(32)
        file_id = registry.file_id_of(owner, salt)
        keys = FileKeys(file_id, 0, self.file_key)

        def shard(stripe: int, number: int) -> bytes:
            return self.sealed.shard(layout, stripe, number)

        def open_draft(node: str) -> Draft:
            return Draft(clients[node], keys, self.possession)

        pusher = Pusher(layout, shard, open_draft, usable, reserve, faults, progress)
        try:
            pusher.push(_placed(layout, usable, reserve, faults))
            if pusher.unplaced:
                raise _not_enough(
                    f"no node is left for {len(pusher.unplaced)} shards of {layout.redundancy}", faults
                )
            manifest = Manifest(
                name=terms.name,
                size=self.sealed.plain_size,
                sha256=self.sealed.sha256,
                prefix=self.sealed.prefix,
                redundancy=layout.redundancy,
                generation=keys.generation,
                nodes=tuple(draft.held for draft in pusher.drafts.values()),
            )
            sealed_manifest = seal_manifest(manifest, self.file_key)
            acknowledgements = pusher.finish(sealed_manifest, 1, terms.expires_at)
        except BaseException:
            pusher.abandon()
            raise
        publication = Publication(
            salt=salt,
            namespace_id=terms.namespace_id,
            size=self.sealed.size,
            rows=terms.rows,
            expires_at=terms.expires_at,
            manifest_digest=hashlib.sha256(sealed_manifest).digest(),
            wrapped_key=wrap_file_key(self.file_key, public_key, registry, file_id, owner, OWNERS_TASK),
            sealed_info=seal_info(FileInfo(terms.name, terms.columns), self.file_key),
        )
        return Upload(file_id, publication, acknowledgements, manifest, tuple(faults), self.file_key)


def _placed(
    layout: Layout, usable: Mapping[str, Candidate], reserve: int, faults: Iterable[NodeError]
) -> dict[str, list[tuple[int, int]]]:
    try:
        return place(layout, usable.values(), reserve)
    except NotEnoughNodesError as error:
        raise NotEnoughNodesError("; ".join(map(str, [error, *faults]))) from error


def _not_enough(what: str, faults: Iterable[NodeError]) -> NotEnoughNodesError:
    advice = "start more nodes, or use less redundancy"
    return NotEnoughNodesError("; ".join([f"{what}: {advice}", *map(str, faults)]))
