"""What connects the actors: chain, event index, the doors of storage nodes, the channels of executors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from dtxeth.chain import Chain, Contracts, EventIndex, Page
from dtxeth.chain.rows import NodeRow, R
from dtxeth.errors import ChainUnavailableError, DtxethError, TaskError, UnknownNameError
from dtxeth.learning.progress import Step
from dtxeth.roles.health import NetworkHealth, NodeHealth, network_health, node_health
from dtxeth.storage import StorageNodeApi
from dtxeth.transport import MemoryTransport, Transport

log = structlog.get_logger(__name__)

T = TypeVar("T")

IDLE_BLOCKS = 8
"""Blocks mined on an idle development chain before a wait gives up: more than the delay of a draw."""

MAX_REST = 15.0
"""Seconds between attempts to reach a chain that is away: a fraction of any answer window."""


class Worker(Protocol):
    """An actor that reacts to what happens on the chain."""

    @property
    def busy(self) -> bool:
        """Whether it works on something in the background that will change the chain by itself."""

    @property
    def due(self) -> int | None:
        """Chain time at which it has something to do even if nothing happens on the chain; None: never."""

    def step(self) -> bool:
        """Do everything that can be done now.

        Returns:
            Whether anything was done; calling again when nothing was is harmless.
        """


@dataclass(frozen=True)
class Place:
    """Where a node is reached, as it stands on chain.

    Attributes:
        endpoint: URL of 1 to 256 bytes.
        tls_fingerprint: SHA-256 of its TLS certificate, or zero if it serves without TLS.
    """

    endpoint: str
    tls_fingerprint: bytes = bytes(32)


class Network:
    """The surroundings that actors of one process share.

    Args:
        chain: The chain.
        contracts: Bindings of our deployment on it.
        index: Index of the deployment's events.

    Attributes:
        on_progress: Called with (task, step) as training goes on here.
        place: Where this process's node is to be reached from elsewhere; None if it is reached in the process alone.
        transport: Connects the executors of this process that have no door of their own.
        moved_at: When the workers last did something, in seconds of the monotonic clock; likewise ``seen_at``, when
            they last had a look.
    """

    def __init__(self, chain: Chain, contracts: Contracts, index: EventIndex) -> None:
        self.chain = chain
        self.contracts = contracts
        self.index = index
        self.on_progress: Callable[[int, Step], None] | None = None
        self._curves: dict[int, dict[int, Mapping[str, float]]] = {}
        self.place: Place | None = None
        self.moved_at = self.seen_at = time.monotonic()
        self._workers: list[Worker] = []
        self._doors: dict[str, StorageNodeApi] = {}
        self.transport: Transport = MemoryTransport()
        self._lock = threading.Lock()
        self._woken = threading.Event()

    def add_worker(self, worker: Worker) -> None:
        """Let :meth:`wait` drive this worker."""
        self._workers.append(worker)

    def remove_worker(self, worker: Worker) -> None:
        """Drive this worker no longer."""
        self._workers.remove(worker)

    @property
    def executor_addresses(self) -> frozenset[str]:
        """The executors that run in this process: those that its data owners trust unless they say otherwise."""
        return frozenset()

    def open_door(self, address: str, api: StorageNodeApi) -> None:
        """Make a storage node reachable under its address."""
        self._doors[address] = api

    def close_door(self, address: str) -> None:
        """Make a storage node unreachable, as if its process had died."""
        self._doors.pop(address, None)

    def storage_nodes_by_address(self) -> dict[str, StorageNodeApi]:
        """The storage nodes that can be reached, by address."""
        return dict(self._doors)

    def find(
        self,
        kind: type[R],
        /,
        *,
        limit: int | None = None,
        offset: int = 0,
        newest: bool = False,
        **filters: Any,
    ) -> Page[R]:
        """List what is on the chain: ``network.find(FileRow, owner=…, status="live", limit=20)``.

        Args:
            kind: What to list: a class of :mod:`dtxeth.chain.rows`, which says what filters there are.
            limit: How many rows to return at most; all by default.
            offset: How many to leave out at the beginning.
            newest: Whether to begin with the newest, not with the oldest.
            **filters: What the rows must have, all of it. Nodes and executors go by name too.

        Raises:
            InputError: There is no such filter, or a value does not fit it.
            UnknownNameError: No node has such a name.
        """
        self.index.sync()
        for name, role in (("node", "storage"), ("executor", "executor")):
            if isinstance(label := filters.get(name), str) and not label.startswith("0x"):
                filters[name] = self.node_named(label, role).address
        return self.index.page(kind, limit=limit, offset=offset, newest=newest, **filters)

    def node_named(self, name: str, role: str = "storage") -> NodeRow:
        """The storage node, or executor, with a name.

        Raises:
            UnknownNameError: There is none.
        """
        self.index.sync()
        found = self.index.page(NodeRow, name=name, role=role)
        if not found:
            kind = "storage node" if role == "storage" else role
            raise UnknownNameError(f"there is no {kind} {name!r}: `dtxeth node list` shows them")
        return found[0]

    def wake(self) -> None:
        """Tell a waiting :meth:`wait` that background work has ended."""
        self._woken.set()

    def tell_progress(self, task_id: int, step: Step) -> None:
        """Say how far a task has come."""
        if step.metrics is not None:
            self._curves.setdefault(task_id, {})[step.rounds] = step.metrics
        if self.on_progress is not None:
            self.on_progress(task_id, step)

    def curve(self, task_id: int) -> list[Mapping[str, float]]:
        """What live evaluation has found so far of a task whose active executor runs here."""
        curve = self._curves.get(task_id, {})
        return [curve[rounds] for rounds in sorted(curve)]

    def pump(self) -> bool:
        """Take in new blocks and let every worker do what it can do now.

        Returns:
            Whether any of them did something.
        """
        self.index.sync()
        moved = any([worker.step() for worker in list(self._workers)])  # noqa: C419 - each has its turn
        self.seen_at = time.monotonic()
        if moved:
            self.moved_at = self.seen_at
        return moved

    def health(self) -> NetworkHealth:
        """How healthy the whole network is: its storage nodes and files by level, from the chain."""
        self.index.sync()
        return network_health(self.index)

    def health_of(self, node: str) -> NodeHealth:
        """How healthy a storage node is.

        Args:
            node: Address of its account.

        Raises:
            UnknownNode: There is no such node.
        """
        return node_health(self.contracts, node)

    def pass_time(self, seconds: int) -> None:
        """Let chain time pass on a development chain, while the workers do everything in time.

        Time leaps from one worker's appointment to the next: days take as long as what happens in them.

        Args:
            seconds: How much later than now the chain is afterwards, at least.

        Raises:
            InputError: This is not a development chain.
        """
        end = self.chain.now() + seconds
        while True:
            while self.pump():
                pass
            now = self.chain.now()
            if now >= end:
                return
            dates = [date for worker in self._workers if (date := worker.due) is not None]
            self.chain.advance(max(min(*dates, end, end), now + 1) - now)

    def serve(self, stop: threading.Event, pause: float = 1.0) -> None:
        """Drive the workers until told to stop, through times when the chain cannot be reached: what daemons do.

        Args:
            stop: Set it to stop.
            pause: Seconds to rest when there is nothing to do; more and more of them while the chain is away.
        """
        rest = pause
        while not stop.is_set():
            try:
                moved = self.pump()
            except ChainUnavailableError as error:
                log.warning("the chain is away, trying again", seconds=rest, reason=str(error))
                stop.wait(rest)
                rest = min(2 * rest, MAX_REST)
                continue
            except DtxethError as error:
                log.error("a step failed, trying again", seconds=MAX_REST, reason=str(error))
                stop.wait(MAX_REST)
                continue
            rest = pause
            if not moved:
                stop.wait(pause)

    def wait(
        self, until: Callable[[], T | None], what: str, *, timeout: float = 3600.0, patience: int = 0
    ) -> T:
        """Drive the workers until a condition holds.

        On a development chain with nothing else to do, blocks are mined, since draws and deadlines count them.

        Args:
            until: Returns the awaited value, or None.
            what: What is awaited, for the error.
            timeout: Seconds of real time after which to give up.
            patience: Seconds of chain time to let pass, on an idle development chain, before giving up.

        Raises:
            TaskError: Time is up, or no worker has anything left to do.
        """
        end = time.monotonic() + timeout
        idle_blocks = 0
        while (found := until()) is None:
            if time.monotonic() > end:
                raise TaskError(f"{what}: still not there after {timeout:.0f} s")
            self._woken.clear()
            if self.pump():
                idle_blocks = 0
            elif any(worker.busy for worker in self._workers):
                self._woken.wait(0.5)
            elif idle_blocks < IDLE_BLOCKS:
                self.chain.mine()
                idle_blocks += 1
            elif patience > 0:
                self.chain.advance(patience)
                patience = 0
            else:
                raise TaskError(f"{what}: nobody in this network has anything left to do for it")
        return found
