"""What the storage challenge should do, in plain Python; see models.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eth_utils import keccak

from dtxeth.chain import Parameters, reverts
from dtxeth.chain.bindings.types import Algorithm, Challenge, ChallengeStatus, Fault
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
            (record.challenger, self.node(record)) == (challenger, node) and record.status in OPEN
            for record in self.challenges.values()
        )

    def open_on(self, holding_id: int) -> int:
        """The open challenge on a holding, 0 if there is none."""
        found = (
            number
            for number, record in self.challenges.items()
            if record.holding_id == holding_id and record.status in OPEN
        )
        return next(found, 0)

    def node(self, record: Challenge) -> str:
        return self._holdings[record.holding_id].node

    def locked(self) -> int:
        """Deposits of the open challenges."""
        return sum(record.deposit for record in self.challenges.values() if record.status in OPEN)

    def draw_block(self, record: Challenge) -> int:
        return record.opened_block + self._rules.draw_delay

    def indices(self, challenge_id: int) -> list[int]:
        """The leaves that a drawn challenge asks for."""
        record = self.challenges[challenge_id]
        return merkle.draw_indices(record.seed, len(self._holdings[record.holding_id].leaves), record.count)

    # --- the contract's functions ---

    def open(self, sent: Sent, holding_id: int, algorithm: Algorithm, count: int) -> None:
        most = 32 if algorithm == Algorithm.MERKLE else 16
        if holding_id not in self._holdings:
            raise reverts.UnknownHolding(holding_id)
        if not 1 <= count <= most:
            raise reverts.InvalidCount(count, most)
        if algorithm != Algorithm.MERKLE:
            raise reverts.NotProvable(holding_id, algorithm)
        held = self._holdings[holding_id]
        file = self._files.require_live(sent.now, held.file.file_id)
        if sent.sender != file.owner:
            raise reverts.NotHoldingOwner(holding_id, sent.sender, file.owner)
        if opened := self.open_on(holding_id):
            raise reverts.AlreadyChallenged(holding_id, opened)
        if sent.now < self._next_at.get(holding_id, 0):
            raise reverts.ChallengedTooSoon(holding_id, self._next_at[holding_id])
        self._require_time(sent, holding_id)
        required = count * self._rules.deposit_per_leaf
        if not required <= sent.value < 2**80:
            raise reverts.InvalidDeposit(sent.value, required, 2**80 - 1)
        already = self.open_count(sent.sender, held.node)
        if already >= self._rules.max_open_per_node:
            raise reverts.TooManyOpenChallenges(held.node, already)
        self._next_at[holding_id] = sent.now + self._rules.min_interval
        self.challenges[len(self.challenges) + 1] = Challenge(
            holding_id=holding_id,
            opened_block=sent.block,
            deadline=0,
            count=count,
            algorithm=algorithm,
            status=ChallengeStatus.OPENED,
            fault=Fault.NONE,
            deposit=sent.value,
            challenger=sent.sender,
            seed=bytes(32),
        )

    def draw(self, sent: Sent, challenge_id: int) -> None:
        record = self._in_status(challenge_id, ChallengeStatus.OPENED)
        block = self.draw_block(record)
        if sent.block <= block:
            raise reverts.DrawTooEarly(challenge_id, block + 1)
        if sent.block > block + 256:
            raise reverts.DrawTooLate(challenge_id, block + 256)
        deadline = self._require_time(sent, record.holding_id)
        seed = keccak(self._block_hash(block) + challenge_id.to_bytes(32, "big"))
        self.challenges[challenge_id] = replace(
            record, status=ChallengeStatus.TO_PROVE, deadline=deadline, seed=seed
        )

    def prove(self, sent: Sent, challenge_id: int, seed: bytes, answer: bytes) -> None:
        record = self._answerable(sent, challenge_id, seed)
        held, indices = self._holdings[record.holding_id], self.indices(challenge_id)
        if sent.sender != held.node:
            raise reverts.NotChallengedNode(challenge_id, sent.sender, held.node)
        start = 0
        for position in range(len(indices)):
            length = answer[start] if start < len(answer) else 0
            start += 1 + length
            if not 1 <= length <= merkle.LEAF_SIZE or start > len(answer):
                raise reverts.InvalidLeaf(position, length, merkle.LEAF_SIZE)
        right = [held.leaves[index] for index in indices], merkle.multiproof(held.hashes, indices)
        if len(answer) - start != 32 * len(right[1]):
            raise reverts.InvalidProofLength(len(answer) - start, 32 * len(right[1]))
        if answer == merkle.encode_answer(*right):
            self._end(challenge_id, ChallengeStatus.PROVED, Fault.NONE, held.node)
        else:
            self._end(challenge_id, ChallengeStatus.FAILED, Fault.WRONG, record.challenger)

    def prove_kzg(self, sent: Sent, challenge_id: int, seed: bytes, answer: bytes) -> None:
        record = self._in_status(challenge_id, ChallengeStatus.TO_PROVE)
        raise reverts.WrongAlgorithm(challenge_id, record.algorithm)

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

    def _answerable(self, sent: Sent, challenge_id: int, seed: bytes) -> Challenge:
        record = self._in_status(challenge_id, ChallengeStatus.TO_PROVE)
        if sent.now > record.deadline:
            raise reverts.AnswerTooLate(challenge_id, record.deadline)
        if seed != record.seed:
            raise reverts.WrongSeed(challenge_id, seed, record.seed)
        return record

    def _require_time(self, sent: Sent, holding_id: int) -> int:
        deadline = sent.now + self._rules.answer_window
        expires_at = self._holdings[holding_id].file.expires_at
        if deadline > expires_at:
            raise reverts.HoldingExpiresBeforeAnswer(holding_id, expires_at, deadline)
        return deadline

    def _existing(self, challenge_id: int) -> Challenge:
        if challenge_id not in self.challenges:
            raise reverts.UnknownChallenge(challenge_id)
        return self.challenges[challenge_id]

    def _in_status(self, challenge_id: int, status: ChallengeStatus) -> Challenge:
        record = self._existing(challenge_id)
        if record.status != status:
            raise reverts.WrongChallengeStatus(challenge_id, record.status, status)
        return record
