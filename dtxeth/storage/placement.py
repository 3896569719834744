"""Placement: which nodes get which shards.

A file goes to as few nodes as have room for it, n unless they are nearly full: what the chain stores of it then
does not depend on its size, and the fewest sets of nodes can lose it together (Cidon et al., *Copysets: Reducing
the Frequency of Data Loss in Cloud Storage*, USENIX ATC 2013). The nodes are drawn, each with a chance by its room,
its health and what this owner has seen of it: many files spread evenly, and nobody gets all by offering most.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dtxeth.chain.bindings.node_registry import NodeRegistry
from dtxeth.chain.bindings.storage_challenge import StorageChallenge
from dtxeth.chain.bindings.types import Level
from dtxeth.errors import NotEnoughNodesError
from dtxeth.storage.coding import MAX_NODES, Layout

Shard: TypeAlias = tuple[int, int]
"""Stripe and shard number."""

_WHOLE = 10_000
_random = secrets.SystemRandom()


@dataclass(frozen=True)
class Candidate:
    """What is known of a node that might store something.

    Attributes:
        address: Of its account.
        free: Bytes that it can take, by the chain and by its own word, whichever is less.
        level: Its health on chain.
        score: The same, in basis points.
        lost: Whether it has been silent for too long.
        online: Whether it takes new work.
        draining: Whether it wants to be rid of what it has.
        strikes: Challenges of this owner that it failed or missed of late.
    """

    address: str
    free: int
    level: Level = Level.GREEN
    score: int = _WHOLE
    lost: bool = False
    online: bool = True
    draining: bool = False
    strikes: int = 0

    @property
    def usable(self) -> bool:
        """Whether it may be given anything."""
        return self.online and not self.lost and not self.draining and self.level is not Level.RED

    @property
    def weight(self) -> float:
        """Preference: free bytes times health, halved by the first strike, a third by the second, and so on."""
        return self.free * self.score / _WHOLE / (1 + self.strikes)


def candidate(
    node_registry: NodeRegistry, storage_challenge: StorageChallenge, address: str, strikes: int = 0
) -> Candidate:
    """Look a storage node up on chain; what it says itself is asked by whoever sends it something.

    Args:
        node_registry: Binding of NodeRegistry.
        storage_challenge: Binding of StorageChallenge.
        address: The node.
        strikes: What the caller has seen of it.

    Raises:
        UnknownNode: It is not registered.
    """
    node, health = node_registry.node_of(address), storage_challenge.health_of(address)
    return Candidate(
        address=address,
        free=node_registry.room_of(address),
        level=health.level,
        score=health.score,
        lost=health.lost,
        online=node.online,
        draining=node.draining,
        strikes=strikes,
    )


def place(layout: Layout, candidates: Iterable[Candidate], reserve: int) -> dict[str, list[Shard]]:
    """Choose distinct nodes for the shards of every stripe.

    It fails only if no placement exists (every shard counted as one of the largest): n shards of each of S
    stripes can be spread if and only if the nodes' rooms, each at most S, add up to n·S. Then the shards of a node
    are laid one after another along a line that is wound n times around the S stripes, as in McNaughton's rule
    (*Scheduling with Deadlines and Loss Functions*, 1959): no node meets a stripe twice.

    Args:
        layout: How the file is cut.
        candidates: Nodes to choose from.
        reserve: Bytes that each chosen node needs besides, for the manifest.

    Returns:
        For every chosen node its shards, in an order that tells it nothing, but the short one last.

    Raises:
        NotEnoughNodesError: Too few nodes, or too little room on them.
    """
    stripes, total, size = layout.stripes, layout.redundancy.total, layout.shard_size(0)
    usable = [one for one in _drawn(candidates) if one.free >= size + reserve]
    if len(usable) < total:
        raise NotEnoughNodesError(
            f"{len(usable)} usable storage nodes with room for {size + reserve} bytes, {total} are needed for "
            f"{layout.redundancy}: start more nodes, or use less redundancy"
        )
    if len(usable) > MAX_NODES and _room(usable[:MAX_NODES], stripes, size, reserve) < stripes * total:
        usable.sort(key=lambda one: -one.free)
    rooms: dict[str, int] = {}
    for one in usable[:MAX_NODES]:
        rooms[one.address] = min((one.free - reserve) // size, stripes)
        if len(rooms) >= total and sum(rooms.values()) >= stripes * total:
            break
    else:
        raise NotEnoughNodesError(
            f"the storage nodes have no room for {stripes} stripes of {layout.redundancy}, {size} bytes a shard: "
            "start more nodes, or use less redundancy"
        )
    return _wind(rooms, layout)


def replace(
    layout: Layout,
    held: Mapping[str, Iterable[int]],
    missing: Sequence[Shard],
    candidates: Iterable[Candidate],
    reserve: int,
) -> tuple[dict[str, list[Shard]], list[Shard]]:
    """Choose nodes for shards that have lost theirs.

    A shard goes to the best node that has nothing of its stripe and room left; when none has, others are moved
    along augmenting paths (Ford and Fulkerson), so that as many as possible find a place.

    Args:
        layout: How the file is cut.
        held: Stripes that each node keeps of the file; ``free`` of such nodes does not count them.
        missing: The shards.
        candidates: Nodes to choose from.
        reserve: Bytes that each chosen node needs besides, for the manifest.

    Returns:
        For every chosen node its shards, in an order that tells it nothing, but the short one last; and the
        shards for which there is no node.
    """
    size = layout.shard_size(0)
    nodes = _drawn(candidates)
    room = {one.address: max(0, (one.free - reserve) // size) for one in nodes}
    fresh = [node for node in room if node not in held][: MAX_NODES - len(held)]
    order = fresh + [node for node in room if node in held]
    taken = {node: set(held.get(node, ())) for node in order}
    given: dict[str, dict[int, int]] = {node: {} for node in order}
    unplaced = []
    for stripe, shard in _shuffled(missing, layout):
        path = _path(stripe, order, room, taken, given)
        if path is None:
            unplaced.append((stripe, shard))
            continue
        for node, (moved, source) in path:
            number = given[source].pop(moved) if source else shard
            if source:
                taken[source].remove(moved)
            given[node][moved] = number
            taken[node].add(moved)
    chosen = {node: _shuffled([*shards.items()], layout) for node, shards in given.items() if shards}
    return chosen, unplaced


def _path(
    stripe: int,
    order: Sequence[str],
    room: Mapping[str, int],
    taken: Mapping[str, set[int]],
    given: Mapping[str, Mapping[int, int]],
) -> list[tuple[str, tuple[int, str]]] | None:
    """Find the moves that make place for a shard of a stripe, the last one first: node, (stripe, from where)."""
    came: dict[str, tuple[int, str]] = {node: (stripe, "") for node in order if stripe not in taken[node]}
    waiting = deque(came)
    while waiting:
        node = waiting.popleft()
        if len(given[node]) < room[node]:
            path = [(node, came[node])]
            while source := path[-1][1][1]:
                path.append((source, came[source]))
            return path
        for moved in given[node]:
            for other in order:
                if other not in came and moved not in taken[other]:
                    came[other] = moved, node
                    waiting.append(other)
    return None


def _drawn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Put the usable ones into a random order, weighted, without replacement (Efraimidis and Spirakis, 2006)."""
    usable = [one for one in candidates if one.usable and one.weight > 0]
    return sorted(usable, key=lambda one: _random.expovariate(one.weight))


