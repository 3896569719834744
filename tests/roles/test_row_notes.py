"""Row notes: whoever runs a task, rows that differ from an earlier task's by a few are refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dtxeth.chain.bindings.events import RowsNoted
from dtxeth.errors import TaskError
from dtxeth.learning import session
from dtxeth.learning.policy import Policy
from dtxeth.learning.rowsets import SKETCH_BYTES
from dtxeth.roles import DataOwner, StoredFile, Task, TrainedModel
from dtxeth.roles.row_notes import RowNotes
from tests.roles.town import Town, town

__all__ = ["town"]


def without(town: Town, owner: DataOwner, dropped: int) -> StoredFile:
    """A new upload of the owner's table, with some of the common rows missing."""
    path = town.folder / f"without-{dropped}.csv"
    pd.read_csv(town.tables[0], dtype=str).iloc[dropped:].to_csv(path, index=False)
    return owner.upload(path, "study")


def run(town: Town, files: list[StoredFile], swapped: bool = False) -> Task[TrainedModel]:
    executors = [executor.address for executor in town.network.executors]
    return town.task(town.requester(), files, executors=executors[::-1] if swapped else executors)


def refusal(earlier: Task[TrainedModel]) -> str:
    """What the chain says of it, whichever of the executors comes first."""
    return f"differ from those of task {earlier.task_id} by fewer than 256|gave up: PolicyError"


def neighbour(town: Town) -> StoredFile:
    """Of an owner whom no other test knows, and who does not mind: what is refused, the first owner refuses."""
    return town.owner(Policy(min_difference=0)).upload(town.tables[1], "study")


@pytest.mark.usefixtures("brief")
def test_a_few_rows_less_are_refused_in_a_new_file_by_a_new_executor(town: Town) -> None:
    owner, other = town.owner(), neighbour(town)
    file = owner.upload(town.tables[0], "study")
    first = run(town, [file, other])
    first.result()
    run(town, [file, other], swapped=True).result()  # the same rows once more
    task = run(town, [without(town, owner, 3), other], swapped=True)
    with pytest.raises(TaskError, match=refusal(first)):
        task.result()


@pytest.mark.usefixtures("brief")
def test_a_failed_task_is_remembered(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its rounds showed before it failed, it showed."""

    def fail(*_: object) -> None:
        raise TaskError("away")

    owner, other = town.owner(), neighbour(town)
    with monkeypatch.context() as broken:
        broken.setattr(session, "exchange_keys", fail)
        task = run(town, [owner.upload(town.tables[0], "study"), other])
        with pytest.raises(TaskError):
            task.result()
    with pytest.raises(TaskError, match=refusal(task)):
        run(town, [without(town, owner, 5), other]).result()


@pytest.mark.usefixtures("brief")
def test_a_note_tells_outsiders_nothing_and_is_made_once(town: Town, tmp_path: Path) -> None:
    owner, other = town.owner(), neighbour(town)
    task = run(town, [owner.upload(town.tables[0], "study"), other])
    task.result()
    noted = town.network.index.events(RowsNoted, task_id=task.task_id)
    assert {event.owner for event in noted} >= {owner.address}
    assert {len(event.note) for event in noted} == {SKETCH_BYTES + 28}
    mine = next(event for event in noted if event.owner == owner.address)
    executor = next(one for one in town.network.executors if one.address == mine.executor)
    parties = town.network.contracts.task_registry.parties_of(task.task_id)
    file_id = next(party.file_id for party in parties if party.executor == executor.address)
    notes = RowNotes(executor, task.task_id, file_id, Policy(row_key=owner.row_key))
    same = [f"P{number}" for number in range(300)]
    notes.note(same)  # as after a crash
    assert town.network.index.events(RowsNoted, task_id=task.task_id) == noted
    with pytest.raises(TaskError, match="began with other common rows"):
        notes.note(same[1:])
    wrong = RowNotes(executor, task.task_id, file_id, Policy(row_key=bytes(32)))
    with pytest.raises(TaskError, match="began with other common rows"):  # it cannot read its own note
        wrong.note(same)
