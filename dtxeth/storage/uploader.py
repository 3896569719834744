"""Upload: seal, slice, place, encrypt for every node, push in parallel, gather the acknowledgements.

The sealed stream is spooled to a temporary file first (it is ciphertext; memory stays small), for two
reasons: every node gets its pieces in an order of its own, so that arrival tells it nothing about the order
of the slices; and when a node fails, the upload starts again on the others without reading the source twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from dtxeth.chain.bindings.types import Acknowledgement, Publication
from dtxeth.crypto import merkle
from dtxeth.errors import DtxethError, InputError, NodeError, NotEnoughNodesError
from dtxeth.storage import seal
from dtxeth.storage.api import Claim, StorageNodeApi
from dtxeth.storage.client import NodeClient
from dtxeth.storage.info import FileInfo, seal_info
from dtxeth.storage.keys import OWNERS_TASK, wrap_file_key
from dtxeth.storage.manifest import Manifest, NodePieces, Piece, check_name, seal_manifest
from dtxeth.storage.pieces import (
    PIECE_ID_SIZE,
    SLICE_SIZE,
    encrypt_piece,
    holding_root,
    leaf_count,
    manifest_piece_id,
    slice_count,
    subtree_roots,
)
from dtxeth.storage.placement import place
from dtxeth.storage.requests import RequestSigner

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all; from several threads, one at a time."""

_PARALLEL_NODES = 8  # each worker has a few pieces of 1 MiB in hand: this bounds the memory


@dataclass(frozen=True)
class Terms:
    """What an owner says about a file.

    Attributes:
        name: File name, sealed.
        namespace_id: Namespace to publish it into; its number of replicas is the file's.
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
    progress: Progress | None = None,
    spool_directory: Path | None = None,
) -> Upload:
    """Store a file on storage nodes; nothing is on chain until the result is published.

    Args:
        reader: The plaintext, read once.
        terms: Name, namespace, expiry.
        signer: Signs as the owner.
        public_key: The owner's 32-byte encryption key, for which the file key is wrapped.
        nodes: The online storage nodes, by address.
        progress: Told of the pushed bytes.
        spool_directory: Where the sealed file waits; by default the system's directory for temporary files.

    Raises:
        InputError: A name, expiry or size that cannot be.
        UnknownNamespace: There is no such namespace.
        NotEnoughNodesError: Too few nodes could be reached, or had room, for the replicas.
    """
    check_name(terms.name)
    registry = signer.file_registry
    replicas = registry.namespace_of(terms.namespace_id).replicas
    if terms.expires_at <= (now := registry.chain.now()):
        raise InputError(f"expiry {terms.expires_at}: the chain's time is {now} already, choose a later one")
    file_key = seal.new_file_key()
    clients = {address: NodeClient(address, node, signer) for address, node in nodes.items()}
    with tempfile.TemporaryFile(dir=spool_directory) as spool:
        sealed = _seal_into(spool, reader, file_key)
        free, faults = _survey(clients.values())
        while True:
            try:
                placed = place(slice_count(sealed.size), replicas, free)
            except NotEnoughNodesError as error:
                failed = "".join(f"; {fault}" for fault in faults)
                raise NotEnoughNodesError(f"{error}{failed}") from (faults[-1] if faults else None)
            attempt = _Attempt(sealed, file_key, terms, signer, clients, placed, replicas, progress)
            try:
                return attempt.run(public_key, tuple(faults))
            except DtxethError as error:
                attempt.abandon()
                if not isinstance(error, NodeError):
                    raise
                faults.append(error)
                del free[error.node]


@dataclass(frozen=True)
class _Sealed:
    spool: BinaryIO
    prefix: bytes
    plain_size: int
    sha256: bytes

    @property
    def size(self) -> int:
        return seal.sealed_size(self.plain_size)

    def slice(self, number: int) -> bytes:
        return os.pread(self.spool.fileno(), SLICE_SIZE, number * SLICE_SIZE)


def _seal_into(spool: BinaryIO, reader: BinaryIO, file_key: bytes) -> _Sealed:
    digest, size, prefix = hashlib.sha256(), 0, seal.new_prefix()

    def plaintext() -> Iterable[bytes]:
        nonlocal size
        for chunk in seal.read_chunks(reader, seal.SEGMENT_SIZE):
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    for segment in seal.seal(plaintext(), file_key, prefix):
        spool.write(segment)
    spool.flush()
    return _Sealed(spool, prefix, size, digest.digest())


def _survey(clients: Iterable[NodeClient]) -> tuple[dict[str, int], list[NodeError]]:
    """Ask every node for its free bytes, all at once; those that do not answer drop out."""

    def ask(client: NodeClient) -> int | NodeError:
        try:
            return client.status().free
        except NodeError as fault:
            return fault

    with ThreadPoolExecutor(_PARALLEL_NODES) as pool:
        answers = {client.address: pool.submit(ask, client) for client in clients}
    told = {node: answer.result() for node, answer in answers.items()}
    free = {node: answer for node, answer in told.items() if isinstance(answer, int)}
    return free, [answer for answer in told.values() if isinstance(answer, NodeError)]


@dataclass
class _Share:
    """What one node has been sent, and what its holding's tree needs."""

    client: NodeClient
    pieces: list[Piece] = field(default_factory=list)
    full_roots: list[bytes] = field(default_factory=list)
    short_pieces: list[bytes] = field(default_factory=list)

    def add(self, file_id: bytes, piece: bytes, digest: bytes) -> None:
        self.client.put_piece(file_id, len(self.full_roots) + len(self.short_pieces), piece, digest)
        if len(piece) == SLICE_SIZE:
            self.full_roots.append(merkle.root(merkle.leaf_hashes(piece)))
        else:
            self.short_pieces.append(piece)

    def claim(self, expires_at: int) -> Claim:
        sizes = [SLICE_SIZE] * len(self.full_roots) + [len(piece) for piece in self.short_pieces]
        root = holding_root(subtree_roots(self.full_roots, self.short_pieces))
        return Claim(root, sum(map(leaf_count, sizes)), sum(sizes), expires_at)


