"""The lists, found the long way: one view of a contract after the other."""

from __future__ import annotations

from dtxeth.chain import EventIndex
from dtxeth.chain.bindings.types import AuthorizationStatus, ChallengeStatus, Role
from dtxeth.chain.rows import (
    AuthorizationRow,
    ChallengeRow,
    FileHealthRow,
    FileRow,
    HoldingRow,
    MigrationRow,
    NamespaceRow,
    NodeRow,
    SlashRow,
    TaskRow,
)
from tests.chain.history import DAY, History, Moved


def word(member: object) -> str:
    return member.name.lower()  # type: ignore[attr-defined,no-any-return]


def check_lists(history: History, index: EventIndex) -> None:
    """Compare every row of every list with what the contracts say."""
    now = history.chain.now()
    _check_nodes(history, index)
    _check_files(history, index, now)
    _check_authorizations(history, index)
    _check_challenges(history, index)
    _check_tasks(history, index, now)


def _check_nodes(history: History, index: EventIndex) -> None:
    contracts = history.contracts
    rows = index.page(NodeRow)
    assert [row.address for row in rows] == [node.address for node in (*history.nodes, *history.executors)]
    for row in rows:
        node, pledge = (
            contracts.node_registry.node_of(row.address),
            contracts.node_registry.pledge_of(row.address),
        )
        assert (row.name, row.role, row.online) == (node.name, word(node.role), node.online)
        assert (row.draining, row.capacity, row.endpoint) == (node.draining, node.capacity, node.endpoint)
        assert row.tls_fingerprint == node.tls_fingerprint
        assert (row.registered_at, row.last_heartbeat_at or 0) == (node.registered_at, node.last_heartbeat)
        assert (row.used, row.holdings, row.stake) == (pledge.used, pledge.holdings, pledge.stake)
        if node.role is Role.EXECUTOR:
            assert row.level is row.score is row.lost is None
            continue
        health = contracts.storage_challenge.health_of(row.address)
        assert (row.level, row.score, row.lost) == (word(health.level), health.score, health.lost)
        assert (row.success, row.heartbeats) == (health.success, health.heartbeats)
        assert (row.judges, row.misses_in_row) == (health.judges, health.misses_in_row)


def _check_files(history: History, index: EventIndex, now: int) -> None:
    registry = history.contracts.file_registry
    namespaces = index.page(NamespaceRow)
    assert [row.namespace for row in namespaces] == history.namespaces
    for space in namespaces:
        record = registry.namespace_of(space.namespace)
        assert (space.name, space.owner, space.added_at) == (record.name, record.owner, record.added_at)
        assert (space.needed, space.total) == (record.needed, record.total)
        assert space.possession == word(record.possession)

    holdings = index.page(HoldingRow)
    assert [row.holding for row in holdings] == list(range(1, len(holdings) + 1))
    for held in holdings:
        holding = registry.holding(held.holding)
        assert (held.file, held.node, held.state) == (holding.file_id, holding.node, word(holding.state))
        assert (held.version, held.size, held.expires_at) == (
            holding.version,
            holding.size,
            holding.expires_at,
        )
        assert (held.root, held.commitments_root) == (holding.root, holding.commitments_root)
        fault, slashed = history.contracts.storage_challenge.fault_of(held.holding)
        assert held.fault == word(fault)
        assert sum(row.amount for row in index.page(SlashRow, holding=held.holding)) == slashed

    files = index.page(FileRow)
    assert [row.file for row in files] == [file_id for file_id, _ in history.files]
    for row in files:
        file = registry.file_of(row.file)
        assert (row.owner, row.version, row.needed, row.total) == (
            *(file.owner, file.version, file.needed, file.total),
        )
        assert (row.size, row.rows, row.manifest_digest) == (file.size, file.rows, file.manifest_digest)
        assert (row.published_at, row.expires_at) == (file.published_at, file.expires_at)
        assert (row.status == "live") == registry.is_live(row.file)
        assert (row.status == "deleted") == file.deleted == (row.deleted_at is not None)
        assert row.expired == (not file.deleted and now > file.expires_at)
        if row.expired:
            held_still = any(held.state != "released" for held in holdings if held.file == row.file)
            late = "lapsed" if held_still else "cleared"
            assert row.status == ("retained" if now <= file.expires_at + 7 * DAY else late)
        (health,) = index.page(FileHealthRow, file=row.file)
        level, unsound = history.contracts.storage_challenge.file_health(row.file)
        assert (health.level, health.unsound) == (word(level), unsound)
        assert health.holdings == len(registry.holdings_of(row.file))
        live = [held.holding for held in holdings if held.file == row.file and held.state == "live"]
        assert sorted(live) == sorted(registry.holdings_of(row.file))
    for space in namespaces:
        inside = [registry.file_of(row.file).namespace_id for row in files if row.status == "live"]
        assert space.files == inside.count(space.namespace)

    assert [
        Moved(row.file, row.version, frozenset(row.left), frozenset(row.joined))
        for row in index.page(MigrationRow)
    ] == history.migrations


