"""The sealed file on its way to the nodes: a temporary file of ciphertext, read shard by shard.

It is spooled for two reasons: every node gets its pieces in an order of its own, so that arrival tells it nothing
about the order of the stripes; and when a node fails, its shards go to another without reading the source twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from dtxeth.storage import seal
from dtxeth.storage.coding import Layout, encode


@dataclass(frozen=True)
class Spool:
    """A sealed file.

    Attributes:
        file: Where it is.
        prefix: Nonce prefix of the sealed stream.
        plain_size: Plaintext bytes.
        sha256: SHA-256 of the plaintext.
    """

    file: BinaryIO
    prefix: bytes
    plain_size: int
    sha256: bytes

    @property
    def size(self) -> int:
        """Bytes of the sealed file."""
        return seal.sealed_size(self.plain_size)

    def shard(self, layout: Layout, stripe: int, shard: int) -> bytes:
        """Make one shard; takes the memory of its stripe. Threads may do so at once."""
        if shard < layout.redundancy.needed:
            return self._slice(layout, stripe, shard)
        return encode(
            tuple(self._slice(layout, stripe, number) for number in range(layout.redundancy.needed)), shard
        )

    def _slice(self, layout: Layout, stripe: int, shard: int) -> bytes:
        start, end = layout.shard_range(stripe, shard)
        return os.pread(self.file.fileno(), end - start, start).ljust(layout.shard_size(stripe), b"\0")


def spool(file: BinaryIO, reader: BinaryIO, file_key: bytes) -> Spool:
    """Seal a stream into a file, and hash it meanwhile.

    Args:
        file: An empty file, open for writing and reading.
        reader: The plaintext, read once.
        file_key: The file key.

    Raises:
        OSError: The disk is full.
    """
    digest, size, prefix = hashlib.sha256(), 0, seal.new_prefix()
    with ThreadPoolExecutor(1) as hashing:

        def plaintext() -> Iterator[bytes]:
            nonlocal size
            waiting: Future[None] | None = None
            for chunk in seal.read_chunks(reader, seal.SEGMENT_SIZE):
                if waiting is not None:
                    waiting.result()  # one chunk at a time, for the memory
                waiting = hashing.submit(digest.update, chunk)
                size += len(chunk)
                yield chunk

        for segment in seal.seal(plaintext(), file_key, prefix):
            file.write(segment)
    file.flush()
    return Spool(file, prefix, size, digest.digest())