def _room(usable: Iterable[Candidate], stripes: int, size: int, reserve: int) -> int:
    return sum(min((one.free - reserve) // size, stripes) for one in usable)


def _wind(rooms: Mapping[str, int], layout: Layout) -> dict[str, list[Shard]]:
    stripes, total = layout.stripes, layout.redundancy.total
    quotas = _quotas(rooms, stripes * total)
    order, line = _random.sample(range(stripes), stripes), 0
    placed: dict[str, list[Shard]] = {}
    for node in _random.sample(list(quotas), len(quotas)):
        cells = range(line, line := line + quotas[node])
        # Turned from stripe to stripe, lest some nodes have slices only and others none.
        shards = [(order[cell % stripes], (cell // stripes + cell % stripes) % total) for cell in cells]
        placed[node] = _shuffled(shards, layout)
    return placed


def _quotas(rooms: Mapping[str, int], shards: int) -> dict[str, int]:
    """Share so many shards out evenly, to none more than it has room for."""
    quotas, left = {}, shards
    for position, node in enumerate(sorted(rooms, key=lambda node: rooms[node])):
        quotas[node] = min(rooms[node], -(-left // (len(rooms) - position)))
        left -= quotas[node]
    return {node: quota for node, quota in quotas.items() if quota}


def _shuffled(shards: Sequence[Shard], layout: Layout) -> list[Shard]:
    """Shuffle, so that a node does not learn the order; a short shard ends a holding, so it stays last."""
    shuffled = _random.sample(shards, len(shards))
    return sorted(shuffled, key=lambda shard: layout.is_short(shard[0]))
