"""A block store in a directory.

``blocks/xy/<cid>`` holds the bytes (xy: the two characters before the last, as in Kubo's flatfs),
``pins/<cid>`` is an empty file for every pin. A block is written to a temporary file, synced, renamed into
place and its directory synced: after a crash it is there whole or not at all, and leftovers in ``tmp`` go at
the next start.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from dtxeth.errors import InputError, IntegrityError, StorageError, UnknownNameError
from dtxeth.storage.blockstore.base import MAX_BLOCK_SIZE, RepoStat
from dtxeth.storage.blockstore.cid import cid_of, digest_of_cid


class EmbeddedBlockStore:
    """Blocks as files, with CIDs identical to Kubo's. One process at a time may use a directory.

    Args:
        directory: Where to keep them; created when missing.

    Raises:
        StorageError: The directory cannot be made or written.
    """

    def __init__(self, directory: Path) -> None:
        self._blocks, self._pins, self._tmp = directory / "blocks", directory / "pins", directory / "tmp"
        self._changing = threading.RLock()
        try:
            for folder in (self._blocks, self._pins, self._tmp):
                folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._tmp.iterdir():
                leftover.unlink()
        except OSError as error:
            raise StorageError(f"block store {directory}: {error.strerror}; give a writable one") from error

    def block_put(self, data: bytes, *, pin: bool = False) -> str:
        """See :meth:`BlockStore.block_put`."""
        if len(data) > MAX_BLOCK_SIZE:
            raise InputError(f"block of {len(data)} bytes: at most {MAX_BLOCK_SIZE}")
        cid = cid_of(data)
        temporary = self._write_temporary(data)
        with self._changing:  # no garbage collection between the block and its pin
            path = self._path(cid)
            path.parent.mkdir(exist_ok=True)
            temporary.replace(path)  # also over an altered copy: storing a block again heals it
            _sync_directory(path.parent)
            if pin:
                self.pin_add(cid)
        return cid

    def block_get(self, cid: str) -> bytes:
        """See :meth:`BlockStore.block_get`."""
        try:
            data = self._path(cid).read_bytes()
        except FileNotFoundError as error:
            raise _missing(cid) from error
        if cid_of(data) != cid:
            raise IntegrityError(f"block {cid}: its {len(data)} bytes on disk were altered; fetch it anew")
        return data

    def block_stat(self, cid: str) -> int:
        """See :meth:`BlockStore.block_stat`."""
        try:
            return self._path(cid).stat().st_size
        except FileNotFoundError as error:
            raise _missing(cid) from error

    def block_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.block_rm`."""
        path = self._path(cid)
        with self._changing:
            if (self._pins / cid).exists():
                raise InputError(f"block {cid} is pinned: unpin it first")
            path.unlink(missing_ok=True)

    def pin_add(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_add`."""
        with self._changing:
            self.block_stat(cid)
            (self._pins / cid).touch()
            _sync_directory(self._pins)

    def pin_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_rm`."""
        digest_of_cid(cid)
        with self._changing:
            (self._pins / cid).unlink(missing_ok=True)

    def pin_ls(self) -> set[str]:
        """See :meth:`BlockStore.pin_ls`."""
        return {pin.name for pin in self._pins.iterdir()}

    def repo_stat(self) -> RepoStat:
        """See :meth:`BlockStore.repo_stat`."""
        sizes = [path.stat().st_size for path in self._all_blocks()]
        return RepoStat(len(sizes), sum(sizes))

    def repo_gc(self) -> set[str]:
        """See :meth:`BlockStore.repo_gc`."""
        with self._changing:
            removed = {path.name for path in self._all_blocks()} - self.pin_ls()
            for cid in removed:
                self._path(cid).unlink()
        return removed

    def _path(self, cid: str) -> Path:
        digest_of_cid(cid)  # a CID names a file: refuse anything else, "../" above all
        return self._blocks / cid[-3:-1] / cid

    def _all_blocks(self) -> Iterator[Path]:
        return self._blocks.glob("*/*")

    def _write_temporary(self, data: bytes) -> Path:
        temporary = self._tmp / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageError(f"block of {len(data)} bytes cannot be written: {error.strerror}") from error
        return temporary


def _missing(cid: str) -> UnknownNameError:
    return UnknownNameError(f"block {cid} is not in the store")


def _sync_directory(directory: Path) -> None:
    """Make a rename or a new name in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
