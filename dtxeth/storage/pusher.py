"""Pushing shards onto nodes, all nodes at once; what a failing node was to get goes to others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias, TypeVar

from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.errors import NodeError
from dtxeth.storage.client import NodeClient
from dtxeth.storage.coding import Layout
from dtxeth.storage.draft import Draft
from dtxeth.storage.placement import Candidate, Shard
from dtxeth.storage.placement import replace as place_again

K = TypeVar("K")
T = TypeVar("T")

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all; from several threads, one at a time."""

_PARALLEL_NODES = 8
_SHARDS_IN_HAND = 64  # of 1 MiB each, in all threads together: this bounds the memory


def on_all(
    items: Iterable[K], step: Callable[[K], T], workers: int = _PARALLEL_NODES
) -> dict[K, T | NodeError]:
    """Do something with several nodes at once; a NodeError counts as its result."""

    def attempt(item: K) -> T | NodeError:
        try:
            return step(item)
        except NodeError as fault:
            return fault

    with ThreadPoolExecutor(workers) as pool:
        futures = {item: pool.submit(attempt, item) for item in items}
        try:
            return {item: future.result() for item, future in futures.items()}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def survey(
    clients: Mapping[str, NodeClient], candidates: Iterable[Candidate] | None
) -> tuple[dict[str, Candidate], list[NodeError]]:
    """Ask nodes for their free bytes; those that do not answer drop out.

    Args:
        clients: The nodes that can be reached.
        candidates: What the chain says of those that may be chosen; None: nothing, all may.

    Returns:
        The candidates that are usable, with what is free by chain and node; and what the others answered.
    """
    if candidates is None:
        candidates = [Candidate(address, 1 << 62) for address in clients]
    asked = [candidate for candidate in candidates if candidate.usable and candidate.address in clients]
    answers = on_all(asked, lambda candidate: clients[candidate.address].status().free)
    usable, faults = {}, []
    for candidate, free in answers.items():
        if isinstance(free, NodeError):
            faults.append(free)
        else:
            usable[candidate.address] = replace(candidate, free=min(candidate.free, free))
    return usable, faults


