"""The storage challenge and its model, stepped along together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from dtxeth.chain import Receipt
from dtxeth.chain.abi import Log
from dtxeth.chain.bindings import events
from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, Fault
from dtxeth.crypto import merkle
from tests.contracts.machines.challenge_model import OPEN, ChallengeModel
from tests.contracts.machines.play import Play
from tests.contracts.machines.stage import NODES, PARAMETERS, Stage

ENDINGS = (events.ChallengeProved, events.ChallengeFailed, events.ChallengeVoided)


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _pack(leaves: list[bytes], proof: list[bytes]) -> bytes:
    """Pack what need be no answer."""
    return b"".join([*(bytes([len(leaf)]) + leaf for leaf in leaves), *proof])


ANSWERS: dict[str, Callable[[list[bytes], list[bytes]], bytes]] = {
    "honest": _pack,
    "altered leaf": lambda leaves, proof: _pack([*leaves[:-1], _flip(leaves[-1])], proof),
    "longer leaf": lambda leaves, proof: _pack([*leaves[:-1], leaves[-1] + b"\0"], proof),
    "empty leaf": lambda leaves, proof: _pack([b"", *leaves[1:]], proof),
    "a leaf short": lambda leaves, proof: _pack(leaves[:-1], proof),
    "a leaf too many": lambda leaves, proof: _pack([*leaves, leaves[0]], proof),
    "leaves swapped": lambda leaves, proof: _pack(leaves[::-1], proof),
    "altered proof": lambda leaves, proof: _pack(leaves, [_flip(hash_) for hash_ in proof]),
    "a hash short": lambda leaves, proof: _pack(leaves, proof[:-1]),
    "a byte too many": lambda leaves, proof: _pack(leaves, [*proof, b"\0"]),
    "cut off": lambda leaves, proof: _pack(leaves, [])[:-1],
    "nothing": lambda leaves, proof: b"",
}
"""What a node may answer, given the right leaves and the right proof."""


class ChallengePlay(Play):
    """Challenges the holdings of the stage."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.model = ChallengeModel(PARAMETERS, self.files, stage.holdings, self._block_hash)
        self.contract = self.contracts.storage_challenge
        self.credited = 0
        self.endings: Counter[int] = Counter()
        self.honest: set[int] = set()

    # --- steps ---

    def open(self, who: str, holding_id: int, algorithm: Algorithm, count: int, deposit: int) -> None:
        self.act("open", who, holding_id, algorithm, count, value=deposit)

    def call(self, function: str, who: str, *arguments: object) -> None:
        self.act(function, who, *arguments)

    def answer(self, who: str, challenge_id: int, kind: str, function: str = "prove") -> None:
        """Answer a challenge, in one of many ways; one that is not drawn with what could be the answer."""
        leaves, proof, seed = [b"leaf"], [bytes(32)], bytes(32)
        record = self.model.challenges.get(challenge_id)
        if record is not None and record.deadline:
            held, indices = self.stage.holdings[record.holding_id], self.model.indices(challenge_id)
            assert list(self.contract.drawn_indices(challenge_id)) == indices
            leaves, seed = [held.leaves[index] for index in indices], record.seed
            proof = merkle.multiproof(held.hashes, indices)
        if kind == "another draw":
            seed, kind = _flip(seed), "honest"
        receipt = self.act(function, who, challenge_id, seed, ANSWERS[kind](leaves, proof))
        if receipt and kind == "honest":
            self.honest.add(challenge_id)

    def at_deadline(self, challenge_id: int, late: bool, function: str) -> None:
        """Answer or close in the very second of the deadline, or in the one after."""
        record = self.model.challenges.get(challenge_id)
        if record is None or record.status != ChallengeStatus.TO_PROVE:
            return
        self.stage.at(record.deadline + late)
        if function == "prove":
            self.answer(self.stage.names[self.model.node(record)], challenge_id, "honest")
        else:
            self.act("close", "stranger", challenge_id)

    def at_block(self, challenge_id: int, block: int, function: str) -> None:
        """Draw or close in the block that comes so many after the one whose hash draws."""
        record = self.model.challenges.get(challenge_id)
        if record is None or record.status != ChallengeStatus.OPENED:
            return
        self.chain.mine(max(0, self.model.draw_block(record) + block - self.chain.block_number - 1))
        self.act(function, "stranger", challenge_id)

    def act(self, function: str, who: str, *arguments: object, **value: int) -> Receipt | None:
        receipt = self.both(self.contract, self.model, function, who, *arguments, **value)
        for event in receipt.events if receipt else ():
            if isinstance(event, events.Credited) and self._is_ours(event.log):
                self.credited += event.amount
            if isinstance(event, ENDINGS):
                self.endings[event.challenge_id] += 1
        return receipt

    def _is_ours(self, log: Log) -> bool:
        """Whether this contract has logged it: a slash is credited by another one."""
        return log.address.lower() == self.contract.address.lower()

    def _block_hash(self, number: int) -> bytes:
        return bytes.fromhex(self.chain.block(number)["hash"][2:])

    # --- what always holds ---

    def check(self) -> None:
        model = self.model
        for challenge_id, record in model.challenges.items():
            assert self.contract.challenge(challenge_id) == record
            assert self.endings[challenge_id] == (record.status not in OPEN), "a challenge ends once"
            assert record.deadline or record.fault == Fault.NONE, "an undrawn challenge is never penalised"
        for challenge_id in self.honest:
            assert model.challenges[challenge_id].status == ChallengeStatus.PROVED, "honest, and in time"
        for owner in ("owner", "executor-1", "executor-2"):
            for node in NODES:
                pair = self.accounts[owner].address, self.accounts[node].address
                assert self.contract.open_challenges_of(*pair) == model.open_count(*pair)
        for holding_id in self.stage.holdings:
            assert self.contract.open_challenge_on(holding_id) == model.open_on(holding_id)
        for account in self.accounts.values():
            assert self.contract.credit_of(account.address) == model.payments.credits[account.address]
        deposits = sum(record.deposit for record in model.challenges.values())
        assert self.credited == deposits - model.locked(), "each deposit is paid out, once"
        held = self.chain.balance(self.contract.address)
        assert held == model.locked() + model.payments.credits.total(), "no coin appears or vanishes"
