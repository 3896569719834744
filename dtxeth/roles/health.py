"""How healthy nodes, files, namespaces and the whole network are: the chain's judgement, gathered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dtxeth.chain import Contracts, EventIndex
from dtxeth.chain.bindings.types import Health, Level
from dtxeth.chain.rows import FileHealthRow, NodeRow

Shares = Mapping[Level, int]
"""How many there are of each level; all levels are named."""


@dataclass(frozen=True)
class NodeHealth:
    """The health of a storage node.

    Attributes:
        address: Its account.
        name: What it calls itself.
        online: Whether it takes new files.
        draining: Whether it asks owners to move their pieces.
        health: What the chain says: level, score, and what they are made of.
    """

    address: str
    name: str
    online: bool
    draining: bool
    health: Health

    @property
    def level(self) -> Level:
        """Green, Yellow or Red."""
        return self.health.level


@dataclass(frozen=True)
class FileHealth:
    """The health of a file.

    Attributes:
        file_id: The file.
        level: Green: every holding is sound. Yellow: enough of them are. Red: fewer, which may still do.
        unsound: Live holdings that are not sound, and holdings that are missing.
        needed: Shards that give a stripe back.
        total: Shards of each stripe.
    """

    file_id: bytes
    level: Level
    unsound: int
    needed: int
    total: int


@dataclass(frozen=True)
class NamespaceHealth:
    """The health of a namespace.

    Attributes:
        namespace_id: The namespace.
        level: The worst level of its live files; Green without any.
        files: How many of its live files are of each level.
    """

    namespace_id: bytes
    level: Level
    files: Shares


@dataclass(frozen=True)
class NetworkHealth:
    """The health of the whole network.

    Attributes:
        nodes: How many storage nodes are of each level, those that have left not counted.
        lost: How many of them are lost, Red among them.
        files: How many live files are of each level.
    """

    nodes: Shares
    lost: int
    files: Shares

    @property
    def level(self) -> Level:
        """The worst level of a file: what a node does matters to files only; Green without any."""
        return worst(self.files)


def node_health(contracts: Contracts, node: str) -> NodeHealth:
    """Ask the chain about a node.

    Raises:
        UnknownNode: There is no such node.
    """
    record = contracts.node_registry.node_of(node)
    health = contracts.storage_challenge.health_of(node)
    return NodeHealth(node, record.name, record.online, record.draining, health)


def file_health(contracts: Contracts, file_id: bytes) -> FileHealth:
    """Ask the chain about a file, live or not.

    Raises:
        UnknownFile: There is no such file.
    """
    level, unsound = contracts.storage_challenge.file_health(file_id)
    record = contracts.file_registry.file_of(file_id)
    return FileHealth(file_id, level, unsound, record.needed, record.total)


def namespace_health(contracts: Contracts, index: EventIndex, namespace_id: bytes) -> NamespaceHealth:
    """Sum up the live files of a namespace.

    Raises:
        UnknownNamespace: There is no such namespace.
    """
    record = contracts.file_registry.namespace_of(namespace_id)
    files = _file_shares(index, owner=record.owner, namespace=record.name)
    return NamespaceHealth(namespace_id, worst(files), files)


def network_health(index: EventIndex) -> NetworkHealth:
    """Sum up all storage nodes that have not left, and all live files, as the index has them."""
    nodes = [row for row in index.page(NodeRow, role="storage") if row.online or row.stake or row.holdings]
    return NetworkHealth(
        nodes=_shares(row.level for row in nodes),
        lost=sum(bool(row.lost) for row in nodes),
        files=_file_shares(index),
    )


def worst(shares: Shares) -> Level:
    """The worst level that there is any of; Green if there is nothing."""
    return min((level for level, count in shares.items() if count), default=Level.GREEN)


def _file_shares(index: EventIndex, **filters: Any) -> Shares:
    return _shares(row.level for row in index.page(FileHealthRow, status="live", **filters))


def _shares(levels: Iterable[str | None]) -> Shares:
    counted = Counter(levels)
    return {level: counted[level.name.lower()] for level in Level}
