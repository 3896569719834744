"""TaskRegistry: which step is open to whom, in which state and until when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dtxeth.chain.accounts import Account
from dtxeth.chain.bindings.errors import (
    DeadlineNotPassed,
    DeadlinePassed,
    NotExecutor,
    NotRequester,
    UnknownTask,
    WrongTaskStatus,
)
from dtxeth.chain.bindings.events import (
    Credited,
    TaskTimedOut,
)
from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.chain.chain import Receipt
from tests.contracts.tasks import (
    FIRST,
    REQUESTER,
    RESULT,
    REWARD,
    SECOND,
    STRANGER,
    THIRD,
    check_refunded,
    status,
)
from tests.contracts.world import DAY, EXECUTORS, NOTHING, Held, World, event, refused

Step = Callable[[World, int, Account], Receipt]
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
    "note": lambda world, task_id, sender: world.tasks.note_rows(task_id, b"rows", sender=sender),
    "report": lambda world, task_id, sender: world.tasks.report(task_id, RESULT, NOTHING, sender=sender),
    "fail": lambda world, task_id, sender: world.tasks.fail(task_id, "", sender=sender),
    "time out": lambda world, task_id, sender: world.tasks.time_out(task_id, "away", sender=sender),
}
ALLOWED = {
    TaskStatus.CONFIRMING: {"confirm", "reject", "cancel"},
    TaskStatus.READY: {"start", "cancel"},
    TaskStatus.TO_PROCESS: {"begin", "fail"},
    TaskStatus.PROCESSING: {"note", "report", "fail"},
}
OF_REQUESTER = {"start", "cancel"}
STATUSES = list(TaskStatus)[1:]
DEADLINES = {
    TaskStatus.CONFIRMING: "confirm_by",
    TaskStatus.READY: "start_by",
    TaskStatus.TO_PROCESS: "finish_by",
    TaskStatus.PROCESSING: "finish_by",
}


def _file(world: World, task_id: int, sender: Account) -> bytes:
    return next(
        (party.file_id for party in world.tasks.parties_of(task_id) if party.executor == sender.address),
        NOTHING,
    )


def reach(world: World, files: list[Held], wanted: TaskStatus) -> int:
    """A task that has got so far."""
    task_id = world.propose(files, REWARD)
    for held, name in zip(files, EXECUTORS, strict=False):
        world.authorize(held, name, task_id)
    road: list[tuple[str, Account]] = {
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
        world.tasks.time_out(task_id, "away", sender=STRANGER)
    world.at(deadline + 1)
    receipt = world.tasks.time_out(task_id, "away", sender=STRANGER)
    assert receipt.events == (
        event(Credited, REQUESTER.address, REWARD),
        event(TaskTimedOut, task_id, reached, STRANGER.address, "away"),
    )
    check_refunded(world, task_id, TaskStatus.TIMED_OUT)


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
    for name in ("reject", "start", "cancel", "begin", "note", "report", "fail", "time out"):
        with refused(UnknownTask, 1):
            STEPS[name](world, 1, REQUESTER)
    with refused(UnknownTask, 1):
        world.tasks.confirm(1, 0, sender=FIRST)
