"""The executor: takes part in tasks on one owner's file each, and keeps its part of every model it helped to train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from dtxeth.chain import Account, reverts
from dtxeth.chain.bindings.events import PartyInvited, TaskFinished, TaskPublished
from dtxeth.chain.bindings.types import AuthorizationStatus, Role, TaskStatus
from dtxeth.chain.bindings.types import Task as TaskRecord
from dtxeth.errors import ConfigError, DataError, InputError, PeerError, PolicyError, UnknownNameError
from dtxeth.learning.mpc.link import Endpoint
from dtxeth.learning.mpc.part import NetworkPart, read_part
from dtxeth.learning.mpc.session import NetworkTraining, Site, check_ability
from dtxeth.learning.part import ModelPart
from dtxeth.learning.session import Training
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles.actor import public_reason
from dtxeth.roles.care import Care
from dtxeth.roles.file_owner import FileOwner
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network, Place
from dtxeth.roles.run import Run
from dtxeth.roles.tasks import FINAL, read_model
from dtxeth.roles.vault import Vault
from dtxeth.transport import Identity, Transport
from dtxeth.transport.rpc import GrpcTransport

log = structlog.get_logger(__name__)

_IDENTITY = "tls"

PUBLIC = (ConfigError, PeerError, PolicyError, UnknownNameError)
"""Errors whose text says nothing about private data, and so may stand on chain."""


class Executor(FileOwner):
    """Confirms tasks once authorised, and runs them in the background.

    Args:
        network: The surroundings.
        account: Signs its transactions.
        name: Name under which it registers, unique among executors.
        home: Folder for its parts of models and its TLS key, all sealed under its account's key.
        listen: ``host:port`` where its peers reach it by gRPC; without it, only the network's transport connects it.
        endpoint: ``grpcs://host:port`` for the chain, if it is another than where it listens.

    Raises:
        ConfigError: It cannot listen there.

    Attributes:
        vault: What it keeps.
        transport: Connects it with the other executors of its tasks.
        site: Where its SPU listens for three-party networks, and the programs that its owner has approved.
        bytes_to_peers: Length of all frames that were sent in sessions that have ended.
        on_trained: Told of every training of this executor's, its secrets included; for simulations that compare
            the model with its plaintext twin.
    """

    default_replicas = 2

    def __init__(
        self,
        network: Network,
        account: Account,
        name: str,
        home: Path,
        listen: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        # Predictions are fetched within days: they are kept in repair, but not challenged.
        super().__init__(network, account, name, Care(challenges_per_day=0))
        self.home = home
        key = account.encryption_key(network.chain.chain_id, purpose="executor").private_bytes_raw()
        self.vault = Vault(home, key)
        self.bytes_to_peers = 0
        self.on_trained: Callable[[int, Training], None] | None = None
        self._invitations = Inbox(network.index, PartyInvited, executor=self.address)
        self._runs: dict[int, Run] = {}
        self.transport: Transport = network.transport
        self.site = Site(_mpc_endpoint(listen, endpoint), home / "programs")
        if listen is not None:
            self.transport = GrpcTransport(self._identity(), listen, endpoint)
        self._announce()

    def rotate_certificate(self) -> None:
        """Replace the TLS key and certificate, without a pause for the tasks that run.

        Raises:
            InputError: This executor has no door of its own.
        """
        if not isinstance(self.transport, GrpcTransport):
            raise InputError(f"{self.name} listens nowhere, and so has no certificate: give it an address")
        identity = Identity.create()
        self.vault.save(_IDENTITY, identity.to_bytes())  # should we die here, the next start tells the chain
        self.enlist(Role.EXECUTOR, place=Place(self.transport.endpoint, identity.fingerprint))
        self.transport.rotate(identity)

    def close(self) -> None:
        """Stop listening, and leave the tasks where they are: the next start goes on with them."""
        for run in self._runs.values():
            run.leave()
        if self.transport is not self.network.transport:
            self.transport.close()

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return any(run.is_alive for run in self._runs.values())

    def step(self) -> bool:
        """Move every task that names this executor as far as it goes now, and look after its files."""
        return self._invitations.work(self._advance) | self.watch()

    def journal(self, task_id: int) -> Vault:
        """What this executor has written down about a task that it processes."""
        return self.vault.inner(f"task-{task_id}")

    def keep(self, task_id: int, training: Training | NetworkTraining) -> None:
        """Store this executor's part of a model, sealed under its account's key."""
        if self.on_trained is not None and isinstance(training, Training):
            self.on_trained(task_id, training)
        self.vault.save(_part_name(task_id), training.part.to_bytes())

    def part(self, task_id: int) -> ModelPart | NetworkPart:
        """This executor's part of the model of a training task.

        Raises:
            UnknownNameError: It has none.
            CryptoError: What is stored does not open under this account's key.
        """
        part = self.vault.load(_part_name(task_id))
        if part is None:
            raise UnknownNameError(f"{self.name} has no part of the model of task {task_id}: train it again")
        return read_part(part)

    def import_part(self, task_id: int, data: bytes) -> ModelPart | NetworkPart:
        """Take a part of a finished model that was exported (:meth:`ModelPart.to_bytes`), here or elsewhere.

        Raises:
            DataError: No model part, or none of those that the chain has commitments to.
            UnknownNameError: No training task of this number has finished.
        """
        part = read_part(data)
        for finished in self.network.index.events(TaskFinished, task_id=task_id):
            known = read_model(finished).report.get("parties", [])
            if part.commitment.hex() not in [party.get("commitment") for party in known]:
                raise DataError(
                    f"this is no part of the model of task {task_id}: give the task that it is of"
                )
            self.vault.save(_part_name(task_id), part.to_bytes())
            return part
        raise UnknownNameError(f"task {task_id} is no finished training task: list the tasks to find one")

    def _identity(self) -> Identity:
        kept = self.vault.load(_IDENTITY)
        if kept is not None:
            return Identity.from_bytes(kept)
        identity = Identity.create()
        self.vault.save(_IDENTITY, identity.to_bytes())
        return identity

    def _announce(self) -> None:
        endpoint, fingerprint = self.transport.endpoint, self.transport.fingerprint
        self.enlist(Role.EXECUTOR, place=None if endpoint is None else Place(endpoint, fingerprint))

    def _advance(self, invitation: PartyInvited) -> Outcome:
        record = self.contracts.task_registry.task_of(invitation.task_id)
        if record.status in FINAL:
            return self._settle(invitation.task_id, record.status)
        if self._is_late(record) and self._has_confirmed(invitation):
            return self._time_out(invitation.task_id, record)
        match record.status:
            case TaskStatus.CONFIRMING:
                return self._join(invitation)
            case TaskStatus.READY:
                return Outcome.WAITING
            case _:
                return self._process(invitation)

    def _is_late(self, record: TaskRecord) -> bool:
        deadlines = {TaskStatus.CONFIRMING: record.confirm_by, TaskStatus.READY: record.start_by}
        return self.network.chain.now() > deadlines.get(record.status, record.finish_by)

    def _time_out(self, task_id: int, record: TaskRecord) -> Outcome:
        """End a task that missed a deadline: the requester gets the reward back, and everybody is free again."""
        tasks = self.contracts.task_registry
        try:
            tasks.time_out(task_id, public_reason(self._missed(task_id, record)), sender=self.account)
        except reverts.WrongTaskStatus:
            log.info("a peer has ended the task already", executor=self.name, task=task_id)
        return Outcome.MOVED

    def _missed(self, task_id: int, record: TaskRecord) -> str:
        """Say who did not do in time what was to be done."""
        if record.status is TaskStatus.READY:
            return "the requester did not start it"
        run = self._runs.get(task_id)
        if run is not None and run.away:
            return f"{', '.join(run.away)} was away"
        confirming = record.status is TaskStatus.CONFIRMING
        done = record.confirmed if confirming else record.reported
        parties = self.contracts.task_registry.parties_of(task_id)
        late = [party.executor for place, party in enumerate(parties) if not done >> place & 1]
        return f"{', '.join(late)} did not {'confirm' if confirming else 'report'}"

    def _settle(self, task_id: int, status: TaskStatus) -> Outcome:
        """Let go of what a task that has ended needed here, its secrets first of all."""
        run = self._runs.get(task_id)
        if run is not None:
            run.leave()
            if run.is_alive:
                return Outcome.WAITING
            del self._runs[task_id]
        self.journal(task_id).clear()
        if status is not TaskStatus.FINISHED:
            self.vault.discard(_part_name(task_id))
        return Outcome.DONE

    def _join(self, invitation: PartyInvited) -> Outcome:
        """Apply for the file, then confirm or reject as its owner decides."""
        tasks, authorizations = self.contracts.task_registry, self.contracts.file_authorization
        task_id, file_id = invitation.task_id, invitation.file_id
        if self._has_confirmed(invitation):
            return Outcome.WAITING
        owns = self.contracts.file_registry.file_of(file_id).owner == self.address
        authorization_id = 0 if owns else authorizations.latest_of(file_id, self.address, task_id)
        if not authorization_id:
            inability = self._inability(task_id)
            if inability is not None:
                tasks.reject(task_id, public_reason(inability), sender=self.account)
                return Outcome.MOVED
        if owns:
            return self._confirm(task_id, 0)
        if not authorization_id:
            authorizations.apply_for(file_id, task_id, sender=self.account)
            return Outcome.MOVED
        match authorizations.authorization(authorization_id).status:
            case AuthorizationStatus.APPROVED:
                return self._confirm(task_id, authorization_id)
            case AuthorizationStatus.UNAPPROVED:
                return Outcome.WAITING
            case _:
                reason = f"the owner of file 0x{file_id.hex()[:8]}… did not authorise authorization {authorization_id}"
                tasks.reject(task_id, reason, sender=self.account)
                return Outcome.MOVED

    def _inability(self, task_id: int) -> str | None:
        """Why this machine could not run a task, if so."""
        (published,) = self.network.index.events(TaskPublished, task_id=task_id)
        try:
            spec = TaskSpec.from_json(published.spec)
            check_ability(spec, len(self.contracts.task_registry.parties_of(task_id)), self.site)
        except InputError as error:
            return str(error)
        return None

    def _has_confirmed(self, invitation: PartyInvited) -> bool:
        return self._is_marked(invitation, self.contracts.task_registry.task_of(invitation.task_id).confirmed)

    def _has_reported(self, invitation: PartyInvited) -> bool:
        return self._is_marked(invitation, self.contracts.task_registry.task_of(invitation.task_id).reported)

    def _is_marked(self, invitation: PartyInvited, mask: int) -> bool:
        parties = self.contracts.task_registry.parties_of(invitation.task_id)
        return bool(mask >> [party.executor for party in parties].index(self.address) & 1)

    def _confirm(self, task_id: int, authorization_id: int) -> Outcome:
        if not self._may_take(task_id):
            return Outcome.WAITING
        try:
            self.contracts.task_registry.confirm(task_id, authorization_id, sender=self.account)
        except reverts.ConcurrencyExceeded:
            return Outcome.WAITING
        return Outcome.MOVED

    def _may_take(self, task_id: int) -> bool:
        """Whether there is room for a task; the last place is kept for the oldest that is being confirmed.

        Otherwise two executors could fill their places with different tasks, each waiting for the other to confirm.
        """
        tasks = self.contracts.task_registry
        active, limit = tasks.concurrency_of(self.address)
        if active < limit - 1:
            return True
        waiting = (
            invitation.task_id
            for invitation in self._invitations.open
            if tasks.task_of(invitation.task_id).status is TaskStatus.CONFIRMING
        )
        return active < limit and next(waiting, task_id) == task_id

    def _process(self, invitation: PartyInvited) -> Outcome:
        """Run the task in the background, and report what comes of it, once."""
        tasks, task_id = self.contracts.task_registry, invitation.task_id
        run = self._runs.get(task_id)
        if run is None:
            if tasks.task_of(task_id).status is TaskStatus.TO_PROCESS:
                tasks.begin(task_id, sender=self.account)
            self._runs[task_id] = Run(self, invitation)
            return Outcome.MOVED
        if run.is_alive:
            return Outcome.WAITING
        if run.error is not None:
            self._fail(task_id, run.error)
            return Outcome.MOVED
        if run.outcome is not None and not self._has_reported(invitation):
            tasks.report(task_id, *run.outcome, sender=self.account)
            return Outcome.MOVED
        return Outcome.MOVED if run.go_on() else Outcome.WAITING

    def _fail(self, task_id: int, error: BaseException) -> None:
        reason = (
            str(error)
            if isinstance(error, PUBLIC)
            else f"{type(error).__name__}; the executor's log says more"
        )
        try:
            self.contracts.task_registry.fail(task_id, public_reason(reason), sender=self.account)
        except reverts.WrongTaskStatus:
            log.info("a peer has ended the task already", executor=self.name, task=task_id)


def _mpc_endpoint(listen: str | None, endpoint: str | None) -> Endpoint:
    """SPU listens at a free port beside the door of the executor's own transport, or else on this machine alone."""
    if listen is None:
        return Endpoint()
    host = urlsplit(f"//{listen}").hostname or ""
    return Endpoint(listen=host, host=host if endpoint is None else urlsplit(endpoint).hostname)


def _part_name(task_id: int) -> str:
    return f"task-{task_id}.part"
