"""Storage with money at stake: files come, change and go, owners challenge, nodes answer, or do not.

No model repeats the contracts here. Whatever can be called is called, by whomever; what must be true is checked after
every step from what the contracts say and from what happened: see :meth:`StoragePlay.check`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from eth_utils import keccak

from dtxeth.chain import Receipt, reverts
from dtxeth.chain.bindings import events
from dtxeth.chain.bindings.types import (
    Acknowledgement,
    Algorithm,
    Cause,
    Challenge,
    ChallengeStatus,
    Fault,
    Holding,
    HoldingState,
    Possession,
    Publication,
    Revision,
    Role,
)
from dtxeth.chain.custom_error import CustomError
from dtxeth.chain.reverts import ContractRevert
from dtxeth.crypto import merkle
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim
from tests.contracts.machines.play import Play
from tests.contracts.machines.stage import KEEPERS, PARAMETERS, RATE, START, Stage

HONEST, CHEATS = KEEPERS[:2], KEEPERS[2:]
OWNERS = ("owner", "stranger", CHEATS[0])
"""One of the cheats owns files itself."""

ROOM = 20_000
OPEN = (ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE)


@dataclass
class Keeper:
    """What a play knows of a node."""

    address: str
    put_in: int = 0
    taken_out: int = 0


@dataclass
class Tally:
    """What happened to money, by the contracts' events."""

    slashed: Counter[int] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    burned: int = 0


