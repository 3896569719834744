"""The stage of all machines: contracts, nodes and files, on every chain the same to the second and block."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import shake_128

from eth_utils import keccak

from dtxeth.chain import Account, Chain, Contracts, Parameters, deploy
from dtxeth.chain.bindings.types import Acknowledgement, Possession, Publication, Role
from dtxeth.chain.chain import DEVELOPER
from dtxeth.crypto import merkle
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim

START = 2_000_000_000
"""Second at which every play begins."""

RATE = 7
"""Wei at stake for each byte."""

PARAMETERS = Parameters(
    stake_per_gib=RATE * 2**30,
    draw_delay=2,
    answer_window=50,
    min_interval=20,
    max_open_per_node=1,
    slash_percent=40,
    deposit_per_leaf=1000,
    deposit_per_proof=5000,
    deposit_per_blob=300,
)
CAPACITY = 10**5
NODES = ("node-1", "node-2")
KEEPERS = ("honest-1", "honest-2", "cheat-1", "cheat-2")
"""Accounts that become storage nodes in a play."""
EXECUTORS = ("executor-1", "executor-2", "executor-3")
PEOPLE = ("owner", "requester", "stranger")


@dataclass(frozen=True)
class StagedFile:
    """What a machine knows of a file that is on the chain from the start."""

    file_id: bytes
    owner: str
    expires_at: int


@dataclass(frozen=True)
class StagedHolding:
    """What a machine knows of a holding: unlike the chain, its bytes."""

    holding_id: int
    file: StagedFile
    node: str
    leaves: tuple[bytes, ...]

    @property
    def hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(leaf) for leaf in self.leaves]


class Stage:
    """Contracts, nodes and files on a chain.

    Files 0 and 3 belong to executors, 1 and 2 to ``owner``; file 3 expires long before the others.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        names = (*NODES, *KEEPERS, *EXECUTORS, *PEOPLE)
        self.accounts = {name: Account.from_key(keccak(text=name)) for name in names}
        self.names = {account.address: name for name, account in self.accounts.items()}
        self._next_time = 0
        self.at(START)
        for account in self.accounts.values():
            chain.faucet(account.address, 10**24)
        self.contracts = Contracts(chain, deploy(chain, DEVELOPER, PARAMETERS))
        for role, names in ((Role.STORAGE, NODES), (Role.EXECUTOR, EXECUTORS)):
            for name in names:
                self.contracts.node_registry.register(
                    *(role, name, f"http://{name}", bytes(32), CAPACITY),
                    sender=self.accounts[name],
                    value=CAPACITY * RATE if role == Role.STORAGE else 0,
                )
        self.holdings: dict[int, StagedHolding] = {}
        self.files = [
            self._publish("executor-1", START + 10**6, {}),
            self._publish("owner", START + 10**6, {"node-1": 7 * 248, "node-2": 1}),
            self._publish("owner", START + 10**6, {"node-1": 33 * 248 - 100}),
            self._publish("executor-2", START + 300, {"node-2": 1000}),
        ]
        self.mark = chain.snapshot()

    def at(self, time: int) -> None:
        """Let the next block be of this second, or as early as can be."""
        if time > self.next_time:
            self.chain.schedule(time)
            self._next_time = time

    @property
    def next_time(self) -> int:
        """The second of the next block."""
        return max(self._next_time, self.chain.now() + 1)

    def reset(self) -> None:
        """Return to the state just after the set-up."""
        self.chain.rollback(self.mark)
        self.mark = self.chain.snapshot()
        self._next_time = 0

    def _publish(self, owner: str, expires_at: int, held: dict[str, int]) -> StagedFile:
        """Publish a file of which each named node holds so many bytes; every file is on node-1 at least."""
        account, registry = self.accounts[owner], self.contracts.file_registry
        number = len(self.holdings)
        salt = keccak(text=f"salt {owner} {number}")
        file_id = registry.file_id_of(account.address, salt)
        name = f"namespace {number}"
        registry.add_namespace(name, 1, 1, Possession.MERKLE, sender=account)
        file = StagedFile(file_id, account.address, expires_at)
        acknowledgements = [self._hold(file, node, size) for node, size in (held or {"node-1": 500}).items()]
        namespace_id = registry.namespace_id_of(account.address, name)
        publication = Publication(salt, namespace_id, 1, 1, expires_at, b"\1" * 32, b"wrapped", b"sealed")
        registry.publish(publication, acknowledgements, sender=account)
        return file

    def _hold(self, file: StagedFile, node: str, size: int) -> Acknowledgement:
        account = self.accounts[node]
        holding_id = len(self.holdings) + 1
        data = shake_128(f"holding {holding_id}".encode()).digest(size)
        leaves = tuple(data[start : start + merkle.LEAF_SIZE] for start in range(0, size, merkle.LEAF_SIZE))
        holding = self.holdings[holding_id] = StagedHolding(holding_id, file, account.address, leaves)
        claim = Claim(1, merkle.root(holding.hashes), len(leaves), bytes(32), 0, size, file.expires_at)
        registry = self.contracts.file_registry
        return sign_acknowledgement(account, registry, file.file_id, file.owner, claim, START + 10**6)
