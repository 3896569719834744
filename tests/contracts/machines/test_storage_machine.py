"""The storage machine: with hostile owners and cheating nodes about, money and promises stay in order."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis.stateful import initialize, rule

from dtxeth.chain.bindings.types import ChallengeStatus, HoldingState
from tests.contracts.machines.play import CHOICES, Machine, run, walk
from tests.contracts.machines.stage import KEEPERS
from tests.contracts.machines.storage_play import HONEST, OWNERS, StoragePlay

DAY = 86400
SIZES = (1, 248, 700, 700, 3001, 3001, 15_000)
LIFETIMES = (100, 3 * DAY, 20 * DAY, 40 * DAY)

EXPECTED = {
    *("FilePublished", "FileRevised", "FileDeleted", "HoldingAdded", "HoldingEnded", "HoldingReleased"),
    *("ChallengeOpened", "ChallengeDrawn", "ChallengeProved", "ChallengeFailed", "ChallengeVoided"),
    *("NodeSlashed", "StakeChanged", "Credited", "Withdrawn"),
    *("CapacityExceeded", "NodeDraining", "NodeOffline", "StillHolding", "AlreadyHolding"),
    *("InvalidAcknowledgement", "TooFewAcknowledgements", "TooFewHoldings", "NotFileOwner"),
    *("RetentionOver", "ExpiryNotInFuture", "FileDeletedAlready", "HoldingNotReleasable"),
    *("HoldingNotLive", "AlreadyChallenged", "ChallengedTooSoon", "TooManyOpenChallenges"),
    *("HoldingExpiresBeforeAnswer", "ChallengeStillOpen", "NotHoldingOwner", "AnswerTooLate"),
}


class StorageMachine(Machine):
    """Three owners, two honest nodes and two that cheat; anybody may do anything."""

    play_of = StoragePlay
    play: StoragePlay

    @initialize(random=CHOICES)
    def begin(self, random: Random) -> None:
        self.publish(random)

    def holding(self, random: Random, *wanted: HoldingState) -> int:
        """Mostly a holding in a wanted state, if there is one; else any, or none."""
        known = self.play.leaves
        fit = [number for number in known if self.play.registry.holding(number).state in wanted]
        return random.choice(fit) if fit and random.random() < 0.9 else random.choice([*known, 0, 99])

    def pick(self, random: Random, *wanted: ChallengeStatus) -> int:
        """A challenge in a wanted status, if there is one; else any, or none."""
        fit = [number for number, record in self.play.records() if record.status in wanted]
        return random.choice(fit) if fit and random.random() < 0.9 else random.randint(0, 5)

    @rule(random=CHOICES)
    def publish(self, random: Random) -> None:
        keepers = tuple(random.sample(KEEPERS, random.choice([1, 2, 2, 2, 3, 3])))
        size, lifetime = random.choice(SIZES), random.choice(LIFETIMES)
        self.play.step("publish", random.choice(OWNERS), keepers, size, lifetime)

    @rule(random=CHOICES)
    def revise(self, random: Random) -> None:
        keepers = tuple(random.choices(KEEPERS, k=random.choice([0, 1, 1, 2])))
        dropped, longer = random.choice([0, 0, 1, 2]), random.choice([0, 0, 0, 500, 8 * DAY])
        file, stale = random.randint(0, 50), random.random() < 0.1
        arguments = (file, keepers, random.choice(SIZES), dropped, longer, stale)
        self.play.step("revise", self.owner(random, file), *arguments)

    @rule(random=CHOICES)
    def delete(self, random: Random) -> None:
        file = random.randint(0, 50)
        self.play.step("delete", self.owner(random, file), file)

    def owner(self, random: Random, file: int) -> str:
        """Mostly the owner of a file."""
        ids = self.play.file_ids
        if ids and random.random() < 0.9:
            return self.play.stage.names[self.play.registry.owner_of(ids[file % len(ids)])]
        return random.choice(OWNERS)

    @rule(random=CHOICES)
    def release(self, random: Random) -> None:
        holding = self.holding(random, HoldingState.RELEASING, HoldingState.LIVE)
        self.play.step("release", "stranger", (holding, self.holding(random, HoldingState.RELEASED)))

    @rule(random=CHOICES)
    def open(self, random: Random) -> None:
        holding = self.holding(random, HoldingState.LIVE)
        who = random.choice(OWNERS)
        if holding in self.play.leaves and random.random() < 0.9:
            file_id = self.play.registry.holding(holding).file_id
            who = self.play.stage.names[self.play.registry.owner_of(file_id)]
        self.play.step("open", who, holding, random.choice([1, 3, 32]), random.choice([0, 0, 7]))

    @rule(random=CHOICES)
    def challenge(self, random: Random) -> None:
        """Open, and draw as soon as can be."""
        self.open(random)
        self.play.step("draw", "stranger", len(self.play.records()), 2)

    @rule(random=CHOICES)
    def draw(self, random: Random) -> None:
        challenge = self.pick(random, ChallengeStatus.OPENED)
        self.play.step("draw", "stranger", challenge, random.choice([0, 2, 2, 2, 256, 260]))

    @rule(random=CHOICES)
    def answer(self, random: Random) -> None:
        challenge = self.pick(random, ChallengeStatus.TO_PROVE)
        self.play.step("answer", challenge, random.random() < 0.5)

    @rule(random=CHOICES)
    def close(self, random: Random) -> None:
        challenge = self.pick(random, ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE)
        self.play.step("close", "stranger", challenge)

    @rule(random=CHOICES)
    def move(self, random: Random) -> None:
        """A node goes offline, drains, or offers less or more, and mostly back."""
        who = random.choice(KEEPERS)
        function, arguments = random.choice(
            [
                *(("set_online", (False,)), ("set_online", (True,)), ("set_online", (True,))),
                *(("set_draining", (True,)), ("set_draining", (False,)), ("set_draining", (False,))),
                *(("update", ("http://x", bytes(32), 100)), ("update", ("http://x", bytes(32), 20_000))),
            ]
        )
        self.play.step("call", who, "node_registry", function, *arguments)

    @rule(random=CHOICES)
    def stake(self, random: Random) -> None:
        who = random.choice(KEEPERS)
        if random.random() < 0.5:
            self.play.step("stake", who, random.choice([1, 1000, 20_000]))
        else:
            self.play.step("unstake", who)

    @rule(random=CHOICES)
    def withdraw(self, random: Random) -> None:
        contract = random.choice(["node_registry", "storage_challenge"])
        self.play.step("call", random.choice([*OWNERS, *KEEPERS]), contract, "withdraw")

    @rule(random=CHOICES)
    def wait(self, random: Random) -> None:
        self.play.step("wait", random.choice([1, 20, 20, 60, 60, 60, 3600, DAY, 8 * DAY]))

    ACTIONS = (
        *(*[publish] * 5, *[revise] * 5, delete, release, open, open, *[challenge] * 12),
        *(draw, draw, answer, answer, answer, close, close, move, stake, withdraw, wait, wait),
    )


def test_money_and_promises_stay_in_order() -> None:
    run(StorageMachine, examples=8, steps=25)


def test_long_walks_meet_every_event_and_error() -> None:
    plays = [walk(StorageMachine, seed, 150) for seed in range(16)]
    seen = Counter(name for play in plays for name in play.names())
    assert seen.keys() >= EXPECTED, EXPECTED - seen.keys()
    challenged = [event for play in plays for event in play.outcomes if "ChallengeProved" in event[2]]
    assert sum(who in HONEST for _, who, _, _ in challenged) >= 50, "the honest have much to answer"
    assert seen["ChallengeFailed"] >= 50, "and the cheats much to lose"
