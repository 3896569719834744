"""A network whose storage nodes are reached over HTTP, through proxies, on a chain that can be away."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dtxeth.chain import Parameters
from dtxeth.chain.bindings.events import FilePublished
from dtxeth.errors import ChainUnavailableError, StorageError
from dtxeth.roles import LocalNetwork, StoredFile
from dtxeth.roles.care import Care
from dtxeth.roles.storage_node import StorageNode
from dtxeth.storage.http import HttpStorageNode
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.records import Stage
from dtxeth.web import serve, storage_node_app
from tests.faults.proxy import BrokenOffError, Fault, Message, Proxy, cut, flip, kill, replace

DAY = 86_400
PARAMETERS = Parameters(slot_seconds=DAY, lost_slots=1000, lost_misses=255)
SHORT = secrets.token_bytes(5000)
LONG = secrets.token_bytes(2 * SLICE_SIZE + 77)
"""One stripe of 2 slices, and a short one."""

PATIENT, IMPATIENT = 30.0, 0.4
"""Seconds that an owner gives a node; the latter to those that are going to hang."""

WIRE = {
    "dies before": Fault(request=kill),
    "dies after": Fault(answer=kill),
    "request altered": Fault(request=flip),
    "request truncated": Fault(request=cut),
    "answer altered": Fault(answer=flip),
    "answer truncated": Fault(answer=cut),
    "another answer": Fault(answer=replace),
}
FAULTS = (*WIRE, "hangs", "disk full", "disk unreadable", "chain away")
"""Everything that can be the matter with a node."""


class _Door:
    """A node's service; notes in which threads it is at work."""

    def __init__(self, nodes: dict[str, StorageNode], address: str, serving: threading.local) -> None:
        self._nodes, self._address, self._serving = nodes, address, serving

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def serve(*arguments: Any) -> Any:
            self._serving.node = self._address
            try:
                return getattr(self._nodes[self._address].service, method)(*arguments)
            finally:
                del self._serving.node

        return serve


@dataclass
class Struck:
    """Nodes that a fault has come over."""

    nodes: set[str]


