"""StorageChallenge: drawing the leaves and answering, in time and out of it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from dtxeth.chain.abi import Event
from dtxeth.chain.bindings.errors import (
    AnswerTooLate,
    AnswerTooShort,
    ChallengeStillOpen,
    DrawTooEarly,
    DrawTooLate,
    HoldingExpiresBeforeAnswer,
    InvalidLeaf,
    InvalidProofLength,
    NotChallengedNode,
    WrongAlgorithm,
    WrongChallengeStatus,
    WrongSeed,
)
from dtxeth.chain.bindings.events import (
    ChallengeFailed,
    ChallengeProved,
    ChallengeVoided,
    Credited,
    NodeSlashed,
    StakeChanged,
)
from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, Fault, Possession
from dtxeth.crypto import merkle
from tests.contracts.world import NOTHING, RATE, RULES, STAKE, Held, World, account, event, refused

OWNER, STRANGER, NODE = account("owner-1"), account("stranger"), account("node-1")
DEPOSIT = 4 * RULES.deposit_per_leaf


def status(world: World, challenge_id: int) -> ChallengeStatus:
    return world.challenges.challenge(challenge_id).status


def test_a_draw_waits_for_the_blocks_hash(world: World) -> None:
    challenge_id = world.open(world.publish("owner-1"))
    first = world.chain.block_number + RULES.draw_delay + 1
    while world.chain.block_number + 1 < first:
        with refused(DrawTooEarly, challenge_id, first):
            world.challenges.draw(challenge_id, sender=OWNER)
        world.chain.mine()
    world.challenges.draw(challenge_id, sender=OWNER)


def test_a_draw_is_possible_for_256_blocks(world: World) -> None:
    challenge_id = world.open(world.publish("owner-1"))
    last = world.chain.block_number + RULES.draw_delay + 256
    world.chain.mine(RULES.draw_delay + 255)
    mark = world.chain.snapshot()
    assert world.challenges.draw(challenge_id, sender=OWNER).block_number == last
    assert world.challenges.challenge(challenge_id).seed != NOTHING

    world.chain.rollback(mark)
    with refused(ChallengeStillOpen, challenge_id):
        world.challenges.close(challenge_id, sender=OWNER)
    world.chain.mine()
    with refused(DrawTooLate, challenge_id, last):
        world.challenges.draw(challenge_id, sender=OWNER)
    receipt = world.challenges.close(challenge_id, sender=STRANGER)
    assert receipt.events == (
        event(ChallengeVoided, challenge_id, NODE.address),
        event(Credited, OWNER.address, DEPOSIT),
    )
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.VOID, Fault.NONE)


def test_no_draw_if_the_holding_expires_before_the_answer_is_due(world: World) -> None:
    file = world.publish("owner-1")
    world.at(file.expires_at - RULES.answer_window - 3)
    challenge_id = world.open(file)
    world.chain.mine(RULES.draw_delay)
    mark = world.chain.snapshot()
    world.at(file.expires_at - RULES.answer_window)
    world.challenges.draw(challenge_id, sender=OWNER)
    assert world.challenges.challenge(challenge_id).deadline == file.expires_at

    world.chain.rollback(mark)
    world.at(file.expires_at - RULES.answer_window + 1)
    with refused(HoldingExpiresBeforeAnswer, file.holding_ids[0], file.expires_at, file.expires_at + 1):
        world.challenges.draw(challenge_id, sender=OWNER)
    world.chain.mine(257)
    world.challenges.close(challenge_id, sender=OWNER)
    assert status(world, challenge_id) == ChallengeStatus.VOID
    assert world.challenges.credit_of(OWNER.address) == DEPOSIT


def test_leaves_are_told_after_the_draw_only(world: World) -> None:
    challenge_id = world.open(world.publish("owner-1"))
    with refused(WrongChallengeStatus, challenge_id, ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE):
        world.challenges.drawn_indices(challenge_id)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(challenge_id, sender=OWNER)
    indices = world.challenges.drawn_indices(challenge_id)
    world.prove(challenge_id)
    assert world.challenges.drawn_indices(challenge_id) == indices


# --- answering ---


def test_only_the_challenged_node_answers(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1", ["node-1", "node-2"]))
    answer = world.answer(challenge_id, "node-1")
    for caller in ("owner-1", "stranger", "node-2"):
        with refused(NotChallengedNode, challenge_id, account(caller).address, NODE.address):
            world.prove(challenge_id, caller, answer)


def test_an_answer_to_another_draw_is_refused_and_no_verdict(world: World) -> None:
    """After a reorganisation, the answer that a node has sent meets another seed."""
    challenge_id = world.open(world.publish("owner-1"))
    world.chain.mine(RULES.draw_delay - 1)
    mark = world.chain.snapshot()
    world.chain.mine()
    world.challenges.draw(challenge_id, sender=OWNER)
    seed, answer = world.challenges.challenge(challenge_id).seed, world.answer(challenge_id, "node-1")

    world.chain.rollback(mark)
    world.chain.faucet(STRANGER.address, 1)  # another block than before
    world.challenges.draw(challenge_id, sender=OWNER)
    drawn = world.challenges.challenge(challenge_id).seed
    assert drawn != seed
    with refused(WrongSeed, challenge_id, seed, drawn):
        world.challenges.prove(challenge_id, seed, answer, sender=NODE)
    with refused(WrongSeed, challenge_id, NOTHING, drawn):
        world.challenges.prove(challenge_id, NOTHING, answer, sender=NODE)
    world.prove(challenge_id)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


@pytest.mark.parametrize("algorithm", [Algorithm.MERKLE, Algorithm.KZG])
def test_an_answer_by_the_other_proof_is_refused(world: World, algorithm: Algorithm) -> None:
    both = world.namespace("owner-1", 1, 1, Possession.BOTH)
    challenge_id = world.draw(world.publish("owner-1", namespace_id=both), 1, algorithm=algorithm)
    seed = world.challenges.challenge(challenge_id).seed
    other = world.challenges.prove if algorithm == Algorithm.KZG else world.challenges.prove_kzg
    with refused(WrongAlgorithm, challenge_id, algorithm):
        other(challenge_id, seed, b"", sender=NODE)
    world.prove(challenge_id)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def test_an_answer_counts_up_to_the_deadline(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"))
    answer = world.answer(challenge_id, "node-1")
    deadline = world.challenges.challenge(challenge_id).deadline
    mark = world.chain.snapshot()
    world.at(deadline)
    with refused(ChallengeStillOpen, challenge_id):
        world.challenges.close(challenge_id, sender=OWNER)
    world.prove(challenge_id, answer=answer)
    assert status(world, challenge_id) == ChallengeStatus.PROVED

    world.chain.rollback(mark)
    world.at(deadline + 1)
    with refused(AnswerTooLate, challenge_id, deadline):
        world.prove(challenge_id, answer=answer)
    receipt = world.challenges.close(challenge_id, sender=STRANGER)
    assert receipt.events == (
        event(ChallengeFailed, challenge_id, NODE.address, Fault.MISSED),
        *slashed(),
        event(Credited, OWNER.address, DEPOSIT),
    )
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.FAILED, Fault.MISSED)


def test_a_node_answers_up_to_the_second_of_the_expiry(world: World) -> None:
    file = world.publish("owner-1")
    world.at(file.expires_at - RULES.answer_window - RULES.draw_delay - 1)
    challenge_id = world.draw(file)
    answer = world.answer(challenge_id, "node-1")
    world.at(file.expires_at)
    world.prove(challenge_id, answer=answer)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


CORRUPTIONS: dict[str, Callable[[list[bytes], list[bytes]], tuple[list[bytes], list[bytes]]]] = {
    "bit of a leaf": lambda leaves, proof: ([bytes([leaves[0][0] ^ 1]) + leaves[0][1:], *leaves[1:]], proof),
    "leaf cut short": lambda leaves, proof: ([leaves[0][:-1], *leaves[1:]], proof),
    "leaves swapped": lambda leaves, proof: ([leaves[1], leaves[0], *leaves[2:]], proof),
    "bit of the proof": lambda leaves, proof: (leaves, [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]),
    "hashes swapped": lambda leaves, proof: (leaves, [proof[1], proof[0], *proof[2:]]),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_wrong_answer_fails_for_good(world: World, corruption: str) -> None:
    challenge_id = world.draw(world.publish("owner-1"), 2)
    wrong = merkle.encode_answer(*CORRUPTIONS[corruption](*world.leaves(challenge_id, "node-1")))
    receipt = world.prove(challenge_id, answer=wrong)
    assert receipt.events == (
        event(ChallengeFailed, challenge_id, NODE.address, Fault.WRONG),
        *slashed(),
        event(Credited, OWNER.address, 2 * RULES.deposit_per_leaf),
    )
    with refused(WrongChallengeStatus, challenge_id, ChallengeStatus.FAILED, ChallengeStatus.TO_PROVE):
        world.prove(challenge_id)
    assert world.challenges.credit_of(NODE.address) == 0


def test_an_answer_of_the_wrong_shape_is_refused_and_may_be_mended(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"), 2)
    leaves, proof = world.leaves(challenge_id, "node-1")
    answer, proof_bytes = world.answer(challenge_id, "node-1"), 32 * len(proof)
    attempt = functools.partial(world.prove, challenge_id, "node-1")
    with refused(InvalidLeaf, 0, 0, 248):
        attempt(b"")
    with refused(InvalidLeaf, 0, 249, 248):
        attempt(b"\xf9" + bytes(249) + answer)
    with refused(InvalidLeaf, 1, 0, 248):
        attempt(bytes([len(leaves[0])]) + leaves[0] + b"\0" + b"".join(proof))
    with refused(InvalidLeaf, 1, len(leaves[1]), 248):
        attempt(merkle.encode_answer(leaves, [])[:-1])
    for length in (proof_bytes - 32, proof_bytes - 1, proof_bytes + 1, proof_bytes + 32):
        whole = (answer + bytes(64))[: len(answer) - proof_bytes + length]
        with refused(InvalidProofLength, length, proof_bytes):
            attempt(whole)
    attempt(answer)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def test_an_old_answer_does_not_prove_anew(world: World) -> None:
    file = world.publish("owner-1")
    answers: dict[int, tuple[bytes, tuple[int, ...]]] = {}
    while True:
        challenge_id = world.draw(file, 1)
        drawn, right = world.challenges.drawn_indices(challenge_id), world.answer(challenge_id, "node-1")
        old, was_drawn = answers.setdefault(len(right), (right, drawn))  # of another length, it is refused
        world.prove(challenge_id, answer=old)
        if drawn != was_drawn:
            break
        assert status(world, challenge_id) == ChallengeStatus.PROVED
        world.at(world.now() + RULES.min_interval)
    assert world.challenges.challenge(challenge_id).fault == Fault.WRONG


def test_another_nodes_copy_does_not_answer(world: World) -> None:
    file = world.publish("owner-1", ["node-1", "node-2"])
    challenge_id = world.draw(file)
    world.prove(challenge_id, answer=world.answer(challenge_id, "node-2"))
    assert world.challenges.challenge(challenge_id).fault == Fault.WRONG


# --- by KZG ---


@pytest.fixture
def committed(world: World) -> Held:
    """A file whose node proves by KZG."""
    return world.publish("owner-1", namespace_id=world.namespace("owner-1", 1, 1, Possession.KZG))


def test_a_node_that_has_the_blob_proves(world: World, committed: Held) -> None:
    challenge_id = world.draw(committed, 8, algorithm=Algorithm.KZG)
    assert world.challenges.drawn_indices(challenge_id) == (0,)
    deposit = world.challenges.challenge(challenge_id).deposit
    receipt = world.prove(challenge_id)
    assert receipt.events == (
        event(ChallengeProved, challenge_id, NODE.address),
        event(Credited, NODE.address, deposit),
    )


@pytest.mark.parametrize("place", [0, 31, 32, 79, 80, 127])
def test_a_wrong_bit_of_a_kzg_answer_fails_for_good(world: World, committed: Held, place: int) -> None:
    challenge_id = world.draw(committed, 1, algorithm=Algorithm.KZG)
    answer = bytearray(world.answer(challenge_id, "node-1"))
    answer[place] ^= 1
    receipt = world.prove(challenge_id, answer=bytes(answer))
    failed = event(ChallengeFailed, challenge_id, NODE.address, Fault.WRONG)
    assert receipt.events[:3] == (failed, *slashed()[:2])


def test_a_kzg_answer_of_the_wrong_shape_is_refused_and_may_be_mended(world: World, committed: Held) -> None:
    challenge_id = world.draw(committed, 1, algorithm=Algorithm.KZG)
    answer = world.answer(challenge_id, "node-1")
    with refused(AnswerTooShort, 0, 128):
        world.prove(challenge_id, answer=b"")
    with refused(AnswerTooShort, 127, 128):
        world.prove(challenge_id, answer=answer[:-1])
    with refused(InvalidProofLength, 32, 0):
        world.prove(challenge_id, answer=answer + NOTHING)
    world.prove(challenge_id, answer=answer)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def slashed() -> tuple[Event, ...]:
    """What the first failure of a holding of 3000 bytes takes from a node."""
    amount = 3000 * RATE * RULES.slash_percent // 100
    return (
        event(NodeSlashed, NODE.address, OWNER.address, amount, amount // 2),
        event(StakeChanged, NODE.address, STAKE - amount),
        event(Credited, OWNER.address, amount // 2),
    )
