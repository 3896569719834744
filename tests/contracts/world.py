"""A small world for contract tests: accounts with money, registered nodes, published files.

Times are the chain's. :meth:`World.at` sets the second of the next block, so that a test says exactly when a
transaction happens; :data:`DAY` and the like keep the numbers readable.
"""

from __future__ import annotations

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
from dtxeth.chain.bindings.file_authorization import FileAuthorization
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.key_registry import KeyRegistry
from dtxeth.chain.bindings.node_registry import NodeRegistry
from dtxeth.chain.bindings.storage_challenge import StorageChallenge
from dtxeth.chain.bindings.task_registry import TaskRegistry
from dtxeth.chain.bindings.types import Acknowledgement, Kind, Party, Proposal, Publication, Role, Rules
from dtxeth.chain.chain import DEVELOPER, Chain
from dtxeth.chain.compile import ARTIFACTS
from dtxeth.chain.custom_error import CustomError
from dtxeth.crypto import merkle

MINUTE, HOUR, DAY = 60, 3600, 86400
ZERO = "0x" + 20 * "00"
NOTHING = bytes(32)
ETHER = 10**18

RULES = Rules(
    draw_delay=2, answer_window=10 * MINUTE, min_interval=HOUR, max_open_per_node=2, deposit_per_leaf=1000
)
SLOT = 10 * MINUTE

NODES = ("node-1", "node-2", "node-3")
EXECUTORS = ("executor-1", "executor-2", "executor-3")
OTHERS = ("owner-1", "owner-2", "requester", "stranger")

ACKNOWLEDGEMENT = {
    "Acknowledgement": [
        {"name": "fileId", "type": "bytes32"},
        {"name": "owner", "type": "address"},
        {"name": "node", "type": "address"},
        {"name": "root", "type": "bytes32"},
        {"name": "leafCount", "type": "uint32"},
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


@dataclass(frozen=True)
class Held:
    """A file on the chain."""

    file_id: bytes
    owner: Account
    expires_at: int
    holding_ids: tuple[int, ...]


class World:
    """Contracts, accounts and nodes on one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        chain.advance(DAY)  # blocks are never earlier than the wall clock: leave it behind
        for name in (*NODES, *EXECUTORS, *OTHERS):
            chain.faucet(account(name).address, ETHER)
        self.keys = KeyRegistry(chain, self.create("KeyRegistry"))
        self.nodes = NodeRegistry(chain, self.create("NodeRegistry", ["uint64"], SLOT))
        self.files = FileRegistry(chain, self.create("FileRegistry", ["address"], self.nodes.address))
        self.authorizations = FileAuthorization(
            chain, self.create("FileAuthorization", ["address"], self.files.address)
        )
        self.tasks = TaskRegistry(
            chain,
            self.create(
                "TaskRegistry",
                ["address", "address", "address"],
                *(self.files.address, self.authorizations.address, self.nodes.address),
            ),
        )
        rules = ["address", "(uint64,uint64,uint64,uint32,uint256)"]
        self.challenges = StorageChallenge(
            chain, self.create("StorageChallenge", rules, self.files.address, RULES)
        )
        for name in NODES:
            self.nodes.register(Role.STORAGE, name, f"http://{name}", NOTHING, 10**9, sender=account(name))
        for name in EXECUTORS:
            self.nodes.register(Role.EXECUTOR, name, f"http://{name}", NOTHING, 0, sender=account(name))
        for name in ("owner-1", "owner-2", "executor-1"):
            self.files.add_namespace("study", 1, sender=account(name))
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

    # --- files ---

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
        signer: str | None = None,
        domain: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Acknowledgement:
        """What a node signs for :func:`pieces` of its name, or for changed values."""
        hashes = merkle.leaf_hashes(pieces(node))
        message = {
            "fileId": self.files.file_id_of(owner.address, publication.salt),
            "owner": owner.address,
            "node": account(node).address,
            "root": merkle.root(hashes),
            "leafCount": len(hashes),
            "size": len(pieces(node)),
            "expiresAt": publication.expires_at,
            "deadline": self.now() + HOUR,
        } | changes
        signature = account(signer or node).sign_typed(self.domain | (domain or {}), ACKNOWLEDGEMENT, message)
        return Acknowledgement(
            node=message["node"],
            root=message["root"],
            leaf_count=message["leafCount"],
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
        acknowledgements = [self.acknowledge(node, account(owner), publication) for node in nodes]
        self.files.publish(publication, acknowledgements, sender=account(owner))
        file_id = self.files.file_id_of(account(owner).address, publication.salt)
        return Held(file_id, account(owner), publication.expires_at, self.files.holdings_of(file_id))

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

    def open(self, file: Held, leaves: int = 4, holding: int = 0) -> int:
        """Challenge a holding of a file; return the challenge's id."""
        receipt = self.challenges.open(
            file.holding_ids[holding],
            leaves,
            sender=file.owner,
            value=leaves * RULES.deposit_per_leaf,
        )
        return receipt.event(ChallengeOpened).challenge_id

    def draw(self, file: Held, leaves: int = 4, holding: int = 0) -> int:
        """Challenge a holding and draw the leaves; return the challenge's id."""
        challenge_id = self.open(file, leaves, holding)
        self.chain.mine(RULES.draw_delay)
        self.challenges.draw(challenge_id, sender=file.owner)
        return challenge_id

    def answer(self, challenge_id: int, node: str) -> tuple[list[bytes], list[bytes]]:
        """The leaves of a node's pieces that a challenge asks for, and their proof."""
        indices = self.challenges.leaf_indices(challenge_id)
        data = pieces(node)
        leaves = [data[index * merkle.LEAF_SIZE :][: merkle.LEAF_SIZE] for index in indices]
        return leaves, merkle.multiproof(merkle.leaf_hashes(data), indices)