class Site:
    """Four storage nodes and an owner whose files are coded 2 of 3.

    Attributes:
        away: Given who asks the chain (a node's address, or "" for everybody else) and the method: whether the request
            is lost ("lost"), only its answer is ("unheard"), or neither.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._stack = folder, ExitStack()
        self.network = self._stack.enter_context(LocalNetwork(4, 0, parameters=PARAMETERS))
        self.owner = self.network.data_owner("owner", care=Care(challenges_per_day=0, repairs=False))
        for possession in ("merkle", "kzg"):
            self.owner.add_namespace(possession, erasure=(2, 3), possession=possession)
        self.nodes = {node.address: node for node in self.network.storage_nodes}
        self.proxies: dict[str, Proxy] = {}
        self._serving, self._names = threading.local(), itertools.count()
        for address in self.nodes:
            door: Any = _Door(self.nodes, address, self._serving)
            server = self._stack.enter_context(serve(storage_node_app(door)))
            self.proxies[address] = Proxy(address, server.url)
            self._stack.callback(self.proxies[address].close)
            self._open(address, PATIENT)
        self.away: Callable[[str, str], str | None] = lambda who, method: None
        self._cut_off: set[str] = set()
        self._request = self.network.chain.request
        self.network.chain.request = self._gate  # type: ignore[method-assign]
        self.network.pump()
        self.look_up = self.owner.candidates
        known = self.owner.candidates(self.nodes)
        self.owner.candidates = lambda nodes: known  # type: ignore[method-assign]

    def close(self) -> None:
        self._stack.close()

    def _open(self, address: str, seconds: float) -> HttpStorageNode:
        door = self._stack.enter_context(HttpStorageNode(self.proxies[address].url, timeout=seconds))
        self.network.open_door(address, door)
        return door

    def _gate(self, method: str, *params: Any) -> Any:
        who = getattr(self._serving, "node", "")
        what = "lost" if who in self._cut_off else self.away(who, method)
        if what == "lost":
            raise ChainUnavailableError("no chain answers")
        result = self._request(method, *params)
        if what == "unheard":
            raise ChainUnavailableError("no chain answers any more")
        return result

    def restart(self, address: str) -> None:
        """A node's process ends, and another one begins."""
        old = self.nodes[address]
        old.stop()
        del self.network._actors["storage", old.name]
        self.nodes[address] = self.network.storage(old.name)
        self._open(address, PATIENT)

    # --- what goes wrong ---

    @contextmanager
    def fault(
        self, name: str, route: str, nth: int | None = None, victims: int = 1, among: set[str] | None = None
    ) -> Iterator[Struck]:
        """Have a fault come over the first nodes that are asked for something.

        Args:
            name: One of FAULTS.
            route: At what.
            nth: At which such request of a node, from 0; None: at all of them.
            victims: Over how many nodes.
            among: Over which of them; by default any.
        """
        released, lock = threading.Event(), threading.Lock()
        struck, seen = Struck(set()), Counter[str]()

        def hang(_: Message) -> Message:
            released.wait(60)
            raise BrokenOffError

        fault = (WIRE | {"hangs": Fault(answer=hang)}).get(name)
        if fault is None:
            fault = Fault(during=partial(self._ill, name))

        def choose(node: str, asked: str) -> Fault | None:
            with lock:
                if asked != route or (among is not None and node not in among):
                    return None
                seen[node] += 1
                if nth not in (None, seen[node] - 1):
                    return None
                if node not in struck.nodes and len(struck.nodes) == victims:
                    return None
                struck.nodes.add(node)
                return fault

        before = {node: proxy.choose for node, proxy in self.proxies.items()}
        doors = [self._open(node, IMPATIENT) for node in self.nodes] if name == "hangs" else []
        for proxy in self.proxies.values():
            proxy.choose = lambda node, asked: choose(node, asked) or before[node](node, asked)
        try:
            yield struck
        finally:
            released.set()
            for node, proxy in self.proxies.items():
                proxy.choose = before[node]
            for node, door in zip(self.nodes, doors, strict=False):
                door.close()
                self._open(node, PATIENT)

    @contextmanager
    def _ill(self, name: str, node: str) -> Iterator[None]:
        def fails(*_: Any, **__: Any) -> Any:
            raise StorageError("block store: No space left on device")

        with ExitStack() as stack:
            if name == "chain away":
                self._cut_off.add(node)
                self.network.chain.writes += 1  # what nodes remember of the chain for a second is forgotten
                stack.callback(self._cut_off.discard, node)
            else:
                store = self.nodes[node].service._shelf.store
                method = "block_put" if name == "disk full" else "block_get"
                setattr(store, method, fails)
                stack.callback(delattr, store, method)
            yield

    @contextmanager
    def chain_away(self, first: int | str, count: int, how: str = "lost") -> Iterator[list[str]]:
        """Let the chain be away for the owner for some requests.

        Args:
            first: From which on: its number, or the first of a method.
            count: How many.
            how: What becomes of them: "lost", or "unheard".

        Yields:
            The methods of the owner's requests.
        """
        asked: list[str] = []

        def away(who: str, method: str) -> str | None:
            if who:
                return None
            asked.append(method)
            start = first if isinstance(first, int) else asked.index(first) if first in asked else len(asked)
            return how if start <= len(asked) - 1 < start + count else None

        self.away = away
        try:
            yield asked
        finally:
            self.away = lambda who, method: None

    # --- what is done, and what must hold ---

    def upload(self, data: bytes = SHORT, namespace: str = "merkle") -> StoredFile:
        path = self.folder / f"file{next(self._names)}"
        path.write_bytes(data)
        return self.owner.upload(path, namespace)

    def check(self, file: StoredFile, data: bytes = SHORT) -> None:
        """The file downloads, bit for bit."""
        copy = self.folder / "copy"
        self.owner.download(file, copy)
        assert copy.read_bytes() == data
        copy.unlink()

    def state(self) -> tuple[int, list[Any]]:
        """How many files are published, and what the nodes have at stake for them."""
        self.network.index.sync()
        published = len(self.network.index.events(FilePublished, owner=self.owner.address))
        pledge = self.network.contracts.node_registry.pledge_of
        return published, [pledge(node) for node in self.nodes]

    def settle(self) -> None:
        """Let all drafts lapse; nodes then keep what is on chain, and nothing else."""
        self.network.chain.advance(3601)
        for node in self.nodes.values():
            node.service.sweep()
        for node in self.nodes.values():
            held = node.service.holdings()
            assert {one.stage for one in held} <= {Stage.LIVE}
            assert node.service.status().used == sum(one.size for one in held)
            assert self.network.contracts.node_registry.pledge_of(node.address).holdings == len(held)
