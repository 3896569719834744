"""The challenge machine: whatever can be called is called, and the contract does what the model does."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis.stateful import initialize, precondition, rule

from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus
from tests.contracts.machines.challenge_play import ANSWERS, ChallengePlay
from tests.contracts.machines.play import CHOICES, Machine, run, walk
from tests.contracts.machines.stage import PARAMETERS

OPENED, TO_PROVE = ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE
ANYBODY = ("owner", "executor-1", "executor-2", "node-1", "node-2", "stranger")

EXPECTED = {
    *("ChallengeOpened", "ChallengeDrawn", "ChallengeProved", "ChallengeFailed", "ChallengeVoided"),
    *("InvalidCount", "NotProvable", "UnknownHolding", "FileExpired", "NotHoldingOwner", "InvalidDeposit"),
    *("AlreadyChallenged", "ChallengedTooSoon", "TooManyOpenChallenges", "UnknownChallenge"),
    *("WrongChallengeStatus", "DrawTooEarly", "DrawTooLate", "HoldingExpiresBeforeAnswer"),
    *("NotChallengedNode", "AnswerTooLate", "WrongAlgorithm", "WrongSeed", "InvalidLeaf"),
    *("InvalidProofLength", "ChallengeStillOpen", "NodeSlashed", "StakeChanged"),
    *("Credited", "Withdrawn", "NothingToWithdraw"),
}


class ChallengeMachine(Machine):
    """Challenges of three owners to two nodes."""

    play_of = ChallengePlay

    @initialize(random=CHOICES)
    def begin(self, random: Random) -> None:
        self.open(random)

    @rule(random=CHOICES)
    def open(self, random: Random) -> None:
        """Mostly a challenge that is allowed, but for the time."""
        holdings = self.play.stage.holdings
        holding_id, leaves = random.choice(list(holdings)), random.choice([1, 2, 3, 10, 32])
        owner = self.play.stage.names[holdings[holding_id].file.owner]
        deposit = leaves * PARAMETERS.deposit_per_leaf + random.choice([0, 0, 0, 1, 10**18])
        self.play.step("open", owner, holding_id, Algorithm.MERKLE, leaves, deposit)

    @rule(random=CHOICES)
    def open_oddly(self, random: Random) -> None:
        holding_id, leaves = random.randint(0, 6), random.choice([0, 1, 16, 17, 32, 33, 255])
        algorithm = random.choice([Algorithm.MERKLE, Algorithm.MERKLE, *Algorithm])
        deposit = leaves * PARAMETERS.deposit_per_leaf - random.choice([0, 1])
        self.play.step("open", random.choice(ANYBODY), holding_id, algorithm, leaves, max(0, deposit))

    def any(self, *wanted: ChallengeStatus) -> list[int]:
        """All challenges that have a wanted status."""
        return [number for number, record in self.play.model.challenges.items() if record.status in wanted]

    def pick(self, random: Random, *wanted: ChallengeStatus) -> int:
        """Mostly a challenge that has a wanted status, if there is one; else any, or none."""
        fit = self.any(*wanted)
        return random.choice(fit) if fit and random.random() < 0.8 else random.randint(1, 6)

    @rule(random=CHOICES)
    def draw(self, random: Random) -> None:
        self.play.step("call", "draw", random.choice(ANYBODY), self.pick(random, OPENED))

    @rule(random=CHOICES)
    def draw_in_block(self, random: Random) -> None:
        """In the first or the last block that it can be drawn in, or just outside of them."""
        challenge_id, block = self.pick(random, OPENED), random.choice([0, 1, 1, 1, 256, 257])
        self.play.step("at_block", challenge_id, block, "draw")

    @rule(random=CHOICES)
    def close_in_block(self, random: Random) -> None:
        """In the first block that it can be void in, or just before."""
        self.play.step("at_block", self.pick(random, OPENED), random.choice([256, 257]), "close")

    @precondition(lambda self: self.any(TO_PROVE))
    @rule(random=CHOICES)
    def answer(self, random: Random) -> None:
        """By the node that must, or by another; rightly, or not."""
        challenge_id = self.pick(random, TO_PROVE)
        who, kind = random.choice(("node-1", "node-2")), random.choice(["honest", "another draw", *ANSWERS])
        function = random.choice(["prove"] * 9 + ["prove_kzg"])
        record = self.play.model.challenges.get(challenge_id)
        if record and random.random() < 0.8:
            who = self.play.stage.names[self.play.model.node(record)]
        self.play.step("answer", who, challenge_id, kind, function)

    @rule(random=CHOICES)
    def close(self, random: Random) -> None:
        self.play.step("call", "close", random.choice(ANYBODY), self.pick(random, OPENED, TO_PROVE))

    @precondition(lambda self: self.any(TO_PROVE))
    @rule(random=CHOICES)
    def at_deadline(self, random: Random) -> None:
        challenge_id, late = self.pick(random, TO_PROVE), random.random() < 0.5
        self.play.step("at_deadline", challenge_id, late, random.choice(["prove", "close"]))

    @rule(random=CHOICES)
    def withdraw(self, random: Random) -> None:
        self.play.step("call", "withdraw", random.choice(ANYBODY))

    @rule(random=CHOICES)
    def wait(self, random: Random) -> None:
        self.play.step("wait", random.choice([1, 20, 40]))

    ACTIONS = (
        *(open, open, open_oddly, draw, draw_in_block, draw_in_block, close_in_block),
        *(answer, answer, answer, close, at_deadline, withdraw, wait),
    )


def test_the_storage_challenge_does_what_its_model_does() -> None:
    run(ChallengeMachine, examples=40, steps=25)


def test_long_walks_meet_every_event_and_error() -> None:
    seen = Counter(name for seed in range(40) for name in walk(ChallengeMachine, seed, 60).names())
    assert seen.keys() >= EXPECTED, EXPECTED - seen.keys()
