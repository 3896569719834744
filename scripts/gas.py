"""Measure the gas of every operation and the size of every contract into tests/contracts/gas.json.

With --check, only compare: what differs is shown, and the exit status is 1. The scenario runs on an in-process
chain whose time and randomness are fixed, so that the same contracts always give the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from eth_utils import keccak

from dtxeth.chain import Account, Contracts, Parameters, Receipt, deploy, open_chain
from dtxeth.chain.bindings.events import ChallengeOpened
from dtxeth.chain.bindings.types import Acknowledgement, Kind, Party, Proposal, Publication, Role
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.deploy import NAMES
from dtxeth.crypto import merkle
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim

SNAPSHOT = Path(__file__).parents[1] / "tests" / "contracts" / "gas.json"
GENESIS = 2_000_000_000
FOREVER = GENESIS + 10**7
SIZE_LIMIT = 24_576
"""Most bytes of code that a contract may have (EIP-170)."""

MIB = 2**20


def main() -> int:
    """Write or check the snapshot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a number differs")
    check = parser.parse_args().check
    measured = measure()
    known = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    differing = list(differences(known, measured))
    for line in differing:
        print(line)
    too_big = [name for name, size in measured["bytes"].items() if size > SIZE_LIMIT]
    for name in too_big:
        print(f"{name} has more than {SIZE_LIMIT} bytes of code; no chain would deploy it")
    if check and differing:
        print("the gas snapshot differs; if that is meant, run scripts/gas.py and commit what it writes")
    elif not check:
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 1 if too_big or (check and differing) else 0


