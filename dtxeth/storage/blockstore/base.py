"""The interface of a block store, shaped like Kubo's RPC (https://docs.ipfs.tech/reference/kubo/rpc/)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

MAX_BLOCK_SIZE = 1 << 20
"""Bytes of the largest block: IPFS nodes exchange no larger ones."""


@dataclass(frozen=True)
class RepoStat:
    """What a store holds.

    Attributes:
        blocks: Number of blocks.
        size: Their bytes (a daemon counts its overhead too).
    """

    blocks: int
    size: int


class BlockStore(Protocol):
    """Blocks by content identifier. Safe for concurrent use by threads.

    Every method raises :class:`~dtxeth.errors.StorageError` when the store cannot be reached or used, and
    :class:`~dtxeth.errors.InputError` for a malformed CID.

    Attributes:
        shared: Whether others may keep blocks there, too.
    """

    shared: bool

    def block_put(
        self, data: bytes, *, pin: bool = False, cid: str | None = None, durably: bool = True
    ) -> str:
        """Store a block and return its CID; storing it twice is harmless.

        Args:
            data: At most :data:`MAX_BLOCK_SIZE` bytes.
            pin: Pin it in the same step, so that no garbage collection comes between.
            cid: Its CID, if the caller has computed it from these very bytes: saves hashing them again.
            durably: Whether it survives a failure of the machine from now on, or only from :meth:`sync` on.
        """
        ...

    def sync(self, cids: Iterable[str]) -> None:
        """Make blocks durable that were put otherwise; many at once cost little more than one.

        If it fails, those that were not durable before may be lost, even if it succeeds when it is tried again.
        """
        ...

    def block_get(self, cid: str) -> bytes:
        """Bytes of a block, verified against its CID.

        Raises:
            UnknownNameError: The store has no such block.
            IntegrityError: What it has is not what was stored.
        """
        ...

    def block_stat(self, cid: str) -> int:
        """Size of a block in bytes.

        Raises:
            UnknownNameError: The store has no such block.
        """
        ...

    def block_rm(self, cid: str) -> None:
        """Remove a block; absent ones are fine.

        Raises:
            InputError: The block is pinned.
        """
        ...

    def pin_add(self, cid: str) -> None:
        """Keep a block from garbage collection.

        Raises:
            UnknownNameError: The store has no such block.
        """
        ...

    def pin_rm(self, cid: str) -> None:
        """Unpin a block; unpinned ones are fine."""
        ...

    def pin_ls(self, cids: Iterable[str] | None = None) -> set[str]:
        """CIDs of all pinned raw blocks, or of those among some.

        Args:
            cids: The blocks to look at; all by default.
        """
        ...

    def repo_stat(self) -> RepoStat:
        """Count what is stored."""
        ...

    def repo_gc(self) -> set[str]:
        """Remove every unpinned block; returns the CIDs of those removed."""
        ...
