"""TaskRegistry: the life of a task, its deadlines, and where the reward goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AlreadyConfirmed,
    AlreadyReported,
    AuthorizationExpiresBeforeFinish,
    AuthorizationMismatch,
    AuthorizationMissing,
    AuthorizationNotApproved,
    ConcurrencyExceeded,
    DeadlineNotPassed,
    DeadlinePassed,
    FileExpired,
    InvalidResult,
    NotExecutor,
    NotRequester,
    ResultFileNotGranted,
    ResultFileNotOfExecutor,
    TaskReasonTooLong,
    UnexpectedResultFile,
    UnknownAuthorization,
    UnknownFile,
    UnknownTask,
    WrongTaskStatus,
    ZeroConcurrency,
)
from dtxeth.chain.bindings.events import (
    ConcurrencyChanged,
    Credited,
    ReportsDisagree,
    TaskBegun,
    TaskCancelled,
    TaskConfirmed,
    TaskFailed,
    TaskFinished,
    TaskReady,
    TaskRejected,
    TaskReported,
    TaskStarted,
    TaskTimedOut,
)
from dtxeth.chain.bindings.types import Kind, TaskStatus
from tests.contracts.world import DAY, EXECUTORS, NOTHING, Held, World, account, event, refused

REQUESTER, STRANGER = account("requester"), account("stranger")
FIRST, SECOND, THIRD = (account(name) for name in EXECUTORS)
REWARD, RESULT = 1000, b'{"auc":0.99}'


@pytest.fixture
def files(world: World) -> list[Held]:
    return [world.publish("owner-1"), world.publish("owner-2")]


def status(world: World, task_id: int) -> TaskStatus:
    return world.tasks.task_of(task_id).status


def active(world: World, executor: str) -> int:
    return world.tasks.concurrency_of(account(executor).address)[0]


def refunded(world: World, task_id: int, final: TaskStatus) -> None:
    """Check that a task has ended, with the reward back and the executors free."""
    assert status(world, task_id) == final
    assert world.tasks.credit_of(REQUESTER.address) == REWARD
    assert [active(world, name) for name in EXECUTORS] == [0, 0, 0]


# --- the good road ---


def test_a_training_task_runs_to_its_end(world: World, files: list[Held]) -> None:
    task_id = world.propose(files, REWARD)
    grants = [world.authorize(held, name, task_id) for held, name in zip(files, EXECUTORS, strict=False)]

    receipt = world.tasks.confirm(task_id, grants[0], sender=FIRST)
    assert receipt.events == (event(TaskConfirmed, task_id, FIRST.address, grants[0]),)
    assert status(world, task_id) == TaskStatus.CONFIRMING
    receipt = world.tasks.confirm(task_id, grants[1], sender=SECOND)
    assert receipt.events == (
        event(TaskConfirmed, task_id, SECOND.address, grants[1]),
        event(TaskReady, task_id),
    )
    assert status(world, task_id) == TaskStatus.READY

    assert world.tasks.start(task_id, sender=REQUESTER).events == (event(TaskStarted, task_id),)
    assert status(world, task_id) == TaskStatus.TO_PROCESS
    receipt = world.tasks.begin(task_id, sender=SECOND)
    assert receipt.events == (event(TaskBegun, task_id, SECOND.address),)
    assert status(world, task_id) == TaskStatus.PROCESSING

    receipt = world.tasks.report(task_id, RESULT, NOTHING, sender=SECOND)
    assert receipt.events == (event(TaskReported, task_id, SECOND.address, keccak(RESULT), NOTHING),)
    assert world.tasks.task_of(task_id).result_hash == keccak(RESULT)
    assert status(world, task_id) == TaskStatus.PROCESSING
    assert active(world, "executor-1") == 1

    receipt = world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    assert receipt.events == (
        event(TaskReported, task_id, FIRST.address, keccak(RESULT), NOTHING),
        event(Credited, SECOND.address, 333),
        event(Credited, FIRST.address, 667),
        event(TaskFinished, task_id, REQUESTER.address, RESULT, NOTHING),
    )
    assert status(world, task_id) == TaskStatus.FINISHED
    assert world.tasks.credit_of(REQUESTER.address) == 0
    assert [active(world, name) for name in EXECUTORS] == [0, 0, 0]


@pytest.mark.parametrize("reward", [0, 1, 2, 9999, 10**17 + 1])
def test_the_reward_is_shared_to_the_last_wei(world: World, reward: int) -> None:
    files = [world.publish("owner-1") for _ in range(3)]
    task_id = world.process(files, reward)
    for name in EXECUTORS:
        world.tasks.report(task_id, RESULT, NOTHING, sender=account(name))
    credits = [world.tasks.credit_of(account(name).address) for name in EXECUTORS]
    assert credits[1:] == [reward * 3333 // 10000] * 2
    assert sum(credits) == reward == world.chain.balance(world.tasks.address)


# --- confirming ---


def test_an_owner_confirms_without_an_authorization(world: World) -> None:
    own = world.publish("executor-1")
    task_id = world.propose([own, world.publish("owner-2")])
    receipt = world.tasks.confirm(task_id, 0, sender=FIRST)
    assert receipt.events == (event(TaskConfirmed, task_id, FIRST.address, 0),)


def test_who_does_not_own_the_file_needs_an_authorization(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    with refused(AuthorizationMissing, files[0].file_id, FIRST.address):
        world.tasks.confirm(task_id, 0, sender=FIRST)
    with refused(UnknownAuthorization, 99):
        world.tasks.confirm(task_id, 99, sender=FIRST)


def test_an_authorization_is_for_the_executor_its_file_and_the_task(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    others = [
        world.authorize(files[1], "executor-1", task_id),
        world.authorize(files[0], "executor-2", task_id),
        world.authorize(files[0], "executor-1", task_id + 1),
    ]
    for number in others:
        with refused(AuthorizationMismatch, number, FIRST.address, files[0].file_id, task_id):
            world.tasks.confirm(task_id, number, sender=FIRST)
    world.tasks.confirm(task_id, world.authorize(files[0], "executor-1", task_id), sender=FIRST)


def test_an_authorization_is_approved_when_it_is_used(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    world.authorizations.apply_for(files[0].file_id, task_id, sender=FIRST)
    with refused(AuthorizationNotApproved, 1):
        world.tasks.confirm(task_id, 1, sender=FIRST)
    world.authorizations.reject(1, "", sender=files[0].owner)
    with refused(AuthorizationNotApproved, 1):
        world.tasks.confirm(task_id, 1, sender=FIRST)
    number = world.authorize(files[0], "executor-1", task_id)
    world.authorizations.revoke(number, "", sender=files[0].owner)
    with refused(AuthorizationNotApproved, number):
        world.tasks.confirm(task_id, number, sender=FIRST)


def test_an_authorization_outlasts_the_task(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    finish_by = world.tasks.task_of(task_id).finish_by
    short = world.authorize(files[0], "executor-1", task_id, finish_by - 1)
    with refused(AuthorizationExpiresBeforeFinish, short, finish_by - 1, finish_by):
        world.tasks.confirm(task_id, short, sender=FIRST)
    just = world.authorize(files[1], "executor-2", task_id, finish_by)
    world.tasks.confirm(task_id, just, sender=SECOND)


def test_an_executor_confirms_once(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    number = world.authorize(files[0], "executor-1", task_id)
    world.tasks.confirm(task_id, number, sender=FIRST)
    with refused(AlreadyConfirmed, task_id, FIRST.address):
        world.tasks.confirm(task_id, number, sender=FIRST)
    assert active(world, "executor-1") == 1
    assert status(world, task_id) == TaskStatus.CONFIRMING


def test_nobody_confirms_anothers_task(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    number = world.authorize(files[0], "executor-3", task_id)
    with refused(NotExecutor, task_id, THIRD.address):
        world.tasks.confirm(task_id, number, sender=THIRD)


def test_an_executor_takes_so_many_tasks_at_a_time(world: World, files: list[Held]) -> None:
    tasks = [world.propose(files) for _ in range(5)]
    grants = [world.authorize(files[0], "executor-1", task_id) for task_id in tasks]
    assert world.tasks.concurrency_of(FIRST.address) == (0, 4)
    for task_id, number in list(zip(tasks, grants, strict=True))[:4]:
        world.tasks.confirm(task_id, number, sender=FIRST)
    with refused(ConcurrencyExceeded, FIRST.address, 4, 4):
        world.tasks.confirm(tasks[4], grants[4], sender=FIRST)

    receipt = world.tasks.set_concurrency(5, sender=FIRST)
    assert receipt.events == (event(ConcurrencyChanged, FIRST.address, 5),)
    world.tasks.confirm(tasks[4], grants[4], sender=FIRST)
    assert world.tasks.concurrency_of(FIRST.address) == (5, 5)
    world.tasks.set_concurrency(1, sender=FIRST)
    world.tasks.cancel(tasks[0], sender=REQUESTER)
    assert world.tasks.concurrency_of(FIRST.address) == (4, 1)
    with refused(ZeroConcurrency):
        world.tasks.set_concurrency(0, sender=FIRST)


# --- other ends ---


def test_an_executor_rejects(world: World, files: list[Held]) -> None:
    task_id = world.propose(files, REWARD)
    receipt = world.tasks.reject(task_id, "no capacity", sender=SECOND)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskRejected, task_id, SECOND.address, "no capacity"),
    )
    refunded(world, task_id, TaskStatus.REJECTED)


def test_an_executor_rejects_after_its_own_confirmation(world: World, files: list[Held]) -> None:
    task_id = world.propose(files, REWARD)
    world.confirm(task_id, files[:1])
    assert active(world, "executor-1") == 1
    world.tasks.reject(task_id, "changed my mind", sender=FIRST)
    refunded(world, task_id, TaskStatus.REJECTED)


@pytest.mark.parametrize("confirmations", [0, 1, 2])
def test_the_requester_cancels_before_the_start(world: World, files: list[Held], confirmations: int) -> None:
    task_id = world.propose(files, REWARD)
    world.confirm(task_id, files[:confirmations])
    receipt = world.tasks.cancel(task_id, sender=REQUESTER)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskCancelled, task_id),
    )
    refunded(world, task_id, TaskStatus.CANCELLED)


@pytest.mark.parametrize("begun", [False, True])
def test_an_executor_fails_a_started_task(world: World, files: list[Held], begun: bool) -> None:
    task_id = world.propose(files, REWARD)
    world.confirm(task_id, files)
    world.tasks.start(task_id, sender=REQUESTER)
    if begun:
        world.tasks.begin(task_id, sender=FIRST)
    receipt = world.tasks.fail(task_id, "peer silent", sender=SECOND)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskFailed, task_id, SECOND.address, "peer silent"),
    )
    refunded(world, task_id, TaskStatus.FAILED)


def test_differing_reports_fail_the_task(world: World, files: list[Held]) -> None:
    task_id = world.process(files, REWARD)
    world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    receipt = world.tasks.report(task_id, RESULT + b" ", NOTHING, sender=SECOND)
    hashes = keccak(RESULT), keccak(RESULT + b" ")
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(ReportsDisagree, task_id, SECOND.address, *hashes, NOTHING, NOTHING),
    )
    refunded(world, task_id, TaskStatus.FAILED)


def test_long_reasons_are_refused(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    with refused(TaskReasonTooLong, 257, 256):
        world.tasks.reject(task_id, "r" * 257, sender=FIRST)
    task_id = world.process(files)
    with refused(TaskReasonTooLong, 257, 256):
        world.tasks.fail(task_id, "r" * 257, sender=FIRST)
    world.tasks.fail(task_id, "r" * 256, sender=FIRST)


# --- reports ---


def test_an_executor_reports_once(world: World, files: list[Held]) -> None:
    task_id = world.process(files)
    world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    with refused(AlreadyReported, task_id, FIRST.address):
        world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    assert status(world, task_id) == TaskStatus.PROCESSING


@pytest.mark.parametrize("length", [0, 16385])
def test_a_result_of_odd_length_is_refused(world: World, files: list[Held], length: int) -> None:
    task_id = world.process(files)
    with refused(InvalidResult, length, 16384):
        world.tasks.report(task_id, bytes(length), NOTHING, sender=FIRST)
    world.tasks.report(task_id, bytes(16384), NOTHING, sender=FIRST)


def test_a_training_reports_no_file(world: World, files: list[Held]) -> None:
    task_id = world.process(files)
    with refused(UnexpectedResultFile, files[0].file_id):
        world.tasks.report(task_id, RESULT, files[0].file_id, sender=FIRST)


@pytest.fixture
def predicting(world: World, files: list[Held]) -> int:
    """A prediction task in Processing."""
    model = world.process(files)
    for name in EXECUTORS[:2]:
        world.tasks.report(model, RESULT, NOTHING, sender=account(name))
    fresh = [world.publish("owner-1"), world.publish("owner-2")]
    return world.process(fresh, REWARD, kind=Kind.PREDICT, model_task_id=model)


def test_a_prediction_reports_a_file_granted_to_the_requester(world: World, predicting: int) -> None:
    outcome = world.publish("executor-1")
    world.authorize(outcome, "requester", predicting)
    world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)
    assert world.tasks.task_of(predicting).result_file_id == outcome.file_id
    receipt = world.tasks.report(predicting, RESULT, outcome.file_id, sender=SECOND)
    finished = receipt.event(TaskFinished)
    assert finished == event(TaskFinished, predicting, REQUESTER.address, RESULT, outcome.file_id)
    assert status(world, predicting) == TaskStatus.FINISHED


def test_a_prediction_out_of_the_requesters_reach_is_refused(world: World, predicting: int) -> None:
    outcome = world.publish("executor-1")
    ungranted = (predicting, outcome.file_id, REQUESTER.address)
    with refused(UnknownFile, NOTHING):
        world.tasks.report(predicting, RESULT, NOTHING, sender=FIRST)
    with refused(ResultFileNotGranted, *ungranted):
        world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)
    world.authorize(outcome, "requester", predicting + 1)
    world.authorize(outcome, "stranger", predicting)
    with refused(ResultFileNotGranted, *ungranted):
        world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)

    number = world.authorize(outcome, "requester", predicting)
    world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)
    world.authorizations.revoke(number, "", sender=FIRST)
    with refused(ResultFileNotGranted, *ungranted):
        world.tasks.report(predicting, RESULT, outcome.file_id, sender=SECOND)
    world.authorize(outcome, "requester", predicting)
    world.tasks.report(predicting, RESULT, outcome.file_id, sender=SECOND)
    assert status(world, predicting) == TaskStatus.FINISHED


def test_a_requester_cannot_block_the_grant_by_applying(world: World, predicting: int) -> None:
    outcome = world.publish("executor-1")
    world.authorizations.apply_for(outcome.file_id, predicting, sender=REQUESTER)
    world.authorize(outcome, "requester", predicting)
    world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)


def test_the_prediction_belongs_to_an_executor_and_is_live(world: World, predicting: int) -> None:
    foreign = world.publish("owner-1")
    world.authorize(foreign, "requester", predicting)
    with refused(ResultFileNotOfExecutor, predicting, foreign.file_id, foreign.owner.address):
        world.tasks.report(predicting, RESULT, foreign.file_id, sender=FIRST)
    outcome = world.publish("executor-1", expires_at=world.now() + 1000)
    world.authorize(outcome, "requester", predicting)
    world.at(outcome.expires_at + 1)
    with refused(FileExpired, outcome.file_id, outcome.expires_at):
        world.tasks.report(predicting, RESULT, outcome.file_id, sender=FIRST)


def test_reports_that_name_different_files_fail_the_task(world: World, predicting: int) -> None:
    outcomes = [world.publish("executor-1") for _ in range(2)]
    for outcome in outcomes:
        world.authorize(outcome, "requester", predicting)
    world.tasks.report(predicting, RESULT, outcomes[0].file_id, sender=FIRST)
    receipt = world.tasks.report(predicting, RESULT, outcomes[1].file_id, sender=SECOND)
    ids = (outcome.file_id for outcome in outcomes)
    assert receipt.event(ReportsDisagree) == event(
        ReportsDisagree, predicting, SECOND.address, keccak(RESULT), keccak(RESULT), *ids
    )
    refunded(world, predicting, TaskStatus.FAILED)


def test_a_requester_that_executes_may_own_the_prediction(world: World) -> None:
    requester = account("executor-1")
    files = [world.publish("owner-1"), world.publish("owner-2")]
    world.tasks.publish(world.proposal(files), sender=requester)
    world.confirm(1, files)
    world.tasks.start(1, sender=requester)
    world.tasks.begin(1, sender=requester)
    for name in EXECUTORS[:2]:
        world.tasks.report(1, RESULT, NOTHING, sender=account(name))
    world.tasks.publish(world.proposal(files, kind=Kind.PREDICT, model_task_id=1), sender=requester)
    world.confirm(2, files)
    world.tasks.start(2, sender=requester)
    world.tasks.begin(2, sender=requester)
    outcome = world.publish("executor-1")
    for name in EXECUTORS[:2]:
        world.tasks.report(2, RESULT, outcome.file_id, sender=account(name))
    assert status(world, 2) == TaskStatus.FINISHED


# --- who, when, in which state ---

Step = Callable[[World, int, Any], Any]
STEPS: dict[str, Step] = {
    "confirm": lambda world, task_id, sender: world.tasks.confirm(
        task_id,
        world.authorizations.latest_of(_file(world, task_id, sender), sender.address, task_id),
        sender=sender,
    ),
    "reject": lambda world, task_id, sender: world.tasks.reject(task_id, "", sender=sender),
    "start": lambda world, task_id, sender: world.tasks.start(task_id, sender=sender),
    "cancel": lambda world, task_id, sender: world.tasks.cancel(task_id, sender=sender),
    "begin": lambda world, task_id, sender: world.tasks.begin(task_id, sender=sender),
    "report": lambda world, task_id, sender: world.tasks.report(task_id, RESULT, NOTHING, sender=sender),
    "fail": lambda world, task_id, sender: world.tasks.fail(task_id, "", sender=sender),
    "time out": lambda world, task_id, sender: world.tasks.time_out(task_id, sender=sender),
}
ALLOWED = {
    TaskStatus.CONFIRMING: {"confirm", "reject", "cancel"},
    TaskStatus.READY: {"start", "cancel"},
    TaskStatus.TO_PROCESS: {"begin", "fail"},
    TaskStatus.PROCESSING: {"report", "fail"},
}
OF_REQUESTER = {"start", "cancel"}
STATUSES = list(TaskStatus)[1:]
DEADLINES = {
    TaskStatus.CONFIRMING: "confirm_by",
    TaskStatus.READY: "start_by",
    TaskStatus.TO_PROCESS: "finish_by",
    TaskStatus.PROCESSING: "finish_by",
}


def _file(world: World, task_id: int, sender: Any) -> bytes:
    return next(
        (party.file_id for party in world.tasks.parties_of(task_id) if party.executor == sender.address),
        NOTHING,
    )


def reach(world: World, files: list[Held], wanted: TaskStatus) -> int:
    """A task that has got so far."""
    task_id = world.propose(files, REWARD)
    for held, name in zip(files, EXECUTORS, strict=False):
        world.authorize(held, name, task_id)
    road: list[tuple[str, Any]] = {
        TaskStatus.CONFIRMING: [],
        TaskStatus.REJECTED: [("reject", FIRST)],
        TaskStatus.CANCELLED: [("cancel", REQUESTER)],
        TaskStatus.TIMED_OUT: [],
    }.get(wanted, [("confirm", FIRST), ("confirm", SECOND)])
    if wanted in (TaskStatus.TO_PROCESS, TaskStatus.PROCESSING, TaskStatus.FINISHED, TaskStatus.FAILED):
        road += [("start", REQUESTER)]
    if wanted in (TaskStatus.PROCESSING, TaskStatus.FINISHED):
        road += [("begin", FIRST)]
    if wanted == TaskStatus.FINISHED:
        road += [("report", FIRST), ("report", SECOND)]
    if wanted == TaskStatus.FAILED:
        road += [("fail", FIRST)]
    for step, sender in road:
        STEPS[step](world, task_id, sender)
    if wanted == TaskStatus.TIMED_OUT:
        world.at(world.tasks.task_of(task_id).confirm_by + 1)
        STEPS["time out"](world, task_id, STRANGER)
    assert status(world, task_id) == wanted
    return task_id


@pytest.mark.parametrize("reached", STATUSES, ids=lambda reached: reached.name)
def test_no_transition_but_the_drawn_ones(world: World, files: list[Held], reached: TaskStatus) -> None:
    task_id = reach(world, files, reached)
    for name, step in STEPS.items():
        sender = REQUESTER if name in OF_REQUESTER else FIRST
        mark = world.chain.snapshot()
        if name in ALLOWED.get(reached, ()):
            step(world, task_id, sender)
        elif name == "time out" and reached in DEADLINES:
            deadline = getattr(world.tasks.task_of(task_id), DEADLINES[reached])
            with refused(DeadlineNotPassed, task_id, deadline):
                step(world, task_id, sender)
        else:
            with refused(WrongTaskStatus, task_id, reached):
                step(world, task_id, sender)
        world.chain.rollback(mark)


@pytest.mark.parametrize("reached", list(DEADLINES), ids=lambda reached: reached.name)
def test_a_call_counts_up_to_the_deadline_and_then_only_a_time_out(
    world: World, files: list[Held], reached: TaskStatus
) -> None:
    task_id = reach(world, files, reached)
    deadline = getattr(world.tasks.task_of(task_id), DEADLINES[reached])
    for name in ALLOWED[reached]:
        sender = REQUESTER if name in OF_REQUESTER else FIRST
        mark = world.chain.snapshot()
        world.at(deadline)
        STEPS[name](world, task_id, sender)
        world.chain.rollback(mark)
        world.at(deadline + 1)
        with refused(DeadlinePassed, task_id, deadline):
            STEPS[name](world, task_id, sender)
    world.at(deadline)
    with refused(DeadlineNotPassed, task_id, deadline):
        world.tasks.time_out(task_id, sender=STRANGER)
    world.at(deadline + 1)
    receipt = world.tasks.time_out(task_id, sender=STRANGER)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskTimedOut, task_id, reached),
    )
    refunded(world, task_id, TaskStatus.TIMED_OUT)


@pytest.mark.parametrize("reached", list(DEADLINES), ids=lambda reached: reached.name)
def test_only_who_is_meant_takes_a_step(world: World, files: list[Held], reached: TaskStatus) -> None:
    task_id = reach(world, files, reached)
    for name in ALLOWED[reached]:
        if name in OF_REQUESTER:
            for caller in (FIRST, STRANGER):
                with refused(NotRequester, task_id, caller.address, REQUESTER.address):
                    STEPS[name](world, task_id, caller)
        else:
            for caller in (REQUESTER, STRANGER, THIRD, files[0].owner):
                with refused(NotExecutor, task_id, caller.address):
                    STEPS[name](world, task_id, caller)


def test_steps_of_unknown_tasks_are_refused(world: World) -> None:
    world.at(world.now() + DAY)
    for name in ("reject", "start", "cancel", "begin", "report", "fail", "time out"):
        with refused(UnknownTask, 1):
            STEPS[name](world, 1, REQUESTER)
    with refused(UnknownTask, 1):
        world.tasks.confirm(1, 0, sender=FIRST)
