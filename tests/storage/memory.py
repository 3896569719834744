"""A storage network without disks: nodes that keep everything in memory, for tests of the owner's side."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from dtxeth.chain import Account, Contracts
from dtxeth.chain.bindings.types import Acknowledgement, Possession, Role
from dtxeth.crypto import kzg, merkle
from dtxeth.errors import InputError, IntegrityError, UnknownNameError
from dtxeth.storage import RemoteFile, RequestSigner, Terms, Upload, owned_file_key, public_key_of, upload
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim, NodeStatus
from dtxeth.storage.pieces import SLICE_SIZE, holding_root, leaf_count, subtree_roots

NODES = 8
MONTH = 30 * 86_400
NOTHING = bytes(32)


@dataclass
class MemoryNode:
    """A node that checks what it signs for, as a real one does, but nobody's credentials.

    ``before`` is called with the name of each method and its arguments: a test has it raise, wait or count.
    """

    account: Account
    contracts: Contracts
    owner: str
    capacity: int = 1 << 40
    drafts: dict[bytes, list[bytes]] = field(default_factory=dict)
    held: dict[bytes, list[bytes]] = field(default_factory=dict)
    signed: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    before: Callable[..., None] = lambda *_: None
    after: Callable[[str, bytes], bytes] = lambda _, data: data

    def status(self) -> NodeStatus:
        self.before("status")
        return NodeStatus(self.capacity, sum(map(len, self._everything())))

    def put_piece(self, _: object, file_id: bytes, draft: bytes, position: int, piece: bytes) -> None:
        self.before("put_piece", position)
        staged = self.drafts.setdefault(draft, [])
        if position != len(staged) or (len(piece) == SLICE_SIZE and staged and len(staged[-1]) < SLICE_SIZE):
            raise InputError(f"position {position} of {len(staged)}: a piece that cannot come next")
        if self.status().used + len(piece) > self.capacity:
            raise InputError("no room")
        staged.append(piece)

    def keep_pieces(
        self, _: object, file_id: bytes, draft: bytes, position: int, digests: Sequence[bytes]
    ) -> None:
        self.before("keep_pieces", position)
        mine = {hashlib.sha256(piece).digest(): piece for piece in self.held[file_id]}
        staged = self.drafts.setdefault(draft, [])
        assert position == len(staged)
        if any(digest not in mine for digest in digests):
            raise UnknownNameError("no such piece")
        staged += [mine[digest] for digest in digests]

    def commitments(self, _: object, file_id: bytes, draft: bytes) -> bytes:
        self.before("commitments")
        return self.after("commitments", b"".join(kzg.commit(self.drafts[draft])))

    def acknowledge(self, _: object, file_id: bytes, draft: bytes, claim: Claim) -> Acknowledgement:
        self.before("acknowledge")
        pieces, registry = self.drafts[draft], self.contracts.file_registry
        if claim.root != NOTHING:
            expected = holding_root(_subtrees(pieces)), sum(leaf_count(len(piece)) for piece in pieces)
            if (claim.root, claim.leaf_count) != expected:
                raise IntegrityError("another root")
        if claim.commitments_root != NOTHING:
            commitments = kzg.commit(pieces)
            if (claim.commitments_root, claim.blob_count) != (
                kzg.commitments_root(commitments),
                len(commitments),
            ):
                raise IntegrityError("other commitments")
        if claim.size != sum(map(len, pieces)):
            raise IntegrityError("another size")
        self.signed[file_id] = draft, claim.version
        return sign_acknowledgement(
            self.account, registry, file_id, self.owner, claim, registry.chain.now() + 600
        )

    def abandon(self, _: object, file_id: bytes, draft: bytes) -> None:
        self.before("abandon")
        self.drafts.pop(draft, None)

    def outline(self, _: object, file_id: bytes) -> bytes:
        self.before("outline")
        record = self._holding(file_id)
        data = b"".join(_subtrees(self.held[file_id])) if record.leaf_count else b""
        if record.blob_count:
            data += b"".join(kzg.commit(self.held[file_id]))
        return self.after("outline", data)

    def get_piece(self, _: object, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self.before("get_piece", digest)
        for piece in self.held.get(file_id, ()):
            if hashlib.sha256(piece).digest() == digest:
                return self.after("get_piece", piece)
        raise UnknownNameError("no such piece")

    def get_manifest(self, _: object, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self.before("get_manifest")
        return self.after("get_manifest", self.held[file_id][-1])

    def settle(self, file_id: bytes) -> None:
        """Make the acknowledged draft the holding, or drop it, as the chain says."""
        registry = self.contracts.file_registry
        number = registry.holding_on(file_id, self.account.address)
        draft, version = self.signed.pop(file_id, (b"", 0))
        if not number:
            self.held.pop(file_id, None)
        elif registry.holding(number).version == version:
            self.held[file_id] = self.drafts[draft]
        self.drafts.clear()

    def _holding(self, file_id: bytes) -> object:
        registry = self.contracts.file_registry
        return registry.holding(registry.holding_on(file_id, self.account.address))

    def _everything(self) -> Iterator[bytes]:
        for pieces in (*self.drafts.values(), *self.held.values()):
            yield from pieces


def _subtrees(pieces: Sequence[bytes]) -> list[bytes]:
    full = [merkle.root(merkle.leaf_hashes(piece)) for piece in pieces if len(piece) == SLICE_SIZE]
    assert all(len(piece) == SLICE_SIZE for piece in pieces[: len(full)])
    return subtree_roots(full, [piece for piece in pieces if len(piece) < SLICE_SIZE])


@dataclass
class Town:
    """Eight nodes in memory, and an owner."""

    contracts: Contracts
    owner: Account
    nodes: dict[str, MemoryNode]

    made: set[tuple[int, int, Possession]] = field(default_factory=set)

    def namespace(self, needed: int, total: int, possession: Possession = Possession.MERKLE) -> bytes:
        name = f"{needed} of {total} {possession.name}"
        namespace = self.contracts.file_registry.namespace_id_of(self.owner.address, name)
        if (needed, total, possession) not in self.made:
            self.contracts.file_registry.add_namespace(name, needed, total, possession, sender=self.owner)
            self.made.add((needed, total, possession))
        return namespace

    @property
    def signer(self) -> RequestSigner:
        return RequestSigner(self.owner, self.contracts.file_registry)

    def terms(self, namespace: bytes, name: str = "rows.csv") -> Terms:
        return Terms(name, namespace, self.contracts.chain.now() + MONTH, rows=3, columns=("id", "x"))

    def upload(self, data: bytes, namespace: bytes, **options: object) -> Upload:
        key = public_key_of(self.owner.encryption_key(self.contracts.chain.chain_id))
        return upload(io.BytesIO(data), self.terms(namespace), self.signer, key, self.nodes, **options)

    def publish(self, data: bytes, namespace: bytes, **options: object) -> Upload:
        stored = self.upload(data, namespace, **options)
        self.contracts.file_registry.publish(stored.publication, stored.acknowledgements, sender=self.owner)
        self.settle(stored.file_id)
        return stored

    def settle(self, file_id: bytes) -> None:
        for node in self.nodes.values():
            node.settle(file_id)

    def open(self, file_id: bytes) -> RemoteFile:
        key = owned_file_key(self.owner, self.contracts.file_registry, file_id)
        return RemoteFile(file_id, key, self.signer, self.nodes)


def dead(*_: object) -> None:
    """What a node that is down does with each request."""
    raise ConnectionError("connection refused")


def fails_at(method: str, *arguments: object) -> Callable[..., None]:
    """What a node does that fails at one method, for certain first arguments only."""

    def before(name: str, *given: object) -> None:
        if name == method and given[: len(arguments)] == arguments:
            raise ConnectionResetError("connection reset by peer")

    return before


def flipped(method: str) -> Callable[[str, bytes], bytes]:
    """What a node does that alters what it serves."""
    return lambda name, data: bytes([data[0] ^ 1]) + data[1:] if name == method else data


@pytest.fixture
def town(contracts: Contracts, accounts: list[Account]) -> Town:
    owner, nodes = accounts[0], {}
    for number, account in enumerate(accounts[2 : 2 + NODES]):
        capacity = 1 << 32
        contracts.node_registry.register(
            Role.STORAGE, f"node{number}", "inproc:", bytes(32), capacity,
            sender=account, value=contracts.node_registry.stake_for(capacity),
        )  # fmt: skip
        nodes[account.address] = MemoryNode(account, contracts, owner.address)
    return Town(contracts, owner, nodes)
