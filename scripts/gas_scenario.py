"""What scripts/gas.py measures: accounts that use every function of the contracts, and what it costs them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from hashlib import sha256

from eth_utils import keccak

from dtxeth.chain import Account, Contracts, Parameters, Receipt
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
from dtxeth.crypto import kzg, merkle
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim

GENESIS = 2_000_000_000
FOREVER = GENESIS + 10**7
MIB = 2**20
NODES = 7
LEAF = (sha256(b"leaf").digest() * 8)[: merkle.LEAF_SIZE]
BLOB = sha256(b"blob").digest() * (kzg.BLOB_DATA // 32)


class Scenario:
    """Accounts that use every function of the contracts; ``gas`` is what it cost them."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.chain = contracts.chain
        self.gas: dict[str, int] = {}
        nodes, executors = (f"node-{i}" for i in range(NODES)), (f"executor-{i}" for i in range(2))
        names = ("owner", "requester", "stranger", *nodes, *executors)
        self.accounts = {name: Account.from_key(keccak(text=f"gas {name}")) for name in names}
        self.owner, self.requester = self.accounts["owner"], self.accounts["requester"]
        self.nodes = [self.accounts[f"node-{i}"] for i in range(NODES)]
        self.executors = [self.accounts[f"executor-{i}"] for i in range(2)]
        for account in self.accounts.values():
            self.chain.faucet(account.address, 10**21)

    def run(self) -> None:
        """Use everything."""
        self.registries()
        self.files()
        self.authorizations()
        self.tasks()
        self.challenges()
        self.revisions()

    def note(self, operation: str, receipt: Receipt) -> Receipt:
        """Write down what an operation used; when it is repeated, the first time counts."""
        self.gas.setdefault(operation, receipt.gas_used)
        return receipt

    # --- keys, nodes, files ---

    def registries(self) -> None:
        """Keys and nodes."""
        keys, nodes = self.contracts.key_registry, self.contracts.node_registry
        for operation in ("publish, first key", "publish, rotation"):
            self.note(f"KeyRegistry.{operation}", keys.publish(sha256(b"key").digest(), sender=self.owner))
        fingerprint, capacity = sha256(b"tls").digest(), 2**41
        for role, accounts in ((Role.EXECUTOR, self.executors), (Role.STORAGE, self.nodes)):
            for number, account in enumerate(accounts):
                receipt = nodes.register(
                    *(role, f"node {number}", f"https://node{number}.example:8443", fingerprint, capacity),
                    sender=account,
                    value=nodes.stake_for(capacity) if role == Role.STORAGE else 0,
                )
                self.note(f"NodeRegistry.register, {role.name.lower()}", receipt)
        node = self.nodes[0]
        moved = nodes.update("https://moved.example:8443", fingerprint, capacity, sender=node)
        self.note("NodeRegistry.update", moved)
        self.note("NodeRegistry.setOnline", nodes.set_online(False, sender=node))
        nodes.set_online(True, sender=node)
        self.note("NodeRegistry.setDraining", nodes.set_draining(True, sender=node))
        nodes.set_draining(False, sender=node)
        self.note("NodeRegistry.addStake", nodes.add_stake(sender=node, value=1))
        self.note("NodeRegistry.heartbeat, first of a day", nodes.heartbeat(sender=node))
        self.chain.advance(Parameters().slot_seconds)
        self.note("NodeRegistry.heartbeat", nodes.heartbeat(sender=node))

    def files(self) -> None:
        """Namespaces, and files of many sizes on the same nodes: what they cost does not grow with their bytes."""
        files = self.contracts.file_registry
        added = files.add_namespace("study", 1, 1, Possession.BOTH, sender=self.owner)
        self.note("FileRegistry.addNamespace", added)
        self.study = files.namespace_id_of(self.owner.address, "study")
        self.note("FileRegistry.setRedundancy", files.set_redundancy(self.study, 1, 2, sender=self.owner))
        files.add_namespace("copies", 1, 3, Possession.MERKLE, sender=self.owner)
        copies = files.namespace_id_of(self.owner.address, "copies")
        self.file = self.publish("FileRegistry.publish, 2 nodes, both", MIB, self.nodes[:2])
        self.other = self.publish("FileRegistry.publish, 6 nodes, both", MIB, self.nodes[:6])
        self.publish("FileRegistry.publish, 3 nodes, merkle", MIB, self.nodes[:3], copies)
        for mib in (1, 64, 1024):
            self.publish(f"publish_{mib}MiB", mib * MIB, self.nodes[:6])

    def publish(self, operation: str, size: int, nodes: list[Account], namespace: bytes = b"") -> bytes:
        """Publish a file of which each node holds so many bytes, and return its id."""
        files, salt = self.contracts.file_registry, keccak(text=operation)
        file_id = files.file_id_of(self.owner.address, salt)
        publication = Publication(
            salt=salt,
            namespace_id=namespace or self.study,
            size=size,
            rows=500,
            expires_at=FOREVER,
            manifest_digest=sha256(b"manifest").digest(),
            wrapped_key=b"w" * 80,
            sealed_info=b"s" * 200,
        )
        given = [self.acknowledge(file_id, node, size, is_merkle=bool(namespace)) for node in nodes]
        self.note(operation, files.publish(publication, given, sender=self.owner))
        return file_id

    def acknowledge(
        self, file_id: bytes, node: Account, size: int, version: int = 1, *, is_merkle: bool = False
    ) -> Acknowledgement:
        """What a node signs for so many bytes."""
        leaves, blobs = EvenTree.of_leaves(size), EvenTree.of_blobs(size)
        commitments = (bytes(32), 0) if is_merkle else (blobs.root, blobs.count)
        claim = Claim(version, leaves.root, leaves.count, *commitments, size, FOREVER)
        registry = self.contracts.file_registry
        return sign_acknowledgement(node, registry, file_id, self.owner.address, claim, FOREVER)

    # --- authorizations and tasks ---

    def authorizations(self) -> None:
        """Each decision on an application, for tasks that do not exist."""
        registry, applier, key = self.contracts.file_authorization, self.executors[0], b"k" * 80
        applied = [registry.apply_for(self.file, 10**6 + i, sender=applier) for i in range(3)]
        self.note("FileAuthorization.applyFor", applied[0])
        approved = registry.approve(1, key, FOREVER, sender=self.owner)
        self.note("FileAuthorization.approve", approved)
        self.note("FileAuthorization.reject", registry.reject(2, "no such study", sender=self.owner))
        self.note("FileAuthorization.revoke", registry.revoke(1, "the study is over", sender=self.owner))
        granted = registry.grant(self.file, applier.address, 1, key, FOREVER, sender=self.owner)
        self.note("FileAuthorization.grant", granted)

    def tasks(self) -> None:
        """Tasks of two parties, through every ending."""
        tasks = self.contracts.task_registry
        first, second = self.executors
        self.note("TaskRegistry.setConcurrency", tasks.set_concurrency(100, sender=first))

        task = self.process()
        self.note("TaskRegistry.noteRows", tasks.note_rows(task, b"n" * 2140, sender=first))
        self.note("TaskRegistry.report, first", tasks.report(task, b"r" * 200, bytes(32), sender=first))
        finished = tasks.report(task, b"r" * 200, bytes(32), sender=second)
        self.note("TaskRegistry.report, last: Finished", finished)
        self.note("TaskRegistry.withdraw", tasks.withdraw(sender=first))
        task = self.process()
        tasks.report(task, b"r" * 200, bytes(32), sender=first)
        differing = tasks.report(task, b"R" * 200, bytes(32), sender=second)
        self.note("TaskRegistry.report, differing: Failed", differing)
        failed = tasks.fail(self.process(), "the other party is gone", sender=first)
        self.note("TaskRegistry.fail", failed)
        rejected = tasks.reject(self.propose(), "too many rounds", sender=first)
        self.note("TaskRegistry.reject", rejected)
        self.note("TaskRegistry.cancel", tasks.cancel(self.propose(), sender=self.requester))
        task = self.propose()
        self.chain.advance(4000)
        self.note("TaskRegistry.timeOut", tasks.time_out(task, "away", sender=self.owner))

    def propose(self) -> int:
        """Publish a task and return its id."""
        tasks, now = self.contracts.task_registry, self.chain.now()
        files = (self.file, self.other)
        parties = tuple(
            Party(executor.address, file_id, 5000)
            for executor, file_id in zip(self.executors, files, strict=True)
        )
        proposal = Proposal(Kind.TRAIN, b"s" * 600, parties, now + 3600, now + 7200, now + 86400, 0)
        published = tasks.publish(proposal, sender=self.requester, value=10**15)
        self.note("TaskRegistry.publish, 2 parties", published)
        return tasks.task_count()

    def process(self) -> int:
        """Bring a task to Processing and return its id."""
        tasks, access = self.contracts.task_registry, self.contracts.file_authorization
        task = self.propose()
        for place, (executor, file_id) in enumerate(
            zip(self.executors, (self.file, self.other), strict=True)
        ):
            if access.latest_of(file_id, executor.address, task) == 0:
                access.grant(file_id, executor.address, task, b"k" * 80, FOREVER, sender=self.owner)
            authorization = access.latest_of(file_id, executor.address, task)
            confirmed = tasks.confirm(task, authorization, sender=executor)
            self.note(f"TaskRegistry.confirm, {('first', 'last: Ready')[place]}", confirmed)
        self.note("TaskRegistry.start", tasks.start(task, sender=self.requester))
        self.note("TaskRegistry.begin", tasks.begin(task, sender=self.executors[0]))
        return task

    # --- challenges ---

    def challenges(self) -> None:
        """Challenges that are proved, the first one of a node and a later one; and those that are not."""
        registry = self.contracts.storage_challenge
        merkle_10, kzg_1, kzg_8 = (Algorithm.MERKLE, 10), (Algorithm.KZG, 1), (Algorithm.KZG, 8)
        wanted = ((64, merkle_10), (1024, merkle_10), (16, kzg_1), (16, kzg_8), (1024, kzg_8))
        for node, (mib, asked) in zip(self.nodes, wanted, strict=False):
            algorithm, count = asked
            name = f"prove_{algorithm.name.lower()}_{count}, {mib} MiB"
            holding = self.hold(name, mib * MIB, node)
            for when in ("first", "later"):
                challenge = self.challenge(holding, *asked)
                self.note(f"{name}, {when}", self.prove(challenge, mib * MIB, node))
        self.note("StorageChallenge.withdraw", registry.withdraw(sender=self.nodes[0]))

        node = self.nodes[5]
        holding = self.hold("failing", 64 * MIB, node)
        wrong = self.prove(self.challenge(holding, *merkle_10), 64 * MIB, node, spoil=True)
        self.note("StorageChallenge.prove, wrong: Failed, slashed", wrong)
        challenge = self.challenge(holding, *merkle_10)
        self.chain.advance(Parameters().answer_window)
        missed = registry.close(challenge, sender=self.requester)
        self.note("StorageChallenge.close, missed: Failed, slashed", missed)
        challenge = self.open(holding, *merkle_10)
        self.chain.mine(260)
        undrawn = registry.close(challenge, sender=self.requester)
        self.note("StorageChallenge.close, undrawn: Void", undrawn)

    def hold(self, name: str, size: int, node: Account) -> int:
        """Publish a file that a node holds a copy of, and return the holding."""
        file_id = self.publish(f"publish for {name}", size, [node, self.nodes[-1]])
        del self.gas[f"publish for {name}"]
        return self.contracts.file_registry.holding_on(file_id, node.address)

    def open(self, holding: int, algorithm: Algorithm, count: int) -> int:
        """Challenge a holding and return the challenge's id."""
        registry = self.contracts.storage_challenge
        deposit = registry.deposit_for(algorithm, count)
        opened = registry.open(holding, algorithm, count, sender=self.owner, value=deposit)
        self.note("StorageChallenge.open, first", opened)
        if registry.fault_of(holding)[1] or opened.event(ChallengeOpened).challenge_id == 2:
            self.note("StorageChallenge.open, later", opened)
        return opened.event(ChallengeOpened).challenge_id

    def challenge(self, holding: int, algorithm: Algorithm, count: int) -> int:
        """Challenge a holding, draw, and return the challenge's id."""
        challenge = self.open(holding, algorithm, count)
        self.chain.mine(Parameters().draw_delay)
        drawn = self.contracts.storage_challenge.draw(challenge, sender=self.requester)
        self.note("StorageChallenge.draw", drawn)
        return challenge

    def prove(self, challenge: int, size: int, node: Account, *, spoil: bool = False) -> Receipt:
        """Answer a challenge, rightly or not."""
        registry = self.contracts.storage_challenge
        record, indices = registry.challenge(challenge), registry.drawn_indices(challenge)
        if record.algorithm == Algorithm.KZG:
            commitments, drawn = _commitment() * EvenTree.of_blobs(size).count, [BLOB] * len(indices)
            answer = kzg.prove(record.seed, indices, drawn, commitments)
            return registry.prove_kzg(challenge, record.seed, answer, sender=node)
        leaves = [bytes(len(LEAF)) if spoil else LEAF] * len(indices)
        answer = merkle.encode_answer(leaves, EvenTree.of_leaves(size).multiproof(indices))
        return registry.prove(challenge, record.seed, answer, sender=node)

    # --- revisions, and the end of holdings ---

    def revisions(self) -> None:
        """Repair, renewal and deletion of a file on six nodes, and holdings whose time is over."""
        files = self.contracts.file_registry
        moved = self.revise(Cause.REPAIR, self.nodes[6:], files.holdings_of(self.other)[:1])
        self.note("FileRegistry.revise, 1 of 6 nodes replaced", moved)
        renewed = self.revise(Cause.RENEWAL, self.nodes[1:7], ())
        self.note("FileRegistry.revise, 6 of 6 nodes again", renewed)
        deleted = files.delete_file(self.other, sender=self.owner)
        self.note("FileRegistry.deleteFile, 6 nodes", deleted)
        lapsed = files.holdings_of(self.file)
        self.chain.schedule(FOREVER + 7 * 86400 + 1)
        self.note("FileRegistry.release, 2 holdings", files.release(lapsed, sender=self.requester))

    def revise(self, cause: Cause, nodes: Sequence[Account], dropped: Sequence[int]) -> Receipt:
        """Have nodes hold the file on six nodes, and others no longer."""
        files, file_id = self.contracts.file_registry, self.other
        version = files.file_of(file_id).version + 1
        given = [self.acknowledge(file_id, node, MIB, version) for node in nodes]
        digest = sha256(b"new manifest").digest()
        revision = Revision(file_id, cause, 1, 6, FOREVER, digest, tuple(dropped))
        return files.revise(revision, given, sender=self.owner)


