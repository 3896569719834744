"""A stranger registers an executor, publishes a task that names it, and so asks to be handed the file."""

from __future__ import annotations

import pytest

from dtxeth.errors import PolicyError
from dtxeth.learning.policy import Policy
from dtxeth.roles import Executor, StoredFile
from tests.roles.town import Town, town

__all__ = ["town"]


@pytest.fixture
def thief(town: Town) -> Executor:
    """An executor of the stranger's own, run outside the owners' network."""
    account = town.requester().account
    return Executor(town.network, account, f"thief{next(town.numbers)}", town.folder / "thief")


def asks(town: Town, thief: Executor, file: StoredFile) -> int:
    """Publish a task that names the thief for the file, and let the thief apply and the owner answer."""
    lab = town.requester(starts=False)
    executors = [thief.address, town.network.executors[1].address]
    task = town.task(lab, [file, town.neighbours], executors=executors)
    town.network.index.sync()
    thief.step()
    town.settle()
    return int(task.task_id)


def test_an_owner_who_trusts_whom_the_task_names_loses_the_file(town: Town, thief: Executor) -> None:
    naive = town.owner(Policy(executors=frozenset({thief.address})))
    file, _ = town.files(naive)
    stolen, _ = thief.open_file(file, asks(town, thief, file))
    assert stolen.read() == town.tables[0].read_bytes()


def test_by_default_only_the_owners_own_side_is_trusted(town: Town, thief: Executor) -> None:
    owner = town.owner()
    file, _ = town.files(owner)
    task_id = asks(town, thief, file)
    with pytest.raises(PolicyError, match="no current authorization"):
        thief.open_file(file, task_id)
    assert owner.applications() == []
