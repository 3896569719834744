"""Files on paper: on the chain with holdings and all, but of a few random bytes that only this module keeps.

What happens to holdings on the chain can be tried out with them at the cost of one transaction a file.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from dtxeth.chain.bindings.types import Algorithm, Publication
from dtxeth.crypto import merkle
from dtxeth.errors import IntegrityError, StorageError
from dtxeth.roles import DataOwner, StorageNode
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim, NodeStatus
from dtxeth.storage.lifecycle import Sweep

LEAVES = 40
DAY = 24 * 3600


@dataclass
class PaperService:
    """Stands in for a node's service: answers Merkle challenges from memory, frees nothing by itself."""

    capacity: int = 2**30
    holdings: dict[int, list[bytes]] = field(default_factory=dict)
    releasable: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    trouble: list[StorageError | OSError] = field(default_factory=list)
    """What the next answers fail with, one each."""

    def answer(self, holding_id: int, algorithm: Algorithm, indices: Sequence[int], seed: bytes) -> bytes:
        assert algorithm is Algorithm.MERKLE
        if self.trouble:
            raise self.trouble.pop(0)
        leaves = self.holdings[holding_id]
        if any(not leaves[index] for index in indices):
            raise IntegrityError("a leaf was altered: fetch it again")
        self.answered.append(holding_id)
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
        return merkle.encode_answer([leaves[i] for i in indices], merkle.multiproof(hashes, indices))

    def sweep(self) -> Sweep:
        swept, self.releasable = self.releasable, []
        return Sweep(0, 0, tuple(swept))

    def status(self) -> NodeStatus:
        return NodeStatus(self.capacity, 0)

    def close(self) -> None:
        pass


def turn_into_paper(nodes: Sequence[StorageNode]) -> None:
    for node in nodes:
        node.service.close()
        node.service = PaperService()  # type: ignore[assignment]


def paper_of(node: StorageNode) -> PaperService:
    assert isinstance(node.service, PaperService)
    return node.service


def publish(owner: DataOwner, nodes: Sequence[StorageNode], namespace: bytes, days: float = 365) -> bytes:
    """Put a file on the chain that these nodes hold; returns its id."""
    files, salt = owner.contracts.file_registry, secrets.token_bytes(32)
    file_id = files.file_id_of(owner.address, salt)
    expires_at = owner.network.chain.now() + int(days * DAY)
    held, acknowledgements = [], []
    for node in nodes:
        leaves = [secrets.token_bytes(merkle.LEAF_SIZE) for _ in range(LEAVES)]
        root = merkle.root([merkle.leaf_hash(leaf) for leaf in leaves])
        claim = Claim(1, root, LEAVES, bytes(32), 0, LEAVES * merkle.LEAF_SIZE, expires_at)
        held.append(leaves)
        acknowledgements.append(
            sign_acknowledgement(node.account, files, file_id, owner.address, claim, expires_at)
        )
    publication = Publication(salt, namespace, 1, 0, expires_at, b"\1" * 32, b"key", b"info")
    files.publish(publication, acknowledgements, sender=owner.account)
    for node, leaves in zip(nodes, held, strict=True):
        paper_of(node).holdings[files.holding_on(file_id, node.address)] = leaves
    owner.network.index.sync()
    return file_id
