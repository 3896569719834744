"""Requesters: from two stored tables to a model and its predictions, and every way that it ends otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import Kind, TaskStatus
from dtxeth.errors import InputError, PolicyError, TaskError, UnknownNameError
from dtxeth.learning.policy import Policy
from dtxeth.learning.progress import Step
from dtxeth.roles import DataOwner, Deadlines, Executor, Requester, Task, TrainedModel
from dtxeth.roles.tasks import read_table
from tests.roles.town import ROWS, Town

REWARD = 1001


@dataclass(frozen=True)
class Story:
    """A whole circle: trained in processes of their own under 2048 bits, then predicted."""

    town: Town
    owner: DataOwner
    lab: Requester
    task: Task[TrainedModel]
    model: TrainedModel
    progress: list[tuple[int, Step]]
    prediction: Task[pd.DataFrame]
    table: pd.DataFrame


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    progress: list[tuple[int, Step]] = []
    town.network.on_progress = lambda task, step: progress.append((task, step))
    owner, lab = town.owner(), town.requester()
    files = town.files(owner)
    task = town.task(lab, files, reward=REWARD)
    model = task.result()
    town.network.on_progress = None
    prediction = lab.predict(model, files=files, reward=10)
    return Story(town, owner, lab, task, model, progress, prediction, prediction.result())


def test_the_circle_closes(story: Story) -> None:
    assert story.task.status is TaskStatus.FINISHED
    report = story.model.report
    assert report["algorithm"] == "logistic-vl"
    assert (report["rounds"], report["key_bits"], report["aligned_rows"]) == (2, 2048, ROWS)
    assert [party["features"] for party in report["parties"]] in ([2, 3], [3, 2])
    assert {(task, step.rounds) for task, step in story.progress} == {
        (story.task.task_id, 1),
        (story.task.task_id, 2),
    }

    assert list(story.table.columns) == ["id", "ill"]
    assert set(story.table["id"]) == {f"P{number}" for number in range(ROWS)}
    assert story.table["ill"].between(0, 1).all()


def test_executors_are_paid_and_withdraw(story: Story) -> None:
    registry, chain = story.lab.contracts.task_registry, story.town.network.chain
    owed = [registry.credit_of(executor.address) for executor in story.town.network.executors]
    assert sorted(owed) == [505, 506]  # halves of 1001, the odd wei to the first; halves of 10
    executor = story.town.network.executors[0]
    before = chain.balance(executor.address)
    registry.withdraw(sender=executor.account)
    assert registry.credit_of(executor.address) == 0
    assert chain.balance(executor.address) != before  # gas is paid from the same account


def test_ids_stay_what_they_were() -> None:
    table = read_table(b"id,y\n007,0.25\nNA,1.0\n1e5,2.0\n")
    assert list(table["id"]) == ["007", "NA", "1e5"]
    assert list(table["y"]) == [0.25, 1.0, 2.0]
    assert read_table(b"id,y\n").empty


def test_a_model_counts_once_however_often_it_scores_a_file(story: Story) -> None:
    tasks, executor = story.lab.contracts.task_registry, story.town.network.executors[0]
    parties = tasks.parties_of(story.prediction.task_id)
    (file_id,) = [party.file_id for party in parties if party.executor == executor.address]
    lab = story.lab
    again = lab.predict(story.model, files=[party.file_id for party in parties])
    assert executor.tasks_before(file_id, again.task_id, Kind.PREDICT) == 0
    lab.cancel(again.task_id)
    retrained = story.town.task(lab, [party.file_id for party in parties])
    assert executor.tasks_before(file_id, retrained.task_id, Kind.PREDICT) == 1  # as for another model
    assert executor.tasks_before(file_id, retrained.task_id, Kind.TRAIN) == 1
    lab.cancel(retrained.task_id)


def test_only_the_requester_opens_the_prediction(story: Story) -> None:
    stranger = story.town.requester()
    with pytest.raises(PolicyError, match="no current authorization"):
        stranger.task(story.prediction.task_id).result()
    pd.testing.assert_frame_equal(story.lab.task(story.prediction.task_id).result(), story.table)


def test_models_are_found_again(story: Story) -> None:
    assert story.lab.model(story.task.task_id) == story.model
    with pytest.raises(UnknownNameError, match=f"task {story.prediction.task_id} is no finished training"):
        story.lab.model(story.prediction.task_id)
    with pytest.raises(UnknownNameError, match="task 999 is no finished training task"):
        story.lab.model(999)


def test_a_model_is_its_requesters(story: Story) -> None:
    with pytest.raises(reverts.ContractRevert):
        story.town.requester().predict(story.model, files=story.town.files(story.town.owner()))


def test_parts_are_sealed_where_they_lie(story: Story) -> None:
    for executor in story.town.network.executors:
        part = executor.part(story.task.task_id)
        stored = (executor.home / f"task-{story.task.task_id}.part").read_bytes()
        assert part.features[0].encode() not in stored
        assert part.salt.encode() not in stored
        commitments = {party["party"]: party["commitment"] for party in story.model.report["parties"]}
        assert commitments[executor.address] == part.commitment.hex()


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"files": 3}, "3 files need 3 executors, 2 are online"),
        ({"executors": 1}, "2 files for 1 executors"),
        ({"max_rounds": 0}, "task setting max_rounds is 0"),
        ({"evaluation": {"folds": 1}}, r"task setting evaluation\.folds is 1"),
        ({"warm_start": 999}, "task 999 is no finished training task"),
        ({}, "file [0-9a-f]{64} is named twice: every party needs files of its own"),
        ({"algorithm": "cubic-vl"}, "unknown algorithm 'cubic-vl'"),
    ],
)
def test_bad_tasks_stop_at_the_door(town: Town, settings: dict[str, object], wrong: str) -> None:
    lab = town.requester()
    files = [town.neighbours] * int(settings.pop("files", 2))
    if (count := settings.pop("executors", None)) is not None:
        settings["executors"] = [town.network.executors[0].address] * int(count)
    before = town.block
    with pytest.raises(InputError, match=wrong):
        lab.train(settings.pop("algorithm", "logistic-vl"), files=files, id="id", label="ill", **settings)
    assert town.block == before


def test_a_cancelled_task_gives_the_reward_back(town: Town) -> None:
    lab = town.requester(starts=False)
    task = town.task(lab, town.files(town.owner()), reward=REWARD)
    lab.cancel(task.task_id)
    with pytest.raises(TaskError, match=f"task {task.task_id} is CANCELLED"):
        task.result()
    assert (lab.withdraw(), lab.withdraw()) == (REWARD, 0)


@pytest.mark.parametrize("waits", [False, True], ids=["ready", "confirmed by one"])
def test_a_cancelled_task_frees_who_confirmed_it(town: Town, waits: bool) -> None:
    lab, registry = town.requester(starts=False), town.network.contracts.task_registry
    task = town.task(lab, town.files(town.owner(manual=waits)), reward=REWARD)
    town.settle()
    active = [registry.concurrency_of(executor.address)[0] for executor in town.network.executors]
    assert (task.status, sorted(active)) == (
        (TaskStatus.CONFIRMING, [0, 1]) if waits else (TaskStatus.READY, [1, 1])
    )
    lab.cancel(task.task_id)
    town.settle()
    assert task.status is TaskStatus.CANCELLED
    assert lab.withdraw() == REWARD
    for executor in town.network.executors:
        assert registry.concurrency_of(executor.address)[0] == 0
    with pytest.raises(reverts.WrongTaskStatus):
        lab.cancel(task.task_id)
    assert lab.withdraw() == 0


def test_a_started_task_cannot_be_cancelled(town: Town) -> None:
    lab, registry = town.requester(starts=False), town.network.contracts.task_registry
    task, executor = town.task(lab, town.files(town.owner()), reward=REWARD), town.network.executors[0]
    town.settle()
    for status, act, account in (
        (TaskStatus.TO_PROCESS, registry.start, lab.account),
        (TaskStatus.PROCESSING, registry.begin, executor.account),
        (
            TaskStatus.FAILED,
            lambda task_id, sender: registry.fail(task_id, "", sender=sender),
            executor.account,
        ),
    ):
        assert lab.withdraw() == 0
        act(task.task_id, sender=account)
        with pytest.raises(reverts.WrongTaskStatus):
            lab.cancel(task.task_id)
        assert task.status is status
    assert (lab.withdraw(), lab.withdraw()) == (REWARD, 0)


def test_a_rejected_task_gives_the_reward_back(town: Town) -> None:
    lab = town.requester()
    task = town.task(lab, town.files(town.owner(Policy(max_tasks=0))), reward=REWARD)
    with pytest.raises(TaskError, match=r"REJECTED: executor 0x\w+ says: the owner of file 0x\w+… did not"):
        task.result()
    assert lab.withdraw() == REWARD


def test_a_task_that_nobody_moves_on_times_out(town: Town) -> None:
    lab, chain = town.requester(), town.network.chain
    deadlines = Deadlines(confirm=600, start=60, finish=60)
    task = town.task(lab, town.files(town.owner(manual=True)), reward=REWARD, deadlines=deadlines)
    town.settle()
    chain.advance(700)
    with pytest.raises(TaskError, match=r"TIMED_OUT while it was CONFIRMING: executor 0x.* did not confirm"):
        task.result()
    assert lab.withdraw() == REWARD


@pytest.fixture
def waiting(town: Town) -> Iterator[tuple[Requester, Task[TrainedModel]]]:
    lab = town.requester(starts=False)
    task = town.task(lab, town.files(town.owner()))
    town.settle()
    yield lab, task
    lab.cancel(task.task_id)


def test_authorizations_outlast_the_task(waiting: tuple[Requester, Task[TrainedModel]], town: Town) -> None:
    lab, task = waiting
    authorizations = lab.contracts.file_authorization
    for party in lab.contracts.task_registry.parties_of(task.task_id):
        number = authorizations.latest_of(party.file_id, party.executor, task.task_id)
        assert authorizations.authorization(number).expires_at >= task.record.finish_by


def test_an_authorization_that_ends_early_confirms_nothing(town: Town) -> None:
    careful, lab = town.owner(manual=True), town.requester(starts=False)
    files = town.files(careful)
    task = town.task(lab, files)
    town.settle()
    (applied,) = careful.applications()
    wrapped = careful.wrap_for(applied.applier, files[0].id, task.task_id, Policy())
    finish_by = task.record.finish_by
    careful.contracts.file_authorization.approve(
        applied.authorization_id, wrapped, finish_by - 1, sender=careful.account
    )
    executor: Executor = next(e for e in town.network.executors if e.address == applied.applier)
    with pytest.raises(reverts.ContractRevert, match=str(finish_by)):
        executor.contracts.task_registry.confirm(
            task.task_id, applied.authorization_id, sender=executor.account
        )
    town.settle()  # nor does it stop the executor
    assert task.status is TaskStatus.CONFIRMING
    lab.cancel(task.task_id)


def test_a_start_that_comes_too_late_stops_nobody(town: Town) -> None:
    lab = town.requester(starts=False)
    task = town.task(lab, town.files(town.owner()), deadlines=Deadlines(confirm=600, start=60, finish=60))
    town.settle()
    assert task.status is TaskStatus.READY
    town.network.chain.advance(700)
    assert not lab.step()
    assert task.status is TaskStatus.READY
    lab.time_out(task.task_id)
    assert task.status is TaskStatus.TIMED_OUT


def test_executors_take_so_many_tasks_at_a_time(town: Town) -> None:
    """At its limit an executor leaves a task to be confirmed later, and confirms it then."""
    executor: Executor = town.network.executors[0]
    registry, lab = executor.contracts.task_registry, town.requester(starts=False)
    registry.set_concurrency(1, sender=executor.account)
    files = town.files(town.owner())
    first, second = town.task(lab, files), town.task(lab, files)
    town.settle()
    assert (first.status, second.status) == (TaskStatus.READY, TaskStatus.CONFIRMING)
    lab.cancel(first.task_id)
    town.settle()
    assert second.status is TaskStatus.READY
    lab.cancel(second.task_id)
    registry.set_concurrency(4, sender=executor.account)
