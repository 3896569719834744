"""The data owner: stores files, decides who may read them, has storage nodes prove that they hold them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import structlog

from dtxeth.chain import Account, reverts
from dtxeth.chain.bindings.events import AuthorizationApplied, PartyInvited, TaskPublished
from dtxeth.chain.bindings.types import Algorithm, AuthorizationStatus, ChallengeStatus, Fault
from dtxeth.errors import DtxethError, PolicyError, UnknownNameError
from dtxeth.learning.mpc.network import Network as NeuralNetwork
from dtxeth.learning.policy import Policy
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles.actor import public_reason
from dtxeth.roles.care import DEFAULT_CARE, Care
from dtxeth.roles.challenger import choose_algorithm
from dtxeth.roles.detection import COUNTS
from dtxeth.roles.file_owner import FileOwner
from dtxeth.roles.files import FileRef, file_id_of
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ChallengeResult:
    """What came of a possession challenge.

    Attributes:
        challenge_id: Its number on chain.
        node: Address of the challenged node.
        status: Proved, failed or void.
        fault: Why it failed: a wrong answer, or none in time.
    """

    challenge_id: int
    node: str
    status: ChallengeStatus
    fault: Fault


class DataOwner(FileOwner):
    """Owns files and decides about them.

    As a worker it answers applications by its policy, and looks after its files.

    Args:
        network: The surroundings.
        account: Signs its transactions and requests.
        name: What people call it.
        policy: Rules for applications; its floors travel with every approval.
        manual: Leave applications to :meth:`approve` and :meth:`reject`.
        care: How its worker looks after the files.
    """

    def __init__(
        self,
        network: Network,
        account: Account,
        name: str,
        policy: Policy,
        *,
        manual: bool = False,
        care: Care = DEFAULT_CARE,
    ) -> None:
        super().__init__(network, account, name, care)
        self.policy = policy
        self.manual = manual
        self._applications = Inbox(network.index, AuthorizationApplied, owner=self.address)

    # --- authorizations ---

    def applications(self) -> list[AuthorizationApplied]:
        """The applications that wait for this owner's answer."""
        self.network.index.sync()
        status = self.contracts.file_authorization.authorization
        return [
            applied
            for applied in self.network.index.events(AuthorizationApplied, owner=self.address)
            if status(applied.authorization_id).status is AuthorizationStatus.UNAPPROVED
        ]

    def approve(self, authorization_id: int) -> None:
        """Hand the file key to an applier, until the file expires or the authorization is revoked.

        Raises:
            UnknownNameError: The applier has published no encryption key.
            ContractRevert: Not an open application for a file of this owner.
        """
        record = self.contracts.file_authorization.authorization(authorization_id)
        network = self._network_of(record.task_id)
        wrapped = self.wrap_for(record.applier, record.file_id, record.task_id, self.policy, network)
        expires_at = self.contracts.file_registry.file_of(record.file_id).expires_at
        self.contracts.file_authorization.approve(authorization_id, wrapped, expires_at, sender=self.account)

    def reject(self, authorization_id: int, reason: str) -> None:
        """Refuse an application; the reason is public."""
        self.contracts.file_authorization.reject(authorization_id, reason, sender=self.account)

    def revoke(self, authorization_id: int, reason: str) -> None:
        """Take an approval back: storage nodes stop serving; a key already seen stays seen. The reason is public."""
        self.contracts.file_authorization.revoke(authorization_id, reason, sender=self.account)

    # --- challenges ---

    def challenge(
        self, file: FileRef, count: int | None = None, algorithm: Algorithm | None = None
    ) -> list[ChallengeResult]:
        """Have every node that holds a file prove it, and wait for the outcome.

        Args:
            file: One of this owner's files.
            count: Leaves (1 to 32; 10 by default) or blobs (1 to 16; 8 by default) of each holding to prove.
            algorithm: What to ask for; by default what its namespace asks for, one of both at random.

        Raises:
            ContractRevert: Not this owner's live file, or challenged too recently.
        """
        opened = [
            self.open_challenge(holding, count, algorithm)
            for holding in self.contracts.file_registry.holdings_of(file_id_of(file))
        ]
        return [self._await(challenge_id) for challenge_id in opened]

    def open_challenge(
        self, holding_id: int, count: int | None = None, algorithm: Algorithm | None = None
    ) -> int:
        """Open a challenge of one holding, as :meth:`challenge` does; returns its number."""
        record = self.contracts.file_registry.holding(holding_id)
        asked = choose_algorithm(record) if algorithm is None else algorithm
        return self.challenger.open(holding_id, asked, COUNTS[asked] if count is None else count)

    def _await(self, challenge_id: int) -> ChallengeResult:
        """Wait until a challenge is decided; a node that does not answer is waited for to the deadline."""
        challenges = self.contracts.storage_challenge

        def decided() -> ChallengeResult | None:
            record = challenges.challenge(challenge_id)
            if record.status in (ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE):
                return None
            node = self.contracts.file_registry.holding(record.holding_id).node
            return ChallengeResult(challenge_id, node, record.status, record.fault)

        patience = challenges.rules().answer_window + 1
        return self.network.wait(decided, f"challenge {challenge_id}", patience=patience)

    # --- the worker ---

    def step(self) -> bool:
        """Answer applications by the policy, and look after the files."""
        return self._applications.work(self._answer) | self.watch()

    def _answer(self, applied: AuthorizationApplied) -> Outcome:
        record = self.contracts.file_authorization.authorization(applied.authorization_id)
        if record.status is not AuthorizationStatus.UNAPPROVED:
            return Outcome.DONE
        if self.manual:
            return Outcome.WAITING
        try:
            self._judge(applied)
            self.encryption_key_of(applied.applier)
        except (PolicyError, UnknownNameError) as refusal:
            self.reject(applied.authorization_id, public_reason(str(refusal)))
        else:
            try:
                self.approve(applied.authorization_id)
            except reverts.FileExpired as expired:
                self.reject(applied.authorization_id, public_reason(str(expired)))
        return Outcome.MOVED

    def _network_of(self, task_id: int) -> NeuralNetwork | None:
        """The network that a task trains, if it does."""
        for published in self.network.index.events(TaskPublished, task_id=task_id):
            with suppress(DtxethError):
                return TaskSpec.from_json(published.spec).network
        return None

    def _judge(self, applied: AuthorizationApplied) -> None:
        """Raise PolicyError unless the policy admits the applier to the file for the task."""
        index, tasks = self.network.index, self.contracts.task_registry
        published = index.events(TaskPublished, task_id=applied.task_id)
        invited = index.events(
            PartyInvited, task_id=applied.task_id, executor=applied.applier, file_id=applied.file_id
        )
        if not published or not invited:
            raise PolicyError(f"task {applied.task_id} does not ask {applied.applier} to work on this file")
        try:
            spec = TaskSpec.from_json(published[0].spec)
        except DtxethError as error:
            raise PolicyError(f"the spec of task {applied.task_id} cannot be used: {error}") from None
        trusted = self.policy.executors
        if trusted is None:
            trusted = self.network.executor_addresses
        if applied.applier not in trusted:
            raise PolicyError(
                f"executor {applied.applier} is not among the {len(trusted)} that the owner trusts"
            )
        record = tasks.task_of(applied.task_id)
        self.policy.admit(
            spec, record.requester, self.tasks_before(applied.file_id, applied.task_id, record.kind)
        )
