"""A node's drafts: what may come next, what may be claimed, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from dtxeth.chain import Contracts
from dtxeth.chain.recent import Recent
from dtxeth.crypto import kzg
from dtxeth.errors import BusyError, InputError, IntegrityError, PolicyError, UnknownNameError
from dtxeth.storage.api import Claim
from dtxeth.storage.lifecycle import LifeCycle
from dtxeth.storage.limits import NodeLimits
from dtxeth.storage.pieces import SLICE_SIZE, holding_root
from dtxeth.storage.records import Records, Stage, StoredHolding, StoredPiece
from dtxeth.storage.shelf import Shelf

NO_ROOT: Final = bytes(32)
"""What a claim says of a root that the namespace does not ask for."""


class Drafts:
    """The rules for drafts, over records and blocks. Thread-safe.

    Args:
        contracts: The contracts.
        records: The node's records.
        shelf: Its blocks.
        life: Follows the chain.
        limits: Quotas.
        recent: Tells the time.
    """

    def __init__(
        self,
        contracts: Contracts,
        records: Records,
        shelf: Shelf,
        life: LifeCycle,
        limits: NodeLimits,
        recent: Recent,
    ) -> None:
        self._contracts, self._records, self._shelf = contracts, records, shelf
        self._life, self._limits, self._recent = life, limits, recent
        self._changing = shelf.changing

    def find(self, file_id: bytes, owner: str, draft: bytes) -> StoredHolding:
        """Find a draft that is not published yet."""
        held = self._records.draft(file_id, owner, draft)
        if held is not None and held.stage is Stage.ACKNOWLEDGED:
            held = self.follow(held)
        if held is None:
            raise UnknownNameError(
                f"no such draft of file 0x{file_id.hex()} is staged: send its pieces first"
            )
        if not held.is_draft:
            raise PolicyError(f"this draft of file 0x{file_id.hex()} is published: begin another one")
        return held

    def check_next(self, file_id: bytes, owner: str, draft: bytes, position: int, sizes: list[int]) -> None:
        """Refuse pieces that cannot be the next ones of a draft."""
        held = self._records.draft(file_id, owner, draft)
        if held is not None and held.stage is not Stage.STAGED:
            raise PolicyError(f"this draft of file 0x{file_id.hex()} is acknowledged: begin another one")
        count, last = self._records.last_sizes(held) if held else (0, [])
        if position != count:
            raise InputError(f"piece at position {position} of file 0x{file_id.hex()}: {count} is next")
        before = last[::-1]
        for size in sizes:
            short = sum(one < SLICE_SIZE for one in before)
            if short == 2 or (short == 1 and before[-1] == SLICE_SIZE):
                raise InputError(
                    "a holding ends with its short piece and the manifest: nothing may follow them"
                )
            before = [*before, size][-2:]
        drafts, staged = self._records.staged_by(owner)
        if held is None and drafts >= self._limits.drafts:
            raise BusyError(f"account {owner} has {drafts} drafts here already: publish or abandon some")
        if staged + sum(sizes) > self._limits.staged_bytes:
            raise BusyError(
                f"account {owner} has {staged} bytes in drafts here, {self._limits.staged_bytes} are allowed: "
                "publish or abandon some"
            )

    def append(
        self, file_id: bytes, owner: str, draft: bytes, position: int, pieces: list[StoredPiece]
    ) -> StoredHolding:
        """Make blocks the next pieces of a draft, and begin it if need be; raises as :meth:`check_next`."""
        self.check_next(file_id, owner, draft, position, [piece.size for piece in pieces])
        now = self._recent.now()
        with self._records.transaction():
            held = self._records.draft(file_id, owner, draft) or self._records.add(file_id, owner, draft)
            held = replace(held, touched=now, size=held.size + sum(piece.size for piece in pieces))
            self._records.save(held)
            self._records.append(held, position, [piece.cid for piece in pieces])
        return held

    def touch(self, held: StoredHolding, *, committing: bool) -> StoredHolding:
        """Note that a draft is being worked at, and whether its commitments are wanted."""
        with self._changing:
            held = replace(self.find(held.file_id, held.owner, held.draft), committing=committing)
            held = replace(held, touched=self._contracts.chain.now())
            self._records.save(held)
        return held

    def check_claim(self, file_id: bytes, owner: str, claim: Claim) -> None:
        """Refuse what the contract would refuse, or what nobody could mean."""
        has_root, has_commitments = claim.root != NO_ROOT, claim.commitments_root != NO_ROOT
        if not has_root and not has_commitments:
            raise InputError("a claim without any root: claim what the namespace asks for")
        if has_root != bool(claim.leaf_count) or has_commitments != bool(claim.blob_count):
            raise InputError(
                f"a claim of {claim.leaf_count} leaves and {claim.blob_count} blobs does not fit its roots: "
                "give a count with each root"
            )
        now = self._contracts.chain.now()
        if claim.expires_at <= now:
            raise InputError(
                f"expiry {claim.expires_at}: the chain's time is {now} already, choose a later one"
            )
        version, known = self._life.next_version(file_id)
        if known not in (None, owner):
            raise PolicyError(f"file 0x{file_id.hex()} belongs to {known}: only its owner may revise it")
        if claim.version != version:
            raise InputError(
                f"version {claim.version} of file 0x{file_id.hex()}: {version} is next, claim that"
            )

    def check_bytes(self, held: StoredHolding, pieces: list[StoredPiece], claim: Claim) -> tuple[bytes, ...]:
        """Compare a claim with what is stored; returns the tail of its Merkle tree."""
        root, leaves, commitments_root, blobs = NO_ROOT, 0, NO_ROOT, 0
        tail: list[bytes] = []
        if claim.root != NO_ROOT:
            full, tail, leaves = self._shelf.merkle(pieces)
            root = holding_root([*full, *tail])
        if claim.commitments_root != NO_ROOT:
            commitments = self._shelf.commitments(held)
            commitments_root, blobs = kzg.commitments_root(commitments), len(commitments)
        size = sum(piece.size for piece in pieces)
        given = (claim.root, claim.leaf_count, claim.commitments_root, claim.blob_count, claim.size)
        if (root, leaves, commitments_root, blobs, size) != given:
            raise IntegrityError(
                f"the pieces of file 0x{held.file_id.hex()} have root 0x{root.hex()}, {leaves} leaves, "
                f"commitments' root 0x{commitments_root.hex()}, {blobs} blobs, {size} bytes, "
                "not what is claimed: send them again"
            )
        before = held.claim
        if before is not None and (before.root, before.commitments_root) != (root, commitments_root):
            raise PolicyError(
                f"this draft of file 0x{held.file_id.hex()} is acknowledged by other roots: begin another one"
            )
        return tuple(tail)

    def published(self, candidates: list[StoredHolding]) -> list[StoredHolding]:
        """Those of a file's drafts and holdings that are on chain, or were until they are released."""
        found = []
        for held in candidates:
            now: StoredHolding | None = held
            if held.stage is Stage.ACKNOWLEDGED:
                now = self._recent.get(("published", held.number), partial(self.follow, held))
            if now is not None and now.stage in (Stage.LIVE, Stage.ENDED):
                found.append(now)
        return found

    def follow(self, held: StoredHolding) -> StoredHolding | None:
        """Bring a draft or holding up to date; drop it if it is over."""
        with self._changing:
            current = self._records.draft(held.file_id, held.owner, held.draft)
            if current is None or current.number != held.number:
                return None
            now = self._life.follow(current)
            if now is None:
                self.drop(current)
            return now

    def drop(self, held: StoredHolding) -> None:
        """Forget a draft or holding; its blocks go, as far as nothing else refers to them."""
        self._shelf.discard(self._records.remove(held))
