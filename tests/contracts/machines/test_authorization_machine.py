"""The authorization machine: whatever can be called is called, and the contract does what the model does."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis.stateful import initialize, rule

from tests.contracts.machines.play import CHOICES, Machine, Play, run, walk

APPLIERS = ("executor-1", "executor-2", "requester")
OWNERS = ("owner", "owner", "owner", "executor-1", "executor-2", "stranger")
REASONS = ("", "r" * 256, "r" * 257)

EXPECTED = {
    *("AuthorizationApplied", "AuthorizationApproved", "AuthorizationRejected", "AuthorizationRevoked"),
    *("UnknownFile", "FileExpired", "NotFileOwner", "OwnerNeedsNoAuthorization", "AuthorizationOpen"),
    *("InvalidAuthorizationExpiry", "InvalidGrantedKey", "UnknownAuthorization", "NotAuthorizationOwner"),
    *("WrongAuthorizationStatus", "AuthorizationReasonTooLong"),
}


class AuthorizationPlay(Play):
    """Applies for the files of the stage, and decides."""

    def apply_for(self, who: str, file: int, task_id: int) -> None:
        self.authorize("apply_for", who, self._file_id(file), task_id)

    def approve(self, who: str, authorization_id: int, key: bytes, lapse: int) -> None:
        expires_at = self.stage.next_time + lapse
        self.authorize("approve", who, authorization_id, key, expires_at)

    def grant(self, who: str, file: int, applier: str, task_id: int, key: bytes, lapse: int) -> None:
        address, expires_at = self.accounts[applier].address, self.stage.next_time + lapse
        self.authorize("grant", who, self._file_id(file), address, task_id, key, expires_at)

    def at_expiry(self, authorization_id: int, late: bool) -> None:
        """Apply again in the last second of an authorization, or in the one after."""
        record = self.authorizations.records.get(authorization_id)
        if record is None or not record.expires_at:
            return
        self.stage.at(record.expires_at + late)
        who = self.stage.names[record.applier]
        self.authorize("apply_for", who, record.file_id, record.task_id)

    def _file_id(self, file: int) -> bytes:
        """A file of the stage, or one that does not exist."""
        return self.stage.files[file].file_id if file < len(self.stage.files) else b"\7" * 32

    def check(self) -> None:
        contract, model, now = self.contracts.file_authorization, self.authorizations, self.chain.now()
        for (file_id, applier, task_id), latest in model.latest.items():
            assert contract.latest_of(file_id, applier, task_id) == latest
        for number, record in model.records.items():
            assert contract.authorization(number) == record
            current = contract.is_current(number, record.applier, record.file_id)
            assert current == model.is_current(now, number)
            assert not contract.is_current(number, self.accounts["stranger"].address, record.file_id)
            assert not contract.is_current(number, record.applier, b"\7" * 32)


class AuthorizationMachine(Machine):
    """Three appliers, two tasks, all files."""

    play_of = AuthorizationPlay

    @initialize(random=CHOICES)
    def begin(self, random: Random) -> None:
        self.apply_for(random)

    @rule(random=CHOICES)
    def apply_for(self, random: Random) -> None:
        who, file = random.choice(APPLIERS), random.choice([0, 1, 1, 1, 2, 3, 4])
        self.play.step("apply_for", who, file, random.randint(1, 2))

    @rule(random=CHOICES)
    def approve(self, random: Random) -> None:
        authorization_id, key = self.latest(random), random.choice([b"k", b"k", b"k" * 256, b"k" * 257, b""])
        lapse = random.choice([0, 1, 30, 30, 10**5, 10**7])
        self.play.step("approve", random.choice(OWNERS), authorization_id, key, lapse)

    @rule(random=CHOICES)
    def grant(self, random: Random) -> None:
        who, file, applier = random.choice(OWNERS), random.choice([0, 1, 1, 3, 4]), random.choice(APPLIERS)
        key, lapse = random.choice([b"k", b"k", b"k", b""]), random.choice([0, 1, 30, 10**5, 10**7])
        self.play.step("grant", who, file, applier, random.randint(1, 2), key, lapse)

    @rule(random=CHOICES)
    def decide(self, random: Random) -> None:
        who, authorization_id = random.choice(OWNERS), self.latest(random)
        record = self.play.authorizations.records.get(authorization_id)
        if record and random.random() < 0.7:
            who = self.play.stage.names[self.play.files.owner(record.file_id)]
        function = random.choice(["reject", "revoke"])
        self.play.step("authorize", function, who, authorization_id, random.choice(REASONS))

    @rule(random=CHOICES)
    def at_expiry(self, random: Random) -> None:
        self.play.step("at_expiry", self.latest(random), random.random() < 0.5)

    @rule(random=CHOICES)
    def wait(self, random: Random) -> None:
        self.play.step("wait", random.choice([1, 30, 200]))

    def latest(self, random: Random) -> int:
        """One of the latest authorizations, or the next one, which does not exist."""
        return max(0, len(self.play.authorizations.records) + 1 - random.randint(0, 4))

    ACTIONS = (apply_for, apply_for, approve, approve, grant, decide, at_expiry, wait)


def test_the_file_authorization_does_what_its_model_does() -> None:
    run(AuthorizationMachine, examples=30, steps=25)


def test_long_walks_meet_every_event_and_error() -> None:
    seen = Counter(name for seed in range(15) for name in walk(AuthorizationMachine, seed, 60).names())
    assert seen.keys() >= EXPECTED, EXPECTED - seen.keys()
