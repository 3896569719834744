"""A block store in a directory.

``blocks/xy/<cid>`` holds the bytes (xy: the two characters before the last, as in Kubo's flatfs), an empty
``<cid>.pin`` beside it pins it. A block is written to a temporary file, synced, renamed into place and its
directory synced: after a crash it is there whole or not at all, and what is left in ``tmp`` goes at the next
start. Of blocks that are put not durably the disk begins to write at once, and nobody waits for it before
:meth:`EmbeddedBlockStore.sync`; until then a failure of the machine may leave less than all of one.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from dtxeth.errors import InputError, IntegrityError, StorageError, UnknownNameError
from dtxeth.storage.blockstore.base import MAX_BLOCK_SIZE, RepoStat
from dtxeth.storage.blockstore.cid import cid_of, digest_of_cid

RESERVE: Final = 64 << 20
"""Bytes of the disk that an embedded store leaves free."""
_CHECK: Final = "check the disk"


class EmbeddedBlockStore:
    """Blocks as files, with CIDs identical to Kubo's. One process at a time may use a directory.

    Args:
        directory: Where to keep them; created when missing.
        reserve: Bytes that it leaves free on the disk: for the node's records, which must be writable when it is full.

    Raises:
        StorageError: The directory cannot be made or written.
    """

    shared = False

    def __init__(self, directory: Path, reserve: int = RESERVE) -> None:
        self._blocks, self._tmp, self._reserve = directory / "blocks", directory / "tmp", reserve
        self._changing = threading.RLock()
        try:
            for folder in (self._blocks, self._tmp):
                folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._tmp.iterdir():
                leftover.unlink()
        except OSError as error:
            raise StorageError(f"block store {directory}: {error.strerror}; give a writable one") from error

    def block_put(
        self, data: bytes, *, pin: bool = False, cid: str | None = None, durably: bool = True
    ) -> str:
        """See :meth:`BlockStore.block_put`."""
        if len(data) > MAX_BLOCK_SIZE:
            raise InputError(f"block of {len(data)} bytes: at most {MAX_BLOCK_SIZE}")
        cid = cid or cid_of(data)
        path, temporary = self._path(cid), self._tmp / secrets.token_hex(16)
        with _disk(f"block {cid} cannot be written", "make room for it"):
            try:
                self._require_room(len(data))
                with temporary.open("xb", buffering=0) as file:
                    file.write(data)
                    _begin_writing(file)
                with self._changing:  # no garbage collection between the block and its pin
                    path.parent.mkdir(exist_ok=True)
                    durably = durably or path.exists()  # it may be durable: do not replace it by what is not
                    if durably:
                        _sync(temporary)
                    temporary.replace(path)  # also over an altered copy: storing a block again heals it
                    if pin:
                        _pin_of(path).touch()
                    if durably:
                        _sync(path.parent)
                        _sync(self._blocks)
            except OSError:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
        return cid

    def sync(self, cids: Iterable[str]) -> None:
        """See :meth:`BlockStore.sync`."""
        paths = [self._path(cid) for cid in cids]
        with _disk(f"{len(paths)} blocks cannot be written", _CHECK):
            for path in [*paths, *{path.parent for path in paths}, self._blocks]:
                _sync(path)

    def block_get(self, cid: str) -> bytes:
        """See :meth:`BlockStore.block_get`."""
        path = self._path(cid)
        with _disk(f"block {cid} cannot be read", _CHECK):
            try:
                data = path.read_bytes()
            except FileNotFoundError as error:
                raise _missing(cid) from error
        if cid_of(data) != cid:
            raise IntegrityError(f"block {cid}: its {len(data)} bytes on disk were altered; fetch it anew")
        return data

    def block_stat(self, cid: str) -> int:
        """See :meth:`BlockStore.block_stat`."""
        path = self._path(cid)
        with _disk(f"block {cid} cannot be read", _CHECK):
            try:
                return path.stat().st_size
            except FileNotFoundError as error:
                raise _missing(cid) from error

    def block_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.block_rm`."""
        path = self._path(cid)
        with self._changing, _disk(f"block {cid} cannot be removed", _CHECK):
            if _pin_of(path).exists():
                raise InputError(f"block {cid} is pinned: unpin it first")
            path.unlink(missing_ok=True)

    def pin_add(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_add`."""
        with self._changing, _disk(f"block {cid} cannot be pinned", _CHECK):
            self.block_stat(cid)
            path = self._path(cid)
            _pin_of(path).touch()
            _sync(path.parent)

    def pin_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_rm`."""
        path = self._path(cid)
        with self._changing, _disk(f"block {cid} cannot be unpinned", _CHECK):
            _pin_of(path).unlink(missing_ok=True)

    def pin_ls(self, cids: Iterable[str] | None = None) -> set[str]:
        """See :meth:`BlockStore.pin_ls`; a pin without its block counts for nothing."""
        with _disk("the blocks cannot be listed", _CHECK):
            if cids is None:
                cids = [pin.stem for pin in self._blocks.glob("*/*.pin")]
            paths = {cid: self._path(cid) for cid in cids}
            return {cid for cid, path in paths.items() if _pin_of(path).exists() and path.exists()}

    def repo_stat(self) -> RepoStat:
        """See :meth:`BlockStore.repo_stat`."""
        with _disk("the blocks cannot be listed", _CHECK):
            sizes = [path.stat().st_size for path in self._all_blocks()]
        return RepoStat(len(sizes), sum(sizes))

    def repo_gc(self) -> set[str]:
        """See :meth:`BlockStore.repo_gc`."""
        with self._changing, _disk("garbage cannot be removed", _CHECK):
            removed = {path.name for path in self._all_blocks()} - self.pin_ls()
            for cid in removed:
                self._path(cid).unlink()
        return removed

    def _require_room(self, size: int) -> None:
        if size + self._reserve > shutil.disk_usage(self._blocks).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _path(self, cid: str) -> Path:
        digest_of_cid(cid)  # a CID names a file: refuse anything else, "../" above all
        return self._blocks / cid[-3:-1] / cid

    def _all_blocks(self) -> Iterator[Path]:
        return (path for path in self._blocks.glob("*/*") if not path.suffix)


@contextmanager
def _disk(what: str, remedy: str) -> Iterator[None]:
    """Name the failures of the disk."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {error.strerror}; {remedy}") from error


def _pin_of(path: Path) -> Path:
    return path.with_suffix(".pin")


def _missing(cid: str) -> UnknownNameError:
    return UnknownNameError(f"block {cid} is not in the store")


def _begin_writing(file: BinaryIO) -> None:
    """Have the disk begin with what was written, without waiting: Linux takes this advice so."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _sync(path: Path) -> None:
    """Make the bytes of a file durable, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
