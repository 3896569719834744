"""Lists of what is on the chain, answered from the event index: one mapping a row, ready for tables and JSON."""

from __future__ import annotations

from typing import Any

from dtxeth.chain.bindings import events
from dtxeth.chain.bindings.types import Kind
from dtxeth.errors import InputError
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles.network import Network

Row = dict[str, Any]


def nodes(network: Network) -> list[Row]:
    """All storage nodes and executors, in the order of registration."""
    registry = network.contracts.node_registry
    rows = []
    for registered in network.index.events(events.NodeRegistered):
        node = registry.node_of(registered.node)
        rows.append(
            {
                "name": node.name,
                "role": node.role.name.lower(),
                "address": registered.node,
                "online": node.online,
                "endpoint": node.endpoint,
                "capacity": node.capacity,
                "registered_at": node.registered_at,
                "last_heartbeat": node.last_heartbeat,
            }
        )
    return rows


def namespaces(network: Network, owner: str | None = None) -> list[Row]:
    """Namespaces, of one owner or all."""
    filters: dict[str, Any] = {} if owner is None else {"owner": owner}
    registry = network.contracts.file_registry
    rows = []
    for added in network.index.events(events.NamespaceAdded, **filters):
        namespace = registry.namespace_of(added.namespace_id)
        rows.append(
            {
                "name": added.name,
                "owner": added.owner,
                "replicas": namespace.replicas,
                "added_at": namespace.added_at,
            }
        )
    return rows


def holdings(network: Network, file_id: bytes) -> list[Row]:
    """Which nodes hold a file."""
    registry, nodes_ = network.contracts.file_registry, network.contracts.node_registry
    rows = []
    for holding_id in registry.holdings_of(file_id):
        holding = registry.holding(holding_id)
        rows.append(
            {
                "holding": holding_id,
                "node": nodes_.node_of(holding.node).name,
                "address": holding.node,
                "bytes": holding.size,
                "leaves": holding.leaf_count,
                "root": holding.root,
            }
        )
    return rows


def authorizations(network: Network, **filters: Any) -> list[Row]:
    """Authorizations, by ``file_id``, ``applier``, ``owner`` or ``task_id``; granted ones included."""
    contract = network.contracts.file_authorization
    asked = network.index.events(events.AuthorizationApplied, **filters)
    given = network.index.events(events.AuthorizationApproved, **filters)
    owners = {event.authorization_id: event.owner for event in given}
    owners |= {event.authorization_id: event.owner for event in asked}
    rows = []
    for authorization_id, owner in sorted(owners.items()):
        record = contract.authorization(authorization_id)
        rows.append(
            {
                "authorization": authorization_id,
                "status": record.status.name.lower(),
                "file": record.file_id,
                "applier": record.applier,
                "owner": owner,
                "task": record.task_id,
                "expires_at": record.expires_at,
            }
        )
    return rows


def challenges(network: Network, **filters: Any) -> list[Row]:
    """Possession challenges, by ``node``, ``challenger``, ``file_id`` or ``holding_id``."""
    contract = network.contracts.storage_challenge
    rows = []
    for opened in network.index.events(events.ChallengeOpened, **filters):
        record = contract.challenge(opened.challenge_id)
        rows.append(
            {
                "challenge": opened.challenge_id,
                "status": record.status.name.lower(),
                "fault": record.fault.name.lower(),
                "node": network.contracts.node_registry.node_of(opened.node).name,
                "file": opened.file_id,
                "leaves": record.leaves,
            }
        )
    return rows


def tasks(network: Network, **filters: Any) -> list[Row]:
    """Tasks, by ``requester`` or ``kind``."""
    return [
        _task_row(network, published) for published in network.index.events(events.TaskPublished, **filters)
    ]


def task(network: Network, task_id: int) -> Row:
    """Everything the chain says about one task.

    Raises:
        UnknownTask: There is no such task.
    """
    contract, index = network.contracts.task_registry, network.index
    parties = [f"{party.executor} on 0x{party.file_id.hex()}" for party in contract.parties_of(task_id)]
    (published,) = index.events(events.TaskPublished, task_id=task_id)
    finished = index.events(events.TaskFinished, task_id=task_id)
    return _task_row(network, published) | {
        "parties": parties,
        "spec": published.spec.decode(errors="replace"),
        "result": finished[0].result.decode(errors="replace") if finished else None,
    }


def _task_row(network: Network, published: events.TaskPublished) -> Row:
    record = network.contracts.task_registry.task_of(published.task_id)
    return {
        "task": published.task_id,
        "kind": Kind(published.kind).name.lower(),
        "algorithm": _algorithm(published.spec),
        "status": record.status.name.lower(),
        "requester": record.requester,
        "reward": record.reward,
        "published_at": record.published_at,
        "finish_by": record.finish_by,
    }


def _algorithm(spec: bytes) -> str:
    try:
        return TaskSpec.from_json(spec).algorithm
    except InputError:
        return "unreadable spec"