class StoragePlay(Play):
    """Plays with nodes of its own; those of the stage look on."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.nodes = self.contracts.node_registry
        self.registry = self.contracts.file_registry
        self.challenges = self.contracts.storage_challenge
        self.tally = Tally()
        self.leaves: dict[int, tuple[bytes, ...]] = {}
        self.file_ids: list[bytes] = []
        self.versions: dict[bytes, int] = {}
        self.keepers: dict[str, Keeper] = {}
        self._records: dict[int, Challenge] = {}
        self._holdings: dict[int, Holding] = {}
        self._settled: set[int] = set()
        self._publications = 0
        for name in KEEPERS:
            account = self.accounts[name]
            keeper = self.keepers[name] = Keeper(account.address, ROOM * RATE)
            self.nodes.register(
                *(Role.STORAGE, name, f"http://{name}", bytes(32), ROOM),
                sender=account,
                value=keeper.put_in,
            )
        for name in OWNERS:
            self.registry.add_namespace("mine", 1, 2, Possession.MERKLE, sender=self.accounts[name])

    # --- what can be done ---

    def call(
        self, who: str, contract: str, function: str, *arguments: object, value: int = 0
    ) -> Receipt | None:
        """Call a function; a refusal must be an error of ours, never a panic.

        Returns:
            The receipt, None if it was refused.
        """
        try:
            receipt: Receipt = getattr(getattr(self.contracts, contract), function)(
                *arguments, sender=self.accounts[who], **({"value": value} if value else {})
            )
        except CustomError as error:
            self.outcomes.append((function, who, (type(error).__name__,), 0))
            return None
        except ContractRevert as error:
            raise AssertionError(f"{function}{arguments} by {who}: {error}") from error
        self._count(receipt)
        self.outcomes.append((function, who, tuple(type(event).__name__ for event in receipt.events), 0))
        return receipt

    def publish(self, who: str, keepers: tuple[str, ...], size: int, lifetime: int) -> None:
        account = self.accounts[who]
        self._publications += 1
        salt = keccak(text=f"play {self._publications}")
        file_id = self.registry.file_id_of(account.address, salt)
        namespace_id = self.registry.namespace_id_of(account.address, "mine")
        expires_at = self.stage.next_time + lifetime
        publication = Publication(salt, namespace_id, 1, 1, expires_at, b"\1" * 32, b"wrapped", b"sealed")
        given = [self._acknowledge(who, file_id, 1, name, size, expires_at) for name in keepers]
        if self.call(who, "file_registry", "publish", publication, given):
            self.file_ids.append(file_id)
            self.versions[file_id] = 1

    def revise(
        self, who: str, file: int, keepers: tuple[str, ...], size: int, dropped: int, longer: int, stale: bool
    ) -> None:
        """Have nodes hold a file anew; drop some; renew it; or try it with acknowledgements of the version before."""
        if not self.file_ids:
            return
        file_id = self.file_ids[file % len(self.file_ids)]
        known = self.registry.file_of(file_id)
        version = known.version + (not stale)
        expires_at = known.expires_at + longer
        given = [self._acknowledge(who, file_id, version, name, size, expires_at) for name in keepers]
        live = self.registry.holdings_of(file_id)
        revision = Revision(file_id, Cause.REPAIR, 1, 2, expires_at, b"\2" * 32, live[:dropped])
        if self.call(who, "file_registry", "revise", revision, given):
            assert not stale or not keepers, "an acknowledgement is good for one version"
            self.versions[file_id] += 1

    def delete(self, who: str, file: int) -> None:
        if self.file_ids:
            file_id = self.file_ids[file % len(self.file_ids)]
            self.call(who, "file_registry", "delete_file", file_id)

    def release(self, who: str, holding_ids: tuple[int, ...]) -> None:
        self.call(who, "file_registry", "release", holding_ids)

    def open(self, who: str, holding_id: int, count: int, extra: int) -> None:
        deposit = count * PARAMETERS.deposit_per_leaf + extra
        arguments = (holding_id, Algorithm.MERKLE, count)
        self.call(who, "storage_challenge", "open", *arguments, value=deposit)

    def draw(self, who: str, challenge_id: int, wait: int) -> None:
        """Draw, or try to, so many blocks from now."""
        self._answer_until(self.stage.next_time + wait)
        self.chain.mine(wait)
        self.call(who, "storage_challenge", "draw", challenge_id)

    def answer(self, challenge_id: int, spoil: bool) -> None:
        """Have the node answer, whoever it is: an honest one rightly, a cheat perhaps not."""
        record = self._record(challenge_id)
        if record is None or record.status != ChallengeStatus.TO_PROVE:
            return
        self._answer(challenge_id, record, spoil and self._node(record) not in HONEST)

    def close(self, who: str, challenge_id: int) -> None:
        self.call(who, "storage_challenge", "close", challenge_id)

    def stake(self, who: str, amount: int) -> None:
        if self.call(who, "node_registry", "add_stake", value=amount) and who in self.keepers:
            self.keepers[who].put_in += amount

    def unstake(self, who: str) -> None:
        receipt = self.call(who, "node_registry", "unstake")
        if receipt and who in self.keepers:
            paid = (event.amount for event in receipt.events if isinstance(event, events.Credited))
            self.keepers[who].taken_out += sum(paid)  # nothing if nothing was at stake

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        later = self.stage.next_time + seconds
        self._answer_until(later)
        self.stage.at(later)

    def step(self, name: str, *arguments: object) -> None:
        """Do one step, and check every third: to look takes longer than to do, and what is wrong stays wrong."""
        self._answer_until(self.stage.next_time)
        self.trace.append((name, arguments))
        getattr(self, name)(*arguments)
        if len(self.trace) % 3 == 0:
            self.check()

    # --- what always holds ---

    def check(self) -> None:
        """No coin is lost, every bond is covered, lists and counters are exact, and only cheats are slashed."""
        for number in self.leaves:
            if number not in self._holdings or self._holdings[number].state != HoldingState.RELEASED:
                self._holdings[number] = self.registry.holding(number)
        holdings = self._holdings
        records = dict(self.records())
        unreleased: dict[str, list[int]] = defaultdict(list)
        live: dict[bytes, set[int]] = defaultdict(set)
        for number, held in holdings.items():
            if held.state != HoldingState.RELEASED:
                unreleased[held.node].append(number)
            if held.state == HoldingState.LIVE:
                live[held.file_id].add(number)
                assert self.registry.holding_on(held.file_id, held.node) == number
        for file_id in self.file_ids:
            listed = self.registry.holdings_of(file_id)
            assert len(listed) == len(set(listed)) <= self.registry.max_holdings()
            assert set(listed) == live[file_id]
            assert self.registry.file_of(file_id).version == self.versions[file_id]

        for name, keeper in self.keepers.items():
            pledge = self.nodes.pledge_of(keeper.address)
            held_here = unreleased[keeper.address]
            assert pledge.used == sum(holdings[number].size for number in held_here)
            assert pledge.holdings == len(held_here)
            bonds = sum(holdings[number].size * RATE - self.tally.slashed[number] for number in held_here)
            assert pledge.stake >= bonds, "what is left of every bond is covered"
            assert pledge.stake == keeper.put_in - keeper.taken_out - self.tally.lost[keeper.address]
            assert name not in HONEST or not self.tally.lost[keeper.address], "the honest are never slashed"
        self._check_challenges(records, holdings)
        self._check_money(records)

    def _check_challenges(self, records: dict[int, Challenge], holdings: dict[int, Holding]) -> None:
        open_on: dict[int, int] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for number, record in records.items():
            node = holdings[record.holding_id].node
            if record.status in OPEN:
                assert record.holding_id not in open_on, "one open challenge a holding"
                open_on[record.holding_id] = number
                counts[record.challenger, node] += 1
            if record.status == ChallengeStatus.FAILED:
                assert self.stage.names[node] not in HONEST, "the honest lose no challenge"
        for number, held in holdings.items():
            if held.state == HoldingState.RELEASED and number in self._settled:
                continue
            assert self.challenges.open_challenge_on(number) == open_on.get(number, 0)
            assert self.challenges.fault_of(number)[1] == self.tally.slashed[number] <= held.size * RATE
            if held.state == HoldingState.RELEASED:
                self._settled.add(number)
        for owner in OWNERS:
            for keeper in self.keepers.values():
                pair = self.accounts[owner].address, keeper.address
                assert self.challenges.open_challenges_of(*pair) == counts[pair]

    def _check_money(self, records: dict[int, Challenge]) -> None:
        accounts = [account.address for account in self.accounts.values()]
        stakes = sum(self.nodes.pledge_of(address).stake for address in accounts)
        credits = sum(self.nodes.credit_of(address) for address in accounts)
        assert self.nodes.burned() == self.tally.burned
        assert self.chain.balance(self.nodes.address) == stakes + credits + self.tally.burned
        deposits = sum(record.deposit for record in records.values() if record.status in OPEN)
        credits = sum(self.challenges.credit_of(address) for address in accounts)
        assert self.chain.balance(self.challenges.address) == deposits + credits

    # --- private ---

    def _answer_until(self, time: int) -> None:
        """The honest answer what would lapse by then or soon after; one that has time does so in the last second."""
        due = [
            (number, record)
            for number, record in self.records()
            if record.status == ChallengeStatus.TO_PROVE
            and record.deadline <= time + 10
            and self._node(record) in HONEST
        ]
        for number, record in due:
            if len(due) == 1:
                self.stage.at(record.deadline)
            self._answer(number, record, spoil=False)

    def _node(self, record: Challenge) -> str:
        return self.stage.names[self.registry.holding(record.holding_id).node]

    def _acknowledge(
        self, owner: str, file_id: bytes, version: int, name: str, size: int, expires_at: int
    ) -> Acknowledgement:
        data = bytes([len(name)]) * size
        leaves = [data[start : start + merkle.LEAF_SIZE] for start in range(0, size, merkle.LEAF_SIZE)]
        root = merkle.root([merkle.leaf_hash(leaf) for leaf in leaves])
        claim = Claim(version, root, len(leaves), bytes(32), 0, size, expires_at)
        signer, address = self.accounts[name], self.accounts[owner].address
        return sign_acknowledgement(signer, self.registry, file_id, address, claim, START * 2)

    def _answer(self, challenge_id: int, record: Challenge, spoil: bool) -> None:
        leaves = self.leaves[record.holding_id]
        indices = self.challenges.drawn_indices(challenge_id)
        proof = merkle.multiproof([merkle.leaf_hash(leaf) for leaf in leaves], indices)
        drawn = [bytes([leaf[0] ^ 1]) + leaf[1:] if spoil else leaf for leaf in (leaves[i] for i in indices)]
        answer = merkle.encode_answer(drawn, proof)
        node, in_time = self._node(record), self.stage.next_time <= record.deadline
        receipt = self.call(node, "storage_challenge", "prove", challenge_id, record.seed, answer)
        assert bool(receipt) == in_time, "an answer in time is heard"

    def _count(self, receipt: Receipt) -> None:
        """Keep the tally, and check that every failure takes exactly what the rule says."""
        failed: list[int] = []
        for event in receipt.events:
            if isinstance(event, events.HoldingAdded):
                name = self.stage.names[event.node]
                data = bytes([len(name)]) * event.size
                self.leaves[event.holding_id] = tuple(
                    data[start : start + merkle.LEAF_SIZE] for start in range(0, event.size, merkle.LEAF_SIZE)
                )
            elif isinstance(event, events.ChallengeFailed):
                assert event.fault != Fault.NONE
                failed.append(event.challenge_id)
        slashes = [event for event in receipt.events if isinstance(event, events.NodeSlashed)]
        for challenge_id in failed:
            record = self.challenges.challenge(challenge_id)
            held = self.registry.holding(record.holding_id)
            bond = held.size * RATE
            rule = min(bond * PARAMETERS.slash_percent // 100, bond - self.tally.slashed[record.holding_id])
            self.tally.slashed[record.holding_id] += rule
            self.tally.lost[held.node] += rule
            self.tally.burned += rule - rule // 2
            taken = [(event.node, event.owner, event.amount, event.burned) for event in slashes]
            assert taken == ([(held.node, record.challenger, rule, rule - rule // 2)] if rule else [])
        assert failed or not slashes, "nothing but a failure is slashed"

    def _record(self, challenge_id: int) -> Challenge | None:
        return dict(self.records()).get(challenge_id)

    def records(self) -> list[tuple[int, Challenge]]:
        """All challenges. What has ended stays as it is and is not read again."""
        for number, record in self._records.items():
            if record.status in OPEN:
                self._records[number] = self.challenges.challenge(number)
        with suppress(reverts.UnknownChallenge):
            while True:
                number = len(self._records) + 1
                self._records[number] = self.challenges.challenge(number)
        return list(self._records.items())
