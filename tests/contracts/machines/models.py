"""What the contracts should do, in plain Python.

A method of a model has the name and arguments of the contract's function, after what comes with the
transaction; it changes the model, or raises the very error that the contract should revert with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import Authorization, AuthorizationStatus
from tests.contracts.machines.stage import StagedFile


@dataclass(frozen=True)
class Sent:
    """What comes with a transaction besides its arguments."""

    sender: str
    value: int
    now: int
    block: int


class FilesModel:
    """The files of the stage; they only expire."""

    def __init__(self, files: list[StagedFile]) -> None:
        self._files = {file.file_id: file for file in files}

    def owner(self, file_id: bytes) -> str:
        return self._files[file_id].owner

    def require_live(self, now: int, file_id: bytes) -> StagedFile:
        if file_id not in self._files:
            raise reverts.UnknownFile(file_id)
        file = self._files[file_id]
        if now > file.expires_at:
            raise reverts.FileExpired(file_id, file.expires_at)
        return file


class PaymentsModel:
    """Credits, and all that was ever credited."""

    def __init__(self) -> None:
        self.credits: Counter[str] = Counter()
        self.credited = 0

    def credit(self, account: str, amount: int) -> None:
        self.credits[account] += amount
        self.credited += amount

    def withdraw(self, sent: Sent) -> None:
        if not self.credits[sent.sender]:
            raise reverts.NothingToWithdraw(sent.sender)
        self.credits[sent.sender] = 0


class AuthorizationModel:
    """The life of authorizations: Unapproved → Approved | Rejected, Approved → Revoked."""

    def __init__(self, files: FilesModel) -> None:
        self._files = files
        self.records: dict[int, Authorization] = {}
        self.latest: dict[tuple[bytes, str, int], int] = {}

    def apply_for(self, sent: Sent, file_id: bytes, task_id: int) -> None:
        file = self._files.require_live(sent.now, file_id)
        self._create(sent.now, file, sent.sender, task_id)

    def approve(self, sent: Sent, authorization_id: int, wrapped_key: bytes, expires_at: int) -> None:
        record = self._decidable(sent, authorization_id, AuthorizationStatus.UNAPPROVED)
        file = self._files.require_live(sent.now, record.file_id)
        self._approve(sent.now, authorization_id, wrapped_key, expires_at, file)

    def reject(self, sent: Sent, authorization_id: int, reason: str) -> None:
        record = self._decidable(sent, authorization_id, AuthorizationStatus.UNAPPROVED)
        self._require_reason(reason)
        self.records[authorization_id] = replace(record, status=AuthorizationStatus.REJECTED)

    def revoke(self, sent: Sent, authorization_id: int, reason: str) -> None:
        record = self._decidable(sent, authorization_id, AuthorizationStatus.APPROVED)
        self._require_reason(reason)
        self.records[authorization_id] = replace(
            record, status=AuthorizationStatus.REVOKED, expires_at=0, wrapped_key=b""
        )

    def grant(
        self, sent: Sent, file_id: bytes, applier: str, task_id: int, wrapped_key: bytes, expires_at: int
    ) -> None:
        file = self._files.require_live(sent.now, file_id)
        if sent.sender != file.owner:
            raise reverts.NotFileOwner(file_id, sent.sender, file.owner)
        authorization_id = self.latest.get((file_id, applier, task_id), 0)
        waiting = authorization_id and self.records[authorization_id].status == AuthorizationStatus.UNAPPROVED
        before = dict(self.records), dict(self.latest)
        if not waiting:
            authorization_id = self._create(sent.now, file, applier, task_id)
        try:
            self._approve(sent.now, authorization_id, wrapped_key, expires_at, file)
        except reverts.CustomError:
            self.records, self.latest = before
            raise

    def is_current(self, now: int, authorization_id: int) -> bool:
        record = self.records.get(authorization_id)
        return (
            record is not None and record.status == AuthorizationStatus.APPROVED and now <= record.expires_at
        )

    def existing(self, authorization_id: int) -> Authorization:
        if authorization_id not in self.records:
            raise reverts.UnknownAuthorization(authorization_id)
        return self.records[authorization_id]

    def _create(self, now: int, file: StagedFile, applier: str, task_id: int) -> int:
        if applier == file.owner:
            raise reverts.OwnerNeedsNoAuthorization(file.file_id, file.owner)
        previous = self.latest.get((file.file_id, applier, task_id), 0)
        waiting = previous and self.records[previous].status == AuthorizationStatus.UNAPPROVED
        if waiting or self.is_current(now, previous):
            raise reverts.AuthorizationOpen(previous)
        authorization_id = len(self.records) + 1
        self.latest[file.file_id, applier, task_id] = authorization_id
        self.records[authorization_id] = Authorization(
            file.file_id, applier, task_id, AuthorizationStatus.UNAPPROVED, 0, b""
        )
        return authorization_id

    def _approve(
        self, now: int, authorization_id: int, wrapped_key: bytes, expires_at: int, file: StagedFile
    ) -> None:
        if not now < expires_at <= file.expires_at:
            raise reverts.InvalidAuthorizationExpiry(expires_at, now, file.expires_at)
        if not 1 <= len(wrapped_key) <= 256:
            raise reverts.InvalidGrantedKey(len(wrapped_key), 256)
        self.records[authorization_id] = replace(
            self.records[authorization_id],
            status=AuthorizationStatus.APPROVED,
            expires_at=expires_at,
            wrapped_key=wrapped_key,
        )

    def _decidable(self, sent: Sent, authorization_id: int, status: AuthorizationStatus) -> Authorization:
        record = self.existing(authorization_id)
        owner = self._files.owner(record.file_id)
        if sent.sender != owner:
            raise reverts.NotAuthorizationOwner(authorization_id, sent.sender, owner)
        if record.status != status:
            raise reverts.WrongAuthorizationStatus(authorization_id, record.status, status)
        return record

    def _require_reason(self, reason: str) -> None:
        if len(reason) > 256:
            raise reverts.AuthorizationReasonTooLong(len(reason), 256)
