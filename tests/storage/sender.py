"""An owner who speaks to one storage node without an uploader, and challenges it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeDrawn, ChallengeOpened
from dtxeth.chain.bindings.types import (
    Acknowledgement,
    Algorithm,
    Cause,
    ChallengeStatus,
    Possession,
    Publication,
    Revision,
)
from dtxeth.crypto import kzg, merkle
from dtxeth.storage import Claim, StorageNode, api
from dtxeth.storage.pieces import SLICE_SIZE, holding_root, leaf_count, subtree_roots
from dtxeth.storage.records import Stage
from tests.storage.world import MONTH, World

DRAFT = b"draft of the test"[:16]
WEEK = 7 * 86_400
NONE = bytes(32)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass
class Sender:
    """An owner who speaks to one node without an uploader, about one file."""

    world: World
    node: StorageNode
    account: Account
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    draft: bytes = DRAFT

    def __post_init__(self) -> None:
        self.signer = self.world.signer(self.account)
        self.file = self.world.contracts.file_registry.file_id_of(self.account.address, self.salt)

    def put(self, *pieces: bytes, first: int = 0) -> None:
        for position, piece in enumerate(pieces, start=first):
            resource = api.piece_at(self.file, self.draft, position)
            credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(piece))
            self.node.put_piece(credentials, self.file, self.draft, position, piece)

    def keep(self, position: int, *pieces: bytes) -> None:
        digests = [sha256(piece) for piece in pieces]
        resource = api.kept_at(self.file, self.draft, position)
        credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(b"".join(digests)))
        self.node.keep_pieces(credentials, self.file, self.draft, position, digests)

    def commitments(self) -> list[bytes]:
        resource = api.commitments_of(self.file, self.draft)
        credentials = self.signer.sign(self.node.address, "GET", resource)
        given = self.node.commitments(credentials, self.file, self.draft)
        return [given[start : start + 48] for start in range(0, len(given), 48)]

    def acknowledge(self, claim: Claim) -> Acknowledgement:
        resource = api.draft_of(self.file, self.draft)
        credentials = self.signer.sign(self.node.address, "PUT", resource, sha256(claim.to_bytes()))
        return self.node.acknowledge(credentials, self.file, self.draft, claim)

    def abandon(self) -> None:
        resource = api.draft_of(self.file, self.draft)
        self.node.abandon(self.signer.sign(self.node.address, "DELETE", resource), self.file, self.draft)

    def piece(self, piece: bytes, authorization: int = 0, account: Account | None = None) -> bytes:
        digest = sha256(piece)
        resource = api.piece_named(self.file, digest, authorization)
        credentials = self.world.signer(account or self.account).sign(self.node.address, "GET", resource)
        return self.node.get_piece(credentials, self.file, digest, authorization)

    def manifest(self, digest: bytes) -> bytes:
        resource = api.manifest_of(self.file, digest, 0)
        credentials = self.signer.sign(self.node.address, "GET", resource)
        return self.node.get_manifest(credentials, self.file, digest, 0)

    def claim(self, *pieces: bytes, possession: Possession = Possession.MERKLE, **changes: int) -> Claim:
        root, leaves, commitments_root, blobs = NONE, 0, NONE, 0
        if possession is not Possession.KZG:
            full = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces if len(piece) == SLICE_SIZE]
            rest = [piece for piece in pieces if len(piece) < SLICE_SIZE]
            root = holding_root(subtree_roots(full, rest))
            leaves = sum(leaf_count(len(piece)) for piece in pieces)
        if possession is not Possession.MERKLE:
            commitments = kzg.commit(pieces)
            commitments_root, blobs = kzg.commitments_root(commitments), len(commitments)
        size, expiry = sum(map(len, pieces)), self.world.chain.now() + MONTH
        made = Claim(1, root, leaves, commitments_root, blobs, size, expiry)
        return replace(made, **changes)

    def publish(self, *pieces: bytes, possession: Possession = Possession.MERKLE) -> int:
        """Publish a file with this node as its only one; returns the holding's number."""
        self.put(*pieces)
        claim = self.claim(*pieces, possession=possession)
        given = self.acknowledge(claim)
        registry = self.world.contracts.file_registry
        name = f"alone-{secrets.token_hex(4)}"
        registry.add_namespace(name, 1, 1, possession, sender=self.account)
        publication = Publication(
            salt=self.salt,
            namespace_id=registry.namespace_id_of(self.account.address, name),
            size=100,
            rows=0,
            expires_at=claim.expires_at,
            manifest_digest=sha256(pieces[-1]),
            wrapped_key=b"key",
            sealed_info=b"info",
        )
        registry.publish(publication, (given,), sender=self.account)
        return registry.holding_on(self.file, self.node.address)

    def revise(self, claim: Claim, given: Acknowledgement, manifest: bytes) -> int:
        """Swap the node's holding; returns the new one's number."""
        registry = self.world.contracts.file_registry
        revision = Revision(
            file_id=self.file,
            cause=Cause.REFRESH,
            needed=1,
            total=1,
            expires_at=claim.expires_at,
            manifest_digest=sha256(manifest),
            dropped=(),
        )
        registry.revise(revision, (given,), sender=self.account)
        return registry.holding_on(self.file, self.node.address)

    def stages(self) -> list[Stage]:
        return [held.stage for held in self.node.holdings()]


def blocks(node: StorageNode) -> int:
    return node._shelf.store.repo_stat().blocks


def open_and_draw(
    world: World, holding_id: int, algorithm: Algorithm, count: int
) -> tuple[int, bytes, tuple[int, ...]]:
    challenges = world.contracts.storage_challenge
    deposit = challenges.deposit_for(algorithm, count)
    receipt = challenges.open(holding_id, algorithm, count, sender=world.owner, value=deposit)
    number = receipt.event(ChallengeOpened).challenge_id
    world.chain.mine(world.contracts.deployment.parameters.draw_delay + 1)
    drawn = challenges.draw(number, sender=world.executor).event(ChallengeDrawn)
    return number, drawn.seed, challenges.drawn_indices(number)


def settle(world: World, holding_id: int, algorithm: Algorithm, count: int) -> ChallengeStatus:
    """Challenge a holding and have its node answer."""
    number, seed, indices = open_and_draw(world, holding_id, algorithm, count)
    node = world.holder(holding_id)
    answer = node.answer(holding_id, algorithm, indices, seed)
    account = next(account for account in world.accounts if account.address == node.address)
    challenges = world.contracts.storage_challenge
    prove = challenges.prove_kzg if algorithm is Algorithm.KZG else challenges.prove
    prove(number, seed, answer, sender=account)
    return challenges.challenge(number).status
