"""What lists are made of: a frozen dataclass for a row of each, and the filters that it knows.

Each class names a view of ``views.sql``. Addresses are checksummed, ids and digests bytes, times seconds (None
where the thing has not happened), sizes bytes, money wei; a status is a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, get_args, get_type_hints

from dtxeth.chain.bindings.types import Algorithm, Cause, Fault, HoldingState, Kind, Level, Possession
from dtxeth.chain.filters import (
    ADDRESS,
    DIGEST,
    FLAG,
    HEX,
    NUMBER,
    TEXT,
    Filter,
    Filters,
    known_filters,
    words,
)


@dataclass(frozen=True)
class Row:
    """Base of the rows.

    Attributes:
        view: View that it is a row of.
        filters: The filters that its list knows, by name.
    """

    view: ClassVar[str]
    filters: ClassVar[Filters]

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """The view's columns that make a row, in order."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_values(cls, values: tuple[Any, ...]) -> Self:
        """Give the values of a row their Python types."""
        return cls(*(take(value) for take, value in zip(_takers(cls), values, strict=True)))


R = TypeVar("R", bound=Row)
_TAKERS: dict[type[Row], list[Callable[[Any], Any]]] = {}


def _takers(kind: type[Row]) -> list[Callable[[Any], Any]]:
    if kind not in _TAKERS:
        hints = get_type_hints(kind)
        _TAKERS[kind] = [_taker(hints[name]) for name in kind.columns()]
    return _TAKERS[kind]


def _taker(hint: Any) -> Callable[[Any], Any]:
    parts = get_args(hint)
    if bool in (hint, *parts):
        return lambda value: None if value is None else bool(value)
    if int in (hint, *parts):
        return lambda value: int.from_bytes(value, "big") if isinstance(value, bytes) else value
    if Ellipsis in parts:
        return lambda value: tuple(json.loads(value))
    return lambda value: value


@dataclass(frozen=True)
class NodeRow(Row):
    """A registered node.

    Attributes:
        address: Its account.
        name: Label for people, unique in its role.
        role: ``storage`` or ``executor``.
        online: Whether it takes new work.
        draining: Whether it asks owners to move their pieces elsewhere.
        level: ``green``, ``yellow`` or ``red``; None for executors, as all of its health.
        score: 0 to 10000.
        success: Challenge success, 0 to 10000.
        heartbeats: Heartbeat ratio, 0 to 10000.
        judges: Owner-days in the week with a settled challenge.
        misses_in_row: Challenges that it has missed since it last answered one.
        lost: Whether it has been silent, or missed challenges, for too long.
        capacity: Bytes that it offers.
        used: Bytes of its holdings that are not released.
        holdings: How many these are.
        stake: Wei at stake.
        endpoint: URL where it listens.
        tls_fingerprint: SHA-256 of its TLS certificate, or zero.
        registered_at: When it joined.
        last_heartbeat_at: When it last showed that it is alive.
    """

    view = "nodes"
    filters = known_filters(
        ("registered",),
        address=ADDRESS,
        name=TEXT,
        role=words("storage", "executor"),
        online=FLAG,
        draining=FLAG,
        level=words(Level),
        lost=FLAG,
    )

    address: str
    name: str
    role: str
    online: bool
    draining: bool
    level: str | None
    score: int | None
    success: int | None
    heartbeats: int | None
    judges: int | None
    misses_in_row: int | None
    lost: bool | None
    capacity: int
    used: int
    holdings: int
    stake: int
    endpoint: str
    tls_fingerprint: bytes
    registered_at: int
    last_heartbeat_at: int | None


@dataclass(frozen=True)
class NamespaceRow(Row):
    """A namespace.

    Attributes:
        name: Unique for its owner.
        owner: Whose it is.
        namespace: Its id.
        needed: Shards that give a stripe back; 1 for copies.
        total: Shards of each stripe.
        possession: ``merkle``, ``kzg`` or ``both``.
        files: Live files in it.
        added_at: When it was added.
    """

    view = "namespaces"
    filters = known_filters(
        ("added",), owner=ADDRESS, name=TEXT, namespace=DIGEST, possession=words(Possession)
    )

    name: str
    owner: str
    namespace: bytes
    needed: int
    total: int
    possession: str
    files: int
    added_at: int


@dataclass(frozen=True)
class FileRow(Row):
    """A file.

    Attributes:
        file: Its id.
        owner: Who published it.
        namespace: Name of its namespace.
        version: How often it was published or revised.
        needed: Shards that give a stripe back.
        total: Shards of each stripe.
        possession: ``merkle``, ``kzg`` or ``both``.
        size: Bytes of the sealed file.
        rows: Rows of the table in it, 0 if it is no table.
        status: ``live``; ``retained``: expired, still renewable; ``lapsed``: its nodes may free the space;
            ``cleared``: they have; ``deleted``.
        expired: Whether its time is over and its owner has not deleted it.
        published_at: When it was published.
        revised_at: When it was last revised.
        expires_at: Last second for which the nodes keep it.
        deleted_at: When its owner deleted it.
        manifest_digest: SHA-256 of the sealed manifest.
        sealed_info: Name and columns, sealed under the file key.
    """

    view = "files"
    filters = known_filters(
        ("published", "revised", "expires", "deleted"),
        file=DIGEST,
        prefix=Filter("instr(hex(file), ?) = 1", HEX),
        owner=ADDRESS,
        namespace=TEXT,
        status=words("live", "retained", "lapsed", "cleared", "deleted"),
        expired=FLAG,
        node=Filter("file IN (SELECT h.file FROM holdings h WHERE h.state = 'live' AND h.node = ?)", ADDRESS),
        level=Filter("file IN (SELECT h.file FROM file_health h WHERE h.level = ?)", words(Level)),
    )

    file: bytes
    owner: str
    namespace: str
    version: int
    needed: int
    total: int
    possession: str
    size: int
    rows: int
    status: str
    expired: bool
    published_at: int
    revised_at: int | None
    expires_at: int
    deleted_at: int | None
    manifest_digest: bytes
    sealed_info: bytes


