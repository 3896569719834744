"""Revisions: what changes a published file, up to the transaction that makes it so.

Repair, leaving a node, another redundancy, a later expiry, a newer manifest on a node that missed one: each is a
new manifest and new holdings, published at once by ``FileRegistry.revise``. Until then all is drafts, which lapse
by themselves: whoever is killed before begins again, and the file can be read at every moment.

With the same k, pieces stay where they are and only shards that lack a node are made anew; for that their stripes
are read into a temporary file. Another k makes all of them anew, under the next generation. Nodes that keep their
pieces get nothing but the new manifest. One that cannot be asked stays with the old one, until the next revision
finds it (a holding is behind if its version is below the file's); it must go only if its promise is to change.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from dtxeth.chain.bindings.types import Acknowledgement, Cause, Holding, Revision
from dtxeth.errors import InputError, NodeError, NotEnoughNodesError, StorageError
from dtxeth.storage.api import StorageNodeApi
from dtxeth.storage.client import NodeClient
from dtxeth.storage.coding import MAX_NODES, Layout, Redundancy
from dtxeth.storage.downloader import RemoteFile
from dtxeth.storage.draft import Draft, FileKeys, fetch_outline
from dtxeth.storage.manifest import Manifest, NodePieces, Piece, manifest_bound, seal_manifest
from dtxeth.storage.placement import Candidate, Shard, place
from dtxeth.storage.placement import replace as place_again
from dtxeth.storage.pusher import Progress, Pusher, on_all, survey
from dtxeth.storage.requests import RequestSigner
from dtxeth.storage.spool import Spool


@dataclass(frozen=True)
class Change:
    """What is to become of a file.

    Attributes:
        cause: Why, for the record.
        drop: Live holdings that are to end, by number.
        redundancy: k of n from now on; None: as before.
        expires_at: Last second for which the nodes keep it; None: as before.
        partly: Whether to do with fewer than n shards of a stripe, but never fewer than k, when nodes are lacking.
    """

    cause: Cause
    drop: Collection[int] = ()
    redundancy: Redundancy | None = None
    expires_at: int | None = None
    partly: bool = False


@dataclass(frozen=True)
class Revised:
    """A file's new state on its nodes, ready for ``FileRegistry.revise(revision, acknowledgements)``.

    Attributes:
        revision: First argument of ``revise``.
        acknowledgements: Second argument of ``revise``.
        manifest: What is stored where from now on.
        rebuilt: Pieces that were made anew.
        missing: Shards that found no node.
        behind: Nodes that keep their holding, with the manifest of before.
        faults: What nodes did wrong on the way.
    """

    revision: Revision
    acknowledgements: tuple[Acknowledgement, ...]
    manifest: Manifest
    rebuilt: int
    missing: tuple[Shard, ...]
    behind: tuple[str, ...]
    faults: tuple[NodeError, ...]


def prepare_revision(
    file_id: bytes,
    file_key: bytes,
    signer: RequestSigner,
    nodes: Mapping[str, StorageNodeApi],
    change: Change,
    candidates: Iterable[Candidate] | None = None,
    *,
    progress: Progress | None = None,
    spool_directory: Path | None = None,
) -> Revised:
    """Bring a file's nodes into a new state; nothing is on chain until the result is published.

    Args:
        file_id: The file, one of the signer's.
        file_key: Its key.
        signer: Signs as the owner.
        nodes: The storage nodes that can be reached, by address.
        change: What is to be.
        candidates: What the chain says of the nodes that new pieces may go to; None: all of ``nodes``, alike.
        progress: Told of the pushed bytes.
        spool_directory: Where the stripes wait that are needed; by default the directory for temporary files.

    Raises:
        InputError: Not the signer's file, holdings that are not its live ones, an expiry that cannot be.
        UnknownFile: There is no such file.
        NotEnoughNodesError: Too few nodes to read the file from, or to put new pieces on.
        StorageError: The disk of ``spool_directory`` is full.
    """
    _check(file_id, signer, change)
    registry = signer.file_registry
    holdings = {number: registry.holding(number) for number in registry.holdings_of(file_id)}
    if unknown := sorted(set(change.drop) - set(holdings)):
        raise InputError(
            f"holdings {unknown} are no live ones of file 0x{file_id.hex()}: choose among {sorted(holdings)}"
        )
    dropped = {holdings[number].node for number in change.drop}
    remote = RemoteFile(file_id, file_key, signer, nodes, avoid=dropped)
    clients = {address: NodeClient(address, node, signer) for address, node in nodes.items()}
    usable, faults = survey(clients, candidates)
    for node in dropped:
        usable.pop(node, None)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=spool_directory))
        except OSError as error:
            raise StorageError(f"stripes cannot be spooled: {error.strerror or error}") from error
        work = _Work(
            remote,
            file_id,
            file_key,
            signer,
            clients,
            holdings,
            change,
            usable,
            dropped,
            file,
            faults,
            progress,
        )
        while True:
            try:
                return work.run()
            except NodeError as fault:
                work.leave_out(fault)


def _check(file_id: bytes, signer: RequestSigner, change: Change) -> None:
    record, now = signer.file_registry.file_of(file_id), signer.file_registry.chain.now()
    if record.owner != signer.account.address:
        raise InputError(
            f"file 0x{file_id.hex()} belongs to {record.owner}, not to {signer.account.address}: only its owner can "
            "revise it"
        )
    if record.deleted:
        raise InputError(f"file 0x{file_id.hex()} is deleted: publish it anew")
    if change.cause is Cause.NONE:
        raise InputError("a revision must say why: give a cause")
    expires_at = record.expires_at if change.expires_at is None else change.expires_at
    if expires_at < record.expires_at or expires_at <= now:
        raise InputError(
            f"expiry {expires_at}: the file is kept until {record.expires_at}, and it is {now} now; choose a later one"
        )


class _Work:
    """One revision; tried again without those that fail."""

    def __init__(
        self,
        remote: RemoteFile,
        file_id: bytes,
        file_key: bytes,
        signer: RequestSigner,
        clients: Mapping[str, NodeClient],
        holdings: Mapping[int, Holding],
        change: Change,
        usable: dict[str, Candidate],
        dropped: set[str],
        file: BinaryIO,
        faults: list[NodeError],
        progress: Progress | None,
    ) -> None:
        self._remote, self._before, self._record = remote, remote.manifest, remote.record
        self._file_id, self._file_key, self._signer, self._clients = file_id, file_key, signer, clients
        self._numbers = {holding.node: number for number, holding in holdings.items()}
        self._holdings = {holding.node: holding for holding in holdings.values()}
        self._change, self._usable, self._faults, self._progress = change, usable, faults, progress
        self._dropped, self._behind = dropped, set[str]()
        self._expires_at = change.expires_at or self._record.expires_at
        self._renews = self._expires_at > self._record.expires_at
        self._redundancy = change.redundancy or self._before.redundancy
        self._recodes = self._redundancy.needed != self._before.redundancy.needed
        self._layout = Layout(self._redundancy, self._before.layout.size)
        self._generation = self._before.generation + self._recodes
        self._possession = signer.file_registry.namespace_of(self._record.namespace_id).possession
        self._spool = Spool(file, self._before.prefix, self._before.size, self._before.sha256)
        self._spooled: set[int] = set()

    def leave_out(self, fault: NodeError) -> None:
        """Do without a node from now on."""
        self._faults.append(fault)
        self._usable.pop(fault.node, None)
        if fault.node in self._holdings:
            (self._dropped if self._renews else self._behind).add(fault.node)

    def run(self) -> Revised:
        """Try once; a NodeError says which node to leave out next time."""
        kept = {} if self._recodes else self._kept()
        pusher = Pusher(
            self._layout,
            lambda stripe, number: self._spool.shard(self._layout, stripe, number),
            lambda node: self._open(node, kept.get(node)),
            self._usable,
            manifest_bound(self._before.name, self._layout.stripes * self._redundancy.total),
            self._faults,
            self._progress,
        )
        try:
            self._keep(kept, pusher)
            placed, missing = self._place(kept)
            self._fetch({stripe for shards in placed.values() for stripe, _ in shards})
            pusher.push(placed)
            return self._finish(kept, pusher, [*missing, *pusher.unplaced])
        except BaseException:
            pusher.abandon()
            raise

    def _kept(self) -> dict[str, NodePieces]:
        """What stays where it is: never more shards of a stripe than there are to be."""
        stay = [
            held
            for held in self._before.nodes
            if held.node in self._holdings and held.node not in self._dropped
        ]
        counts = [0] * self._layout.stripes
        for held in stay:
            for piece in held.pieces:
                counts[piece.stripe] += 1
        total = self._redundancy.total
        # Whole nodes first, the least useful ones: it is cheaper, and those that stay keep their holdings.
        for held in sorted(stay, key=lambda held: (held.node in self._usable, -len(held.pieces))):
            if all(counts[piece.stripe] > total for piece in held.pieces):
                stay.remove(held)
                for piece in held.pieces:
                    counts[piece.stripe] -= 1
        kept = {}
        for held in stay:
            pieces: list[Piece] = []
            for piece in held.pieces:
                if counts[piece.stripe] > total and held.node not in self._behind:
                    counts[piece.stripe] -= 1
                else:
                    pieces.append(piece)
            if pieces:
                kept[held.node] = NodePieces(held.node, tuple(pieces))
        return kept

    def _keep(self, kept: Mapping[str, NodePieces], pusher: Pusher) -> None:
        """Open drafts with the pieces that stay, on all nodes that can be asked."""
        for answer in on_all([node for node in kept if node not in self._behind], pusher.open).values():
            if isinstance(answer, NodeError):
                raise answer

    def _open(self, node: str, kept: NodePieces | None) -> Draft:
        client = self._clients.get(node)
        if client is None:
            raise NodeError(node, "cannot be reached: it is not among the online nodes")
        draft = Draft(client, FileKeys(self._file_id, self._generation, self._file_key), self._possession)
        if kept is not None:
            (held,) = [held for held in self._before.nodes if held.node == node]
            outline = fetch_outline(client, self._holdings[node], held)
            draft.keep(kept.pieces, self._before.layout, outline)
        return draft

    def _place(self, kept: Mapping[str, NodePieces]) -> tuple[dict[str, list[Shard]], list[Shard]]:
        usable = [candidate for node, candidate in self._usable.items() if node not in self._behind]
        reserve = manifest_bound(self._before.name, self._layout.stripes * self._redundancy.total)
        if self._recodes:
            return place(self._layout, usable, reserve), []
        there: list[set[int]] = [set() for _ in range(self._layout.stripes)]
        for held in kept.values():
            for piece in held.pieces:
                there[piece.stripe].add(piece.shard)
        missing = [
            (stripe, number)
            for stripe, numbers in enumerate(there)
            for number in [number for number in range(MAX_NODES) if number not in numbers][
                : self._redundancy.total - len(numbers)
            ]
        ]
        stripes = {node: {piece.stripe for piece in held.pieces} for node, held in kept.items()}
        return place_again(self._layout, stripes, missing, usable, reserve)

    def _fetch(self, stripes: set[int]) -> None:
        """Read the stripes that shards are to be made of, by the manifest of before."""
        old = self._before.layout
        start_end = [self._range(stripe) for stripe in stripes]
        wanted = sorted(
            {
                number
                for start, end in start_end
                for number in range(start // old.stripe_size, -(-end // old.stripe_size))
            }
            - self._spooled
        )
        for number, slices in zip(wanted, self._remote.stripes.stripes(wanted), strict=True):
            start = number * old.stripe_size
            data = b"".join(slices)[: old.length(number)]
            try:
                while data:
                    written = os.pwrite(self._spool.file.fileno(), data, start)
                    data, start = data[written:], start + written
            except OSError as error:
                raise StorageError(f"stripes cannot be spooled: {error.strerror or error}") from error
            self._spooled.add(number)

    def _range(self, stripe: int) -> tuple[int, int]:
        start = stripe * self._layout.stripe_size
        return start, start + self._layout.length(stripe)

    def _finish(self, kept: Mapping[str, NodePieces], pusher: Pusher, missing: list[Shard]) -> Revised:
        if missing and not self._change.partly:
            raise NotEnoughNodesError(
                f"no node is left for {len(missing)} shards of file 0x{self._file_id.hex()}, {self._redundancy}: start "
                "more nodes" + "".join(f"; {fault}" for fault in self._faults)
            )
        behind = {node: held for node, held in kept.items() if node not in pusher.drafts}
        held = (*behind.values(), *(draft.held for draft in pusher.drafts.values()))
        manifest = replace(self._before, redundancy=self._redundancy, generation=self._generation, nodes=held)
        self._check_readable(manifest, pusher)
        sealed = seal_manifest(manifest, self._file_key)
        acknowledgements = pusher.finish(sealed, self._record.version + 1, self._expires_at)
        ended = [node for node in self._numbers if node not in behind and node not in pusher.drafts]
        revision = Revision(
            file_id=self._file_id,
            cause=self._change.cause,
            needed=self._redundancy.needed,
            total=self._redundancy.total,
            expires_at=self._expires_at,
            manifest_digest=hashlib.sha256(sealed).digest(),
            dropped=tuple(sorted(self._numbers[node] for node in ended)),
        )
        before = {piece.piece_id for held in self._before.nodes for piece in held.pieces}
        after = {piece.piece_id for held in manifest.nodes for piece in held.pieces}
        return Revised(
            revision,
            acknowledgements,
            manifest,
            len(after - before),
            tuple(sorted(missing)),
            tuple(behind),
            tuple(self._faults),
        )

    def _check_readable(self, manifest: Manifest, pusher: Pusher) -> None:
        """Refuse what could lose the file: a stripe with too few shards, a manifest that hardly anybody has."""
        fewest = min(map(len, manifest.shards()))
        told = len(pusher.drafts)
        if fewest < self._redundancy.needed or told < min(2, len(manifest.nodes)):
            raise NotEnoughNodesError(
                f"file 0x{self._file_id.hex()} would have {fewest} shards of a stripe, {self._redundancy.needed} are "
                f"needed, and its manifest on {told} nodes: start more nodes"
                + "".join(f"; {fault}" for fault in self._faults)
            )
