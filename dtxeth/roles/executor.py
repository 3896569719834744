"""The executor: takes part in tasks on one owner's file each, and keeps its part of every model it helped to train."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from dtxeth.chain import Account, reverts
from dtxeth.chain.bindings.events import PartyInvited
from dtxeth.chain.bindings.types import AuthorizationStatus, Role, TaskStatus
from dtxeth.errors import ConfigError, DtxethError, InputError, PeerError, PolicyError, UnknownNameError
from dtxeth.learning.part import ModelPart
from dtxeth.learning.session import Training
from dtxeth.roles.actor import public_reason
from dtxeth.roles.care import Care
from dtxeth.roles.file_owner import FileOwner
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network, Place
from dtxeth.roles.run import Run
from dtxeth.roles.vault import Vault
from dtxeth.transport import GrpcTransport, Identity, Transport

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
        self.on_trained: Callable[[int, Training], None] | None = None
        self._invitations = Inbox(network.index, PartyInvited, executor=self.address)
        self._runs: dict[int, threading.Thread] = {}
        self.transport: Transport = network.transport
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
        self.vault.save(
            _IDENTITY, identity.to_bytes()
        )  # a crash before the next line is mended at the next start
        self.contracts.node_registry.update(
            self.transport.endpoint, identity.fingerprint, 0, sender=self.account
        )
        self.transport.rotate(identity)

    def close(self) -> None:
        """Stop listening."""
        if self.transport is not self.network.transport:
            self.transport.close()

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return any(run.is_alive() for run in self._runs.values())

    def step(self) -> bool:
        """Move every task that names this executor as far as it goes now, and look after its files."""
        return self._invitations.work(self._advance) | self.watch()

    def keep(self, task_id: int, training: Training) -> None:
        """Store this executor's part of a model, sealed under its account's key."""
        if self.on_trained is not None:
            self.on_trained(task_id, training)
        self.vault.save(_part_name(task_id), training.part.to_bytes())

    def part(self, task_id: int) -> ModelPart:
        """This executor's part of the model of a training task.

        Raises:
            UnknownNameError: It has none.
            CryptoError: What is stored does not open under this account's key.
        """
        part = self.vault.load(_part_name(task_id))
        if part is None:
            raise UnknownNameError(f"{self.name} has no part of the model of task {task_id}: train it again")
        return ModelPart.from_bytes(part)

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
        match self.contracts.task_registry.task_of(invitation.task_id).status:
            case TaskStatus.CONFIRMING:
                return self._join(invitation)
            case TaskStatus.READY:
                return Outcome.WAITING
            case TaskStatus.TO_PROCESS | TaskStatus.PROCESSING:
                return self._process(invitation)
            case _:
                return Outcome.DONE

    def _join(self, invitation: PartyInvited) -> Outcome:
        """Apply for the file, then confirm or reject as its owner decides."""
        tasks, authorizations = self.contracts.task_registry, self.contracts.file_authorization
        task_id, file_id = invitation.task_id, invitation.file_id
        if self._has_confirmed(invitation):
            return Outcome.WAITING
        if self.contracts.file_registry.file_of(file_id).owner == self.address:
            return self._confirm(task_id, 0)
        authorization_id = authorizations.latest_of(file_id, self.address, task_id)
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

    def _has_confirmed(self, invitation: PartyInvited) -> bool:
        parties = self.contracts.task_registry.parties_of(invitation.task_id)
        position = [party.executor for party in parties].index(self.address)
        return bool(self.contracts.task_registry.task_of(invitation.task_id).confirmed >> position & 1)

    def _confirm(self, task_id: int, authorization_id: int) -> Outcome:
        try:
            self.contracts.task_registry.confirm(task_id, authorization_id, sender=self.account)
        except reverts.ConcurrencyExceeded:
            return Outcome.WAITING
        return Outcome.MOVED

    def _process(self, invitation: PartyInvited) -> Outcome:
        """Begin the task and run it in the background, once."""
        task_id = invitation.task_id
        if task_id in self._runs:
            return Outcome.WAITING
        tasks = self.contracts.task_registry
        if tasks.task_of(task_id).status is TaskStatus.TO_PROCESS:
            tasks.begin(task_id, sender=self.account)
        run = threading.Thread(
            target=self._run, args=(invitation,), name=f"{self.name} task {task_id}", daemon=True
        )
        self._runs[task_id] = run
        run.start()
        return Outcome.MOVED

    def _run(self, invitation: PartyInvited) -> None:
        tasks, task_id = self.contracts.task_registry, invitation.task_id
        try:
            result, result_file = Run(self, invitation).execute()
            tasks.report(task_id, result, result_file, sender=self.account)
        except DtxethError as error:
            log.warning("task failed", executor=self.name, task=task_id, reason=str(error))
            self._fail(task_id, error)
        except BaseException as error:
            self._fail(task_id, error)  # nobody is to wait for this executor because of our own mistake
            raise
        finally:
            self.network.wake()

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


def _part_name(task_id: int) -> str:
    return f"task-{task_id}.part"