@dataclass(frozen=True)
class FileHealthRow(Row):
    """How healthy a file is.

    Attributes:
        file: Its id.
        owner: Who published it.
        namespace: Name of its namespace.
        status: As in :class:`FileRow`.
        needed: Shards that give a stripe back.
        total: Shards of each stripe.
        holdings: Live ones.
        unsound: Live ones that cannot be relied on, and those missing from the total.
        level: ``green``, ``yellow`` or ``red``.
    """

    view = "file_health"
    filters = known_filters(
        file=DIGEST,
        owner=ADDRESS,
        namespace=TEXT,
        status=words("live", "retained", "lapsed", "cleared", "deleted"),
        level=words(Level),
    )

    file: bytes
    owner: str
    namespace: str
    status: str
    needed: int
    total: int
    holdings: int
    unsound: int
    level: str


@dataclass(frozen=True)
class HoldingRow(Row):
    """What one node holds of one file.

    Attributes:
        holding: Its number.
        file: The file.
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file.
        state: ``live``, ``releasing`` or ``released``.
        version: Version of the file that it came with.
        size: Bytes of its pieces.
        fault: Why its node last failed a challenge on it: ``none``, ``wrong`` or ``missed``.
        root: Merkle root, or zero.
        commitments_root: Root over its KZG commitments, or zero.
        added_at: When it came.
        expires_at: Last second for which the node has promised to keep it.
        ended_at: When it ended: its node owes no new proofs.
        released_at: When its node could free the space.
    """

    view = "holdings"
    filters = known_filters(
        ("added", "ended", "released"),
        holding=NUMBER,
        file=DIGEST,
        node=ADDRESS,
        owner=ADDRESS,
        state=words(HoldingState),
        fault=words(Fault),
    )

    holding: int
    file: bytes
    node: str
    node_name: str
    owner: str
    state: str
    version: int
    size: int
    fault: str
    root: bytes
    commitments_root: bytes
    added_at: int
    expires_at: int
    ended_at: int | None
    released_at: int | None


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
class ChallengeRow(Row):
    """A possession challenge.

    Attributes:
        challenge: Its number.
        status: ``opened``, ``to_prove``, ``lapsed`` (its time is over, and nobody has closed it), ``proved``,
            ``failed`` or ``void``.
        fault: Why it failed: ``none``, ``wrong`` or ``missed``.
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file, who opened it.
        file: The file.
        holding: The holding.
        algorithm: ``merkle`` or ``kzg``.
        count: Leaves or blobs to prove.
        deposit: In wei.
        opened_at: When it was opened.
        answer_by: Last second at which the node may answer, once it is drawn.
        settled_at: When it was proved, failed or void.
    """

    view = "challenges"
    filters = known_filters(
        ("opened", "settled"),
        challenge=NUMBER,
        status=words("opened", "to_prove", "lapsed", "proved", "failed", "void"),
        fault=words(Fault),
        node=ADDRESS,
        owner=ADDRESS,
        file=DIGEST,
        holding=NUMBER,
        algorithm=words(Algorithm),
    )

    challenge: int
    status: str
    fault: str
    node: str
    node_name: str
    owner: str
    file: bytes
    holding: int
    algorithm: str
    count: int
    deposit: int
    opened_at: int
    answer_by: int | None
    settled_at: int | None


@dataclass(frozen=True)
class SlashRow(Row):
    """What a storage node lost for a failed challenge.

    Attributes:
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file, who was credited what was not burned.
        amount: Wei taken in all.
        burned: Wei of it that nobody gets.
        challenge: The failed challenge.
        fault: Why it failed.
        file: The file.
        holding: The holding.
        slashed_at: When.
    """

    view = "slashes"
    filters = known_filters(
        ("slashed",),
        node=ADDRESS,
        owner=ADDRESS,
        file=DIGEST,
        holding=NUMBER,
        challenge=NUMBER,
        fault=words(Fault),
    )

    node: str
    node_name: str
    owner: str
    amount: int
    burned: int
    challenge: int
    fault: str
    file: bytes
    holding: int
    slashed_at: int


@dataclass(frozen=True)
class MigrationRow(Row):
    """A revision after which other nodes hold a file.

    Attributes:
        file: The file.
        owner: Its owner.
        version: Its version from then on.
        cause: ``repair``, ``drain``, ``recode``, ``renewal`` or ``refresh``.
        left: Nodes that held it and no longer do.
        joined: Nodes that hold it since.
        revised_at: When.
    """

    view = "migrations"
    filters = known_filters(
        ("revised",),
        file=DIGEST,
        owner=ADDRESS,
        cause=words(Cause),
        node=Filter(
            '? IN (SELECT value FROM json_each("left") UNION ALL SELECT value FROM json_each(joined))',
            ADDRESS,
        ),
    )

    file: bytes
    owner: str
    version: int
    cause: str
    left: tuple[str, ...]
    joined: tuple[str, ...]
    revised_at: int


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
