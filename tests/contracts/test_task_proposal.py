"""TaskRegistry.publish: what a task may ask for, and of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    DuplicateExecutor,
    DuplicateFile,
    FileExpired,
    FileExpiresBeforeFinish,
    InvalidDeadlines,
    InvalidModelTask,
    InvalidPartyCount,
    InvalidShares,
    InvalidSpec,
    NodeOffline,
    UnexpectedModelTask,
    UnknownFile,
    UnknownNode,
    UnknownTask,
    WrongModelExecutor,
    WrongRole,
)
from dtxeth.chain.bindings.events import PartyInvited, TaskPublished
from dtxeth.chain.bindings.types import Kind, Party, Proposal, Role, Task, TaskStatus
from tests.contracts.world import DAY, EXECUTORS, HOUR, NOTHING, Held, World, account, event, refused

REQUESTER, STRANGER = account("requester"), account("stranger")


def publish(world: World, proposal: Proposal, sender: str = "requester") -> Any:
    return world.tasks.publish(proposal, sender=account(sender))


def with_parties(proposal: Proposal, parties: Sequence[Party]) -> Proposal:
    return replace(proposal, parties=tuple(parties))


def test_a_task_is_published_with_its_parties_and_reward(world: World, files: list[Held]) -> None:
    proposal = world.proposal(files)
    receipt = world.tasks.publish(proposal, sender=REQUESTER, value=500)
    published = event(
        TaskPublished,
        *(1, REQUESTER.address, Kind.TRAIN, proposal.spec, world.now()),
        *(proposal.confirm_by, proposal.start_by, proposal.finish_by, 0, 500),
    )
    invited = tuple(
        event(PartyInvited, 1, party.executor, party.file_id, party.share_bps) for party in proposal.parties
    )
    assert receipt.events == (published, *invited)
    assert world.tasks.task_of(1) == Task(
        *(REQUESTER.address, Kind.TRAIN, TaskStatus.CONFIRMING, 0, 0, 0, world.now()),
        *(proposal.confirm_by, proposal.start_by, proposal.finish_by, 500, 0),
        *(keccak(proposal.spec), NOTHING, NOTHING),
    )
    assert world.tasks.parties_of(1) == proposal.parties
    assert world.tasks.task_count() == 1
    assert world.chain.balance(world.tasks.address) == 500


def test_unknown_tasks_are_named(world: World) -> None:
    for view in (world.tasks.task_of, world.tasks.parties_of):
        for number in (0, 1):
            with refused(UnknownTask, number):
                view(number)


@pytest.mark.parametrize("length", [0, 16385])
def test_a_spec_of_odd_length_is_refused(world: World, files: list[Held], length: int) -> None:
    with refused(InvalidSpec, length, 16384):
        publish(world, world.proposal(files, spec=bytes(length)))


def test_a_spec_of_16_kib_is_taken(world: World, files: list[Held]) -> None:
    publish(world, world.proposal(files, spec=bytes(16384)))


# --- parties ---


@pytest.mark.parametrize("count", [0, 1, 17])
def test_a_task_has_2_to_16_parties(world: World, files: list[Held], count: int) -> None:
    good = world.proposal(files)
    with refused(InvalidPartyCount, count, 2, 16):
        publish(world, with_parties(good, [good.parties[0]] * count))


def test_a_task_of_16_parties_runs_and_ends(world: World) -> None:
    names = [f"many-{number}" for number in range(16)]
    for name in names:
        world.chain.faucet(account(name).address, 10**16)
        world.nodes.register(Role.EXECUTOR, name, "http://many", NOTHING, 0, sender=account(name))
    files = [world.publish("owner-1") for _ in names]
    good = world.proposal(files[:2])
    parties = [
        Party(account(name).address, held.file_id, 625) for name, held in zip(names, files, strict=True)
    ]
    publish(world, with_parties(good, parties))
    world.confirm(1, files, names)
    assert world.tasks.task_of(1).status == TaskStatus.READY
    assert world.tasks.task_of(1).confirmed == 2**16 - 1
    world.tasks.cancel(1, sender=REQUESTER)
    assert all(world.tasks.concurrency_of(account(name).address)[0] == 0 for name in names)


def test_executors_and_files_are_distinct(world: World, files: list[Held]) -> None:
    good = world.proposal(files)
    first, second = good.parties
    with refused(DuplicateExecutor, first.executor):
        publish(world, with_parties(good, [first, replace(second, executor=first.executor)]))
    with refused(DuplicateFile, first.file_id):
        publish(world, with_parties(good, [first, replace(second, file_id=first.file_id)]))


def test_executors_are_online_executors(world: World, files: list[Held]) -> None:
    good = world.proposal(files)
    first, second = good.parties
    with refused(UnknownNode, STRANGER.address):
        publish(world, with_parties(good, [first, replace(second, executor=STRANGER.address)]))
    node = account("node-1").address
    with refused(WrongRole, node, Role.STORAGE, Role.EXECUTOR):
        publish(world, with_parties(good, [first, replace(second, executor=node)]))
    world.nodes.set_online(False, sender=account("executor-2"))
    with refused(NodeOffline, second.executor):
        publish(world, good)


@pytest.mark.parametrize("shares", [(5000, 4999), (5000, 5001), (0, 0), (65535, 65535)])
def test_shares_add_up(world: World, files: list[Held], shares: tuple[int, int]) -> None:
    good = world.proposal(files)
    parties = [replace(party, share_bps=share) for party, share in zip(good.parties, shares, strict=True)]
    with refused(InvalidShares, sum(shares), 10000):
        publish(world, with_parties(good, parties))


def test_files_outlive_the_task(world: World, files: list[Held]) -> None:
    good = world.proposal(files)
    first, second = good.parties
    with refused(UnknownFile, NOTHING):
        publish(world, with_parties(good, [first, replace(second, file_id=NOTHING)]))
    expires_at = files[0].expires_at
    with refused(FileExpiresBeforeFinish, files[0].file_id, expires_at, expires_at + 1):
        publish(world, replace(good, finish_by=expires_at + 1))
    publish(world, replace(good, finish_by=expires_at))
    world.at(expires_at + 1)
    late = {"confirm_by": expires_at + 2, "start_by": expires_at + 3, "finish_by": expires_at + 4}
    with refused(FileExpired, files[0].file_id, expires_at):
        publish(world, replace(good, **late))


# --- deadlines ---


@pytest.mark.parametrize(
    "offsets", [(0, 2, 3), (-1, 2, 3), (1, 1, 3), (2, 1, 3), (1, 2, 2), (1, 3, 2)], ids=str
)
def test_deadlines_follow_each_other(world: World, files: list[Held], offsets: tuple[int, ...]) -> None:
    now = world.now() + HOUR
    confirm_by, start_by, finish_by = (now + offset for offset in offsets)
    proposal = world.proposal(files, confirm_by=confirm_by, start_by=start_by, finish_by=finish_by)
    world.at(now)
    with refused(InvalidDeadlines, now, confirm_by, start_by, finish_by):
        publish(world, proposal)
    world.at(now)
    publish(world, replace(proposal, confirm_by=now + 1, start_by=now + 2, finish_by=now + 3))


# --- prediction ---


@pytest.fixture
def model(world: World, files: list[Held]) -> int:
    """A finished training task."""
    task_id = world.process(files)
    for name in EXECUTORS[:2]:
        world.tasks.report(task_id, b"{}", NOTHING, sender=account(name))
    return task_id


def prediction(world: World, model: int, **changes: Any) -> Proposal:
    fresh = [world.publish("owner-1"), world.publish("owner-2")]
    return world.proposal(fresh, kind=Kind.PREDICT, model_task_id=model, **changes)


def test_a_prediction_uses_a_finished_model(world: World, model: int) -> None:
    publish(world, prediction(world, model))
    task = world.tasks.task_of(model + 1)
    assert (task.kind, task.model_task_id) == (Kind.PREDICT, model)


def test_a_training_names_no_model(world: World, files: list[Held]) -> None:
    with refused(UnexpectedModelTask, 1):
        publish(world, world.proposal(files, model_task_id=1))


def test_a_model_is_a_finished_training_of_the_requesters(world: World, model: int) -> None:
    with refused(InvalidModelTask, model):
        publish(world, prediction(world, model), sender="stranger")
    for other in (0, model + 1):
        with refused(InvalidModelTask, other):
            publish(world, prediction(world, other))
    publish(world, prediction(world, model))
    with refused(InvalidModelTask, model + 1):
        publish(world, prediction(world, model + 1))
    unfinished = world.propose([world.publish("owner-1"), world.publish("owner-2")])
    with refused(InvalidModelTask, unfinished):
        publish(world, prediction(world, unfinished))


def test_a_prediction_has_the_models_executors_in_order(world: World, model: int) -> None:
    good = prediction(world, model)
    first, second = good.parties
    swapped = [replace(first, executor=second.executor), replace(second, executor=first.executor)]
    with refused(WrongModelExecutor, model, 0, second.executor, first.executor):
        publish(world, with_parties(good, swapped))
    third = account("executor-3").address
    with refused(WrongModelExecutor, model, 1, third, second.executor):
        publish(world, with_parties(good, [first, replace(second, executor=third)]))
    more = [replace(first, share_bps=0), second, Party(third, world.publish("owner-1").file_id, 6667)]
    with refused(InvalidPartyCount, 3, 2, 2):
        publish(world, with_parties(good, more))
    publish(world, replace(good, finish_by=world.now() + 2 * DAY))
