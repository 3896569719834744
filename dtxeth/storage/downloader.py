"""Download: manifest from any node, pieces in parallel, each verified; the next replica when a node fails."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from dtxeth.errors import InputError, IntegrityError, NodeError, NotEnoughNodesError, StorageError
from dtxeth.storage import seal
from dtxeth.storage.api import StorageNodeApi
from dtxeth.storage.client import NodeClient
from dtxeth.storage.manifest import Manifest, NodePieces, Piece, unseal_manifest
from dtxeth.storage.pieces import encrypt_piece
from dtxeth.storage.requests import RequestSigner

_PARALLEL = 4
_READ_AHEAD = 8  # slices of 1 MiB fetched but not yet written: this bounds the memory


class RemoteFile:
    """A published file, its manifest fetched and verified.

    Args:
        file_id: The file.
        file_key: Its key, from :func:`~dtxeth.storage.keys.owned_file_key` or ``authorized_file_key``.
        signer: Signs as the owner, or as the applier of the authorization.
        nodes: The storage nodes that can be reached, by address.
        authorization_id: The authorization to read by, 0 as the owner.

    Attributes:
        manifest: What the file is, and where.
        faults: What nodes did wrong so far; each was routed around.

    Raises:
        UnknownFile: There is no such file.
        NotEnoughNodesError: No node serves the manifest, or the key is not this file's; says why of each
            node.
        IntegrityError: The manifest is malformed or of another file.
    """

    def __init__(
        self,
        file_id: bytes,
        file_key: bytes,
        signer: RequestSigner,
        nodes: Mapping[str, StorageNodeApi],
        authorization_id: int = 0,
    ) -> None:
        self._file_id, self._file_key, self._authorization_id = file_id, file_key, authorization_id
        self._clients = {address: NodeClient(address, node, signer) for address, node in nodes.items()}
        self.faults: list[NodeError] = []
        registry = signer.file_registry
        record = registry.file_of(file_id)
        holders = [registry.holding(number).node for number in registry.holdings_of(file_id)]
        self.manifest: Manifest = self._fetch_manifest(holders, record.manifest_digest)
        if seal.sealed_size(self.manifest.size) != record.size:
            raise IntegrityError(
                f"file 0x{file_id.hex()} has {record.size} sealed bytes on chain, "
                f"{seal.sealed_size(self.manifest.size)} by its manifest; ask its owner"
            )
        self._replicas = self.manifest.replicas()

    def save(self, path: Path, progress: Callable[[int, int], None] | None = None) -> Path:
        """Download into a file, which appears only when it is complete and verified.

        Args:
            path: The file, or a directory in which it gets its own name.
            progress: Told of the bytes written and the bytes in all.

        Returns:
            Path of the file.

        Raises:
            InputError: There is no such directory.
            NotEnoughNodesError: A slice that none of its nodes serves.
            IntegrityError: What came out is not what the manifest says.
            StorageError: The disk is full or not writable.
        """
        target = path / self.manifest.name if path.is_dir() else path
        if not target.parent.is_dir():
            raise InputError(f"directory {target.parent} does not exist: make it first")
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                done = 0
                for chunk in self.stream():
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, self.manifest.size)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def read(self) -> bytes:
        """Download into memory.

        Raises:
            NotEnoughNodesError: A slice that none of its nodes serves.
            IntegrityError: What came out is not what the manifest says.
        """
        return b"".join(self.stream())

    def stream(self) -> Iterator[bytes]:
        """Yield the plaintext, each segment authenticated; use what came only when the stream has ended.

        Raises:
            NotEnoughNodesError: A slice that none of its nodes serves.
            IntegrityError: At the end: the whole is not what the manifest says.
            CryptoError: The slices are not those of a sealed stream.
        """
        digest, size = hashlib.sha256(), 0
        for segment in seal.unseal(self._slices(), self._file_key, self.manifest.prefix):
            digest.update(segment)
            size += len(segment)
            yield segment
        if (size, digest.digest()) != (self.manifest.size, self.manifest.sha256):
            raise IntegrityError(f"file 0x{self._file_id.hex()} is not what its manifest says; ask its owner")

    def _slices(self) -> Iterator[bytes]:
        pool = ThreadPoolExecutor(_PARALLEL)
        try:
            numbers = iter(range(self.manifest.slices))
            waiting: deque[Future[bytes]] = deque(
                pool.submit(self._fetch, number) for number in islice(numbers, _READ_AHEAD)
            )
            while waiting:
                data = waiting.popleft().result()
                waiting.extend(pool.submit(self._fetch, number) for number in islice(numbers, 1))
                yield data
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch(self, number: int) -> bytes:
        """Fetch one slice, from nodes without a fault first, by turns."""
        replicas = self._replicas[number]
        turn = number % len(replicas)
        failed = {fault.node for fault in self.faults}
        by_turns = sorted(replicas[turn:] + replicas[:turn], key=lambda replica: replica[0].node in failed)
        faults = []
        for held, piece in by_turns:
            try:
                return self._fetch_from(held, piece)
            except NodeError as fault:
                faults.append(fault)
                self.faults.append(fault)
        raise NotEnoughNodesError(
            f"slice {number} of file 0x{self._file_id.hex()}: none of its nodes serves it; "
            + "; ".join(map(str, faults))
        )

    def _fetch_from(self, held: NodePieces, piece: Piece) -> bytes:
        data = self._client(held.node).get_piece(self._file_id, piece.digest, self._authorization_id)
        return encrypt_piece(self._file_key, piece.piece_id, held.node, held.generation, data)

    def _fetch_manifest(self, holders: list[str], digest: bytes) -> Manifest:
        for address in holders:
            try:
                sealed = self._client(address).get_manifest(
                    self._file_id, self._file_key, digest, self._authorization_id
                )
            except NodeError as fault:
                self.faults.append(fault)
                continue
            return unseal_manifest(sealed, self._file_key)
        raise NotEnoughNodesError(
            f"no node serves the manifest of file 0x{self._file_id.hex()}; "
            + "; ".join(map(str, self.faults))
        )

    def _client(self, address: str) -> NodeClient:
        if address not in self._clients:
            raise NodeError(address, "cannot be reached; is it online?")
        return self._clients[address]
