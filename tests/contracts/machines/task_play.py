"""The task registry and its model, stepped along together."""

from __future__ import annotations

from collections import Counter

from dtxeth.chain import Receipt
from dtxeth.chain.bindings import events
from dtxeth.chain.bindings.types import Kind, Party, Proposal, Role, TaskStatus
from tests.contracts.machines.play import Play
from tests.contracts.machines.stage import EXECUTORS, NODES, Stage
from tests.contracts.machines.task_model import OPEN, TaskModel

RESULT = b'{"result":1}'
ENDINGS = (
    events.TaskFinished,
    events.TaskFailed,
    events.ReportsDisagree,
    events.TaskRejected,
    events.TaskCancelled,
    events.TaskTimedOut,
)


class TaskPlay(Play):
    """Publishes tasks on the files of the stage and does with them whatever can be done."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        roles = {self.accounts[name].address: Role.STORAGE for name in NODES}
        roles |= {self.accounts[name].address: Role.EXECUTOR for name in EXECUTORS}
        self.model = TaskModel(self.files, self.authorizations, roles)
        self.registry = self.contracts.task_registry
        self.credited = 0
        self.endings: Counter[int] = Counter()

    # --- steps ---

    def publish(
        self,
        who: str,
        executors: tuple[str, ...],
        files: tuple[int, ...],
        shares: tuple[int, ...],
        lapses: tuple[int, int, int],
        model_task_id: int = 0,
        kind: Kind = Kind.TRAIN,
        spec: bytes = b"{}",
        reward: int = 0,
    ) -> None:
        parties = tuple(
            Party(self.accounts[executor].address, self.stage.files[file].file_id, share)
            for executor, file, share in zip(executors, files, shares, strict=True)
        )
        times = [self.stage.next_time + lapse for lapse in lapses]
        proposal = Proposal(kind, spec, parties, *times, model_task_id)
        self.act("publish", who, proposal, value=reward)

    def call(self, function: str, who: str, *arguments: object) -> None:
        self.act(function, who, *arguments)

    def confirm_with_latest(self, who: str, task_id: int) -> None:
        """Confirm with the authorization that there is for it; without one, as an owner would."""
        own = [p for p in self.model.parties.get(task_id, ()) if p.executor == self.accounts[who].address]
        key = (own[0].file_id if own else bytes(32), self.accounts[who].address, task_id)
        self.act("confirm", who, task_id, self.authorizations.latest.get(key, 0))

    def report(self, who: str, task_id: int, result: bytes, file: int | None) -> None:
        """Report with a file of the stage, -1 for one that does not exist, None for zero."""
        file_id = bytes(32) if file is None else b"\7" * 32 if file < 0 else self.stage.files[file].file_id
        self.act("report", who, task_id, result, file_id)

    def grant(self, file: int, applier: str, task_id: int, lapse: int) -> None:
        """Let a file's owner grant it; the grant expires so long after now, or with the file."""
        staged = self.stage.files[file]
        expires_at = min(self.stage.next_time + lapse, staged.expires_at)
        owner = self.stage.names[staged.owner]
        address = self.accounts[applier].address
        self.authorize("grant", owner, staged.file_id, address, task_id, b"wrapped", expires_at)

    def set_online(self, executor: str, online: bool) -> None:
        account = self.accounts[executor]
        self.contracts.node_registry.set_online(online, sender=account)
        self.model.offline -= {account.address}
        self.model.offline |= set() if online else {account.address}

    def forward(self, task_id: int) -> None:
        """Do what would bring a task nearer to its end, as honest parties would."""
        task, parties = self.model.tasks.get(task_id), self.model.parties.get(task_id, ())
        if task is None or task.status not in OPEN:
            return
        requester = self.stage.names[task.requester]
        if task.status == TaskStatus.CONFIRMING:
            self._forward_confirming(task_id)
        elif task.status == TaskStatus.READY:
            self.act("start", requester, task_id)
        elif task.status == TaskStatus.TO_PROCESS:
            self.act("begin", self.stage.names[parties[-1].executor], task_id)
        else:
            missing = next(party for bit, party in enumerate(parties) if not task.reported >> bit & 1)
            who = self.stage.names[missing.executor]
            result_file = None if task.kind == Kind.TRAIN else 0
            if task.kind == Kind.PREDICT and not task.reported:
                self.grant(0, requester, task_id, 10**5)
            self.report(who, task_id, RESULT, result_file)

    def _forward_confirming(self, task_id: int) -> None:
        confirmed = self.model.confirmed(task_id)
        party = next(party for party in self.model.parties[task_id] if party.executor not in confirmed)
        who, file_id = self.stage.names[party.executor], party.file_id
        owned = self.files.owner(file_id) == party.executor
        if not owned and (file_id, party.executor, task_id) not in self.authorizations.latest:
            self.grant([file.file_id for file in self.stage.files].index(file_id), who, task_id, 10**5)
        self.confirm_with_latest(who, task_id)

    def at_deadline(self, task_id: int, late: bool, function: str) -> None:
        """Go on, or time out, in the very second of the deadline or in the one after."""
        task = self.model.tasks.get(task_id)
        if task is None:
            return
        self.stage.at(self.model.deadline(task) + late)
        if function == "forward":
            self.forward(task_id)
        else:
            self.act("time_out", "stranger", task_id, "away")

    def act(self, function: str, who: str, *arguments: object, **value: int) -> Receipt | None:
        receipt = self.both(self.registry, self.model, function, who, *arguments, **value)
        for event in receipt.events if receipt else ():
            if isinstance(event, events.Credited):
                self.credited += event.amount
            if isinstance(event, ENDINGS):
                self.endings[event.task_id] += 1
        return receipt

    # --- what always holds ---

    def check(self) -> None:
        model, registry = self.model, self.registry
        assert registry.task_count() == len(model.tasks)
        for task_id, task in model.tasks.items():
            assert registry.task_of(task_id) == task
            assert self.endings[task_id] == (task.status not in OPEN), "a task ends once"
        for name in EXECUTORS:
            address = self.accounts[name].address
            assert registry.concurrency_of(address) == model.concurrency(address)
        for account in self.accounts.values():
            assert registry.credit_of(account.address) == model.payments.credits[account.address]
        rewards = sum(task.reward for task in model.tasks.values())
        assert self.credited == rewards - model.locked(), "each reward is paid or refunded, once"
        held = self.chain.balance(registry.address)
        assert held == model.locked() + model.payments.credits.total(), "no coin appears or vanishes"
