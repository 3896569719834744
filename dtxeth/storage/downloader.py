"""Download: manifest from any node, k shards of every stripe from the fastest, each verified."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from dtxeth.chain.bindings.types import File
from dtxeth.errors import (
    ChainUnavailableError,
    InputError,
    IntegrityError,
    NodeError,
    NotEnoughNodesError,
    StorageError,
)
from dtxeth.storage import seal
from dtxeth.storage.api import StorageNodeApi
from dtxeth.storage.client import NodeClient
from dtxeth.storage.hedging import NodePool, Race
from dtxeth.storage.manifest import Manifest, unseal_manifest
from dtxeth.storage.reader import StripeReader
from dtxeth.storage.requests import RequestSigner


class RemoteFile:
    """A published file, its manifest fetched and verified.

    Args:
        file_id: The file.
        file_key: Its key, from :func:`~dtxeth.storage.keys.owned_file_key` or ``authorized_file_key``.
        signer: Signs as the owner, or as the applier of the authorization.
        nodes: The storage nodes that can be reached, by address.
        authorization_id: The authorization to read by, 0 as the owner.
        avoid: Nodes to ask last, those that are not healthy.

    Attributes:
        record: What the chain says of it.
        manifest: What the file is, and where.

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
        avoid: Collection[str] = (),
    ) -> None:
        self._file_id, self._file_key, self._authorization_id = file_id, file_key, authorization_id
        self._registry = signer.file_registry
        self._nodes = NodePool({node: NodeClient(node, api, signer) for node, api in nodes.items()}, avoid)
        self.record: File
        self.manifest: Manifest
        self._load()

    @property
    def faults(self) -> list[NodeError]:
        """What nodes did wrong so far; each was routed around."""
        return self._nodes.faults

    @property
    def stripes(self) -> StripeReader:
        """Reads the sealed file, stripe by stripe."""
        return StripeReader(self._file_id, self._file_key, self.manifest, self._nodes, self._authorization_id)

    def save(self, path: Path, progress: Callable[[int, int], None] | None = None) -> Path:
        """Download into a file, which appears only when it is complete and verified.

        Args:
            path: The file, or a directory in which it gets its own name.
            progress: Told of the bytes written and the bytes in all.

        Returns:
            Path of the file.

        Raises:
            InputError: There is no such directory.
            NotEnoughNodesError: A stripe of which too few nodes serve a shard.
            IntegrityError: What came out is not what the manifest says.
            StorageError: The disk is full or not writable.
            ChainUnavailableError: The chain is away.
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
        except ChainUnavailableError:  # an OSError, but not the disk's
            raise
        except OSError as error:
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def read(self) -> bytes:
        """Download into memory.

        Raises:
            NotEnoughNodesError: A stripe of which too few nodes serve a shard.
            IntegrityError: What came out is not what the manifest says.
        """
        return b"".join(self.stream())

    def stream(self) -> Iterator[bytes]:
        """Yield the plaintext, each segment authenticated; use what came only when the stream has ended.

        Raises:
            NotEnoughNodesError: A stripe of which too few nodes serve a shard.
            IntegrityError: At the end: the whole is not what the manifest says.
            CryptoError: The stripes are not those of a sealed stream.
        """
        digest, size = hashlib.sha256(), 0
        for segment in seal.unseal(self._sealed(), self._file_key, self.manifest.prefix):
            digest.update(segment)
            size += len(segment)
            yield segment
        if (size, digest.digest()) != (self.manifest.size, self.manifest.sha256):
            raise IntegrityError(f"file 0x{self._file_id.hex()} is not what its manifest says; ask its owner")

    def _sealed(self) -> Iterator[bytes]:
        """Yield the sealed stream; when the file is revised meanwhile, go on from the same byte by the new manifest."""
        position = 0
        while position < self.manifest.layout.size:
            try:
                for chunk in self._sealed_from(position):
                    position += len(chunk)
                    yield chunk
            except NotEnoughNodesError:
                if self._registry.file_of(self._file_id).manifest_digest == self.record.manifest_digest:
                    raise
                self._load(self.manifest)

    def _sealed_from(self, position: int) -> Iterator[bytes]:
        layout = self.manifest.layout
        first, skip = divmod(position, layout.stripe_size)
        numbers = range(first, layout.stripes)
        for number, slices in zip(numbers, self.stripes.stripes(numbers), strict=True):
            left = layout.length(number)
            for data in slices:
                chunk = data[skip : min(left, len(data))]
                skip, left = max(0, skip - len(data)), max(0, left - len(data))
                if chunk:
                    yield chunk

    def _load(self, before: Manifest | None = None) -> None:
        """Fetch the manifest that the chain names now."""
        self.record = self._registry.file_of(self._file_id)
        try:
            self.manifest = self._fetch_manifest(self.record.manifest_digest)
        except NotEnoughNodesError:
            if self._registry.file_of(self._file_id).manifest_digest == self.record.manifest_digest:
                raise
            return self._load(before)  # revised just now
        finally:
            self._nodes.close()
        manifest, size = self.manifest, seal.sealed_size(self.manifest.size)
        if size != self.record.size:
            raise IntegrityError(
                f"file 0x{self._file_id.hex()} has {self.record.size} sealed bytes on chain, "
                f"{size} by its manifest; ask its owner"
            )
        content = manifest.size, manifest.sha256, manifest.prefix
        if before is not None and content != (before.size, before.sha256, before.prefix):
            raise IntegrityError(
                f"file 0x{self._file_id.hex()} was revised to another content; ask its owner"
            )
        return None

    def _fetch_manifest(self, digest: bytes) -> Manifest:
        holdings = iter(self._registry.holdings_of(self._file_id))

        def fetch(client: NodeClient) -> bytes:
            return client.get_manifest(self._file_id, self._file_key, digest, self._authorization_id)

        def following() -> tuple[int, str, Callable[[NodeClient], bytes]] | None:
            holding = next(holdings, None)
            return None if holding is None else (holding, self._registry.holding(holding).node, fetch)

        what = f"the manifest of file 0x{self._file_id.hex()} cannot be read"
        (sealed,) = Race(self._nodes, 1, following, what).result().values()
        return unseal_manifest(sealed, self._file_key)