def differences(known: dict[str, dict[str, int]], measured: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield a line for each number that is not as known."""
    for unit in measured:
        old, new = known.get(unit, {}), measured[unit]
        for name in sorted(old.keys() | new.keys()):
            before, after = old.get(name), new.get(name)
            if before != after:
                change = f"{after - before:+,}" if before is not None and after is not None else "new or gone"
                print_of = ("-" if number is None else f"{number:,}" for number in (before, after))
                yield f"{unit:5} {name:48} {' -> '.join(print_of):>24} {change:>12}"


def measure() -> dict[str, dict[str, int]]:
    """Run the scenario.

    Returns:
        Under ``bytes`` the runtime code's size by contract, under ``gas`` what each operation used.
    """
    with _fixed_chain() as scenario:
        sizes = {
            name: len(scenario.chain.code(scenario.contracts.deployment.addresses[name])) for name in NAMES
        }
        scenario.registries()
        scenario.authorizations()
        scenario.tasks()
        scenario.challenges()
        return {"bytes": dict(sorted(sizes.items())), "gas": dict(sorted(scenario.gas.items()))}


@contextmanager
def _fixed_chain() -> Iterator[Scenario]:
    """An in-process chain whose block hashes never change: they draw the leaves of challenges."""
    zeros, clock = SimpleNamespace(urandom=bytes), SimpleNamespace(time=lambda: GENESIS)
    with (
        patch.multiple("dtxeth.chain.evm", os=zeros, time=clock),
        patch("eth_tester.backends.pyevm.main.os", zeros),
        open_chain() as chain,
    ):
        yield Scenario(Contracts(chain, deploy(chain, DEVELOPER, Parameters(min_interval=0))))


class Scenario:
    """Accounts that use every function of the contracts, and what it cost them."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.chain = contracts.chain
        self.gas: dict[str, int] = {}
        names = ("owner", "requester", *(f"node-{i}" for i in range(4)), *(f"executor-{i}" for i in range(2)))
        self.accounts = {name: Account.from_key(keccak(text=f"gas {name}")) for name in names}
        self.owner, self.requester = self.accounts["owner"], self.accounts["requester"]
        self.nodes = [self.accounts[f"node-{i}"] for i in range(4)]
        self.executors = [self.accounts[f"executor-{i}"] for i in range(2)]
        for account in self.accounts.values():
            self.chain.faucet(account.address, 10**20)

    def note(self, operation: str, receipt: Receipt) -> Receipt:
        """Write down what an operation used; when it is repeated, the first time counts."""
        self.gas.setdefault(operation, receipt.gas_used)
        return receipt

    # --- keys, nodes, files ---

    def registries(self) -> None:
        """Keys, nodes, namespaces and files."""
        keys, nodes = self.contracts.key_registry, self.contracts.node_registry
        files = self.contracts.file_registry
        for operation in ("publish, first key", "publish, rotation"):
            self.note(f"KeyRegistry.{operation}", keys.publish(sha256(b"key").digest(), sender=self.owner))
        for role, accounts in ((Role.STORAGE, self.nodes), (Role.EXECUTOR, self.executors)):
            for number, account in enumerate(accounts):
                receipt = nodes.register(
                    *(role, f"node {number}", f"https://node{number}.example:8443"),
                    *(sha256(b"tls").digest(), 10**12),
                    sender=account,
                )
                self.note("NodeRegistry.register", receipt)
        node, fingerprint = self.nodes[0], sha256(b"new").digest()
        moved = nodes.update("https://moved.example:8443", fingerprint, 10**12, sender=node)
        self.note("NodeRegistry.update", moved)
        self.note("NodeRegistry.setOnline", nodes.set_online(False, sender=node))
        nodes.set_online(True, sender=node)
        self.note("NodeRegistry.heartbeat, first of a day", nodes.heartbeat(sender=node))
        self.chain.advance(Parameters().slot_seconds)
        self.note("NodeRegistry.heartbeat", nodes.heartbeat(sender=node))
        self.note("FileRegistry.addNamespace", files.add_namespace("study", 1, sender=self.owner))
        self.study = files.namespace_id_of(self.owner.address, "study")
        self.note("FileRegistry.setReplicas", files.set_replicas(self.study, 2, sender=self.owner))
        tree = Tree(MIB)
        self.file = self.publish("FileRegistry.publish, 2 acknowledgements", tree, self.nodes[:2])
        self.other = self.publish("FileRegistry.publish, 4 acknowledgements", tree, self.nodes)
        more = [self.acknowledge(self.file, node, tree) for node in self.nodes[2:3]]
        added = files.add_holdings(self.file, sha256(b"m").digest(), more, sender=self.owner)
        self.note("FileRegistry.addHoldings, 1 acknowledgement", added)

    def publish(self, operation: str, tree: Tree, nodes: list[Account]) -> bytes:
        """Publish a file of which each node holds a tree, and return its id."""
        files, salt = self.contracts.file_registry, keccak(text=operation)
        file_id = files.file_id_of(self.owner.address, salt)
        publication = Publication(
            salt=salt,
            namespace_id=self.study,
            size=tree.size,
            rows=500,
            expires_at=FOREVER,
            manifest_digest=sha256(b"manifest").digest(),
            wrapped_key=b"w" * 80,
            sealed_info=b"s" * 200,
        )
        given = [self.acknowledge(file_id, node, tree) for node in nodes]
        self.note(operation, files.publish(publication, given, sender=self.owner))
        return file_id

    def acknowledge(self, file_id: bytes, node: Account, tree: Tree) -> Acknowledgement:
        """What a node signs for a tree that it holds."""
        claim = Claim(tree.root, len(tree.hashes), tree.size, FOREVER)
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
        self.note("TaskRegistry.timeOut", tasks.time_out(task, sender=self.owner))

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
        """Challenges of 10 leaves on holdings of 1 and 64 MiB, and of those that nobody answers or draws."""
        registry, node = self.contracts.storage_challenge, self.nodes[0]
        for mib in (1, 64):
            tree = Tree(mib * MIB)
            file_id = self.publish(f"publish {mib} MiB", tree, self.nodes[:2])
            del self.gas[f"publish {mib} MiB"]  # the same as any: state grows with nodes, not with bytes
            holding = self.contracts.file_registry.holdings_of(file_id)[0]
            for where in (f", 10 leaves of {mib} MiB", f", 10 leaves of {mib} MiB again"):
                challenge = self.challenge(holding)
                leaves, proof = tree.prove(registry.leaf_indices(challenge))
                proved = registry.prove(challenge, leaves, proof, sender=node)
                self.note(f"StorageChallenge.prove{where}", proved)
        self.note("StorageChallenge.withdraw", registry.withdraw(sender=node))
        challenge = self.challenge(holding)
        leaves, proof = tree.prove(registry.leaf_indices(challenge))
        wrong = registry.prove(challenge, [leaves[1], *leaves[1:]], proof, sender=node)
        self.note("StorageChallenge.prove, wrong leaf: Failed", wrong)
        challenge = self.challenge(holding)
        self.chain.advance(Parameters().answer_window)
        self.note("StorageChallenge.close, missed: Failed", registry.close(challenge, sender=self.owner))
        challenge = self.open(holding)
        self.chain.mine(260)
        self.note("StorageChallenge.close, undrawn: Void", registry.close(challenge, sender=self.owner))

    def open(self, holding: int) -> int:
        """Challenge 10 leaves of a holding and return the challenge's id."""
        registry = self.contracts.storage_challenge
        opened = registry.open(holding, 10, sender=self.owner, value=registry.deposit_for(10))
        self.note("StorageChallenge.open", opened)
        return opened.event(ChallengeOpened).challenge_id

    def challenge(self, holding: int) -> int:
        """Challenge 10 leaves of a holding, draw them, and return the challenge's id."""
        challenge = self.open(holding)
        self.chain.mine(Parameters().draw_delay)
        drawn = self.contracts.storage_challenge.draw(challenge, sender=self.requester)
        self.note("StorageChallenge.draw", drawn)
        return challenge


class Tree:
    """The leaves of a holding of so many bytes, made from their numbers."""

    def __init__(self, size: int) -> None:
        self.size = size
        count = -(-size // merkle.LEAF_SIZE)
        self.hashes = [merkle.leaf_hash(self.leaf(index)) for index in range(count)]
        self.root = merkle.root(self.hashes)

    def leaf(self, index: int) -> bytes:
        """The bytes of a leaf; the last one may be shorter."""
        start = index * merkle.LEAF_SIZE
        length = min(merkle.LEAF_SIZE, self.size - start)
        return (sha256(index.to_bytes(8, "big")).digest() * 8)[:length]

    def prove(self, indices: tuple[int, ...]) -> tuple[list[bytes], list[bytes]]:
        """Leaves and their multiproof."""
        return [self.leaf(index) for index in indices], merkle.multiproof(self.hashes, indices)


if __name__ == "__main__":
    sys.exit(main())