def _check_authorizations(history: History, index: EventIndex) -> None:
    authorizations = history.contracts.file_authorization
    rows = index.page(AuthorizationRow)
    assert [row.authorization for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        record = authorizations.authorization(row.authorization)
        assert (row.file, row.applier, row.task) == (record.file_id, record.applier, record.task_id)
        current = authorizations.is_current(row.authorization, row.applier, row.file)
        lapsed = record.status is AuthorizationStatus.APPROVED and not current
        assert row.status == ("expired" if lapsed else word(record.status))
        assert row.owner == history.contracts.file_registry.owner_of(row.file)


def _check_challenges(history: History, index: EventIndex) -> None:
    challenges = history.contracts.storage_challenge
    rows = index.page(ChallengeRow)
    assert [row.challenge for row in rows] == [number for number, _ in history.challenges]
    now, block = history.chain.now(), history.chain.block_number
    last = challenges.rules().draw_delay + 256
    for row in rows:
        record = challenges.challenge(row.challenge)
        match record.status:
            case ChallengeStatus.OPENED if block >= record.opened_block + last:
                status = "lapsed"
            case ChallengeStatus.TO_PROVE if now > record.deadline:
                status = "lapsed"
            case _:
                status = word(record.status)
        assert (row.status, row.fault) == (status, word(record.fault))
        assert (row.holding, row.owner, row.count) == (record.holding_id, record.challenger, record.count)
        assert (row.algorithm, row.deposit) == (word(record.algorithm), record.deposit)
        assert (row.answer_by or 0) == record.deadline
    slashes = index.page(SlashRow)
    assert sum(row.burned for row in slashes) == history.contracts.node_registry.burned()
    failed = [row.challenge for row in rows if row.status == "failed"]
    assert {row.challenge for row in slashes} <= set(failed)


def _check_tasks(history: History, index: EventIndex, now: int) -> None:
    tasks = history.contracts.task_registry
    rows = index.page(TaskRow)
    assert [row.task for row in rows] == list(range(1, tasks.task_count() + 1))
    deadlines = {"confirming": "confirm_by", "ready": "start_by"}
    for row in rows:
        record = tasks.task_of(row.task)
        assert (row.kind, row.status, row.requester) == (
            word(record.kind),
            word(record.status),
            record.requester,
        )
        assert (row.reward, row.model, row.published_at) == (
            *(record.reward, record.model_task_id, record.published_at),
        )
        assert (row.confirm_by, row.start_by, row.finish_by) == (
            *(record.confirm_by, record.start_by, record.finish_by),
        )
        assert list(row.executors) == [party.executor for party in tasks.parties_of(row.task)]
        open_ = row.status in ("confirming", "ready", "to_process", "processing")
        assert row.overdue == (open_ and now > getattr(row, deadlines.get(row.status, "finish_by")))
        assert open_ == (row.ended_at is None)