class EvenTree:
    """A Merkle tree of equal leaves: a level has one hash, and perhaps another at its end, so a GiB takes no time."""

    def __init__(self, leaf_hash: bytes, count: int) -> None:
        self.count = count
        inner = last = leaf_hash
        self._levels = [(inner, last, count)]
        while count > 1:
            last = merkle.node_hash(inner, last) if count % 2 == 0 else last
            inner = merkle.node_hash(inner, inner)
            count = (count + 1) // 2
            self._levels.append((inner, last, count))
        self.root = last

    @classmethod
    def of_leaves(cls, size: int) -> EvenTree:
        """The tree of a holding of so many bytes."""
        return cls(merkle.leaf_hash(LEAF), -(-size // merkle.LEAF_SIZE))

    @classmethod
    def of_blobs(cls, size: int) -> EvenTree:
        """The tree over its commitments."""
        return cls(merkle.leaf_hash(_commitment()[0]), -(-size // kzg.BLOB_DATA))

    def multiproof(self, indices: Sequence[int]) -> list[bytes]:
        """What :func:`dtxeth.crypto.merkle.multiproof` gives."""
        proof, known = [], list(indices)
        for inner, last, width in self._levels:
            siblings = [index ^ 1 for index in known if index ^ 1 not in known and index ^ 1 < width]
            proof += [last if sibling == width - 1 else inner for sibling in siblings]
            known = sorted({index // 2 for index in known})
        return proof


@functools.cache
def _commitment() -> list[bytes]:
    return kzg.commit([BLOB])
