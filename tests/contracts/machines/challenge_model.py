"""What the storage challenge should do, in plain Python; see models.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eth_utils import keccak

from dtxeth.chain import Parameters, reverts
from dtxeth.chain.bindings.types import Challenge, ChallengeStatus, Fault
from dtxeth.crypto import merkle
from tests.contracts.machines.models import FilesModel, PaymentsModel, Sent
from tests.contracts.machines.stage import StagedHolding

OPEN = (ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE)


class ChallengeModel:
    """Challenges and their deposits. ``block_hash`` asks the chain; all else follows from what was called."""

    def __init__(
        self,
        rules: Parameters,
        files: FilesModel,
        holdings: dict[int, StagedHolding],
        block_hash: Callable[[int], bytes],
    ) -> None:
        self._rules = rules
        self._files = files
        self._holdings = holdings
        self._block_hash = block_hash
        self._next_at: dict[int, int] = {}
        self.payments = PaymentsModel()
        self.challenges: dict[int, Challenge] = {}

    # --- what follows from the records ---

    def open_count(self, challenger: str, node: str) -> int:
        return sum(
            (record.challenger, record.node) == (challenger, node) and record.status in OPEN
            for record in self.challenges.values()
        )

    def locked(self) -> int:
        """Deposits of the open challenges."""
        return sum(record.deposit for record in self.challenges.values() if record.status in OPEN)

    def draw_block(self, record: Challenge) -> int:
        return record.opened_block + self._rules.draw_delay

    def indices(self, challenge_id: int) -> list[int]:
        """The leaves that a drawn challenge asks for."""
        record = self.challenges[challenge_id]
        return merkle.draw_indices(record.seed, len(self._holdings[record.holding_id].leaves), record.leaves)

    # --- the contract's functions ---

    def open(self, sent: Sent, holding_id: int, leaves: int) -> None:
        if not 1 <= leaves <= 32:
            raise reverts.InvalidLeaves(leaves, 32)
        if holding_id not in self._holdings:
            raise reverts.UnknownHolding(holding_id)
        held = self._holdings[holding_id]
        file = self._files.require_live(sent.now, held.file.file_id)
        if sent.sender != file.owner:
            raise reverts.NotHoldingOwner(holding_id, sent.sender, file.owner)
        required = leaves * self._rules.deposit_per_leaf
        if sent.value < required:
            raise reverts.DepositTooSmall(sent.value, required)
        if sent.now < self._next_at.get(holding_id, 0):
            raise reverts.ChallengedTooSoon(holding_id, self._next_at[holding_id])
        count = self.open_count(sent.sender, held.node)
        if count >= self._rules.max_open_per_node:
            raise reverts.TooManyOpenChallenges(held.node, count)
        self._next_at[holding_id] = sent.now + self._rules.min_interval
        self.challenges[len(self.challenges) + 1] = Challenge(
            holding_id=holding_id,
            node=held.node,
            leaves=leaves,
            status=ChallengeStatus.OPENED,
            fault=Fault.NONE,
            challenger=sent.sender,
            opened_block=sent.block,
            deadline=0,
            deposit=sent.value,
            seed=bytes(32),
        )

    def draw(self, sent: Sent, challenge_id: int) -> None:
        record = self._in_status(challenge_id, ChallengeStatus.OPENED)
        block = self.draw_block(record)
        if sent.block <= block:
            raise reverts.DrawTooEarly(challenge_id, block + 1)
        if sent.block > block + 256:
            raise reverts.DrawTooLate(challenge_id, block + 256)
        deadline = sent.now + self._rules.answer_window
        file = self._files.require_live(sent.now, self._holdings[record.holding_id].file.file_id)
        if deadline > file.expires_at:
            raise reverts.FileExpiresBeforeAnswer(file.file_id, file.expires_at, deadline)
        seed = keccak(self._block_hash(block) + challenge_id.to_bytes(32, "big"))
        self.challenges[challenge_id] = replace(
            record, status=ChallengeStatus.TO_PROVE, deadline=deadline, seed=seed
        )

    def prove(self, sent: Sent, challenge_id: int, leaves: list[bytes], proof: list[bytes]) -> None:
        record = self._in_status(challenge_id, ChallengeStatus.TO_PROVE)
        if sent.sender != record.node:
            raise reverts.NotChallengedNode(challenge_id, sent.sender, record.node)
        if sent.now > record.deadline:
            raise reverts.AnswerTooLate(challenge_id, record.deadline)
        held, indices = self._holdings[record.holding_id], self.indices(challenge_id)
        if len(leaves) != len(indices):
            raise reverts.WrongLeafCount(len(leaves), len(indices))
        for position, leaf in enumerate(leaves):
            if not 1 <= len(leaf) <= merkle.LEAF_SIZE:
                raise reverts.InvalidLeafSize(position, len(leaf), merkle.LEAF_SIZE)
        expected = len(merkle.multiproof(held.hashes, indices))
        if len(proof) != expected:
            raise reverts.InvalidProofLength(len(proof), expected)
        right = leaves == [held.leaves[index] for index in indices]
        if right and proof == merkle.multiproof(held.hashes, indices):
            self._end(challenge_id, ChallengeStatus.PROVED, Fault.NONE, record.node)
        else:
            self._end(challenge_id, ChallengeStatus.FAILED, Fault.WRONG, record.challenger)

    def close(self, sent: Sent, challenge_id: int) -> None:
        record = self._existing(challenge_id)
        if record.status == ChallengeStatus.OPENED:
            if sent.block <= self.draw_block(record) + 256:
                raise reverts.ChallengeStillOpen(challenge_id)
            self._end(challenge_id, ChallengeStatus.VOID, Fault.NONE, record.challenger)
            return
        self._in_status(challenge_id, ChallengeStatus.TO_PROVE)
        if sent.now <= record.deadline:
            raise reverts.ChallengeStillOpen(challenge_id)
        self._end(challenge_id, ChallengeStatus.FAILED, Fault.MISSED, record.challenger)

    def withdraw(self, sent: Sent) -> None:
        self.payments.withdraw(sent)

    def _end(self, challenge_id: int, status: ChallengeStatus, fault: Fault, payee: str) -> None:
        record = self.challenges[challenge_id]
        self.challenges[challenge_id] = replace(record, status=status, fault=fault)
        self.payments.credit(payee, record.deposit)

    def _existing(self, challenge_id: int) -> Challenge:
        if challenge_id not in self.challenges:
            raise reverts.UnknownChallenge(challenge_id)
        return self.challenges[challenge_id]

    def _in_status(self, challenge_id: int, status: ChallengeStatus) -> Challenge:
        record = self._existing(challenge_id)
        if record.status != status:
            raise reverts.WrongChallengeStatus(challenge_id, record.status, status)
        return record
