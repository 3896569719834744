"""The core of a storage node: takes and signs for pieces, serves whom the chain allows, proves possession."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from dtxeth.chain import Account, Contracts
from dtxeth.chain.bindings.types import Acknowledgement, Algorithm
from dtxeth.chain.recent import Recent
from dtxeth.errors import DtxethError, InputError, PolicyError, UnknownNameError
from dtxeth.storage import api
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim, NodeStatus
from dtxeth.storage.blockstore import BlockStore, cid_of_digest
from dtxeth.storage.drafts import NO_ROOT, Drafts
from dtxeth.storage.lifecycle import LifeCycle, Sweep
from dtxeth.storage.limits import NodeLimits
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.records import Records, Stage, StoredHolding
from dtxeth.storage.requests import Credentials, RequestGate
from dtxeth.storage.shelf import Shelf

_MAX_KEPT: Final = (1 << 20) // 32  # digests in a body of 1 MiB


class StorageNode:
    """A storage node, without its loops: implements :class:`~dtxeth.storage.api.StorageNodeApi`.

    Thread-safe. Whatever clients send is checked; the node signs only for bytes it has, and signs once more
    only for the same bytes. An acknowledged draft stays until it is published, or can no longer be; see
    :mod:`~dtxeth.storage.lifecycle`.

    Merkle trees are computed as pieces arrive: later they would have to be read and verified once more. KZG
    commitments take 300 times as long, so they are computed from the moment their owner first asks for them: of
    the pieces that are there at once, of later ones in the background as they arrive.

    Args:
        account: The node's account, registered in NodeRegistry.
        contracts: The contracts; their chain tells the time.
        store: Where the blocks go.
        limits: Capacity, quotas and deadlines.
        records: SQLite file of the node's records; None keeps them in memory.

    Raises:
        StorageError: Store or records cannot be used.
    """

    def __init__(
        self,
        account: Account,
        contracts: Contracts,
        store: BlockStore,
        limits: NodeLimits,
        records: Path | None = None,
    ) -> None:
        self._account, self._contracts, self._limits = account, contracts, limits
        self._records = Records(records)
        self._shelf = Shelf(store, self._records, limits.capacity)
        self._changing = self._shelf.changing
        self._life = LifeCycle(account.address, contracts, self._records, limits.staging_seconds)
        self._recent = Recent(contracts.chain)
        self._drafts = Drafts(contracts, self._records, self._shelf, self._life, limits, self._recent)
        self._background = ThreadPoolExecutor(1, thread_name_prefix="commitments")
        self._gate = RequestGate(
            account.address,
            contracts.file_registry,
            self._records.database,
            self._records.lock,
            rates=limits.rates,
        )

    @property
    def address(self) -> str:
        """Address of the node's account."""
        return self._account.address

    def close(self) -> None:
        """Close the records."""
        self._background.shutdown(cancel_futures=True)
        self._records.close()

    # --- drafts ---

    def status(self) -> NodeStatus:
        """See :meth:`StorageNodeApi.status`."""
        return NodeStatus(self._limits.capacity, self._shelf.used)

    def put_piece(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, piece: bytes
    ) -> None:
        """See :meth:`StorageNodeApi.put_piece`.

        Raises:
            InputError: Not the next position, a size that does not fit there, or no room.
            BusyError: The sender has too much in drafts.
        """
        _check_ids(file_id, draft)
        if not 1 <= len(piece) <= SLICE_SIZE:
            raise InputError(f"piece of {len(piece)} bytes: expected 1 to {SLICE_SIZE}")
        digest = hashlib.sha256(piece).digest()
        owner = self._gate.admit_digest(credentials, "PUT", api.piece_at(file_id, draft, position), digest)
        with self._changing:
            self._drafts.check_next(file_id, owner, draft, position, [len(piece)])
        cid = cid_of_digest(digest)
        with self._shelf.arriving(cid, len(piece)):
            self._shelf.store.block_put(piece, pin=True, cid=cid, durably=False)
            known = self._shelf.block(cid)
            with self._changing:
                held = self._drafts.append(file_id, owner, draft, position, [known])
        if held.committing:
            self._background.submit(self._commit, cid)
        elif known.root is None:
            self._shelf.root_of(cid, piece)

    def keep_pieces(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, digests: list[bytes]
    ) -> None:
        """See :meth:`StorageNodeApi.keep_pieces`; what another owner has staged does not count.

        Raises:
            InputError: Not the next position, or sizes that do not fit there.
            IntegrityError: A piece was altered: it has to be sent again.
            UnknownNameError: A piece of this file that is not held here: it has to be sent.
        """
        _check_ids(file_id, draft)
        if not 1 <= len(digests) <= _MAX_KEPT:
            raise InputError(f"{len(digests)} pieces to keep: expected 1 to {_MAX_KEPT}")
        cids = [cid_of_digest(digest) for digest in digests]
        owner = self._gate.admit(credentials, "PUT", api.kept_at(file_id, draft, position), b"".join(digests))
        for cid in cids:
            if not any(held.owner == owner for held in self._records.with_piece(file_id, cid)):
                raise UnknownNameError(f"no piece {cid} of file 0x{file_id.hex()} is held here: send it")
            self._shelf.store.block_get(cid)  # it is about to be signed for
        with self._changing:
            known = [self._shelf.block(cid) for cid in cids]
            self._drafts.check_next(file_id, owner, draft, position, [piece.size for piece in known])
            self._drafts.append(file_id, owner, draft, position, known)

    def commitments(self, credentials: Credentials, file_id: bytes, draft: bytes) -> bytes:
        """See :meth:`StorageNodeApi.commitments`.

        Those of the pieces so far. The sooner an owner asks, the more is computed while it sends the rest.

        Raises:
            UnknownNameError: There is no such draft of the sender's.
        """
        _check_ids(file_id, draft)
        owner = self._gate.admit(credentials, "GET", api.commitments_of(file_id, draft))
        held = self._drafts.touch(self._drafts.find(file_id, owner, draft), committing=True)
        found = self._shelf.commitments(held)
        self._drafts.touch(self._drafts.find(file_id, owner, draft), committing=True)
        return b"".join(found)

    def acknowledge(
        self, credentials: Credentials, file_id: bytes, draft: bytes, claim: Claim
    ) -> Acknowledgement:
        """See :meth:`StorageNodeApi.acknowledge`.

        Raises:
            InputError: A claim that cannot be: no root, an expiry in the past, not the file's next version.
            IntegrityError: The claim is not what the bytes give.
            PolicyError: The file is not the sender's.
            StorageError: Bytes were lost.
            UnknownNameError: There is no such draft of the sender's.
        """
        _check_ids(file_id, draft)
        owner = self._gate.admit(credentials, "PUT", api.draft_of(file_id, draft), claim.to_bytes())
        held = self._drafts.find(file_id, owner, draft)
        self._drafts.check_claim(file_id, owner, claim)
        pieces = self._records.pieces(held)
        if not pieces:
            raise UnknownNameError(f"no pieces of file 0x{file_id.hex()} are staged: send them first")
        self._shelf.require_pinned(pieces)
        self._shelf.make_durable(pieces)
        tail = self._drafts.check_bytes(held, pieces, claim)
        with self._changing:
            now = self._drafts.find(file_id, owner, draft)
            if len(self._records.pieces(now)) != len(pieces):
                raise InputError(f"file 0x{file_id.hex()} was sent more pieces meanwhile: claim them, too")
            chain = self._contracts.chain
            deadline = max(now.deadline, chain.now() + self._limits.acknowledgement_seconds)
            since = now.since or chain.block_number
            signed = replace(
                now, stage=Stage.ACKNOWLEDGED, claim=claim, deadline=deadline, since=since, tail=tail
            )
            # On record before it is signed: a crash in between must not leave a signature without a holding.
            self._records.save(signed, durably=True)
        return sign_acknowledgement(
            self._account, self._contracts.file_registry, file_id, owner, claim, deadline
        )

    def abandon(self, credentials: Credentials, file_id: bytes, draft: bytes) -> None:
        """See :meth:`StorageNodeApi.abandon`; fine if there is none.

        Raises:
            PolicyError: It is acknowledged already.
        """
        _check_ids(file_id, draft)
        owner = self._gate.admit(credentials, "DELETE", api.draft_of(file_id, draft))
        with self._changing:
            held = self._records.draft(file_id, owner, draft)
            if held is None:
                return
            if held.stage is not Stage.STAGED:
                raise PolicyError(f"a draft of file 0x{file_id.hex()} is acknowledged: it stays for now")
            self._drafts.drop(held)

    # --- reading ---

    def outline(self, credentials: Credentials, file_id: bytes) -> bytes:
        """See :meth:`StorageNodeApi.outline`.

        Raises:
            IntegrityError: Bytes of it were altered.
            UnknownNameError: The sender has no live holding of this file here.
        """
        _check_ids(file_id)
        owner = self._gate.admit(credentials, "GET", api.outline_of(file_id))
        for held in self._drafts.published(self._records.holdings_of(file_id)):
            if held.owner == owner and held.stage is Stage.LIVE and held.claim is not None:
                full: list[bytes] = []
                tail: list[bytes] = []
                if held.claim.root != NO_ROOT:
                    full, tail, _ = self._shelf.merkle(self._records.pieces(held))
                commitments = self._shelf.commitments(held) if held.claim.blob_count else []
                return b"".join([*full, *tail, *commitments])
        raise UnknownNameError(f"no live holding of file 0x{file_id.hex()} is kept here")

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """See :meth:`StorageNodeApi.get_piece`.

        Raises:
            IntegrityError: Its bytes were altered.
            PolicyError: The sender is neither the owner nor currently authorized for this file.
            UnknownNameError: The piece is not one of this file.
        """
        _check_ids(file_id)
        cid = cid_of_digest(digest)
        resource = api.piece_named(file_id, digest, authorization_id)
        sender = self._gate.admit(credentials, "GET", resource)
        self._readable(self._records.with_piece(file_id, cid), sender, file_id, authorization_id)
        return self._shelf.store.block_get(cid)

    def get_manifest(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """See :meth:`StorageNodeApi.get_manifest`.

        Raises:
            IntegrityError: Its bytes were altered.
            PolicyError: The sender is neither the owner nor currently authorized for this file.
            UnknownNameError: No manifest of this file with this digest is here.
        """
        _check_ids(file_id)
        resource = api.manifest_of(file_id, digest, authorization_id)
        sender = self._gate.admit(credentials, "GET", resource)
        found = self._readable(self._records.holdings_of(file_id), sender, file_id, authorization_id)
        # The node cannot read manifests: it knows their digests from the chain, or not at all.
        fitting = [held for held in found if held.manifest_digest == digest]
        fitting += [held for held in found if not held.manifest_digest]
        if not fitting:
            raise UnknownNameError(
                f"no manifest 0x{digest.hex()} of file 0x{file_id.hex()} is held here: ask another node"
            )
        return self._shelf.store.block_get(self._records.last_cid(fitting[0]))

    # --- what the node does by itself ---

    def answer(self, holding_id: int, algorithm: Algorithm, indices: Sequence[int], seed: bytes) -> bytes:
        """Prove drawn leaves or blobs of a holding that is live, or ended and not released.

        Args:
            holding_id: Number of the holding on chain.
            algorithm: What the challenge asks for.
            indices: The drawn leaves or blobs (``StorageChallenge.drawnIndices``).
            seed: The challenge's seed.

        Returns:
            The answer that ``StorageChallenge.prove`` or ``proveKzg`` takes.

        Raises:
            UnknownHolding: No such holding on chain.
            UnknownNameError: It is not this node's, or a block is missing.
            IntegrityError: A block was altered.
            InputError: It has no root for this algorithm, or an index is out of range.
        """
        record = self._contracts.file_registry.holding(holding_id)
        found = self._drafts.published(self._records.holdings_of(record.file_id))
        held = next((held for held in found if held.holding_id == holding_id), None)
        if held is None or held.claim is None:
            raise UnknownNameError(f"holding {holding_id} is not held by node {self.address}")
        root = held.claim.commitments_root if algorithm is Algorithm.KZG else held.claim.root
        if root == NO_ROOT:
            raise InputError(
                f"holding {holding_id} has no root for {algorithm.name}: ask for the other proof"
            )
        if algorithm is Algorithm.KZG:
            return self._shelf.prove_kzg(held, indices, seed)
        return self._shelf.prove_merkle(held, indices)

    def holdings(self) -> list[StoredHolding]:
        """List what the node keeps, drafts included."""
        return self._records.holdings()

    def sweep(self) -> Sweep:
        """Follow the chain: drop what lapsed or was released, and free its space.

        The first time all of the holdings are looked at, later those that events tell of.
        """
        used, dropped = self._shelf.used, 0
        for held in self._life.concerned():
            if self._drafts.follow(held) is None:
                dropped += 1
        self._shelf.collect()
        return Sweep(dropped, used - self._shelf.used, tuple(self._life.releasable()))

    # --- helpers ---

    def _commit(self, cid: str) -> None:
        with suppress(DtxethError):  # whoever asks for them computes them, and is told why not
            if self._records.is_needed(cid):
                self._shelf.commit(cid)

    def _readable(
        self, candidates: list[StoredHolding], sender: str, file_id: bytes, authorization_id: int
    ) -> list[StoredHolding]:
        """Those published holdings that the sender may read: its own; if authorized for the file now, anybody's."""
        found = self._drafts.published(candidates)
        if not found:
            raise UnknownNameError(f"no published holding of file 0x{file_id.hex()} is kept here with that")
        if all(held.owner == sender for held in found):
            return found
        current = self._recent.get(
            ("authorization", authorization_id, sender, file_id),
            lambda: self._contracts.file_authorization.is_current(authorization_id, sender, file_id),
        )
        if not current:
            raise PolicyError(
                f"{sender} has no current authorization {authorization_id} for file 0x{file_id.hex()}: "
                "apply to its owner"
            )
        return found


def _check_ids(file_id: bytes, draft: bytes | None = None) -> None:
    if len(file_id) != 32:
        raise InputError(f"file id of {len(file_id)} bytes: expected 32")
    if draft is not None and len(draft) != 16:
        raise InputError(f"draft id of {len(draft)} bytes: expected 16")
