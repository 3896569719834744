"""Executors that confirm what is not theirs, with authorizations that were given for something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import AuthorizationStatus, TaskStatus
from dtxeth.learning.policy import Policy
from dtxeth.roles import Executor, LocalNetwork, Requester, StoredFile, Task, TrainedModel
from tests.roles.town import Town


@dataclass(frozen=True)
class Scene:
    """A published task whose owners have authorised both executors, neither of which has confirmed."""

    town: Town
    lab: Requester
    files: list[StoredFile]
    task: Task[TrainedModel]
    invited: tuple[Executor, Executor]
    outsider: Executor
    authorizations: tuple[int, int]

    def publish(self, *executors: Executor) -> Task[TrainedModel]:
        return self.town.task(self.lab, self.files, executors=[executor.address for executor in executors])

    def naive_confirm(self, executor: Executor, file: StoredFile, authorization_id: int) -> bool:
        """What a registry would check that asks only whether the executor may read the file now."""
        return self.lab.contracts.file_authorization.is_current(authorization_id, executor.address, file.id)


@pytest.fixture(scope="module")
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(storage_nodes=2, executors=3) as made:
        yield made


@pytest.fixture
def scene(network: LocalNetwork, tmp_path: Path) -> Scene:
    town = Town(network, tmp_path)
    lab = network.requester("lab")
    owners = [network.data_owner(name, Policy(max_tasks=1000)) for name in ("hospital", "insurer")]
    files = [owner.upload(table, "study") for owner, table in zip(owners, town.tables, strict=True)]
    first, second, outsider = network.executors
    task = town.task(lab, files, executors=[first.address, second.address])
    registry = network.contracts.file_authorization
    for executor, file in zip((first, second), files, strict=True):
        registry.apply_for(file.id, task.task_id, sender=executor.account)
    network.index.sync()
    for owner in owners:
        owner.step()
    numbers = tuple(
        registry.latest_of(file.id, executor.address, task.task_id)
        for executor, file in zip((first, second), files, strict=True)
    )
    assert {registry.authorization(number).status for number in numbers} == {AuthorizationStatus.APPROVED}
    return Scene(town, lab, files, task, (first, second), outsider, (numbers[0], numbers[1]))


def confirm(executor: Executor, task: Task[TrainedModel], authorization_id: int) -> None:
    executor.contracts.task_registry.confirm(task.task_id, authorization_id, sender=executor.account)


def test_the_invited_confirm(scene: Scene) -> None:
    """The good case: each with the authorization that it was given for this task."""
    for executor, number in zip(scene.invited, scene.authorizations, strict=True):
        confirm(executor, scene.task, number)
    assert scene.task.status is TaskStatus.READY
    scene.lab.cancel(scene.task.task_id)


def test_confirming_somebody_elses_task(scene: Scene) -> None:
    """An executor that the task does not name has the owner's approval for the file, in a task of its own."""
    other = scene.publish(scene.outsider, scene.invited[1])
    file = scene.files[0]
    registry = scene.lab.contracts.file_authorization
    registry.apply_for(file.id, other.task_id, sender=scene.outsider.account)
    scene.town.network.index.sync()
    scene.town.network.data_owner("hospital").step()
    number = registry.latest_of(file.id, scene.outsider.address, other.task_id)

    assert scene.naive_confirm(scene.outsider, file, number)  # it could take the invited executor's place
    with pytest.raises(reverts.NotExecutor):
        confirm(scene.outsider, scene.task, number)
    assert scene.task.record.confirmed == 0


def test_confirming_with_the_authorization_of_another_task(scene: Scene) -> None:
    """The owner approved one task; the executor stretches that to a second one that the owner never saw."""
    second = scene.publish(*scene.invited)
    executor, number = scene.invited[0], scene.authorizations[0]
    assert scene.naive_confirm(executor, scene.files[0], number)
    with pytest.raises(reverts.ContractRevert, match=str(number)):
        confirm(executor, second, number)
    assert second.record.confirmed == 0


def test_confirming_with_somebody_elses_authorization(scene: Scene) -> None:
    executor, (_, peers) = scene.invited[0], scene.authorizations
    with pytest.raises(reverts.ContractRevert, match=str(peers)):
        confirm(executor, scene.task, peers)
    for number in (0, 10**6):  # "the file is mine", and one that does not exist
        with pytest.raises(reverts.ContractRevert):
            confirm(executor, scene.task, number)
    assert scene.task.record.confirmed == 0


def test_confirming_after_the_owner_took_it_back(scene: Scene) -> None:
    executor, number = scene.invited[0], scene.authorizations[0]
    scene.town.network.data_owner("hospital").revoke(number, "second thoughts")
    with pytest.raises(reverts.ContractRevert, match=str(number)):
        confirm(executor, scene.task, number)


def test_starting_and_cancelling_somebody_elses_task(scene: Scene) -> None:
    for executor, number in zip(scene.invited, scene.authorizations, strict=True):
        confirm(executor, scene.task, number)
    stranger, tasks = scene.town.requester(), scene.lab.contracts.task_registry
    for forbidden in (tasks.start, tasks.cancel):
        with pytest.raises(reverts.ContractRevert):
            forbidden(scene.task.task_id, sender=stranger.account)
    with pytest.raises(reverts.ContractRevert):
        tasks.reject(scene.task.task_id, "not mine", sender=scene.outsider.account)
    assert scene.task.status is TaskStatus.READY
    scene.lab.cancel(scene.task.task_id)
