"""Asking several nodes for one thing: the fast ones first, and around those that fail or are late.

A node that fails is set aside: it is asked again only when nobody else is left. Of a node that is slow, nobody
waits for long: after a while another one is asked as well, and whichever answers first is taken (hedged
requests: Dean and Barroso, *The Tail at Scale*, CACM 2013). Every node has threads of its own, so one that
hangs holds up nothing but itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from dtxeth.errors import NodeError, NotEnoughNodesError
from dtxeth.storage.client import NodeClient

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_PER_NODE = 2  # requests to one node at a time
_PATIENCE = 4.0  # an answer is late when it takes so many times the usual
_LEAST_PATIENCE = 0.5  # seconds; below, a busy machine would ask twice for nothing
_WEIGHT = 0.2  # of the newest answer in the usual time


class NodePool:
    """The storage nodes as a reader knows them: their threads, how fast they are, and who failed.

    Args:
        clients: The nodes that can be reached, by address.
        avoid: Nodes to ask last.

    Attributes:
        faults: What nodes did wrong; each was routed around.
    """

    def __init__(self, clients: Mapping[str, NodeClient], avoid: Collection[str] = ()) -> None:
        self.faults: list[NodeError] = []
        self._clients, self._failed = clients, set(avoid)
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._waiting: dict[str, int] = defaultdict(int)
        self._seconds: dict[str, float] = {}
        self._late: set[str] = set()
        self._usual = 0.0

    @property
    def patience(self) -> float:
        """Seconds after which an answer is late."""
        return max(_LEAST_PATIENCE, _PATIENCE * self._usual)

    def rank(self, node: str) -> tuple[bool, bool]:
        """Sort key: whether it failed, whether it is late."""
        return node in self._failed, node in self._late

    def load(self, node: str) -> float:
        """Sort key: seconds that a new request to the node is likely to take."""
        return (1 + self._waiting[node]) * self._seconds.get(node, self._usual)

    def submit(self, node: str, request: Callable[[NodeClient], T]) -> Future[T]:
        """Send a node a request, in one of its threads."""
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools[node] = ThreadPoolExecutor(_PER_NODE, f"node {node[:10]}")
        self._waiting[node] += 1
        future = pool.submit(self._ask, node, request)
        future.add_done_callback(lambda _: self._leave(node))
        return future

    def note_late(self, node: str) -> None:
        """Set a node aside until it answers."""
        self._late.add(node)

    def close(self) -> None:
        """Give the threads back; those of hanging nodes end when their requests do."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._pools.clear()

    def _ask(self, node: str, request: Callable[[NodeClient], T]) -> T:
        began = time.monotonic()
        try:
            client = self._clients.get(node)
            if client is None:
                raise NodeError(node, "cannot be reached: it is not among the online nodes")
            answer = request(client)
        except NodeError as fault:
            self.faults.append(fault)
            self._failed.add(node)
            raise
        seconds = time.monotonic() - began
        self._seconds[node] = seconds + (1 - _WEIGHT) * (self._seconds.get(node, seconds) - seconds)
        self._usual = seconds + (1 - _WEIGHT) * ((self._usual or seconds) - seconds)
        self._late.discard(node)
        return answer

    def _leave(self, node: str) -> None:
        self._waiting[node] -= 1


class Race(Generic[K, T]):
    """Gathers several answers, asking no more nodes than it must.

    Args:
        nodes: Whom to ask.
        needed: How many answers are enough.
        following: Gives the next source: what its answer is to be kept as, the node, the request; None when there is
            no other one.
        what: What is asked for, for messages.
    """

    def __init__(
        self,
        nodes: NodePool,
        needed: int,
        following: Callable[[], tuple[K, str, Callable[[NodeClient], T]] | None],
        what: str,
    ) -> None:
        self._nodes, self._needed, self._following, self._what = nodes, needed, following, what
        self._running: dict[Future[T], tuple[K, str, float]] = {}
        self._late: set[Future[T]] = set()
        self._faults: list[NodeError] = []
        self._answers: dict[K, T] = {}
        self.advance()

    def advance(self) -> bool:
        """Take in what has come, ask others in the place of those that failed or are late; whether it is over."""
        for future in [future for future in self._running if future.done()]:
            key, _, _ = self._running.pop(future)
            self._late.discard(future)
            fault = future.exception()
            if isinstance(fault, NodeError):
                self._faults.append(fault)
            else:
                self._answers[key] = future.result()
        now, patience = time.monotonic(), self._nodes.patience
        for future, (_, node, began) in self._running.items():
            if now - began > patience and future not in self._late:
                self._late.add(future)
                self._nodes.note_late(node)
        while len(self._answers) + len(self._running) - len(self._late) < self._needed:
            source = self._following()
            if source is None:
                break
            key, node, request = source
            self._running[self._nodes.submit(node, request)] = key, node, time.monotonic()
        return len(self._answers) >= self._needed

    def result(self, others: Iterable[Race[K, T]] = ()) -> dict[K, T]:
        """Wait for enough answers.

        Args:
            others: Races to keep going meanwhile.

        Raises:
            NotEnoughNodesError: Too few nodes have an answer; says why of each.
        """
        while not self.advance():
            if not self._running:
                raise NotEnoughNodesError(
                    f"{self._what}: {len(self._answers)} of the {self._needed} answers that are needed; "
                    + "; ".join(map(str, self._faults))
                )
            for other in others:
                other.advance()
            wait(self._running, self._nodes.patience / 2, FIRST_COMPLETED)
        for future in self._running:
            future.cancel()
        return self._answers
