"""What the tests of the task registry share: who takes part, and how a task stands."""

from __future__ import annotations

from dtxeth.chain.bindings.types import TaskStatus
from tests.contracts.world import EXECUTORS, World, account

REQUESTER, STRANGER = account("requester"), account("stranger")
FIRST, SECOND, THIRD = (account(name) for name in EXECUTORS)
REWARD, RESULT = 1000, b'{"auc":0.99}'


def status(world: World, task_id: int) -> TaskStatus:
    """Where a task stands."""
    return world.tasks.task_of(task_id).status


def active(world: World, executor: str) -> int:
    """How many tasks an executor has confirmed and not ended."""
    return world.tasks.concurrency_of(account(executor).address)[0]


def check_refunded(world: World, task_id: int, final: TaskStatus) -> None:
    """Check that a task has ended, with the reward back and the executors free."""
    assert status(world, task_id) == final
    assert world.tasks.credit_of(REQUESTER.address) == REWARD
    assert [active(world, name) for name in EXECUTORS] == [0, 0, 0]
