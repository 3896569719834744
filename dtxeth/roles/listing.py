"""Things on the chain by what people call them, and everything that is known about one."""

from __future__ import annotations

from typing import Any

from dtxeth.chain.bindings.events import PartyInvited, TaskFinished
from dtxeth.chain.rows import FileRow, NodeRow, TaskRow
from dtxeth.errors import InputError, UnknownNameError
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles.files import file_id_of
from dtxeth.roles.members import MemberNetwork
from dtxeth.roles.network import Network
from dtxeth.storage import owned_file_key, unseal_info

SHORTEST = 8
"""Digits that stand for a file, at least."""


def file_named(network: Network, digits: str) -> FileRow:
    """The file with this id, or whose id alone begins with these digits.

    Raises:
        InputError: These are no digits, too few, or not one file's alone.
        UnknownNameError: There is no such file.
    """
    if len(digits.removeprefix("0x")) < SHORTEST:
        raise InputError(f"{digits!r} is too short for a file id: give {SHORTEST} digits or more of it")
    try:
        found = network.find(FileRow, prefix=digits, limit=2)
    except InputError:
        file_id_of(digits)  # says what a file id is
        raise
    if found.total > 1:
        raise InputError(f"{found.total} files have an id that begins with {digits}: give more of it")
    if not found:
        raise UnknownNameError(f"there is no file {digits}: `dtxeth file list` shows them")
    return found[0]


def names(network: Network) -> dict[str, str]:
    """Names of all nodes, by address."""
    return {row.address: row.name for row in network.find(NodeRow)}


def title(network: MemberNetwork, file: FileRow) -> str | None:
    """What its owner calls a file, if the owner is of this network; None to everybody else, for it is sealed."""
    contracts = network.contracts
    for actor in network.actors:
        if actor.address == file.owner:
            _, versions = contracts.key_registry.key_of(actor.address)
            key = owned_file_key(actor.account, contracts.file_registry, file.file, versions)
            return unseal_info(file.sealed_info, key).name
    return None


def algorithm(task: TaskRow) -> str:
    """What a task computes, if its spec can be read."""
    try:
        return TaskSpec.from_json(task.spec).algorithm
    except InputError:
        return "unreadable spec"


def task(network: Network, task_id: int) -> dict[str, Any]:
    """Everything the chain says about one task, ready for a table or JSON.

    Raises:
        UnknownNameError: There is no such task.
    """
    found = network.find(TaskRow, task=task_id)
    if not found:
        raise UnknownNameError(f"there is no task {task_id}: `dtxeth task list` shows them")
    row, index = found[0], network.index
    parties = index.events(PartyInvited, task_id=task_id)
    finished = index.events(TaskFinished, task_id=task_id)
    return {
        "task": row.task,
        "kind": row.kind,
        "algorithm": algorithm(row),
        "status": row.status,
        "reason": row.reason,
        "requester": row.requester,
        "reward": row.reward,
        "published_at": row.published_at,
        "confirm_by": row.confirm_by,
        "start_by": row.start_by,
        "finish_by": row.finish_by,
        "ended_at": row.ended_at,
        "parties": [f"{party.executor} on 0x{party.file_id.hex()}" for party in parties],
        "spec": row.spec.decode(errors="replace"),
        "result": finished[0].result.decode(errors="replace") if finished else None,
    }
