"""What the task registry should do, in plain Python; see models.py."""

from __future__ import annotations

from dataclasses import replace

from eth_utils import keccak

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import AuthorizationStatus, Kind, Party, Proposal, Role, Task, TaskStatus
from tests.contracts.machines.models import AuthorizationModel, FilesModel, PaymentsModel, Sent

OPEN = (TaskStatus.CONFIRMING, TaskStatus.READY, TaskStatus.TO_PROCESS, TaskStatus.PROCESSING)


class TaskModel:
    """Tasks and their escrow. ``roles`` are those of all nodes, ``offline`` the executors that are away."""

    def __init__(self, files: FilesModel, authorizations: AuthorizationModel, roles: dict[str, Role]) -> None:
        self._files = files
        self._authorizations = authorizations
        self._roles = roles
        self._limits: dict[str, int] = {}
        self.offline: set[str] = set()
        self.payments = PaymentsModel()
        self.tasks: dict[int, Task] = {}
        self.parties: dict[int, tuple[Party, ...]] = {}

    # --- what follows from the records ---

    def concurrency(self, executor: str) -> tuple[int, int]:
        """How many open tasks an executor has confirmed, and its limit."""
        active = sum(
            task.status in OPEN and executor in self.confirmed(task_id)
            for task_id, task in self.tasks.items()
        )
        return active, self._limits.get(executor, 4)

    def confirmed(self, task_id: int) -> list[str]:
        mask = self.tasks[task_id].confirmed
        return [party.executor for bit, party in enumerate(self.parties[task_id]) if mask >> bit & 1]

    def locked(self) -> int:
        """Rewards of the open tasks."""
        return sum(task.reward for task in self.tasks.values() if task.status in OPEN)

    def deadline(self, task: Task) -> int:
        by = {TaskStatus.CONFIRMING: task.confirm_by, TaskStatus.READY: task.start_by}
        return by.get(task.status, task.finish_by)

    # --- the contract's functions ---

    def publish(self, sent: Sent, proposal: Proposal) -> None:
        if not 1 <= len(proposal.spec) <= 16384:
            raise reverts.InvalidSpec(len(proposal.spec), 16384)
        times = (sent.now, proposal.confirm_by, proposal.start_by, proposal.finish_by)
        if not times[0] < times[1] < times[2] < times[3]:
            raise reverts.InvalidDeadlines(*times)
        self._require_model(sent, proposal)
        self._require_parties(sent, proposal)
        task_id = len(self.tasks) + 1
        self.parties[task_id] = proposal.parties
        self.tasks[task_id] = Task(
            requester=sent.sender,
            kind=proposal.kind,
            status=TaskStatus.CONFIRMING,
            confirmed=0,
            reported=0,
            differing=0,
            published_at=sent.now,
            confirm_by=proposal.confirm_by,
            start_by=proposal.start_by,
            finish_by=proposal.finish_by,
            reward=sent.value,
            model_task_id=proposal.model_task_id,
            spec_hash=keccak(proposal.spec),
            result_hash=bytes(32),
            result_file_id=bytes(32),
        )

    def confirm(self, sent: Sent, task_id: int, authorization_id: int) -> None:
        task, place = self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.CONFIRMING)
        if task.confirmed >> place & 1:
            raise reverts.AlreadyConfirmed(task_id, sent.sender)
        self._require_authorized(sent, task_id, self.parties[task_id][place].file_id, authorization_id)
        active, limit = self.concurrency(sent.sender)
        if active >= limit:
            raise reverts.ConcurrencyExceeded(sent.sender, active, limit)
        confirmed = task.confirmed | 1 << place
        status = TaskStatus.READY if confirmed == self._everybody(task_id) else TaskStatus.CONFIRMING
        self.tasks[task_id] = replace(task, confirmed=confirmed, status=status)

    def reject(self, sent: Sent, task_id: int, reason: str) -> None:
        self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.CONFIRMING)
        self._require_reason(reason)
        self._refund(task_id, TaskStatus.REJECTED)

    def start(self, sent: Sent, task_id: int) -> None:
        task = self._own_task(sent, task_id)
        self._require(sent, task_id, TaskStatus.READY)
        self.tasks[task_id] = replace(task, status=TaskStatus.TO_PROCESS)

    def cancel(self, sent: Sent, task_id: int) -> None:
        self._own_task(sent, task_id)
        self._require(sent, task_id, TaskStatus.CONFIRMING, TaskStatus.READY)
        self._refund(task_id, TaskStatus.CANCELLED)

    def begin(self, sent: Sent, task_id: int) -> None:
        task, _ = self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.TO_PROCESS)
        self.tasks[task_id] = replace(task, status=TaskStatus.PROCESSING)

    def report(self, sent: Sent, task_id: int, result: bytes, result_file_id: bytes) -> None:
        task, place = self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.PROCESSING)
        if task.reported >> place & 1:
            raise reverts.AlreadyReported(task_id, sent.sender)
        if not 1 <= len(result) <= 16384:
            raise reverts.InvalidResult(len(result), 16384)
        said = keccak(result), result_file_id
        first = (task.result_hash, task.result_file_id) if task.reported else said
        if said == first:
            self._require_result_file(sent, task_id, result_file_id)
        differing = task.differing | (said != first) << place
        reported = task.reported | 1 << place
        self.tasks[task_id] = replace(
            task, reported=reported, differing=differing, result_hash=first[0], result_file_id=first[1]
        )
        if reported == self._everybody(task_id):
            if differing:
                self._refund(task_id, TaskStatus.FAILED)
            else:
                self._pay(task_id)

    def note_rows(self, sent: Sent, task_id: int, note: bytes) -> None:
        _, place = self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.PROCESSING)
        if not 1 <= len(note) <= 4096:
            raise reverts.InvalidNote(len(note), 4096)
        self._files.require_live(sent.now, self.parties[task_id][place].file_id)

    def fail(self, sent: Sent, task_id: int, reason: str) -> None:
        self._own_part(sent, task_id)
        self._require(sent, task_id, TaskStatus.TO_PROCESS, TaskStatus.PROCESSING)
        self._require_reason(reason)
        self._refund(task_id, TaskStatus.FAILED)

    def time_out(self, sent: Sent, task_id: int, reason: str) -> None:
        task = self._task(task_id)
        if task.status not in OPEN:
            raise reverts.WrongTaskStatus(task_id, task.status)
        if sent.now <= self.deadline(task):
            raise reverts.DeadlineNotPassed(task_id, self.deadline(task))
        self._require_reason(reason)
        self._refund(task_id, TaskStatus.TIMED_OUT)

    def set_concurrency(self, sent: Sent, limit: int) -> None:
        if limit == 0:
            raise reverts.ZeroConcurrency()
        self._limits[sent.sender] = limit

    def withdraw(self, sent: Sent) -> None:
        self.payments.withdraw(sent)

    # --- conditions ---

    def _require_model(self, sent: Sent, proposal: Proposal) -> None:
        model_id = proposal.model_task_id
        if proposal.kind == Kind.TRAIN:
            if model_id:
                raise reverts.UnexpectedModelTask(model_id)
            return
        model = self.tasks.get(model_id)
        if model is None or (model.kind, model.status, model.requester) != (
            Kind.TRAIN,
            TaskStatus.FINISHED,
            sent.sender,
        ):
            raise reverts.InvalidModelTask(model_id)
        trained = self.parties[model_id]
        if len(proposal.parties) != len(trained):
            raise reverts.InvalidPartyCount(len(proposal.parties), len(trained), len(trained))
        for place, (party, expected) in enumerate(zip(proposal.parties, trained, strict=True)):
            if party.executor != expected.executor:
                raise reverts.WrongModelExecutor(model_id, place, party.executor, expected.executor)

    def _require_parties(self, sent: Sent, proposal: Proposal) -> None:
        parties = proposal.parties
        if not 2 <= len(parties) <= 16:
            raise reverts.InvalidPartyCount(len(parties), 2, 16)
        for place, party in enumerate(parties):
            for earlier in parties[:place]:
                if earlier.executor == party.executor:
                    raise reverts.DuplicateExecutor(party.executor)
                if earlier.file_id == party.file_id:
                    raise reverts.DuplicateFile(party.file_id)
            self._require_online_executor(party.executor)
            file = self._files.require_live(sent.now, party.file_id)
            if file.expires_at < proposal.finish_by:
                raise reverts.FileExpiresBeforeFinish(party.file_id, file.expires_at, proposal.finish_by)
        shares = sum(party.share_bps for party in parties)
        if shares != 10_000:
            raise reverts.InvalidShares(shares, 10_000)

    def _require_online_executor(self, account: str) -> None:
        role = self._roles.get(account)
        if role is None:
            raise reverts.UnknownNode(account)
        if role != Role.EXECUTOR:
            raise reverts.WrongRole(account, role, Role.EXECUTOR)
        if account in self.offline:
            raise reverts.NodeOffline(account)

    def _require_authorized(self, sent: Sent, task_id: int, file_id: bytes, authorization_id: int) -> None:
        if authorization_id == 0:
            if self._files.require_live(sent.now, file_id).owner != sent.sender:
                raise reverts.AuthorizationMissing(file_id, sent.sender)
            return
        given = self._authorizations.existing(authorization_id)
        if (given.applier, given.file_id, given.task_id) != (sent.sender, file_id, task_id):
            raise reverts.AuthorizationMismatch(authorization_id, sent.sender, file_id, task_id)
        if given.status != AuthorizationStatus.APPROVED:
            raise reverts.AuthorizationNotApproved(authorization_id)
        finish_by = self.tasks[task_id].finish_by
        if given.expires_at < finish_by:
            raise reverts.AuthorizationExpiresBeforeFinish(authorization_id, given.expires_at, finish_by)

    def _require_result_file(self, sent: Sent, task_id: int, file_id: bytes) -> None:
        task = self.tasks[task_id]
        if task.kind == Kind.TRAIN:
            if file_id != bytes(32):
                raise reverts.UnexpectedResultFile(file_id)
            return
        owner = self._files.require_live(sent.now, file_id).owner
        if owner not in [party.executor for party in self.parties[task_id]]:
            raise reverts.ResultFileNotOfExecutor(task_id, file_id, owner)
        granted = self._authorizations.latest.get((file_id, task.requester, task_id), 0)
        if owner != task.requester and not self._authorizations.is_current(sent.now, granted):
            raise reverts.ResultFileNotGranted(task_id, file_id, task.requester)

    def _task(self, task_id: int) -> Task:
        if task_id not in self.tasks:
            raise reverts.UnknownTask(task_id)
        return self.tasks[task_id]

    def _own_task(self, sent: Sent, task_id: int) -> Task:
        task = self._task(task_id)
        if sent.sender != task.requester:
            raise reverts.NotRequester(task_id, sent.sender, task.requester)
        return task

    def _own_part(self, sent: Sent, task_id: int) -> tuple[Task, int]:
        task = self._task(task_id)
        executors = [party.executor for party in self.parties[task_id]]
        if sent.sender not in executors:
            raise reverts.NotExecutor(task_id, sent.sender)
        return task, executors.index(sent.sender)

    def _everybody(self, task_id: int) -> int:
        return 2 ** len(self.parties[task_id]) - 1

    def _require(self, sent: Sent, task_id: int, *allowed: TaskStatus) -> None:
        task = self.tasks[task_id]
        if task.status not in allowed:
            raise reverts.WrongTaskStatus(task_id, task.status)
        if sent.now > self.deadline(task):
            raise reverts.DeadlinePassed(task_id, self.deadline(task))

    def _require_reason(self, reason: str) -> None:
        if len(reason) > 256:
            raise reverts.TaskReasonTooLong(len(reason), 256)

    # --- endings ---

    def _refund(self, task_id: int, status: TaskStatus) -> None:
        task = self.tasks[task_id] = replace(self.tasks[task_id], status=status)
        self.payments.credit(task.requester, task.reward)

    def _pay(self, task_id: int) -> None:
        task = self.tasks[task_id] = replace(self.tasks[task_id], status=TaskStatus.FINISHED)
        first, *others = self.parties[task_id]
        paid = [task.reward * party.share_bps // 10_000 for party in others]
        for party, share in zip(others, paid, strict=True):
            self.payments.credit(party.executor, share)
        self.payments.credit(first.executor, task.reward - sum(paid))
