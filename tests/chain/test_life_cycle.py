"""The life of a task and of a challenge, and their deadlines to the second: in-process and on anvil alike."""

from __future__ import annotations

import pytest

from dtxeth.chain import Chain
from dtxeth.chain.bindings.errors import AnswerTooLate, ChallengeStillOpen, DeadlineNotPassed, DeadlinePassed
from dtxeth.chain.bindings.types import ChallengeStatus, Fault, TaskStatus
from tests.contracts.world import EXECUTORS, NOTHING, Held, World, account, refused

REQUESTER, STRANGER, OWNER = (account(name) for name in ("requester", "stranger", "owner-1"))
REWARD, RESULT = 10_000, b'{"auc":0.99}'


@pytest.fixture
def world(each_chain: Chain) -> World:
    """Contracts, nodes and accounts on either chain."""
    return World(each_chain)


@pytest.fixture
def files(world: World) -> list[Held]:
    """One file for each of two executors."""
    return [world.publish("owner-1"), world.publish("owner-2")]


def test_a_task_lives_to_its_end_and_pays(world: World, files: list[Held]) -> None:
    task_id = world.process(files, REWARD)
    for name in EXECUTORS[:2]:
        world.tasks.report(task_id, RESULT, NOTHING, sender=account(name))
    assert world.tasks.task_of(task_id).status is TaskStatus.FINISHED
    assert sum(world.tasks.credit_of(account(name).address) for name in EXECUTORS[:2]) == REWARD


def test_a_step_counts_in_the_second_of_its_deadline(world: World, files: list[Held]) -> None:
    task_id = world.propose(files)
    deadline = world.tasks.task_of(task_id).confirm_by
    authorization_id = world.authorize(files[0], EXECUTORS[0], task_id)
    world.chain.schedule(deadline - 1)
    world.chain.mine()
    with refused(DeadlineNotPassed, task_id, deadline):
        world.tasks.time_out(task_id, "away", sender=STRANGER)
    world.chain.schedule(deadline)
    world.tasks.confirm(task_id, authorization_id, sender=account(EXECUTORS[0]))
    assert world.chain.now() == deadline


def test_after_the_deadline_anybody_ends_the_task(world: World, files: list[Held]) -> None:
    task_id = world.propose(files, REWARD)
    deadline = world.tasks.task_of(task_id).confirm_by
    authorization_id = world.authorize(files[0], EXECUTORS[0], task_id)
    world.chain.schedule(deadline + 1)
    world.chain.mine()
    with refused(DeadlinePassed, task_id, deadline):
        world.tasks.confirm(task_id, authorization_id, sender=account(EXECUTORS[0]))
    world.tasks.time_out(task_id, "away", sender=STRANGER)
    assert world.tasks.task_of(task_id).status is TaskStatus.TIMED_OUT
    assert world.tasks.credit_of(REQUESTER.address) == REWARD


def test_an_answer_counts_in_the_second_of_its_deadline(world: World, files: list[Held]) -> None:
    challenge_id = world.draw(files[0])
    deadline = world.challenges.challenge(challenge_id).deadline
    world.chain.schedule(deadline - 1)
    world.chain.mine()
    with refused(ChallengeStillOpen, challenge_id):
        world.challenges.close(challenge_id, sender=STRANGER)
    world.chain.schedule(deadline)
    world.prove(challenge_id)
    assert world.challenges.challenge(challenge_id).status is ChallengeStatus.PROVED


def test_an_answer_after_its_deadline_is_missed(world: World, files: list[Held]) -> None:
    challenge_id = world.draw(files[0])
    deadline = world.challenges.challenge(challenge_id).deadline
    world.chain.schedule(deadline + 1)
    world.chain.mine()
    with refused(AnswerTooLate, challenge_id, deadline):
        world.prove(challenge_id)
    world.challenges.close(challenge_id, sender=STRANGER)
    assert world.challenges.challenge(challenge_id).fault is Fault.MISSED
