"""StorageChallenge: the good road, opening, forbidden transitions, rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi import encode
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    ChallengedTooSoon,
    ChallengeStillOpen,
    DepositTooSmall,
    FileExpired,
    InvalidLeaves,
    InvalidRules,
    NotHoldingOwner,
    TooManyOpenChallenges,
    UnknownChallenge,
    UnknownHolding,
    WrongChallengeStatus,
)
from dtxeth.chain.bindings.events import (
    ChallengeDrawn,
    ChallengeFailed,
    ChallengeOpened,
    ChallengeProved,
    Credited,
)
from dtxeth.chain.bindings.storage_challenge import StorageChallenge
from dtxeth.chain.bindings.types import Challenge, ChallengeStatus, Fault, Rules
from dtxeth.crypto import merkle
from tests.contracts.world import DAY, HOUR, NOTHING, RULES, World, account, event, pieces, refused

OWNER, STRANGER, NODE = account("owner-1"), account("stranger"), account("node-1")
DEPOSIT = 4 * RULES.deposit_per_leaf


def status(world: World, challenge_id: int) -> ChallengeStatus:
    return world.challenges.challenge(challenge_id).status


# --- the good road ---


def test_an_owner_opens_a_challenge(world: World) -> None:
    file = world.publish("owner-1")
    (holding_id,) = file.holding_ids
    receipt = world.challenges.open(holding_id, 4, sender=OWNER, value=DEPOSIT + 1)
    draw_block = receipt.block_number + RULES.draw_delay
    assert receipt.events == (
        event(
            ChallengeOpened,
            *(1, holding_id, NODE.address, file.file_id, OWNER.address, 4, draw_block, DEPOSIT + 1),
        ),
    )
    assert world.challenges.challenge(1) == Challenge(
        *(holding_id, NODE.address, 4, ChallengeStatus.OPENED, Fault.NONE, OWNER.address),
        *(receipt.block_number, 0, DEPOSIT + 1, NOTHING),
    )
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 1
    assert world.chain.balance(world.challenges.address) == DEPOSIT + 1


def test_anybody_draws_the_leaves_from_the_blocks_hash(world: World) -> None:
    challenge_id = world.open(world.publish("owner-1"))
    draw_block = world.chain.block_number + RULES.draw_delay
    world.chain.mine(RULES.draw_delay)
    receipt = world.challenges.draw(challenge_id, sender=STRANGER)

    block_hash = bytes.fromhex(world.chain.block(draw_block)["hash"][2:])
    seed = keccak(encode(["bytes32", "uint256"], [block_hash, challenge_id]))
    deadline = world.now() + RULES.answer_window
    assert receipt.events == (event(ChallengeDrawn, challenge_id, NODE.address, seed, deadline),)
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.seed, record.deadline) == (ChallengeStatus.TO_PROVE, seed, deadline)
    leaf_count = len(merkle.leaf_hashes(pieces("node-1")))
    assert list(world.challenges.leaf_indices(challenge_id)) == merkle.draw_indices(seed, leaf_count, 4)


def test_a_node_that_has_the_bytes_proves_and_is_paid(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"))
    leaves, proof = world.answer(challenge_id, "node-1")
    receipt = world.challenges.prove(challenge_id, leaves, proof, sender=NODE)
    assert receipt.events == (
        event(Credited, NODE.address, DEPOSIT),
        event(ChallengeProved, challenge_id, NODE.address),
    )
    assert status(world, challenge_id) == ChallengeStatus.PROVED
    assert world.challenges.challenge(challenge_id).fault == Fault.NONE
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 0
    world.challenges.withdraw(sender=NODE)
    assert world.chain.balance(world.challenges.address) == 0


@pytest.mark.parametrize("leaves", [1, 2, 13, 32])
def test_any_number_of_leaves_can_be_proved(world: World, leaves: int) -> None:
    challenge_id = world.draw(world.publish("owner-1"), leaves)
    answer, proof = world.answer(challenge_id, "node-1")
    assert len(answer) == min(leaves, 13)  # of 3000 bytes in leaves of 248
    world.challenges.prove(challenge_id, answer, proof, sender=NODE)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def test_challenges_of_one_holding_go_on_without_end(world: World) -> None:
    file = world.publish("owner-1")
    seeds = set()
    for _ in range(5):
        challenge_id = world.draw(file)
        seeds.add(world.challenges.challenge(challenge_id).seed)
        world.challenges.prove(challenge_id, *world.answer(challenge_id, "node-1"), sender=NODE)
        world.at(world.now() + RULES.min_interval)
    assert len(seeds) == 5


# --- opening ---


@pytest.mark.parametrize("leaves", [0, 33, 255])
def test_a_number_of_leaves_out_of_range_is_refused(world: World, leaves: int) -> None:
    file = world.publish("owner-1")
    with refused(InvalidLeaves, leaves, 32):
        world.challenges.open(file.holding_ids[0], leaves, sender=OWNER, value=DEPOSIT)


def test_only_the_files_owner_challenges(world: World) -> None:
    (holding_id,) = world.publish("owner-1").holding_ids
    for caller in (STRANGER, NODE, account("owner-2")):
        with refused(NotHoldingOwner, holding_id, caller.address, OWNER.address):
            world.challenges.open(holding_id, 4, sender=caller, value=DEPOSIT)
    with refused(UnknownHolding, holding_id + 1):
        world.challenges.open(holding_id + 1, 4, sender=OWNER, value=DEPOSIT)


def test_the_deposit_grows_with_the_leaves(world: World) -> None:
    (holding_id,) = world.publish("owner-1").holding_ids
    assert world.challenges.deposit_for(4) == DEPOSIT
    assert world.challenges.deposit_for(255) == 255 * RULES.deposit_per_leaf
    with refused(DepositTooSmall, DEPOSIT - 1, DEPOSIT):
        world.challenges.open(holding_id, 4, sender=OWNER, value=DEPOSIT - 1)
    world.challenges.open(holding_id, 4, sender=OWNER, value=DEPOSIT)


def test_a_holding_is_challenged_at_intervals(world: World) -> None:
    file = world.publish("owner-1", ["node-1", "node-2"])
    world.open(file)
    next_at = world.now() + RULES.min_interval
    world.at(next_at - 1)
    with refused(ChallengedTooSoon, file.holding_ids[0], next_at):
        world.open(file)
    world.open(file, holding=1)
    world.at(next_at)
    world.open(file)


def test_one_owner_has_so_many_challenges_open_on_a_node(world: World) -> None:
    files = [world.publish("owner-1", ["node-1", "node-2"]) for _ in range(3)]
    world.open(files[0])
    world.open(files[1])
    with refused(TooManyOpenChallenges, NODE.address, RULES.max_open_per_node):
        world.open(files[2])
    world.open(files[2], holding=1)


def test_nobody_shields_a_node_by_filling_its_slots(world: World) -> None:
    puppet = [world.publish("owner-2") for _ in range(2)]
    for file in puppet:
        world.open(file)
    world.open(world.publish("owner-1"))


@pytest.mark.parametrize("end", ["prove", "miss", "void"])
def test_every_end_frees_the_slot(world: World, end: str) -> None:
    files = [world.publish("owner-1") for _ in range(3)]
    world.open(files[0])
    challenge_id = world.open(files[1])
    if end == "void":
        world.chain.mine(RULES.draw_delay + 256)
    else:
        world.chain.mine(RULES.draw_delay)
        world.challenges.draw(challenge_id, sender=OWNER)
    if end == "prove":
        world.challenges.prove(challenge_id, *world.answer(challenge_id, "node-1"), sender=NODE)
    else:
        world.at(world.now() + RULES.answer_window + 1)
        world.challenges.close(challenge_id, sender=STRANGER)
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 1
    world.open(files[2])


def test_an_expired_file_is_not_challenged(world: World) -> None:
    file = world.publish("owner-1")
    world.at(file.expires_at + 1)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.open(file)
    world.at(file.expires_at)
    world.open(file)


# --- forbidden transitions ---


def in_status(world: World, wanted: ChallengeStatus) -> int:
    """A challenge that has got so far."""
    file = world.publish("owner-1")
    if wanted in (ChallengeStatus.OPENED, ChallengeStatus.VOID):
        challenge_id = world.open(file)
        if wanted == ChallengeStatus.VOID:
            world.chain.mine(RULES.draw_delay + 256)
            world.challenges.close(challenge_id, sender=OWNER)
        return challenge_id
    challenge_id = world.draw(file)
    if wanted == ChallengeStatus.PROVED:
        world.challenges.prove(challenge_id, *world.answer(challenge_id, "node-1"), sender=NODE)
    if wanted == ChallengeStatus.FAILED:
        world.at(world.now() + DAY)
        world.challenges.close(challenge_id, sender=OWNER)
    return challenge_id


@pytest.mark.parametrize("reached", list(ChallengeStatus)[1:], ids=lambda reached: reached.name)
def test_no_transition_but_the_drawn_ones(world: World, reached: ChallengeStatus) -> None:
    challenge_id = in_status(world, reached)
    assert status(world, challenge_id) == reached
    world.chain.mine(RULES.draw_delay)
    if reached != ChallengeStatus.OPENED:
        with refused(WrongChallengeStatus, challenge_id, reached, ChallengeStatus.OPENED):
            world.challenges.draw(challenge_id, sender=OWNER)
    if reached != ChallengeStatus.TO_PROVE:
        with refused(WrongChallengeStatus, challenge_id, reached, ChallengeStatus.TO_PROVE):
            world.challenges.prove(challenge_id, [], [], sender=NODE)
    if reached in (ChallengeStatus.OPENED, ChallengeStatus.TO_PROVE):
        with refused(ChallengeStillOpen, challenge_id):
            world.challenges.close(challenge_id, sender=OWNER)
    else:
        with refused(WrongChallengeStatus, challenge_id, reached, ChallengeStatus.TO_PROVE):
            world.challenges.close(challenge_id, sender=OWNER)


def test_unknown_challenges_are_named(world: World) -> None:
    for number in (0, 1):
        with refused(UnknownChallenge, number):
            world.challenges.challenge(number)
        with refused(UnknownChallenge, number):
            world.challenges.leaf_indices(number)
        with refused(UnknownChallenge, number):
            world.challenges.draw(number, sender=OWNER)
        with refused(UnknownChallenge, number):
            world.challenges.prove(number, [], [], sender=NODE)
        with refused(UnknownChallenge, number):
            world.challenges.close(number, sender=OWNER)


# --- rules ---


def created(world: World, rules: Rules) -> StorageChallenge:
    kinds = ["address", "(uint64,uint64,uint64,uint32,uint256)"]
    return StorageChallenge(world.chain, world.create("StorageChallenge", kinds, world.files.address, rules))


def test_the_rules_are_told(world: World) -> None:
    assert world.challenges.rules() == RULES
    least = Rules(draw_delay=2, answer_window=1, min_interval=0, max_open_per_node=1, deposit_per_leaf=0)
    assert created(world, least).rules() == least


@pytest.mark.parametrize("bad", [{"draw_delay": 1}, {"answer_window": 0}, {"max_open_per_node": 0}])
def test_rules_out_of_range_are_refused(world: World, bad: dict[str, int]) -> None:
    rules = replace(RULES, **bad)
    with refused(InvalidRules, rules.draw_delay, rules.answer_window, rules.max_open_per_node):
        created(world, rules)


def test_a_challenge_without_deposit_is_possible_where_the_rules_ask_for_none(world: World) -> None:
    free = created(world, Rules(2, HOUR, 0, 1, 0))
    file = world.publish("owner-1")
    free.open(file.holding_ids[0], 1, sender=OWNER)
    world.chain.mine(2)
    free.draw(1, sender=OWNER)
    world.at(world.now() + HOUR + 1)
    receipt = free.close(1, sender=OWNER)
    assert receipt.events == (event(ChallengeFailed, 1, NODE.address, Fault.MISSED),)
