"""The requester: publishes tasks, starts them once every executor has confirmed, and alone reads the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import TaskFinished, TaskPublished, TaskReady
from dtxeth.chain.bindings.types import Kind, Party, Proposal, Role, TaskStatus
from dtxeth.errors import InputError, UnknownNameError
from dtxeth.learning.mpc import PARTIES
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles.actor import Actor
from dtxeth.roles.files import FileRef, file_id_of
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network
from dtxeth.roles.report import EvaluationReport
from dtxeth.roles.tasks import Task, TrainedModel, read_model, read_table

DAY = 24 * 3600
FULL_SHARE = 10_000


@dataclass(frozen=True)
class Deadlines:
    """How long each stage of a task may take, in seconds of chain time.

    Attributes:
        confirm: For the owners to authorise and the executors to confirm.
        start: Then, for the requester to start.
        finish: Then, for the executors to report.
    """

    confirm: int = DAY
    start: int = DAY
    finish: int = DAY


class Requester(Actor):
    """Publishes training and prediction tasks; as a worker, starts those of them that have become Ready."""

    def __init__(self, network: Network, account: Account, name: str) -> None:
        super().__init__(network, account, name)
        self._ready = Inbox(network.index, TaskReady)

    def train(
        self,
        algorithm: str,
        *,
        files: Sequence[FileRef],
        id: str,
        label: str,
        executors: Sequence[str] | None = None,
        reward: int = 0,
        deadlines: Deadlines = Deadlines(),
        **settings: Any,
    ) -> Task[TrainedModel]:
        """Publish a training task.

        Args:
            algorithm: ``"linear-vl"``, ``"logistic-vl"``, or ``"dnn-vl"``, which takes three files and a ``network``.
            files: One file a party, each of another data owner; exactly one of them has the label.
            id: Column that identifies a row, in every file.
            label: Column to learn.
            executors: Address of the executor of each file; by default those of the model to start from, or
                online ones in the order of registration.
            reward: Wei locked in escrow, shared equally by the executors when the task finishes.
            deadlines: How long each stage may take.
            settings: Further fields of :class:`~dtxeth.learning.spec.TaskSpec`, such as ``max_rounds`` or ``l2``.

        Raises:
            InputError: A setting, file or executor that cannot be used; nothing was published.
            ContractRevert: The contract refused; nothing was published.
        """
        spec = TaskSpec(algorithm=algorithm, id=id, label=label, **settings)
        if spec.network is not None and len(files) != PARTIES:
            raise InputError(f"dnn-vl takes {PARTIES} files of {PARTIES} owners, got {len(files)}")
        if executors is not None:
            chosen = list(executors)
        elif spec.warm_start is not None:
            parties = self.contracts.task_registry.parties_of(self.model(spec.warm_start).task_id)
            chosen = [party.executor for party in parties]
        else:
            chosen = self._online_executors(len(files))
        return Task(self.network, self._publish(spec, files, chosen, reward, deadlines), read_model)

    def predict(
        self,
        model: TrainedModel,
        *,
        files: Sequence[FileRef],
        reward: int = 0,
        deadlines: Deadlines = Deadlines(),
    ) -> Task[pd.DataFrame]:
        """Publish a prediction task; its result has the id column and the label column, one row per aligned id.

        Args:
            model: What a training task returned.
            files: One file a party in the order of the training task, with the columns that it trained on.
            reward: As for :meth:`train`.
            deadlines: As for :meth:`train`.

        Raises:
            InputError: A file that cannot be used; nothing was published.
            ContractRevert: The contract refused; nothing was published.
        """
        registry = self.contracts.task_registry
        trained = TaskSpec.from_json(self.published_spec(model.task_id))
        spec = trained.model_copy(update={"kind": "predict"})
        executors = [party.executor for party in registry.parties_of(model.task_id)]
        task_id = self._publish(spec, files, executors, reward, deadlines, model.task_id)
        return Task(self.network, task_id, self._read_prediction)

    def model(self, task_id: int) -> TrainedModel:
        """The model of a finished training task.

        Raises:
            UnknownNameError: No training task of this number has finished.
        """
        for finished in self.network.index.events(TaskFinished, task_id=task_id):
            if self.contracts.task_registry.task_of(task_id).kind is Kind.TRAIN:
                return read_model(finished)
        raise UnknownNameError(f"task {task_id} is no finished training task: list the tasks to find one")

    def report(self, model: TrainedModel | int) -> EvaluationReport:
        """What evaluation found about a model of this requester's.

        Args:
            model: The model, or the number of its training task.

        Raises:
            UnknownNameError: No training task of this number has finished, or its spec asked for no evaluation.
            PolicyError: It is another requester's.
            IntegrityError: What is stored is not what the executors agreed on.
        """
        trained = self.model(model) if isinstance(model, int) else model
        digest, file = trained.report.get("report"), trained.report.get("report_file")
        if not isinstance(digest, str) or not isinstance(file, str):
            raise UnknownNameError(
                f"task {trained.task_id} was not evaluated: train with evaluation or live settings"
            )
        remote, _ = self.open_file(file, trained.task_id)
        return EvaluationReport.read(remote.read(), digest)

    def task(self, task_id: int) -> Task[Any]:
        """The handle of a task published earlier."""
        train = self.contracts.task_registry.task_of(task_id).kind is Kind.TRAIN
        return Task(self.network, task_id, read_model if train else self._read_prediction)

    def cancel(self, task_id: int) -> None:
        """Withdraw a task that has not started; the reward comes back."""
        self.contracts.task_registry.cancel(task_id, sender=self.account)

    def time_out(self, task_id: int) -> None:
        """End a task that missed a deadline, which anybody may; the reward comes back.

        Raises:
            ContractRevert: The deadline has not passed, or the task has ended.
        """
        self.contracts.task_registry.time_out(task_id, "", sender=self.account)

    def published_spec(self, task_id: int) -> bytes:
        """The spec of a task as published, canonical JSON."""
        for published in self.network.index.events(TaskPublished, task_id=task_id):
            return published.spec
        raise UnknownNameError(f"there is no task {task_id}: list the tasks to find one")

    def step(self) -> bool:
        """Start own tasks that are Ready."""
        return self._ready.work(self._start)

    def _start(self, ready: TaskReady) -> Outcome:
        registry = self.contracts.task_registry
        record = registry.task_of(ready.task_id)
        if record.requester != self.address or record.status is not TaskStatus.READY:
            return Outcome.DONE
        registry.start(ready.task_id, sender=self.account)
        return Outcome.MOVED

    def _publish(
        self,
        spec: TaskSpec,
        files: Sequence[FileRef],
        executors: Sequence[str],
        reward: int,
        deadlines: Deadlines,
        model_task_id: int = 0,
    ) -> int:
        if len(files) != len(executors):
            raise InputError(
                f"{len(files)} files for {len(executors)} executors: give one file for each executor"
            )
        for what, given in (
            ("file", [file_id_of(file).hex() for file in files]),
            ("executor", list(executors)),
        ):
            for one in given:
                if given.count(one) > 1:
                    raise InputError(f"{what} {one} is named twice: every party needs {what}s of its own")
        share, dust = divmod(FULL_SHARE, len(files))
        parties = [
            Party(executor=executor, file_id=file_id_of(file), share_bps=share + (dust if i == 0 else 0))
            for i, (executor, file) in enumerate(zip(executors, files, strict=True))
        ]
        now = self.network.chain.now()
        confirm_by = now + deadlines.confirm
        start_by = confirm_by + deadlines.start
        proposal = Proposal(
            kind=Kind.PREDICT if model_task_id else Kind.TRAIN,
            spec=spec.to_json(),
            parties=tuple(parties),
            confirm_by=confirm_by,
            start_by=start_by,
            finish_by=start_by + deadlines.finish,
            model_task_id=model_task_id,
        )
        receipt = self.contracts.task_registry.publish(proposal, sender=self.account, value=reward)
        return receipt.event(TaskPublished).task_id

    def _read_prediction(self, finished: TaskFinished) -> pd.DataFrame:
        file, _ = self.open_file(finished.result_file_id, finished.task_id)
        return read_table(file.read())

    def _online_executors(self, count: int) -> list[str]:
        online = self.online_nodes(Role.EXECUTOR)
        if len(online) < count:
            raise InputError(
                f"{count} files need {count} executors, {len(online)} are online: start more executors"
            )
        return online[:count]
