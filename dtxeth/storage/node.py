"""The core of a storage node: takes and signs for pieces, serves whom the chain allows, proves possession."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dtxeth.chain.accounts import Account
from dtxeth.chain.bindings.file_authorization import FileAuthorization
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.crypto import merkle
from dtxeth.errors import InputError, IntegrityError, PolicyError, StorageError, UnknownNameError
from dtxeth.storage import api
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim, NodeStatus
from dtxeth.storage.blockstore import BlockStore, cid_of, cid_of_digest
from dtxeth.storage.pieces import FULL_LEAVES, SLICE_SIZE, holding_root, leaf_count, subtree_roots
from dtxeth.storage.prover import Proof, cut_leaves, prove
from dtxeth.storage.records import HoldingState, Records, StoredHolding, StoredPiece
from dtxeth.storage.requests import Credentials, RequestGate


@dataclass(frozen=True)
class NodeLimits:
    """How much and how long a node keeps what is not on chain.

    Attributes:
        capacity: Bytes it offers altogether.
        staging_seconds: How long a staged holding may rest untouched.
        acknowledgement_seconds: How long an acknowledgement may be published.
    """

    capacity: int
    staging_seconds: int = 3600
    acknowledgement_seconds: int = 3600


class StorageNode:
    """A storage node, without its loops: implements :class:`~dtxeth.storage.api.StorageNodeApi`.

    Thread-safe. Whatever clients send is checked; the node signs only for bytes it has, and signs once more
    only for the same bytes. An acknowledged holding stays until it is published, or can no longer be: an
    owner who could make a node drop it could publish it afterwards and blame the node.

    Args:
        account: The node's account, registered in NodeRegistry.
        file_registry: Binding of FileRegistry; its chain tells the time.
        file_authorization: Binding of FileAuthorization.
        store: Where the blocks go.
        limits: Capacity and deadlines.
        records: SQLite file of the node's records; None keeps them in memory.
    """

    def __init__(
        self,
        account: Account,
        file_registry: FileRegistry,
        file_authorization: FileAuthorization,
        store: BlockStore,
        limits: NodeLimits,
        records: Path | None = None,
    ) -> None:
        self._account, self._registry, self._authorization = account, file_registry, file_authorization
        self._store, self._limits = store, limits
        self._records = Records(records)
        self._used = self._records.used()
        self._changing = threading.RLock()
        self._gate = RequestGate(account.address, file_registry, self._records.database, self._records.lock)

    @property
    def address(self) -> str:
        """Address of the node's account."""
        return self._account.address

    def close(self) -> None:
        """Close the records."""
        self._records.close()

    # --- the API ---

    def status(self) -> NodeStatus:
        """See :meth:`StorageNodeApi.status`."""
        return NodeStatus(self._limits.capacity, self._used)

    def put_piece(self, credentials: Credentials, file_id: bytes, position: int, piece: bytes) -> None:
        """See :meth:`StorageNodeApi.put_piece`.

        Raises:
            InputError: Not the next position, a size that does not fit there, or no room.
        """
        owner = self._gate.admit(credentials, "PUT", api.piece_at(file_id, position), piece)
        if not 1 <= len(piece) <= SLICE_SIZE:
            raise InputError(f"piece of {len(piece)} bytes: expected 1 to {SLICE_SIZE}")
        stored = StoredPiece(cid_of(piece), len(piece), merkle.root(merkle.leaf_hashes(piece)))
        with self._changing:
            self._check_next(file_id, owner, position, stored)
            now = self._registry.chain.now()
            self._records.save(StoredHolding(file_id, owner, HoldingState.STAGED, touched=now))
            self._records.add_piece(file_id, owner, position, stored)
            self._used += stored.size
        try:
            self._store.block_put(piece, pin=True)
        except StorageError:
            self._drop(file_id, owner)
            raise

    def acknowledge(self, credentials: Credentials, file_id: bytes, claim: Claim) -> Acknowledgement:
        """See :meth:`StorageNodeApi.acknowledge`.

        Raises:
            IntegrityError: The claim is not what the bytes give.
            UnknownNameError: Nothing of this file is staged by the sender.
        """
        owner = self._gate.admit(credentials, "PUT", api.holding_of(file_id), claim.to_bytes())
        with self._changing:
            holding = self._records.holding(file_id, owner)
            if holding is None or holding.state is HoldingState.PUBLISHED:
                raise UnknownNameError(f"nothing of file 0x{file_id.hex()} is staged: send its pieces first")
            held, leaves, size = self._measure(file_id, owner)
            root = holding_root(held)
            if (root, leaves, size) != (claim.root, claim.leaf_count, claim.size):
                raise IntegrityError(
                    f"the pieces of file 0x{file_id.hex()} have root 0x{root.hex()}, {leaves} leaves, "
                    f"{size} bytes, not what is claimed: send them again"
                )
            now = self._registry.chain.now()
            deadline = max(holding.deadline, now + self._limits.acknowledgement_seconds)
            # On record before it is signed: a crash in between must not leave a signature without a holding.
            self._records.save(
                StoredHolding(
                    file_id, owner, HoldingState.ACKNOWLEDGED, now, deadline, claim.root, leaves, tuple(held)
                )
            )
        return sign_acknowledgement(self._account, self._registry, file_id, owner, claim, deadline)

    def abandon(self, credentials: Credentials, file_id: bytes) -> None:
        """See :meth:`StorageNodeApi.abandon`.

        Raises:
            PolicyError: The holding is acknowledged already.
        """
        owner = self._gate.admit(credentials, "DELETE", api.holding_of(file_id))
        with self._changing:
            holding = self._records.holding(file_id, owner)
            if holding is not None and holding.state is not HoldingState.STAGED:
                raise PolicyError(f"file 0x{file_id.hex()} is acknowledged: it stays for now")
            self._drop(file_id, owner)

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """See :meth:`StorageNodeApi.get_piece`.

        Raises:
            PolicyError: The sender is neither the owner nor currently authorized for this file.
            UnknownNameError: The piece is not one of this file.
        """
        resource = api.piece_named(file_id, digest, authorization_id)
        owner = self._admit_reader(self._gate.admit(credentials, "GET", resource), file_id, authorization_id)
        cid = cid_of_digest(digest)
        if not self._records.has_piece(file_id, owner, cid):
            raise UnknownNameError(f"no piece {cid} of file 0x{file_id.hex()} is held here")
        return self._store.block_get(cid)

    def get_manifest(self, credentials: Credentials, file_id: bytes, authorization_id: int) -> bytes:
        """See :meth:`StorageNodeApi.get_manifest`.

        Raises:
            PolicyError: The sender is neither the owner nor currently authorized for this file.
        """
        resource = api.manifest_of(file_id, authorization_id)
        owner = self._admit_reader(self._gate.admit(credentials, "GET", resource), file_id, authorization_id)
        _, last = self._records.last_pieces(file_id, owner)
        return self._store.block_get(last[0].cid)

    # --- what the node does by itself ---

    def answer(self, holding_id: int, indices: Sequence[int]) -> Proof:
        """Prove leaves of a published holding for ``StorageChallenge.prove``.

        Args:
            holding_id: Number of the holding on chain.
            indices: The drawn leaves (``StorageChallenge.leafIndices``).

        Raises:
            UnknownHolding: No such holding on chain.
            UnknownNameError: It is not this node's, or a block is missing.
            IntegrityError: A block was altered.
        """
        record = self._registry.holding(holding_id)
        holding = self._published(record.file_id)
        if record.node != self.address or holding is None:
            raise UnknownNameError(f"holding {holding_id} is not held by node {self.address}")
        pieces = self._records.pieces(holding.file_id, holding.owner)

        def read(subtree: int) -> list[bytes]:
            if subtree < len(pieces) and pieces[subtree].size == SLICE_SIZE:
                return cut_leaves(self._store.block_get(pieces[subtree].cid))
            full = sum(piece.size == SLICE_SIZE for piece in pieces)
            rest = [leaf for piece in pieces[full:] for leaf in cut_leaves(self._store.block_get(piece.cid))]
            return rest[(subtree - full) * FULL_LEAVES : (subtree - full + 1) * FULL_LEAVES]

        return prove(indices, holding.subtrees, read)

    def holdings(self) -> list[StoredHolding]:
        """List what the node keeps, staged and acknowledged holdings included."""
        return self._records.holdings()

    def forget_stale(self) -> int:
        """Drop what was staged and left, and what was acknowledged and not published in time.

        Returns:
            How many holdings went.
        """
        now, forgotten = self._registry.chain.now(), 0
        with self._changing:
            for holding in self._records.holdings(HoldingState.STAGED):
                if now > holding.touched + self._limits.staging_seconds:
                    self._drop(holding.file_id, holding.owner)
                    forgotten += 1
            for holding in self._records.holdings(HoldingState.ACKNOWLEDGED):
                if not self._settle(holding) and now > holding.deadline:
                    self._drop(holding.file_id, holding.owner)
                    forgotten += 1
        return forgotten

    # --- helpers ---

    def _check_next(self, file_id: bytes, owner: str, position: int, piece: StoredPiece) -> None:
        """Refuse a piece that cannot be the next one of a holding."""
        holding = self._records.holding(file_id, owner)
        if holding is not None and holding.state is not HoldingState.STAGED:
            raise PolicyError(f"file 0x{file_id.hex()} is acknowledged: upload under a new file id")
        count, last = self._records.last_pieces(file_id, owner)
        if position != count:
            raise InputError(f"piece at position {position} of file 0x{file_id.hex()}: {count} is next")
        short = sum(before.size < SLICE_SIZE for before in last)
        if short == 2 or (short == 1 and last[0].size == SLICE_SIZE):
            raise InputError("a holding ends with its short slice and the manifest: nothing may follow them")
        if self._used + piece.size > self._limits.capacity:
            raise InputError(
                f"piece of {piece.size} bytes: only {self._limits.capacity - self._used} of "
                f"{self._limits.capacity} bytes are free; choose another node"
            )

    def _measure(self, file_id: bytes, owner: str) -> tuple[list[bytes], int, int]:
        """Subtree roots, leaf count and size of what is pinned in the store."""
        pieces = self._records.pieces(file_id, owner)
        lost = {piece.cid for piece in pieces} - self._store.pin_ls()
        if lost:
            raise StorageError(
                f"{len(lost)} pieces of file 0x{file_id.hex()} are not pinned: send them again"
            )
        short = [piece for piece in pieces if piece.size < SLICE_SIZE]
        full_roots = [piece.root for piece in pieces if piece.size == SLICE_SIZE]
        held = subtree_roots(full_roots, [self._store.block_get(piece.cid) for piece in short])
        return held, sum(leaf_count(piece.size) for piece in pieces), sum(piece.size for piece in pieces)

    def _admit_reader(self, sender: str, file_id: bytes, authorization_id: int) -> str:
        """Return the owner whose holding the sender may read."""
        holding = self._published(file_id)
        if holding is None:
            raise UnknownNameError(f"no published holding of file 0x{file_id.hex()} is kept here")
        if sender != holding.owner and not self._authorization.is_current(authorization_id, sender, file_id):
            raise PolicyError(
                f"{sender} has no current authorization {authorization_id} for file 0x{file_id.hex()}: "
                "apply to its owner"
            )
        return holding.owner

    def _published(self, file_id: bytes) -> StoredHolding | None:
        """Find the holding that is on chain, whoever else has staged something under the same id."""
        kept = [holding for holding in self._records.holdings_of(file_id) if self._settle(holding)]
        return kept[0] if kept else None

    def _settle(self, holding: StoredHolding) -> bool:
        """Tell whether a holding is published; note it the first time."""
        if holding.state is HoldingState.ACKNOWLEDGED:
            holding_id = self._registry.holding_on(holding.file_id, self.address)
            if not holding_id or self._registry.file_of(holding.file_id).owner != holding.owner:
                return False
            if self._registry.holding(holding_id).root != holding.root:
                return False
            self._records.save(replace(holding, state=HoldingState.PUBLISHED))
            return True
        return holding.state is HoldingState.PUBLISHED

    def _drop(self, file_id: bytes, owner: str) -> None:
        with self._changing:
            for cid in self._records.remove(file_id, owner):
                self._store.pin_rm(cid)
                self._store.block_rm(cid)
            self._used = self._records.used()
