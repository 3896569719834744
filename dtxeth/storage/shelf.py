"""A node's blocks: the store and the records of it, kept in step; each block counted once.

Every block in the store has a row in the records, written before the block and deleted after it. While a block
arrives, or is somebody's piece, it is not thrown away; what is neither is garbage, which goes at once, or, when the
store fails at it, at the next :meth:`Shelf.collect`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from dtxeth.crypto import kzg, merkle
from dtxeth.errors import InputError, StorageError, UnknownNameError
from dtxeth.storage.blockstore import BlockStore
from dtxeth.storage.pieces import FULL_LEAVES, SLICE_SIZE, leaf_count, subtree_roots
from dtxeth.storage.possession import prove_blobs
from dtxeth.storage.prover import cut_leaves, prove
from dtxeth.storage.records import Records, Stage, StoredHolding, StoredPiece


class Shelf:
    """Blocks, by reference. Thread-safe.

    Args:
        store: Where the blocks go.
        records: What is known of them.
        capacity: Bytes that there is room for.
    """

    def __init__(self, store: BlockStore, records: Records, capacity: int) -> None:
        self.store, self._records, self.capacity = store, records, capacity
        self.changing = threading.RLock()
        self._committing = threading.Lock()
        self._arriving: Counter[str] = Counter()
        self._used = records.used()
        self._reconcile()
        staged = records.holdings(Stage.STAGED)
        self._doubtful = {piece.cid for held in staged for piece in records.pieces(held)}

    @property
    def used(self) -> int:
        """Bytes of all blocks, each counted once."""
        return self._used

    @contextmanager
    def arriving(self, cid: str, size: int) -> Iterator[None]:
        """Keep room for a block that is put into the store within, and made a piece; otherwise it goes again.

        Raises:
            InputError: There is no room.
        """
        with self.changing:
            if self._records.block(cid) is None:
                if self._used + size > self.capacity:
                    raise InputError(
                        f"piece of {size} bytes: only {max(0, self.capacity - self._used)} of {self.capacity} "
                        "bytes are free; choose another node"
                    )
                self._records.expect(cid, size)
                self._used += size
            self._arriving[cid] += 1
        try:
            yield
        finally:
            with self.changing:
                self._arriving[cid] -= 1
                if not self._arriving[cid]:
                    del self._arriving[cid]
            self.discard([cid])

    def discard(self, cids: Iterable[str]) -> None:
        """Throw away those of these blocks that nothing refers to; a failing store is asked again later."""
        for cid in set(cids):
            with self.changing, suppress(StorageError):
                block = self._records.block(cid)
                if block is None or cid in self._arriving or self._records.is_needed(cid):
                    continue
                self._remove(cid)
                self._records.forget_block(cid)
                self._used -= block.size

    def block(self, cid: str) -> StoredPiece:
        """What is known of a block.

        Raises:
            UnknownNameError: It is not here.
        """
        found = self._records.block(cid)
        if found is None:
            raise UnknownNameError(f"block {cid} is not held here: send it again")
        return found

    def collect(self) -> int:
        """Throw away all garbage; returns the bytes freed."""
        before = self._used
        self.discard(piece.cid for piece in self._records.garbage())
        return before - self._used

    def require_pinned(self, pieces: Iterable[StoredPiece]) -> None:
        """Make sure that blocks are still there, and kept.

        Raises:
            StorageError: Some are not.
        """
        cids = {piece.cid for piece in pieces}
        lost = cids - self.store.pin_ls(cids)
        if lost:
            raise StorageError(
                f"{len(lost)} pieces are no longer pinned, {min(lost)} one of them: send them again"
            )

    def make_durable(self, pieces: Iterable[StoredPiece]) -> None:
        """See to it that blocks survive a failure of the machine: before they are signed for.

        A system tells only once that bytes did not reach the disk. So what it failed at, or a process before this one
        left behind, is not synced but read, verified, and written anew.

        Raises:
            IntegrityError: A block was altered.
            StorageError: The store fails.
        """
        fresh = {piece.cid for piece in pieces if not self._records.is_promised(piece.cid)}
        for cid in fresh & self._doubtful:
            self.store.block_put(self.store.block_get(cid), pin=True, cid=cid)
            self._doubtful.discard(cid)
            fresh.discard(cid)
        try:
            self.store.sync(fresh)
        except StorageError:
            self._doubtful |= fresh
            raise

    # --- what is computed from blocks ---

    def merkle(self, pieces: list[StoredPiece]) -> tuple[list[bytes], list[bytes], int]:
        """Hash pieces, as far as it has not been done.

        Returns:
            Roots of the full pieces that they start with; roots of the subtrees over the rest; leaves of them all.
        """
        full = leading_full(pieces)
        roots = [piece.root or self.root_of(piece.cid) for piece in pieces[:full]]
        rest = [self.store.block_get(piece.cid) for piece in pieces[full:]]
        return roots, subtree_roots([], rest), sum(leaf_count(piece.size) for piece in pieces)

    def root_of(self, cid: str, data: bytes | None = None) -> bytes:
        """Merkle root of a block's own leaves, noted."""
        root = merkle.piece_root(data or self.store.block_get(cid))
        self._records.measured(cid, root=root)
        return root

    def commit(self, cid: str) -> bytes:
        """KZG commitments of a block, computed once, on all cores; one block at a time, first come, first served.

        Raises:
            UnknownNameError: There is no such block.
        """
        with self._committing:
            known = self._records.block(cid)
            if known is not None and known.commitments is not None:
                return known.commitments
            commitments = b"".join(kzg.commit([self.store.block_get(cid)]))
            self._records.measured(cid, commitments=commitments)
            return commitments

    def commitments(self, holding: StoredHolding) -> list[bytes]:
        """KZG commitments of all blobs of a draft or holding, in order."""
        found = [piece.commitments or self.commit(piece.cid) for piece in self._records.pieces(holding)]
        joined = b"".join(found)
        return [joined[start : start + kzg.POINT_SIZE] for start in range(0, len(joined), kzg.POINT_SIZE)]

    def prove_merkle(self, holding: StoredHolding, indices: Sequence[int]) -> bytes:
        """Answer a Merkle challenge, reading only the full pieces that it concerns, and the short ones if it does.

        Raises:
            InputError: An index out of range.
            IntegrityError: A block was altered.
            UnknownNameError: A block is missing.
        """
        pieces = self._records.pieces(holding)
        full = leading_full(pieces)
        roots = [piece.root or self.root_of(piece.cid) for piece in pieces[:full]]

        def read(subtree: int) -> list[bytes]:
            if subtree < full:
                return cut_leaves(self.store.block_get(pieces[subtree].cid))
            rest = [leaf for piece in pieces[full:] for leaf in cut_leaves(self.store.block_get(piece.cid))]
            return rest[(subtree - full) * FULL_LEAVES : (subtree - full + 1) * FULL_LEAVES]

        return prove(indices, [*roots, *holding.tail], read).to_bytes()

    def prove_kzg(self, holding: StoredHolding, indices: Sequence[int], seed: bytes) -> bytes:
        """Answer a KZG challenge, reading only the pieces that it concerns; raises as :meth:`prove_merkle`."""
        pieces = self._records.pieces(holding)
        sizes = [piece.size for piece in pieces]
        commitments = self.commitments(holding)
        return prove_blobs(
            seed, indices, sizes, commitments, lambda number: self.store.block_get(pieces[number].cid)
        )

    # --- helpers ---

    def _remove(self, cid: str) -> None:
        self.store.pin_rm(cid)
        self.store.block_rm(cid)

    def _reconcile(self) -> None:
        """Throw away what a process that died has left behind.

        In a store of our own that is also what the records do not know; unless they know nothing at all, for then
        they are rather the wrong records than the store the wrong store.
        """
        self.collect()
        known = self._records.cids()
        if self.store.shared or not known:
            return
        for cid in self.store.pin_ls() - known:
            self._remove(cid)
        self.store.repo_gc()


def leading_full(pieces: Sequence[StoredPiece]) -> int:
    """Count the full pieces that a holding starts with: each an aligned subtree of its tree."""
    return next((number for number, piece in enumerate(pieces) if piece.size < SLICE_SIZE), len(pieces))
