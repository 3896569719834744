"""Rows about learning tasks, and who may read what for them."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain.bindings.types import Kind
from dtxeth.chain.filters import ADDRESS, DIGEST, FLAG, NUMBER, Filter, known_filters, words
from dtxeth.chain.rows.row import Row


@dataclass(frozen=True)
class AuthorizationRow(Row):
    """An application for a file and what came of it, or a grant.

    Attributes:
        authorization: Its number.
        status: ``unapproved``, ``approved``, ``expired`` (approved, and its time or the file is over),
            ``rejected`` or ``revoked``.
        file: The file.
        applier: Who wants to read it.
        owner: Who decides.
        task: The task it is for.
        applied_at: When the applier asked; None if it was granted unasked.
        decided_at: When the owner last decided.
        expires_at: Last second at which it is current, if it was ever approved.
        reason: Why it was rejected or revoked.
    """

    view = "authorizations"
    filters = known_filters(
        ("applied", "decided"),
        authorization=NUMBER,
        status=words("unapproved", "approved", "expired", "rejected", "revoked"),
        file=DIGEST,
        applier=ADDRESS,
        owner=ADDRESS,
        task=NUMBER,
    )

    authorization: int
    status: str
    file: bytes
    applier: str
    owner: str
    task: int
    applied_at: int | None
    decided_at: int | None
    expires_at: int | None
    reason: str | None


@dataclass(frozen=True)
class TaskRow(Row):
    """A task.

    Attributes:
        task: Its number.
        kind: ``train`` or ``predict``.
        status: ``confirming``, ``ready``, ``to_process``, ``processing``, ``finished``, ``failed``, ``rejected``,
            ``cancelled`` or ``timed_out``.
        requester: Who published it.
        executors: Addresses of its executors, in the order of the proposal.
        reward: What was locked, in wei.
        model: For a prediction: the task whose model is used, else 0.
        published_at: When it was published.
        confirm_by: Last second to confirm.
        start_by: Last second to start.
        finish_by: Last second to report.
        ended_at: When it ended, however it ended.
        overdue: Whether a deadline has passed and nobody has ended it.
        reason: Why it failed or was rejected.
        spec: What was published: JSON, if the requester is honest.
    """

    view = "tasks"
    filters = known_filters(
        ("published", "ended"),
        task=NUMBER,
        kind=words(Kind),
        status=words(
            *("confirming", "ready", "to_process", "processing", "finished"),
            *("failed", "rejected", "cancelled", "timed_out"),
        ),
        requester=ADDRESS,
        executor=Filter("task IN (SELECT i.task_id FROM PartyInvited i WHERE i.executor = ?)", ADDRESS),
        file=Filter("task IN (SELECT i.task_id FROM PartyInvited i WHERE i.file_id = ?)", DIGEST),
        overdue=FLAG,
    )

    task: int
    kind: str
    status: str
    requester: str
    executors: tuple[str, ...]
    reward: int
    model: int
    published_at: int
    confirm_by: int
    start_by: int
    finish_by: int
    ended_at: int | None
    overdue: bool
    reason: str | None
    spec: bytes
