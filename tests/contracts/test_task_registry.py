"""TaskRegistry: the life of a task, and where the reward goes."""

from __future__ import annotations

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
    InvalidNote,
    NotExecutor,
    TaskReasonTooLong,
    UnknownAuthorization,
    ZeroConcurrency,
)
from dtxeth.chain.bindings.events import (
    ConcurrencyChanged,
    Credited,
    ReportsDisagree,
    RowsNoted,
    TaskBegun,
    TaskCancelled,
    TaskConfirmed,
    TaskFailed,
    TaskFinished,
    TaskReady,
    TaskRejected,
    TaskReported,
    TaskStarted,
)
from dtxeth.chain.bindings.types import TaskStatus
from tests.contracts.tasks import (
    FIRST,
    REQUESTER,
    RESULT,
    REWARD,
    SECOND,
    THIRD,
    active,
    check_refunded,
    status,
)
from tests.contracts.world import EXECUTORS, NOTHING, Held, World, account, event, refused

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
    check_refunded(world, task_id, TaskStatus.REJECTED)


def test_an_executor_rejects_after_its_own_confirmation(world: World, files: list[Held]) -> None:
    task_id = world.propose(files, REWARD)
    world.confirm(task_id, files[:1])
    assert active(world, "executor-1") == 1
    world.tasks.reject(task_id, "changed my mind", sender=FIRST)
    check_refunded(world, task_id, TaskStatus.REJECTED)


@pytest.mark.parametrize("confirmations", [0, 1, 2])
def test_the_requester_cancels_before_the_start(world: World, files: list[Held], confirmations: int) -> None:
    task_id = world.propose(files, REWARD)
    world.confirm(task_id, files[:confirmations])
    receipt = world.tasks.cancel(task_id, sender=REQUESTER)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskCancelled, task_id),
    )
    check_refunded(world, task_id, TaskStatus.CANCELLED)


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
    check_refunded(world, task_id, TaskStatus.FAILED)


def test_differing_reports_fail_the_task(world: World, files: list[Held]) -> None:
    task_id = world.process(files, REWARD)
    world.tasks.report(task_id, RESULT, NOTHING, sender=SECOND)
    receipt = world.tasks.report(task_id, RESULT + b" ", NOTHING, sender=FIRST)
    assert receipt.events == (
        event(TaskReported, task_id, FIRST.address, keccak(RESULT + b" "), NOTHING),
        event(Credited, REQUESTER.address, REWARD),
        event(ReportsDisagree, task_id, 0b01),
    )
    check_refunded(world, task_id, TaskStatus.FAILED)


def test_of_three_reports_all_hashes_are_logged_before_the_task_fails(world: World) -> None:
    task_id = world.process([world.publish("owner-1") for _ in range(3)], REWARD)
    world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    receipt = world.tasks.report(task_id, b"other", NOTHING, sender=SECOND)
    assert receipt.events == (event(TaskReported, task_id, SECOND.address, keccak(b"other"), NOTHING),)
    assert status(world, task_id) == TaskStatus.PROCESSING
    with refused(AlreadyReported, task_id, SECOND.address):  # nobody mends a report
        world.tasks.report(task_id, RESULT, NOTHING, sender=SECOND)
    receipt = world.tasks.report(task_id, RESULT, NOTHING, sender=THIRD)
    assert receipt.events == (
        event(TaskReported, task_id, THIRD.address, keccak(RESULT), NOTHING),
        event(Credited, REQUESTER.address, REWARD),
        event(ReportsDisagree, task_id, 0b010),
    )
    check_refunded(world, task_id, TaskStatus.FAILED)


def test_who_stays_away_after_a_differing_report_times_the_task_out(world: World) -> None:
    task_id = world.process([world.publish("owner-1") for _ in range(3)], REWARD)
    world.tasks.report(task_id, RESULT, NOTHING, sender=FIRST)
    world.tasks.report(task_id, b"other", NOTHING, sender=SECOND)
    world.at(world.tasks.task_of(task_id).finish_by + 1)
    world.tasks.time_out(task_id, "away", sender=THIRD)
    check_refunded(world, task_id, TaskStatus.TIMED_OUT)


# --- notes of rows ---


def test_an_executor_notes_its_rows_for_the_files_owner(world: World, files: list[Held]) -> None:
    task_id = world.process(files)
    for note in (b"sealed", b"n" * 4096):
        receipt = world.tasks.note_rows(task_id, note, sender=SECOND)
        owner = files[1].owner.address
        assert receipt.events == (event(RowsNoted, task_id, owner, SECOND.address, note),)


@pytest.mark.parametrize("length", [0, 4097])
def test_a_note_of_odd_length_is_refused(world: World, files: list[Held], length: int) -> None:
    task_id = world.process(files)
    with refused(InvalidNote, length, 4096):
        world.tasks.note_rows(task_id, bytes(length), sender=FIRST)


def test_long_reasons_are_refused(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    with refused(TaskReasonTooLong, 257, 256):
        world.tasks.reject(task_id, "r" * 257, sender=FIRST)
    task_id = world.process(files)
    with refused(TaskReasonTooLong, 257, 256):
        world.tasks.fail(task_id, "r" * 257, sender=FIRST)
    world.tasks.fail(task_id, "r" * 256, sender=FIRST)
