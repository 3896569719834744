"""A small world for contract tests: accounts with money, registered nodes, published files.

Times are the chain's. :meth:`World.at` sets the second of the next block, so that a test says exactly when a
transaction happens; :data:`DAY` and the like keep the numbers readable.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from eth_utils import keccak

from dtxeth.chain.abi import Call, Event, Log, encode
from dtxeth.chain.accounts import Account
from dtxeth.chain.bindings.events import ChallengeOpened
from dtxeth.chain.bindings.types import (
    Acknowledgement,
    Algorithm,
    Cause,
    Kind,
    Party,
    Possession,
    Proposal,
    Publication,
    Revision,
    Role,
)
from dtxeth.chain.chain import DEVELOPER, Chain, Receipt
from dtxeth.chain.compile import ARTIFACTS
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.custom_error import CustomError
from dtxeth.chain.deploy import Parameters, deploy
from dtxeth.crypto import kzg, merkle

MINUTE, HOUR, DAY = 60, 3600, 86400
ZERO = "0x" + 20 * "00"
NOTHING = bytes(32)
ETHER = 10**18

SLOT = 10 * MINUTE
RATE = 7
"""Wei at stake for each byte."""

RULES = Parameters(
    slot_seconds=SLOT,
    stake_per_gib=RATE * 2**30,
    draw_delay=2,
    answer_window=10 * MINUTE,
    min_interval=HOUR,
    max_open_per_node=2,
    slash_percent=40,
    deposit_per_leaf=1000,
    deposit_per_proof=5000,
    deposit_per_blob=300,
    lost_slots=6,
    lost_misses=3,
)
CAPACITY = 10**9
STAKE = CAPACITY * RATE

NODES = ("node-1", "node-2", "node-3")
EXECUTORS = ("executor-1", "executor-2", "executor-3")
OTHERS = ("owner-1", "owner-2", "requester", "stranger")

ACKNOWLEDGEMENT = {
    "Acknowledgement": [
        {"name": "fileId", "type": "bytes32"},
        {"name": "version", "type": "uint32"},
        {"name": "owner", "type": "address"},
        {"name": "node", "type": "address"},
        {"name": "root", "type": "bytes32"},
        {"name": "leafCount", "type": "uint32"},
        {"name": "commitmentsRoot", "type": "bytes32"},
        {"name": "blobCount", "type": "uint32"},
        {"name": "size", "type": "uint64"},
        {"name": "expiresAt", "type": "uint64"},
        {"name": "deadline", "type": "uint64"},
    ]
}


def account(name: str) -> Account:
    """The account of a name; the same in every run."""
    return Account.from_key(keccak(text=name))


def event(kind: type[Event], *values: Any) -> Event:
    """An event as a receipt would have it; where it was logged does not count in comparisons."""
    return kind(*values, log=cast(Log, None))


@contextmanager
def refused(kind: type[CustomError], *values: Any) -> Iterator[None]:
    """Expect a custom error with exactly these arguments, and a message that shows them."""
    with pytest.raises(kind) as caught:
        yield
    assert tuple(caught.value.arguments.values()) == values
    assert "{" not in str(caught.value)


def pieces(name: str, size: int = 3000) -> bytes:
    """Some bytes for a node to hold; different for different names."""
    return hashlib.shake_128(name.encode()).digest(size)


@functools.cache
def commitments(data: bytes) -> tuple[bytes, ...]:
    """The KZG commitments of one piece."""
    return tuple(kzg.commit([data]))


def roots(data: bytes, possession: Possession) -> dict[str, Any]:
    """What a node signs about one piece, as the namespace asks."""
    hashes = merkle.leaf_hashes(data) if possession != Possession.KZG else []
    points = commitments(data) if possession != Possession.MERKLE else ()
    return {
        "root": merkle.root(hashes) if hashes else NOTHING,
        "leafCount": len(hashes),
        "commitmentsRoot": kzg.commitments_root(points) if points else NOTHING,
        "blobCount": len(points),
        "size": len(data),
    }


@dataclass(frozen=True)
class Held:
    """A file on the chain."""

    file_id: bytes
    owner: Account
    publication: Publication
    expires_at: int
    holding_ids: tuple[int, ...]
    possession: Possession


class World:
    """Contracts, accounts and nodes on one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        chain.advance(DAY)  # blocks are never earlier than the wall clock: leave it behind
        for name in (*NODES, *EXECUTORS, *OTHERS):
            chain.faucet(account(name).address, ETHER)
        self.contracts = Contracts(chain, deploy(chain, DEVELOPER, RULES))
        self.keys = self.contracts.key_registry
        self.nodes = self.contracts.node_registry
        self.files = self.contracts.file_registry
        self.authorizations = self.contracts.file_authorization
        self.tasks = self.contracts.task_registry
        self.challenges = self.contracts.storage_challenge
        for name in NODES:
            self.register(name)
        for name in EXECUTORS:
            self.nodes.register(Role.EXECUTOR, name, f"http://{name}", NOTHING, 0, sender=account(name))
        for name in ("owner-1", "owner-2", "executor-1"):
            self.files.add_namespace("study", 1, 1, Possession.MERKLE, sender=account(name))
        self._files = 0

    # --- the chain ---

    def create(self, name: str, kinds: Sequence[str] = (), *arguments: Any) -> str:
        """Deploy a contract by its shipped artifact."""
        return self.deploy(json.loads((ARTIFACTS / f"{name}.json").read_text()), kinds, *arguments)

    def deploy(self, artifact: dict[str, Any], kinds: Sequence[str] = (), *arguments: Any) -> str:
        """Deploy a contract; return its address."""
        code = bytes.fromhex(artifact["bytecode"].removeprefix("0x")) + encode(kinds, arguments)
        address = self.chain.transact(DEVELOPER, Call(None, code)).contract
        assert address is not None
        return address

    def now(self) -> int:
        """The time of the latest block."""
        return self.chain.now()

    def at(self, time: int) -> None:
        """Let the next block be of this second."""
        later = time - self.now() - 1  # left alone, the chain's time moves by a second a block
        assert later >= 0, "time does not run backwards"
        self.chain.rollback(self.chain.snapshot())  # forget a time set for a block that was refused
        self.chain.request("evm_increaseTime", later)

    def view_at(self, time: int) -> None:
        """Let views see this second: they run in the latest block."""
        self.at(time)
        self.chain.mine()

    # --- nodes ---

    def register(self, name: str, capacity: int = CAPACITY, stake: int | None = None) -> Receipt:
        """Register a storage node, with as much at stake as it must have."""
        value = capacity * RATE if stake is None else stake
        return self.nodes.register(
            *(Role.STORAGE, name, f"http://{name}", NOTHING, capacity), sender=account(name), value=value
        )

    # --- files ---

    def namespace(self, owner: str, needed: int, total: int, possession: Possession) -> bytes:
        """Add a namespace of an owner; return its id."""
        name = f"{needed} of {total}, {possession.name}"
        self.files.add_namespace(name, needed, total, possession, sender=account(owner))
        return self.files.namespace_id_of(account(owner).address, name)

    def publication(self, owner: Account, **changes: Any) -> Publication:
        """A publication into the owner's namespace that is good unless changed."""
        self._files += 1
        good = Publication(
            salt=keccak(self._files.to_bytes(32, "big")),
            namespace_id=self.files.namespace_id_of(owner.address, "study"),
            size=5000,
            rows=100,
            expires_at=self.now() + 30 * DAY,
            manifest_digest=keccak(b"manifest"),
            wrapped_key=b"key wrapped for the owner",
            sealed_info=b"sealed name",
        )
        return replace(good, **changes)

    def acknowledge(
        self,
        node: str,
        owner: Account,
        publication: Publication,
        /,
        *,
        possession: Possession = Possession.MERKLE,
        signer: str | None = None,
        domain: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Acknowledgement:
        """What a node signs for :func:`pieces` of its name, or for changed values."""
        message = {
            "fileId": self.files.file_id_of(owner.address, publication.salt),
            "version": 1,
            "owner": owner.address,
            "node": account(node).address,
            **roots(pieces(node), possession),
            "expiresAt": publication.expires_at,
            "deadline": self.now() + HOUR,
        } | changes
        signature = account(signer or node).sign_typed(self.domain | (domain or {}), ACKNOWLEDGEMENT, message)
        return Acknowledgement(
            node=message["node"],
            root=message["root"],
            leaf_count=message["leafCount"],
            commitments_root=message["commitmentsRoot"],
            blob_count=message["blobCount"],
            size=message["size"],
            deadline=message["deadline"],
            signature=signature,
        )

    @property
    def domain(self) -> dict[str, Any]:
        """The EIP-712 domain that nodes sign in."""
        return {
            "name": "dtxeth FileRegistry",
            "version": "1",
            "chainId": self.chain.chain_id,
            "verifyingContract": self.files.address,
        }

    def publish(self, owner: str, nodes: Sequence[str] = ("node-1",), **changes: Any) -> Held:
        """Publish a file, held by nodes."""
        publication = self.publication(account(owner), **changes)
        possession = self.files.namespace_of(publication.namespace_id).possession
        acknowledgements = [
            self.acknowledge(node, account(owner), publication, possession=possession) for node in nodes
        ]
        self.files.publish(publication, acknowledgements, sender=account(owner))
        file_id = self.files.file_id_of(account(owner).address, publication.salt)
        holding_ids = self.files.holdings_of(file_id)
        return Held(file_id, account(owner), publication, publication.expires_at, holding_ids, possession)

    def revision(self, file: Held, **changes: Any) -> Revision:
        """A revision of a file that is good unless changed."""
        known = self.files.file_of(file.file_id)
        good = Revision(
            file_id=file.file_id,
            cause=Cause.REPAIR,
            needed=known.needed,
            total=known.total,
            expires_at=known.expires_at,
            manifest_digest=keccak(b"new manifest"),
            dropped=(),
        )
        return replace(good, **changes)

    def join(self, node: str, file: Held, revision: Revision, **changes: Any) -> Acknowledgement:
        """What a node signs for a revision of a file."""
        version = self.files.file_of(file.file_id).version + 1
        agreed = {"possession": file.possession, "version": version, "expiresAt": revision.expires_at}
        return self.acknowledge(node, file.owner, file.publication, **agreed | changes)

    def revise(self, file: Held, nodes: Sequence[str] = (), **changes: Any) -> Receipt:
        """Have nodes hold a file anew, or first."""
        revision = self.revision(file, **changes)
        return self.files.revise(
            revision, [self.join(node, file, revision) for node in nodes], sender=file.owner
        )

    def authorize(self, file: Held, applier: str, task_id: int, expires_at: int | None = None) -> int:
        """Let an account read a file for a task; return the authorization's id."""
        self.authorizations.grant(
            *(file.file_id, account(applier).address, task_id, b"wrapped key", expires_at or file.expires_at),
            sender=file.owner,
        )
        return self.authorizations.latest_of(file.file_id, account(applier).address, task_id)

    # --- tasks ---

    def proposal(self, files: Sequence[Held], **changes: Any) -> Proposal:
        """A training task on files, one for each executor in order, that is good unless changed."""
        executors = EXECUTORS[: len(files)]
        first = 10_000 - sum(3333 for _ in executors[1:])
        parties = tuple(
            Party(account(name).address, file.file_id, 3333 if place else first)
            for place, (name, file) in enumerate(zip(executors, files, strict=True))
        )
        now = self.now()
        good = Proposal(Kind.TRAIN, b'{"kind":"train"}', parties, now + HOUR, now + 2 * HOUR, now + DAY, 0)
        return replace(good, **changes)

    def propose(self, files: Sequence[Held], reward: int = 0, **changes: Any) -> int:
        """Publish a task; return its id."""
        self.tasks.publish(self.proposal(files, **changes), sender=account("requester"), value=reward)
        return self.tasks.task_count()

    def confirm(self, task_id: int, files: Sequence[Held], executors: Sequence[str] = EXECUTORS) -> None:
        """Authorize and confirm; the files and executors go in pairs."""
        for name, file in zip(executors, files, strict=False):
            authorization_id = self.authorize(file, name, task_id)
            self.tasks.confirm(task_id, authorization_id, sender=account(name))

    def process(self, files: Sequence[Held], reward: int = 0, **changes: Any) -> int:
        """Bring a task to Processing; return its id."""
        task_id = self.propose(files, reward, **changes)
        self.confirm(task_id, files)
        self.tasks.start(task_id, sender=account("requester"))
        self.tasks.begin(task_id, sender=account(EXECUTORS[0]))
        return task_id

    # --- challenges ---

    def open(
        self, file: Held, count: int = 4, holding: int = 0, algorithm: Algorithm = Algorithm.MERKLE
    ) -> int:
        """Challenge a holding of a file; return the challenge's id."""
        receipt = self.challenges.open(
            *(file.holding_ids[holding], algorithm, count),
            sender=file.owner,
            value=self.challenges.deposit_for(algorithm, count),
        )
        return receipt.event(ChallengeOpened).challenge_id

    def draw(
        self, file: Held, count: int = 4, holding: int = 0, algorithm: Algorithm = Algorithm.MERKLE
    ) -> int:
        """Challenge a holding and draw; return the challenge's id."""
        challenge_id = self.open(file, count, holding, algorithm)
        self.chain.mine(RULES.draw_delay)
        self.challenges.draw(challenge_id, sender=file.owner)
        return challenge_id

    def leaves(self, challenge_id: int, node: str) -> tuple[list[bytes], list[bytes]]:
        """The leaves of a node's pieces that a challenge asks for, and their proof."""
        indices = self.challenges.drawn_indices(challenge_id)
        data = pieces(node)
        leaves = [data[index * merkle.LEAF_SIZE :][: merkle.LEAF_SIZE] for index in indices]
        return leaves, merkle.multiproof(merkle.leaf_hashes(data), indices)

    def answer(self, challenge_id: int, node: str) -> bytes:
        """What a node that holds :func:`pieces` of its name answers."""
        record = self.challenges.challenge(challenge_id)
        if record.algorithm == Algorithm.MERKLE:
            return merkle.encode_answer(*self.leaves(challenge_id, node))
        data, indices = pieces(node), self.challenges.drawn_indices(challenge_id)
        blobs = kzg.blobs(data)
        return kzg.prove(record.seed, indices, [blobs[index] for index in indices], commitments(data))

    def prove(self, challenge_id: int, node: str = "node-1", answer: bytes | None = None) -> Receipt:
        """Have a node answer a challenge: rightly, or as given."""
        record = self.challenges.challenge(challenge_id)
        answer = self.answer(challenge_id, node) if answer is None else answer
        prove = self.challenges.prove if record.algorithm == Algorithm.MERKLE else self.challenges.prove_kzg
        return prove(challenge_id, record.seed, answer, sender=account(node))

    def miss(self, challenge_id: int) -> Receipt:
        """Let the time of a drawn challenge lapse, and close it."""
        self.at(max(self.challenges.challenge(challenge_id).deadline, self.now()) + 1)
        return self.challenges.close(challenge_id, sender=account("stranger"))
