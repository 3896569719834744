"""Something happens on chain, anything: moves that a test picks at random, and what must be listed after them.

A move that the contracts refuse changes nothing, and is as good as any.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from eth_utils import keccak

from dtxeth.chain import Account, Contracts
from dtxeth.chain.bindings.events import AuthorizationApproved, ChallengeOpened, FilePublished
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
from dtxeth.crypto import merkle
from dtxeth.errors import ContractRevert
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim

HOUR, DAY = 3600, 86400
NOTHING = bytes(32)
EXPIRIES = (2 * HOUR, 2 * DAY, 30 * DAY)
JUMPS = (HOUR, DAY, 8 * DAY)
FEW = ((0, 1), (1, 2), (0, 1, 2), (2, 3))
"""Sets of nodes."""


@dataclass(frozen=True)
class Moved:
    """A revision after which other nodes held a file."""

    file_id: bytes
    version: int
    left: frozenset[str]
    joined: frozenset[str]


class History:
    """Four storage nodes, two executors, two owners and a requester, and what they do.

    Args:
        contracts: Freshly deployed.
        accounts: Nine with money.
    """

    def __init__(self, contracts: Contracts, accounts: list[Account]) -> None:
        self.contracts, self.chain = contracts, contracts.chain
        self.nodes, self.executors = accounts[:4], accounts[4:6]
        self.owners, self.requester = accounts[6:8], accounts[8]
        self.namespaces: list[bytes] = []
        self.files: list[tuple[bytes, Account]] = []
        self.challenges: list[tuple[int, Account]] = []
        self.authorizations: list[tuple[int, Account]] = []
        self.migrations: list[Moved] = []
        self._salt = 0
        registry = contracts.node_registry
        for number, node in enumerate(self.nodes):
            stake = registry.stake_for(1 << 20)
            registry.register(
                Role.STORAGE, f"n{number}", "http://n", NOTHING, 1 << 20, sender=node, value=stake
            )
        for number, executor in enumerate(self.executors):
            registry.register(Role.EXECUTOR, f"e{number}", "http://e", NOTHING, 0, sender=executor)
        for owner in self.owners:
            self.add_namespace(self.owners.index(owner), 1)

    def do(self, name: str, a: int, b: int) -> bool:
        """Make a move, with two numbers that decide the details; returns whether it was allowed."""
        move: Callable[[int, int], object] = getattr(self, name)
        with contextlib.suppress(ContractRevert, IndexError, ZeroDivisionError):
            move(a, b)
            return True
        return False

    # --- time and nodes ---

    def wait(self, a: int, b: int) -> None:
        self.chain.advance(JUMPS[a % 3])

    def heartbeat(self, a: int, b: int) -> None:
        for node in self.nodes[: 1 + a % 4]:
            with contextlib.suppress(ContractRevert):
                self.contracts.node_registry.heartbeat(sender=node)

    def change_node(self, a: int, b: int) -> None:
        registry, node = self.contracts.node_registry, self.nodes[a % 4]
        match b % 5:
            case 0:
                registry.set_online(not registry.node_of(node.address).online, sender=node)
            case 1:
                registry.set_draining(not registry.node_of(node.address).draining, sender=node)
            case 2:
                registry.update(f"http://{a}", bytes([a]) * 32, 1000 * (a + 4), sender=node)
            case 3:
                registry.add_stake(sender=node, value=10 ** (18 + a % 3))
            case 4:
                registry.unstake(sender=node)

    # --- files ---

    def add_namespace(self, a: int, b: int) -> None:
        owner, name = self.owners[a % 2], f"space {b}"
        registry, redundancy = self.contracts.file_registry, ((1, 2), (1, 1), (2, 3))[b % 3]
        registry.add_namespace(name, *redundancy, Possession.MERKLE, sender=owner)
        self.namespaces.append(registry.namespace_id_of(owner.address, name))

    def set_redundancy(self, a: int, b: int) -> None:
        owner = self.owners[b % 2]
        namespace = self.namespaces[a % len(self.namespaces)]
        self.contracts.file_registry.set_redundancy(namespace, 1 + b % 2, 2 + a % 2, sender=owner)

    def publish(self, a: int, b: int) -> None:
        owner, self._salt = self.owners[a % 2], self._salt + 1
        publication = Publication(
            salt=keccak(self._salt.to_bytes(4, "big")),
            namespace_id=self.contracts.file_registry.namespace_id_of(owner.address, "space 1"),
            size=5000 + b,
            rows=(1 << 64) - 1 if b == 9 else b,
            expires_at=self.chain.now() + EXPIRIES[b % 3],
            manifest_digest=bytes([1]) * 32,
            wrapped_key=b"key",
            sealed_info=b"info",
        )
        file_id = self.contracts.file_registry.file_id_of(owner.address, publication.salt)
        acknowledgements = [
            self.acknowledge(self.nodes[number], owner, file_id, 1, publication.expires_at)
            for number in FEW[(a + b) % 4]
        ]
        receipt = self.contracts.file_registry.publish(publication, acknowledgements, sender=owner)
        self.files.append((receipt.event(FilePublished).file_id, owner))

    def revise(self, a: int, b: int) -> None:
        registry, (file_id, owner) = self.contracts.file_registry, self._file(a)
        record = registry.file_of(file_id)
        held = {registry.holding(number).node: number for number in registry.holdings_of(file_id)}
        expires_at = record.expires_at + (0, DAY)[b % 2]
        fresh = [self.nodes[number] for number in FEW[b % 4]]
        dropped = sorted(held.keys() - {node.address for node in fresh})[: a % 3]
        acknowledgements = [
            self.acknowledge(node, owner, file_id, record.version + 1, expires_at) for node in fresh
        ]
        registry.revise(
            Revision(
                file_id=file_id,
                cause=Cause(1 + b % 5),
                needed=record.needed,
                total=record.total,
                expires_at=expires_at,
                manifest_digest=bytes([b + 1]) * 32,
                dropped=tuple(held[node] for node in dropped),
            ),
            acknowledgements,
            sender=owner,
        )
        left, joined = frozenset(dropped), frozenset({node.address for node in fresh} - held.keys())
        if left or joined:
            self.migrations.append(Moved(file_id, record.version + 1, left, joined))

    def delete(self, a: int, b: int) -> None:
        file_id, owner = self._file(a)
        self.contracts.file_registry.delete_file(file_id, sender=owner)

    def release(self, a: int, b: int) -> None:
        self.contracts.file_registry.release([1 + (3 * a + b) % 20], sender=self.requester)

    def acknowledge(
        self, node: Account, owner: Account, file_id: bytes, version: int, expires_at: int
    ) -> Acknowledgement:
        """What a node signs for its :func:`piece` of a file."""
        hashes = merkle.leaf_hashes(piece(node.address, file_id))
        claim = Claim(version, merkle.root(hashes), len(hashes), NOTHING, 0, 1000, expires_at)
        registry, deadline = self.contracts.file_registry, self.chain.now() + DAY
        return sign_acknowledgement(node, registry, file_id, owner.address, claim, deadline)

    # --- authorizations ---

    def apply(self, a: int, b: int) -> None:
        file_id, owner = self._file(a)
        applier = self.executors[b % 2]
        authorizations, task = self.contracts.file_authorization, (1 << 256) - 1 if b == 9 else b // 2
        authorizations.apply_for(file_id, task, sender=applier)
        self.authorizations.append((authorizations.latest_of(file_id, applier.address, task), owner))

    def decide(self, a: int, b: int) -> None:
        number, owner = self.authorizations[a % len(self.authorizations)]
        authorizations, until = self.contracts.file_authorization, self.chain.now() + HOUR
        match b % 4:
            case 0 | 1:
                authorizations.approve(number, b"key", until, sender=owner)
            case 2:
                authorizations.reject(number, "no", sender=owner)
            case 3:
                authorizations.revoke(number, "no more", sender=owner)

    def grant(self, a: int, b: int) -> None:
        file_id, owner = self._file(a)
        receipt = self.contracts.file_authorization.grant(
            *(file_id, self.executors[b % 2].address, b // 2, b"key", self.chain.now() + HOUR), sender=owner
        )
        self.authorizations.append((receipt.event(AuthorizationApproved).authorization_id, owner))

    # --- challenges ---

    def challenge(self, a: int, b: int) -> None:
        file_id, owner = self._file(a)
        holdings = self.contracts.file_registry.holdings_of(file_id)
        deposit = self.contracts.storage_challenge.deposit_for(Algorithm.MERKLE, 2)
        receipt = self.contracts.storage_challenge.open(
            holdings[b % len(holdings)], Algorithm.MERKLE, 2, sender=owner, value=deposit
        )
        self.challenges.append((receipt.event(ChallengeOpened).challenge_id, owner))

    def settle(self, a: int, b: int) -> None:
        """Draw a challenge and answer it rightly, wrongly or late; or leave it drawn."""
        number, owner = self.challenges[-1 - a % len(self.challenges)]
        challenges = self.contracts.storage_challenge
        with contextlib.suppress(ContractRevert):
            self.chain.mine(2)
            challenges.draw(number, sender=owner)
        match b % 4:
            case 0 | 1:
                self._answer(number, good=b % 4 == 0)
            case 2:
                self.chain.advance(HOUR)
                challenges.close(number, sender=owner)

    def void(self, a: int, b: int) -> None:
        number, owner = self.challenges[-1 - a % len(self.challenges)]
        self.chain.mine(260)
        self.contracts.storage_challenge.close(number, sender=owner)

    def _answer(self, number: int, *, good: bool) -> None:
        challenges = self.contracts.storage_challenge
        record = challenges.challenge(number)
        held = self.contracts.file_registry.holding(record.holding_id)
        data = piece(held.node, held.file_id)
        indices = challenges.drawn_indices(number)
        leaves = [data[index * merkle.LEAF_SIZE :][: merkle.LEAF_SIZE] for index in indices]
        proof = merkle.multiproof(merkle.leaf_hashes(data), indices)
        if not good:
            leaves[0] = bytes(len(leaves[0]))
        node = next(node for node in self.nodes if node.address == held.node)
        challenges.prove(number, record.seed, merkle.encode_answer(leaves, proof), sender=node)

    # --- tasks ---

    def propose(self, a: int, b: int) -> None:
        files = [self._file(a), self._file(b)]
        parties = tuple(
            Party(executor.address, file_id, 5000)
            for executor, (file_id, _) in zip(self.executors, files, strict=True)
        )
        now, spec = self.chain.now(), b'{"algorithm":"linear-vl"}'
        proposal = Proposal(Kind.TRAIN, spec, parties, now + HOUR, now + 2 * HOUR, now + DAY, 0)
        tasks = self.contracts.task_registry
        tasks.publish(proposal, sender=self.requester, value=a * 10**18)
        for executor, (file_id, owner) in zip(self.executors, files, strict=True):
            task, until = tasks.task_count(), self.contracts.file_registry.file_of(file_id).expires_at
            receipt = self.contracts.file_authorization.grant(
                *(file_id, executor.address, task, b"key", until), sender=owner
            )
            number = receipt.event(AuthorizationApproved).authorization_id
            self.authorizations.append((number, owner))
            if b % 4:
                tasks.confirm(task, number, sender=executor)

    def work(self, a: int, b: int) -> None:
        tasks = self.contracts.task_registry
        task = 1 + a % max(tasks.task_count(), 1)
        first, second = self.executors
        match b % 8:
            case 0:
                tasks.cancel(task, sender=self.requester)
            case 1:
                tasks.reject(task, "no", sender=first)
            case 2 | 3:
                tasks.start(task, sender=self.requester)
                tasks.begin(task, sender=first)
            case 4 | 5:
                tasks.report(task, b"{}", NOTHING, sender=first)
                tasks.report(task, b"{}" if b % 8 == 4 else b"[]", NOTHING, sender=second)
            case 6:
                tasks.fail(task, "cannot", sender=second)
            case 7:
                tasks.time_out(task, "away", sender=first)

    def _file(self, number: int) -> tuple[bytes, Account]:
        return self.files[-1 - number % len(self.files)]


MOVES = (
    *("wait", "heartbeat", "change_node", "add_namespace", "set_redundancy", "publish", "publish", "revise"),
    *("revise", "delete", "release", "release", "apply", "decide", "decide", "grant", "challenge"),
    *("challenge", "settle", "settle", "propose", "work", "work"),
)
"""Names of the moves, the fruitful ones more than once; ``void`` takes too long."""

STORY = (
    *(("publish", 0, 0), ("publish", 1, 2), ("publish", 0, 5), ("publish", 1, 2), ("heartbeat", 3, 0)),
    *(("challenge", 0, 0), ("settle", 0, 0), ("challenge", 1, 0), ("settle", 0, 1), ("challenge", 2, 0)),
    *(("settle", 0, 2), ("challenge", 1, 1), ("settle", 0, 3), ("challenge", 2, 1), ("void", 0, 0)),
    *(("revise", 1, 0), ("revise", 1, 3), ("revise", 2, 3), ("revise", 2, 9)),
    *(("apply", 0, 1), ("apply", 0, 2), ("apply", 1, 4), ("apply", 1, 9), ("decide", 0, 0), ("decide", 1, 2)),
    *(("decide", 3, 0), ("decide", 3, 3), ("grant", 2, 5)),
    *(("propose", 1, 2), ("work", 0, 2), ("work", 0, 4), ("propose", 2, 1), ("work", 1, 3), ("work", 1, 5)),
    *(("propose", 1, 4), ("work", 2, 1), ("propose", 2, 1), ("work", 3, 0), ("propose", 0, 1)),
    *(("work", 4, 2), ("work", 4, 6), ("propose", 0, 1), ("wait", 1, 0), ("heartbeat", 3, 0), ("work", 5, 7)),
    *(("propose", 0, 1), ("set_redundancy", 0, 0), ("add_namespace", 0, 3), ("change_node", 0, 0)),
    *(("change_node", 1, 1), ("change_node", 2, 2), ("change_node", 3, 3), ("delete", 0, 0)),
    *(("publish", 1, 2), ("challenge", 0, 0)),
)
"""Moves after which every list has something of every kind."""


def piece(node: str, file_id: bytes) -> bytes:
    """The 1,000 bytes that a node holds of a file."""
    return hashlib.shake_128(node.encode() + file_id).digest(1000)
