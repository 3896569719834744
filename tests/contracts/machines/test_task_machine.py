"""The task machine: whatever can be called is called, and the contract does what the model does."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis.stateful import initialize, precondition, rule

from dtxeth.chain.bindings.types import Kind, TaskStatus
from tests.contracts.machines.play import CHOICES, Machine, run, walk
from tests.contracts.machines.stage import EXECUTORS
from tests.contracts.machines.task_model import OPEN
from tests.contracts.machines.task_play import RESULT, TaskPlay

CONFIRMING, READY, TO_PROCESS, PROCESSING = OPEN
RIGHT_STATUS = {"start": READY, "cancel": CONFIRMING, "begin": TO_PROCESS, "time_out": PROCESSING}

ANYBODY = (*EXECUTORS, "requester", "requester", "stranger")
NOTES = (b"", b"n", b"n" * 4096, b"n" * 4097)
REASONS = ("", "w" * 256, "w" * 257)
TRIO, DUO = EXECUTORS, EXECUTORS[:2]
EVEN, SOON = (5000, 5000), (20, 40, 60)
ODD = (  # all but one thing of each is right, or just within its bound
    (DUO, (0, 1), EVEN, SOON, 0, Kind.TRAIN, b"s" * 16384),
    (DUO, (0, 1), EVEN, SOON, 0, Kind.TRAIN, b"s" * 16385),
    (DUO, (0, 1), EVEN, SOON, 0, Kind.TRAIN, b""),
    (DUO, (0, 1), EVEN, (1, 2, 3)),
    (DUO, (0, 1), EVEN, (0, 40, 60)),
    (DUO, (0, 1), EVEN, (40, 40, 60)),
    (DUO, (0, 1), EVEN, (20, 60, 60)),
    (DUO, (0, 1), (5000, 4999), SOON),
    (DUO, (0, 1), (65535, 65535), SOON),
    (DUO[:1], (0,), (10_000,), SOON),
    (DUO, (1, 1), EVEN, SOON),
    (DUO, (3, 1), EVEN, SOON),
    (DUO, (3, 1), EVEN, (20, 40, 1000)),
    ((DUO[0], DUO[0]), (0, 1), EVEN, SOON),
    ((DUO[0], "node-1"), (0, 1), EVEN, SOON),
    (("stranger", DUO[0]), (0, 1), EVEN, SOON),
    (DUO, (0, 1), EVEN, SOON, 1),
)

EXPECTED = {
    *("TaskPublished", "TaskConfirmed", "TaskReady", "TaskStarted", "TaskBegun", "TaskReported"),
    *("TaskFinished", "TaskFailed", "TaskRejected", "TaskCancelled", "TaskTimedOut", "ReportsDisagree"),
    *("InvalidSpec", "InvalidPartyCount", "DuplicateExecutor", "DuplicateFile", "InvalidShares"),
    *("InvalidDeadlines", "FileExpiresBeforeFinish", "UnexpectedModelTask", "InvalidModelTask"),
    *("WrongModelExecutor", "UnknownNode", "WrongRole", "NodeOffline", "UnknownTask", "WrongTaskStatus"),
    *("DeadlinePassed", "DeadlineNotPassed", "NotRequester", "NotExecutor", "AlreadyConfirmed"),
    *("AlreadyReported", "ConcurrencyExceeded", "ZeroConcurrency", "AuthorizationMissing"),
    *("AuthorizationMismatch", "AuthorizationNotApproved", "AuthorizationExpiresBeforeFinish"),
    *("UnknownAuthorization", "TaskReasonTooLong", "InvalidResult", "UnexpectedResultFile"),
    *("ResultFileNotOfExecutor", "ResultFileNotGranted", "UnknownFile", "FileExpired"),
    *("RowsNoted", "InvalidNote"),
    *("ConcurrencyChanged", "Credited", "Withdrawn", "NothingToWithdraw"),
}


class TaskMachine(Machine):
    """Tasks of one requester, on files of their executors and of somebody else."""

    play_of = TaskPlay

    @initialize(random=CHOICES)
    def begin(self, random: Random) -> None:
        self.publish(random)

    @precondition(lambda self: len(self.any(*OPEN)) < 4)
    @rule(random=CHOICES)
    def publish(self, random: Random) -> None:
        trio = TRIO, (0, 1, 2), (3334, 3333, 3333)
        duo = DUO, random.choice([(0, 1), (3, 2)]), (1, 9999)
        lapses = random.choice([(60, 90, 150), (100, 200, 250)])
        reward = random.choice([0, 1, 9999, 10**18])
        good = (*random.choice([trio, duo]), lapses, 0, Kind.TRAIN, b"{}", reward)
        self.play.step("publish", "requester", *good)

    @rule(random=CHOICES)
    def publish_oddly(self, random: Random) -> None:
        self.play.step("publish", "requester", *random.choice(ODD))

    @rule(random=CHOICES)
    def predict(self, random: Random) -> None:
        if not self.any(TaskStatus.FINISHED):
            self.play.step("publish", "requester", DUO, (0, 1), (1, 9999), (60, 90, 150))
            for _ in range(6):
                self.play.step("forward", len(self.play.model.tasks))
        model = self.pick(random, TaskStatus.FINISHED)
        executors = random.choice([DUO, TRIO, DUO[::-1]])
        if model in self.play.model.parties and random.random() < 0.8:
            executors = TRIO[: len(self.play.model.parties[model])]
        files, shares = ((2, 1, 0), (3333, 3333, 3334)) if len(executors) == 3 else ((2, 1), EVEN)
        who = random.choice(["requester", "requester", "requester", "stranger"])
        use = (model, Kind.PREDICT, b"{}", 100)
        self.play.step("publish", who, executors, files, shares, (60, 90, 200), *use)
        if random.random() < 0.5:
            for _ in range(len(executors) + 2):
                self.play.step("forward", len(self.play.model.tasks))
            self.report(random)

    def any(self, *wanted: TaskStatus) -> list[int]:
        """All tasks that have a wanted status, and whose deadline has not passed."""
        model, now = self.play.model, self.play.stage.next_time
        return [
            task_id
            for task_id, task in model.tasks.items()
            if task.status in wanted and (task.status not in OPEN or now <= model.deadline(task))
        ]

    def pick(self, random: Random, *wanted: TaskStatus) -> int:
        """Mostly a task that has a wanted status and time, if there is one; else any, or none."""
        fit = self.any(*wanted)
        return random.choice(fit) if fit and random.random() < 0.8 else random.randint(1, 4)

    @rule(random=CHOICES)
    def forward(self, random: Random) -> None:
        task_id = self.pick(random, *OPEN)
        for _ in range(random.randint(1, 5)):
            self.play.step("forward", task_id)

    @rule(random=CHOICES)
    def call(self, random: Random) -> None:
        function = random.choice(list(RIGHT_STATUS))
        task_id = self.pick(random, RIGHT_STATUS[function])
        reason = ("away",) if function == "time_out" else ()
        self.play.step("call", function, random.choice(ANYBODY), task_id, *reason)

    @rule(random=CHOICES)
    def refuse(self, random: Random) -> None:
        function = random.choice(["reject", "fail"])
        right = (CONFIRMING,) if function == "reject" else (TO_PROCESS, PROCESSING)
        task_id, reason = self.pick(random, *right), random.choice(REASONS)
        self.play.step("call", function, random.choice(ANYBODY), task_id, reason)

    @rule(random=CHOICES)
    def confirm(self, random: Random) -> None:
        task_id, who = self.pick(random, CONFIRMING), random.choice(ANYBODY)
        if random.random() < 0.7:
            self.play.step("confirm_with_latest", who, task_id)
        else:
            self.play.step("call", "confirm", who, task_id, random.randint(0, 5))

    @precondition(lambda self: self.any(PROCESSING))
    @rule(random=CHOICES)
    def report(self, random: Random) -> None:
        task_id, who = self.pick(random, PROCESSING), random.choice(EXECUTORS)
        result = random.choice([RESULT, RESULT, RESULT, b"other", b"", b"r" * 16385])
        self.play.step("report", who, task_id, result, random.choice([None, 0, 1, 1, 3, -1]))

    @precondition(lambda self: self.any(PROCESSING))
    @rule(random=CHOICES)
    def note(self, random: Random) -> None:
        task_id, who = self.pick(random, PROCESSING), random.choice(ANYBODY)
        self.play.step("call", "note_rows", who, task_id, random.choice(NOTES))

    @rule(random=CHOICES)
    def grant(self, random: Random) -> None:
        task_id, applier = self.pick(random, CONFIRMING), random.choice((*EXECUTORS, "requester"))
        self.play.step("grant", random.randint(0, 3), applier, task_id, random.choice([20, 3000]))

    @rule(random=CHOICES)
    def borrow(self, random: Random) -> None:
        """Confirm with an authorization for the right file and task, but somebody else's."""
        play, task_id = self.play, self.pick(random, CONFIRMING)
        if task_id not in play.model.parties:
            return
        party = random.choice(play.model.parties[task_id])
        file = [staged.file_id for staged in play.stage.files].index(party.file_id)
        play.step("grant", file, "requester", task_id, 3000)
        given = len(play.authorizations.records)
        play.step("call", "confirm", play.stage.names[party.executor], task_id, given)

    @rule(random=CHOICES)
    def revoke(self, random: Random) -> None:
        records = self.play.authorizations.records
        latest = max(1, len(records) - random.randint(0, 2))
        self.play.step("authorize", "revoke", random.choice(["owner", "owner", "executor-1"]), latest, "")
        if latest in records:
            applier, task_id = self.play.stage.names[records[latest].applier], records[latest].task_id
            self.play.step("confirm_with_latest", applier, task_id)

    @rule(random=CHOICES)
    def set_concurrency(self, random: Random) -> None:
        self.play.step("call", "set_concurrency", random.choice(EXECUTORS), random.randint(0, 2))

    @precondition(lambda self: self.play.model.payments.credited)
    @rule(random=CHOICES)
    def withdraw(self, random: Random) -> None:
        self.play.step("call", "withdraw", random.choice(ANYBODY))

    @rule(random=CHOICES)
    def set_online(self, random: Random) -> None:
        self.play.step("set_online", "executor-3", random.random() < 0.6)

    @rule(random=CHOICES)
    def at_deadline(self, random: Random) -> None:
        model = self.play.model
        first = min(self.any(*OPEN), key=lambda task_id: model.deadline(model.tasks[task_id]), default=1)
        late, function = random.choice([(False, "forward"), (False, "time_out"), (True, "forward")])
        self.play.step("at_deadline", first, late, function)
        self.play.step("call", "time_out", "stranger", first, "away")

    @rule(random=CHOICES)
    def wait(self, random: Random) -> None:
        self.play.step("wait", random.choice([1, 10]))

    ACTIONS = (
        *(publish, publish_oddly, predict, predict, forward, forward, call, refuse, refuse, confirm, confirm),
        *(
            report,
            report,
            report,
            note,
            grant,
            borrow,
            revoke,
            set_concurrency,
            withdraw,
            set_online,
            at_deadline,
            wait,
        ),
    )


def test_the_task_registry_does_what_its_model_does() -> None:
    run(TaskMachine, examples=40, steps=25)


def test_long_walks_meet_every_event_and_error() -> None:
    seen = Counter(name for seed in range(50) for name in walk(TaskMachine, seed, 60).names())
    assert seen.keys() >= EXPECTED, EXPECTED - seen.keys()
