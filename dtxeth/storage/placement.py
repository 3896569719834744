"""Placement: which nodes get which slice."""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Mapping

from dtxeth.errors import NotEnoughNodesError
from dtxeth.storage.pieces import SLICE_SIZE

_random = secrets.SystemRandom()


def place(slices: int, replicas: int, free: Mapping[str, int]) -> dict[str, list[int]]:
    """Choose ``replicas`` distinct nodes for every slice.

    Each slice goes to the nodes with most room left. That evens out the room that remains, and it fails only
    if no placement exists at all; equals are drawn at random. Every chosen node keeps room for the manifest
    besides.

    Args:
        slices: Number of slices, each counted as a full one.
        replicas: Pieces of every slice, at least 1.
        free: Free bytes of each usable node, by address.

    Returns:
        For every chosen node its slices, shuffled, but the file's last one at the end.

    Raises:
        NotEnoughNodesError: Too few nodes, or too little room on them.
    """
    if len(free) < replicas:
        raise NotEnoughNodesError(
            f"{len(free)} usable storage nodes, {replicas} replicas: start more nodes, or use fewer replicas"
        )
    # A manifest is at most a full piece, hence the one subtracted.
    room = [(1 - size // SLICE_SIZE, _random.random(), node) for node, size in free.items()]
    heapq.heapify(room)
    placed: dict[str, list[int]] = {}
    for number in range(slices):
        chosen = [heapq.heappop(room) for _ in range(replicas)]
        for negative_room, _, node in chosen:
            if negative_room >= 0:
                raise NotEnoughNodesError(
                    f"the storage nodes have no room for {slices} slices in {replicas} replicas: "
                    "start more nodes, or use fewer replicas"
                )
            placed.setdefault(node, []).append(number)
            heapq.heappush(room, (negative_room + 1, _random.random(), node))
    return {node: _shuffled(numbers, last=slices - 1) for node, numbers in placed.items()}


def _shuffled(numbers: list[int], last: int) -> list[int]:
    """Shuffle, so that a node does not learn the order; the last slice may be short, so it stays last."""
    ordered = [number for number in numbers if number != last]
    _random.shuffle(ordered)
    return ordered + [last] * (last in numbers)
