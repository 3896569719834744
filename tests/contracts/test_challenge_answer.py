"""StorageChallenge: drawing the leaves and answering, in time and out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from dtxeth.chain.bindings.errors import (
    AnswerTooLate,
    ChallengeStillOpen,
    DrawTooEarly,
    DrawTooLate,
    FileExpired,
    FileExpiresBeforeAnswer,
    InvalidLeafSize,
    InvalidProofLength,
    NotChallengedNode,
    WrongChallengeStatus,
    WrongLeafCount,
)
from dtxeth.chain.bindings.events import (
    ChallengeFailed,
    ChallengeVoided,
    Credited,
)
from dtxeth.chain.bindings.types import ChallengeStatus, Fault
from dtxeth.crypto import merkle
from tests.contracts.world import NOTHING, RULES, World, account, event, refused

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
        event(Credited, OWNER.address, DEPOSIT),
        event(ChallengeVoided, challenge_id, NODE.address),
    )
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.VOID, Fault.NONE)


def test_no_draw_if_the_file_expires_before_the_answer_is_due(world: World) -> None:
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
    with refused(FileExpiresBeforeAnswer, file.file_id, file.expires_at, file.expires_at + 1):
        world.challenges.draw(challenge_id, sender=OWNER)
    world.at(file.expires_at + 1)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.challenges.draw(challenge_id, sender=OWNER)
    world.chain.mine(257)
    world.challenges.close(challenge_id, sender=OWNER)
    assert status(world, challenge_id) == ChallengeStatus.VOID
    assert world.challenges.credit_of(OWNER.address) == DEPOSIT


def test_leaves_are_told_after_the_draw_only(world: World) -> None:
    challenge_id = world.open(world.publish("owner-1"))
    with refused(WrongChallengeStatus, challenge_id, ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE):
        world.challenges.leaf_indices(challenge_id)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(challenge_id, sender=OWNER)
    indices = world.challenges.leaf_indices(challenge_id)
    world.challenges.prove(challenge_id, *world.answer(challenge_id, "node-1"), sender=NODE)
    assert world.challenges.leaf_indices(challenge_id) == indices


# --- answering ---


def test_only_the_challenged_node_answers(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1", ["node-1", "node-2"]))
    answer = world.answer(challenge_id, "node-1")
    for caller in (OWNER, STRANGER, account("node-2")):
        with refused(NotChallengedNode, challenge_id, caller.address, NODE.address):
            world.challenges.prove(challenge_id, *answer, sender=caller)


def test_an_answer_counts_up_to_the_deadline(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"))
    answer = world.answer(challenge_id, "node-1")
    deadline = world.challenges.challenge(challenge_id).deadline
    mark = world.chain.snapshot()
    world.at(deadline)
    with refused(ChallengeStillOpen, challenge_id):
        world.challenges.close(challenge_id, sender=OWNER)
    world.challenges.prove(challenge_id, *answer, sender=NODE)
    assert status(world, challenge_id) == ChallengeStatus.PROVED

    world.chain.rollback(mark)
    world.at(deadline + 1)
    with refused(AnswerTooLate, challenge_id, deadline):
        world.challenges.prove(challenge_id, *answer, sender=NODE)
    receipt = world.challenges.close(challenge_id, sender=STRANGER)
    assert receipt.events == (
        event(Credited, OWNER.address, DEPOSIT),
        event(ChallengeFailed, challenge_id, NODE.address, Fault.MISSED),
    )
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.FAILED, Fault.MISSED)


def test_a_node_answers_also_after_the_files_expiry_if_it_is_in_time(world: World) -> None:
    file = world.publish("owner-1")
    world.at(file.expires_at - RULES.answer_window - RULES.draw_delay - 1)
    challenge_id = world.draw(file)
    answer = world.answer(challenge_id, "node-1")
    world.at(file.expires_at)
    world.challenges.prove(challenge_id, *answer, sender=NODE)
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
    good = world.answer(challenge_id, "node-1")
    receipt = world.challenges.prove(challenge_id, *CORRUPTIONS[corruption](*good), sender=NODE)
    assert receipt.events == (
        event(Credited, OWNER.address, 2 * RULES.deposit_per_leaf),
        event(ChallengeFailed, challenge_id, NODE.address, Fault.WRONG),
    )
    with refused(WrongChallengeStatus, challenge_id, ChallengeStatus.FAILED, ChallengeStatus.TO_PROVE):
        world.challenges.prove(challenge_id, *good, sender=NODE)
    assert world.challenges.credit_of(NODE.address) == 0


def test_an_answer_of_the_wrong_shape_is_refused_and_may_be_mended(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"), 2)
    leaves, proof = world.answer(challenge_id, "node-1")
    with refused(WrongLeafCount, 1, 2):
        world.challenges.prove(challenge_id, leaves[:1], proof, sender=NODE)
    with refused(WrongLeafCount, 3, 2):
        world.challenges.prove(challenge_id, [*leaves, leaves[0]], proof, sender=NODE)
    with refused(InvalidLeafSize, 1, 0, 248):
        world.challenges.prove(challenge_id, [leaves[0], b""], proof, sender=NODE)
    with refused(InvalidLeafSize, 0, 249, 248):
        world.challenges.prove(challenge_id, [bytes(249), leaves[1]], proof, sender=NODE)
    with refused(InvalidProofLength, len(proof) - 1, len(proof)):
        world.challenges.prove(challenge_id, leaves, proof[:-1], sender=NODE)
    with refused(InvalidProofLength, len(proof) + 1, len(proof)):
        world.challenges.prove(challenge_id, leaves, [*proof, NOTHING], sender=NODE)
    world.challenges.prove(challenge_id, leaves, proof, sender=NODE)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def test_an_old_answer_does_not_prove_anew(world: World) -> None:
    file = world.publish("owner-1")
    first = world.draw(file, 1)
    answer, drawn = world.answer(first, "node-1"), world.challenges.leaf_indices(first)
    world.challenges.prove(first, *answer, sender=NODE)
    while True:
        world.at(world.now() + RULES.min_interval)
        second = world.draw(file, 1)
        if len(world.answer(second, "node-1")[1]) == len(answer[1]):  # else its shape would be refused
            world.challenges.prove(second, *answer, sender=NODE)
            if world.challenges.leaf_indices(second) != drawn:
                break
            assert status(world, second) == ChallengeStatus.PROVED
        else:
            world.challenges.prove(second, *world.answer(second, "node-1"), sender=NODE)
    assert world.challenges.challenge(second).fault == Fault.WRONG


def test_another_nodes_copy_does_not_answer(world: World) -> None:
    file = world.publish("owner-1", ["node-1", "node-2"])
    challenge_id = world.draw(file)
    world.challenges.prove(challenge_id, *world.answer(challenge_id, "node-2"), sender=NODE)
    assert world.challenges.challenge(challenge_id).fault == Fault.WRONG


def test_an_answer_for_a_gibibyte_costs_at_most_36000_gas_a_leaf(world: World) -> None:
    publication = world.publication(OWNER)
    leaf_count = 2**30 // merkle.LEAF_SIZE + 1
    given = world.acknowledge("node-1", OWNER, publication, leafCount=leaf_count, size=2**30)
    world.files.publish(publication, [given], sender=OWNER)
    world.challenges.open(1, 32, sender=OWNER, value=32 * RULES.deposit_per_leaf)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(1, sender=OWNER)

    leaves = [hashlib.shake_128(bytes([number])).digest(merkle.LEAF_SIZE) for number in range(32)]
    with pytest.raises(InvalidProofLength) as caught:
        world.challenges.prove(1, leaves, [], sender=NODE)
    proof = [hashlib.sha256(number.to_bytes(2, "big")).digest() for number in range(caught.value.expected)]
    receipt = world.challenges.prove(1, leaves, proof, sender=NODE)  # wrong, and as dear as a right one
    assert receipt.gas_used < 32 * 36_000