class Pusher:
    """Fills a draft on each of several nodes.

    Args:
        layout: How the file is cut.
        shard: Makes a shard, given stripe and number; called by several threads.
        open_draft: Opens a draft on a node.
        usable: Nodes that may be given something, ``free`` without what is pushed here; those that fail are taken out.
        reserve: Bytes to leave free on each for the manifest.
        faults: What nodes did wrong; more are added.
        progress: Told of the pushed bytes.

    Attributes:
        drafts: By node.
        unplaced: Shards that no node is left for.
    """

    def __init__(
        self,
        layout: Layout,
        shard: Callable[[int, int], bytes],
        open_draft: Callable[[str], Draft],
        usable: dict[str, Candidate],
        reserve: int,
        faults: list[NodeError],
        progress: Progress | None = None,
    ) -> None:
        self.drafts: dict[str, Draft] = {}
        self.unplaced: list[Shard] = []
        self._layout, self._shard, self._open_draft = layout, shard, open_draft
        self._usable, self._reserve, self._faults = usable, reserve, faults
        self._progress, self._counting, self._stop = progress, threading.Lock(), threading.Event()
        self._done = self._told = self._total = 0
        self._workers = min(_PARALLEL_NODES, max(1, _SHARDS_IN_HAND // (layout.redundancy.needed + 2)))
        self._assigned: dict[str, list[Shard]] = {}

    def open(self, node: str) -> Draft:
        """Return the draft on a node, a new one if there is none.

        Raises:
            NodeError: The node does not keep what it should.
        """
        if node not in self.drafts:
            self.drafts[node] = self._open_draft(node)
        return self.drafts[node]

    def push(self, placed: Mapping[str, list[Shard]]) -> None:
        """Send every node its shards; as long as all are full ones, those of a node that fails go to others.

        Args:
            placed: Shards of each node.

        Raises:
            NodeError: A node failed of which others cannot take the place now; begin again without it.
        """
        self._assigned = {node: list(shards) for node, shards in placed.items()}
        self._total = sum(self._size(shards) for shards in placed.values())
        waiting: Mapping[str, list[Shard]] = self._assigned
        while waiting:
            sent = self._send_all({node: self._of(shards, short=False) for node, shards in waiting.items()})
            waiting = self._move([fault for fault in sent.values() if fault is not None])
        short = {node: self._of(shards, short=True) for node, shards in self._assigned.items()}
        self._require(self._send_all(short).values())

    def finish(self, sealed_manifest: bytes, version: int, expires_at: int) -> tuple[Acknowledgement, ...]:
        """Send all nodes the manifest and have them sign.

        Raises:
            NodeError: One of them failed; the manifest names it, so begin again without it.
        """

        def close(draft: Draft) -> Acknowledgement:
            draft.put_manifest(sealed_manifest)
            return draft.acknowledge(version, expires_at)

        answers = on_all(self.drafts.values(), close).values()
        self._require(answers)
        return tuple(answer for answer in answers if not isinstance(answer, NodeError))

    def abandon(self) -> None:
        """Drop all drafts."""
        on_all(self.drafts.values(), Draft.abandon)

    def _require(self, answers: Iterable[object]) -> None:
        """Raise the first fault among answers; note the others, lest each cost an attempt."""
        faults = [answer for answer in answers if isinstance(answer, NodeError)]
        for fault in faults[1:]:
            self._faults.append(fault)
            self._usable.pop(fault.node, None)
        if faults:
            raise faults[0]

    def _of(self, shards: Iterable[Shard], *, short: bool) -> list[Shard]:
        return [shard for shard in shards if self._layout.is_short(shard[0]) is short]

    def _size(self, shards: Iterable[Shard]) -> int:
        return sum(self._layout.shard_size(stripe) for stripe, _ in shards)

    def _send_all(self, waiting: Mapping[str, list[Shard]]) -> dict[str, NodeError | None]:
        def send(node: str) -> None:
            draft = self.open(node)
            for stripe, number in waiting[node]:
                if self._stop.is_set():
                    return
                data = self._shard(stripe, number)
                draft.put(stripe, number, data)
                self._count(len(data))

        try:
            return on_all(waiting, send, self._workers)
        except BaseException:
            self._stop.set()
            raise

    def _move(self, failed: Iterable[NodeError]) -> dict[str, list[Shard]]:
        """Find other nodes for what failed ones were to get."""
        missing: list[Shard] = []
        for fault in failed:
            draft = self.drafts.pop(fault.node, None)
            if draft is not None and draft.keeps:  # more is missing than we have at hand
                self.drafts[fault.node] = draft
                raise fault
            self._faults.append(fault)
            self._usable.pop(fault.node, None)
            missing += self._assigned.pop(fault.node)
            if draft is not None:
                self._count(-self._size((piece.stripe, piece.shard) for piece in draft.pieces))
                draft.abandon()
        if not missing:
            return {}
        left = [
            replace(candidate, free=candidate.free - self._size(self._assigned.get(node, ())))
            for node, candidate in self._usable.items()
        ]
        held = {node: {stripe for stripe, _ in shards} for node, shards in self._assigned.items()}
        for node, draft in self.drafts.items():
            held.setdefault(node, set()).update(piece.stripe for piece in draft.held.pieces)
        moved, unplaced = place_again(self._layout, held, missing, left, self._reserve)
        self.unplaced += unplaced
        for node, shards in moved.items():
            self._assigned.setdefault(node, []).extend(shards)
        return moved

    def _count(self, size: int) -> None:
        with self._counting:
            self._done += size
            if self._progress is not None and self._done > self._told:
                self._told = self._done
                self._progress(self._done, self._total)
