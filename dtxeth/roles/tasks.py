"""Handles of published tasks, for the requester's side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd
from pydantic_core import from_json

from dtxeth.chain.bindings.events import (
    ReportsDisagree,
    TaskFailed,
    TaskFinished,
    TaskRejected,
    TaskReported,
    TaskTimedOut,
)
from dtxeth.chain.bindings.types import Task as TaskRecord
from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.errors import TaskError
from dtxeth.roles.network import Network

R = TypeVar("R")

FINAL = frozenset(
    {TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.REJECTED, TaskStatus.CANCELLED, TaskStatus.TIMED_OUT}
)
"""States that a task does not leave."""


@dataclass(frozen=True)
class TrainedModel:
    """A model whose parts stay with the executors that trained it.

    Attributes:
        task_id: The training task; a prediction names it.
        report: What the executors agreed on: rounds, aligned rows, commitments to the parts, floors.
    """

    task_id: int
    report: dict[str, Any]


class Task(Generic[R]):
    """A published task.

    Args:
        network: Where it was published.
        task_id: Its number on chain.
        read: Makes the result from the TaskFinished event.
    """

    def __init__(self, network: Network, task_id: int, read: Callable[[TaskFinished], R]) -> None:
        self.network = network
        self.task_id = task_id
        self._read = read

    @property
    def record(self) -> TaskRecord:
        """The record on chain, as of now."""
        return self.network.contracts.task_registry.task_of(self.task_id)

    @property
    def status(self) -> TaskStatus:
        """Where the task stands."""
        return self.record.status

    @property
    def curve(self) -> list[Mapping[str, float]]:
        """What live evaluation has found so far, if the executor that has the label runs in this process."""
        return self.network.curve(self.task_id)

    def result(self, timeout: float = 3600.0) -> R:
        """Wait for the task to end and return what it made.

        Args:
            timeout: Seconds of real time to wait.

        Raises:
            TaskError: It ended otherwise than Finished, with the reason that was given; or it did not end in time.
        """
        self.network.wait(
            lambda: self.status if self.status in FINAL else None, f"task {self.task_id}", timeout=timeout
        )
        self.network.index.sync()
        if self.status is not TaskStatus.FINISHED:
            raise TaskError(f"task {self.task_id} is {self.status.name}{self._reason()}")
        (finished,) = self.network.index.events(TaskFinished, task_id=self.task_id)
        return self._read(finished)

    def _reason(self) -> str:
        index = self.network.index
        for failed in index.events(TaskFailed, task_id=self.task_id):
            return f": executor {failed.executor} says: {failed.reason}"
        if index.events(ReportsDisagree, task_id=self.task_id):
            reports = index.events(TaskReported, task_id=self.task_id)
            said = [f"{one.executor} result 0x{one.result_hash.hex()}{_of_file(one)}" for one in reports]
            return f": the executors' reports differ: {', '.join(said)}"
        for rejected in index.events(TaskRejected, task_id=self.task_id):
            return f": executor {rejected.executor} says: {rejected.reason}"
        for lapsed in index.events(TaskTimedOut, task_id=self.task_id):
            return f" while it was {lapsed.status.name}{self._word_of(lapsed)}"
        return ""

    def _word_of(self, lapsed: TaskTimedOut) -> str:
        """What an executor says about a missed deadline; the word of a stranger counts for nothing."""
        parties = self.network.contracts.task_registry.parties_of(self.task_id)
        known = lapsed.caller in [party.executor for party in parties]
        return f": executor {lapsed.caller} says: {lapsed.reason}" if known and lapsed.reason else ""


def _of_file(report: TaskReported) -> str:
    return f" with file 0x{report.result_file_id.hex()}" if any(report.result_file_id) else ""


def read_model(finished: TaskFinished) -> TrainedModel:
    """Make the handle of a model from the end of its training task.

    Raises:
        TaskError: What the executors reported is not a JSON object.
    """
    try:
        report = from_json(finished.result)
    except ValueError:
        report = None
    if not isinstance(report, dict):
        raise TaskError(f"task {finished.task_id}: its executors reported no JSON object as the result")
    return TrainedModel(finished.task_id, report)


def read_table(content: bytes) -> pd.DataFrame:
    """Make the table of a prediction: one row per aligned id, which stays the text that it was."""
    return pd.read_csv(io.BytesIO(content), converters={0: str}, keep_default_na=False)