class _Attempt:
    """One try to get a file onto certain nodes, under a file id of its own."""

    def __init__(
        self,
        sealed: _Sealed,
        file_key: bytes,
        terms: Terms,
        signer: RequestSigner,
        clients: Mapping[str, NodeClient],
        placed: Mapping[str, list[int]],
        replicas: int,
        progress: Progress | None,
    ) -> None:
        self._sealed, self._file_key, self._terms, self._signer = sealed, file_key, terms, signer
        self._placed, self._progress = placed, progress
        self._shares = [_Share(clients[address]) for address in placed]
        self._salt = secrets.token_bytes(32)
        self._file_id = signer.file_registry.file_id_of(signer.account.address, self._salt)
        self._stop, self._counting = threading.Event(), threading.Lock()
        self._done, self._total = 0, sealed.size * replicas

    def run(self, public_key: bytes, faults: tuple[NodeError, ...]) -> Upload:
        self._on_all_nodes(self._push)
        sealed, terms = self._sealed, self._terms
        held = tuple(NodePieces(share.client.address, 0, tuple(share.pieces)) for share in self._shares)
        manifest = Manifest(terms.name, sealed.plain_size, sealed.sha256, sealed.prefix, held)
        sealed_manifest = seal_manifest(manifest, self._file_key)
        self._on_all_nodes(lambda share: self._push_manifest(share, sealed_manifest))
        acknowledgements = self._on_all_nodes(
            lambda share: share.client.acknowledge(self._file_id, share.claim(terms.expires_at))
        )
        owner, registry = self._signer.account.address, self._signer.file_registry
        publication = Publication(
            salt=self._salt,
            namespace_id=terms.namespace_id,
            size=sealed.size,
            rows=terms.rows,
            expires_at=terms.expires_at,
            manifest_digest=hashlib.sha256(sealed_manifest).digest(),
            wrapped_key=wrap_file_key(
                self._file_key, public_key, registry, self._file_id, owner, OWNERS_TASK
            ),
            sealed_info=seal_info(FileInfo(terms.name, terms.columns), self._file_key),
        )
        return Upload(self._file_id, publication, tuple(acknowledgements), manifest, faults, self._file_key)

    def abandon(self) -> None:
        """Free what was staged; nodes that cannot be asked forget it by themselves."""
        for share in self._shares:
            with suppress(NodeError):
                share.client.abandon(self._file_id)

    def _on_all_nodes(self, step: Callable[[_Share], T]) -> list[T]:
        with ThreadPoolExecutor(min(len(self._shares), _PARALLEL_NODES)) as pool:
            futures = [pool.submit(step, share) for share in self._shares]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._stop.set()
                raise

    def _push(self, share: _Share) -> None:
        node = share.client.address
        for number in self._placed[node]:
            if self._stop.is_set():
                return
            data, piece_id = self._sealed.slice(number), secrets.token_bytes(PIECE_ID_SIZE)
            piece = encrypt_piece(self._file_key, piece_id, node, 0, data)
            digest = hashlib.sha256(piece).digest()
            share.add(self._file_id, piece, digest)
            share.pieces.append(Piece(number, piece_id, digest))
            self._count(len(piece))

    def _push_manifest(self, share: _Share, sealed_manifest: bytes) -> None:
        piece_id = manifest_piece_id(hashlib.sha256(sealed_manifest).digest())
        piece = encrypt_piece(self._file_key, piece_id, share.client.address, 0, sealed_manifest)
        share.add(self._file_id, piece, hashlib.sha256(piece).digest())

    def _count(self, size: int) -> None:
        with self._counting:
            self._done += size
            if self._progress is not None:
                self._progress(self._done, self._total)
