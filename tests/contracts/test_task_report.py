"""TaskRegistry: reports of results and of predictions."""

from __future__ import annotations

import pytest
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AlreadyReported,
    FileExpired,
    InvalidModelTask,
    InvalidResult,
    ResultFileNotGranted,
    ResultFileNotOfExecutor,
    UnexpectedResultFile,
    UnknownFile,
)
from dtxeth.chain.bindings.events import (
    ReportsDisagree,
    TaskFinished,
    TaskReported,
)
from dtxeth.chain.bindings.types import Kind, TaskStatus
from tests.contracts.tasks import (
    FIRST,
    REQUESTER,
    RESULT,
    REWARD,
    SECOND,
    check_refunded,
    status,
)
from tests.contracts.world import EXECUTORS, NOTHING, Held, World, account, event, refused


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


def test_a_finished_prediction_is_no_model(world: World, files: list[Held], predicting: int) -> None:
    outcome = world.publish("executor-1")
    world.authorize(outcome, "requester", predicting)
    for name in EXECUTORS[:2]:
        world.tasks.report(predicting, RESULT, outcome.file_id, sender=account(name))
    assert status(world, predicting) == TaskStatus.FINISHED
    with refused(InvalidModelTask, predicting):
        world.propose(files, kind=Kind.PREDICT, model_task_id=predicting)


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
    said = event(TaskReported, predicting, SECOND.address, keccak(RESULT), outcomes[1].file_id)
    assert receipt.event(TaskReported) == said
    assert receipt.event(ReportsDisagree) == event(ReportsDisagree, predicting, 0b10)
    check_refunded(world, predicting, TaskStatus.FAILED)


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
