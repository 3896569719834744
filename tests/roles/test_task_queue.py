"""More tasks than executors may take at a time, and executors that do not come: nobody waits for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.errors import TaskError
from dtxeth.learning.policy import Policy
from dtxeth.roles import Deadlines, LocalNetwork
from dtxeth.roles.peers import session_id
from tests.roles.town import Town, write_tables

TASKS, LIMIT, REWARD = 20, 4, 1001


@pytest.mark.long
def test_twenty_tasks_at_once_all_finish(town: Town, brief: None, tmp_path: Path) -> None:
    network = town.network
    registry = network.contracts.task_registry
    for executor in network.executors:
        registry.set_concurrency(LIMIT, sender=executor.account)
    policy = Policy(max_tasks=TASKS, min_rows=20)
    files = [
        network.data_owner(table.stem, policy).upload(table, "study")
        for table in write_tables(tmp_path, rows=40, own=2)
    ]
    lab = town.requester(starts=False)
    tasks = [town.task(lab, files, reward=10) for _ in range(TASKS)]
    town.settle()
    assert [task.status for task in tasks] == [TaskStatus.READY] * LIMIT + [TaskStatus.CONFIRMING] * (
        TASKS - LIMIT
    )
    network.add_worker(lab)
    assert [task.result().report["rounds"] for task in tasks] == [2] * TASKS
    for executor in network.executors:
        assert registry.credit_of(executor.address) == TASKS * 5
        assert registry.concurrency_of(executor.address) == (0, LIMIT)


def test_an_executor_that_stays_away_is_named(tmp_path: Path, brief: None) -> None:
    """It confirmed, and never came: the task ends at its deadline, and who waited is free again."""
    with LocalNetwork(storage_nodes=2, executors=2, transport="grpc") as network:
        town = Town(network, tmp_path)
        registry, (here, gone) = network.contracts.task_registry, network.executors
        lab = town.requester(starts=False)
        deadlines = Deadlines(confirm=600, start=60, finish=60)
        task = town.task(lab, town.files(town.owner()), reward=REWARD, deadlines=deadlines)
        town.settle()
        network.remove_worker(gone)
        gone.close()
        network.add_worker(lab)
        town.settle()
        assert task.status is TaskStatus.PROCESSING
        session = session_id(network, task.task_id)
        network.wait(lambda: here.transport.away(session) or None, "the session")
        assert (here.busy, registry.concurrency_of(here.address)[0]) == (True, 1)

        network.chain.advance(800)
        with pytest.raises(
            TaskError, match=f"TIMED_OUT while it was PROCESSING: .* says: {gone.address} was away"
        ):
            task.result()
        assert lab.withdraw() == REWARD
        network.wait(lambda: None if here.busy else True, "the run")
        town.settle()
        assert not here.journal(task.task_id).folder.exists()
        for executor in (here, gone):
            assert registry.concurrency_of(executor.address)[0] == 0
            assert registry.credit_of(executor.address) == 0
