"""StorageChallenge: the good road, opening, forbidden transitions, rules."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from eth_abi import encode
from eth_utils import keccak

from dtxeth.chain.bindings.errors import (
    AlreadyChallenged,
    ChallengedTooSoon,
    ChallengeStillOpen,
    FileExpired,
    HoldingExpiresBeforeAnswer,
    HoldingNotLive,
    InvalidCount,
    InvalidDeposit,
    InvalidRules,
    NotHoldingOwner,
    NotProvable,
    TooManyOpenChallenges,
    UnknownChallenge,
    UnknownHolding,
    WrongChallengeStatus,
)
from dtxeth.chain.bindings.events import (
    ChallengeDrawn,
    ChallengeOpened,
    ChallengeProved,
    ChallengeVoided,
    Credited,
)
from dtxeth.chain.bindings.types import Algorithm, Cause, Challenge, ChallengeStatus, Fault, Possession, Rules
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.deploy import Deployment, Parameters, deploy
from dtxeth.crypto import merkle
from tests.contracts.world import DAY, NOTHING, RULES, World, account, event, pieces, refused

OWNER, STRANGER, NODE = account("owner-1"), account("stranger"), account("node-1")
DEPOSIT = 4 * RULES.deposit_per_leaf
MERKLE, KZG = Algorithm.MERKLE, Algorithm.KZG


def status(world: World, challenge_id: int) -> ChallengeStatus:
    return world.challenges.challenge(challenge_id).status


# --- the good road ---


def test_an_owner_opens_a_challenge(world: World) -> None:
    file = world.publish("owner-1")
    (holding_id,) = file.holding_ids
    receipt = world.challenges.open(holding_id, MERKLE, 4, sender=OWNER, value=DEPOSIT + 1)
    draw_block = receipt.block_number + RULES.draw_delay
    assert receipt.events == (
        event(
            ChallengeOpened,
            *(1, holding_id, NODE.address, file.file_id, OWNER.address, MERKLE, 4, draw_block, DEPOSIT + 1),
        ),
    )
    assert world.challenges.challenge(1) == Challenge(
        *(holding_id, receipt.block_number, 0, 4, MERKLE, ChallengeStatus.OPENED, Fault.NONE, DEPOSIT + 1),
        *(OWNER.address, NOTHING),
    )
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 1
    assert world.challenges.open_challenge_on(holding_id) == 1
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
    assert list(world.challenges.drawn_indices(challenge_id)) == merkle.draw_indices(seed, leaf_count, 4)


def test_a_node_that_has_the_bytes_proves_and_is_paid(world: World) -> None:
    challenge_id = world.draw(world.publish("owner-1"))
    receipt = world.prove(challenge_id)
    assert receipt.events == (
        event(ChallengeProved, challenge_id, NODE.address),
        event(Credited, NODE.address, DEPOSIT),
    )
    assert status(world, challenge_id) == ChallengeStatus.PROVED
    assert world.challenges.challenge(challenge_id).fault == Fault.NONE
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 0
    world.challenges.withdraw(sender=NODE)
    assert world.chain.balance(world.challenges.address) == 0


@pytest.mark.parametrize("leaves", [1, 2, 13, 32])
def test_any_number_of_leaves_can_be_proved(world: World, leaves: int) -> None:
    challenge_id = world.draw(world.publish("owner-1"), leaves)
    assert len(world.challenges.drawn_indices(challenge_id)) == min(
        leaves, 13
    )  # of 3000 bytes in leaves of 248
    world.prove(challenge_id)
    assert status(world, challenge_id) == ChallengeStatus.PROVED


def test_challenges_of_one_holding_go_on_without_end(world: World) -> None:
    file = world.publish("owner-1")
    seeds = set()
    for _ in range(5):
        challenge_id = world.draw(file)
        seeds.add(world.challenges.challenge(challenge_id).seed)
        world.prove(challenge_id)
        world.at(world.now() + RULES.min_interval)
    assert len(seeds) == 5


# --- opening ---


@pytest.mark.parametrize(
    ("algorithm", "count", "most"),
    [(MERKLE, 0, 32), (MERKLE, 33, 32), (KZG, 0, 16), (KZG, 17, 16), (KZG, 255, 16)],
)
def test_a_count_out_of_range_is_refused(world: World, algorithm: Algorithm, count: int, most: int) -> None:
    both = world.namespace("owner-1", 1, 1, Possession.BOTH)
    file = world.publish("owner-1", namespace_id=both)
    with refused(InvalidCount, count, most):
        world.open(file, count, algorithm=algorithm)
    world.open(file, most, algorithm=algorithm)


@pytest.mark.parametrize(
    ("possession", "wrong"),
    [
        *((Possession.MERKLE, KZG), (Possession.MERKLE, Algorithm.NONE)),
        *((Possession.KZG, MERKLE), (Possession.KZG, Algorithm.NONE), (Possession.BOTH, Algorithm.NONE)),
    ],
)
def test_a_holding_is_challenged_by_its_proofs_only(
    world: World, possession: Possession, wrong: Algorithm
) -> None:
    file = world.publish("owner-1", namespace_id=world.namespace("owner-1", 1, 1, possession))
    with refused(NotProvable, file.holding_ids[0], wrong):
        world.open(file, 1, algorithm=wrong)


def test_only_the_files_owner_challenges(world: World) -> None:
    (holding_id,) = world.publish("owner-1").holding_ids
    for caller in (STRANGER, NODE, account("owner-2")):
        with refused(NotHoldingOwner, holding_id, caller.address, OWNER.address):
            world.challenges.open(holding_id, MERKLE, 4, sender=caller, value=DEPOSIT)
    with refused(UnknownHolding, holding_id + 1):
        world.challenges.open(holding_id + 1, MERKLE, 4, sender=OWNER, value=DEPOSIT)


def test_the_deposit_grows_with_what_is_asked_for(world: World) -> None:
    (holding_id,) = world.publish("owner-1").holding_ids
    assert world.challenges.deposit_for(MERKLE, 4) == DEPOSIT
    assert world.challenges.deposit_for(MERKLE, 255) == 255 * RULES.deposit_per_leaf
    assert world.challenges.deposit_for(KZG, 16) == RULES.deposit_per_proof + 16 * RULES.deposit_per_blob
    with refused(InvalidDeposit, DEPOSIT - 1, DEPOSIT, 2**80 - 1):
        world.challenges.open(holding_id, MERKLE, 4, sender=OWNER, value=DEPOSIT - 1)
    world.challenges.open(holding_id, MERKLE, 4, sender=OWNER, value=DEPOSIT)


def test_a_holding_is_challenged_at_intervals(world: World) -> None:
    file = world.publish("owner-1", ["node-1", "node-2"])
    challenge_id = world.open(file)
    next_at = world.now() + RULES.min_interval
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(challenge_id, sender=OWNER)
    world.prove(challenge_id)
    world.at(next_at - 1)
    with refused(ChallengedTooSoon, file.holding_ids[0], next_at):
        world.open(file)
    world.open(file, holding=1)
    world.at(next_at)
    world.open(file)


def test_a_deposit_that_does_not_fit_is_refused(world: World) -> None:
    """A chain may have been given more money than there is ether."""
    (holding_id,) = world.publish("owner-1").holding_ids
    world.chain.faucet(OWNER.address, 2**80)
    with refused(InvalidDeposit, 2**80, DEPOSIT, 2**80 - 1):
        world.challenges.open(holding_id, MERKLE, 4, sender=OWNER, value=2**80)
    world.challenges.open(holding_id, MERKLE, 4, sender=OWNER, value=2**80 - 1)
    assert world.challenges.challenge(1).deposit == 2**80 - 1


def test_a_holding_has_one_open_challenge_however_long_it_takes(world: World) -> None:
    file = world.publish("owner-1")
    (holding_id,) = file.holding_ids
    first = world.open(file)
    world.at(world.now() + RULES.min_interval)
    with refused(AlreadyChallenged, holding_id, first):
        world.open(file)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(first, sender=OWNER)
    with refused(AlreadyChallenged, holding_id, first):
        world.open(file)
    world.miss(first)
    assert world.challenges.open_challenge_on(holding_id) == 0
    second = world.open(file)
    assert world.challenges.open_challenge_on(holding_id) == second


def test_what_could_not_be_drawn_in_time_is_not_opened(world: World) -> None:
    file = world.publish("owner-1")
    last = file.expires_at - RULES.answer_window
    world.at(last + 1)
    with refused(HoldingExpiresBeforeAnswer, file.holding_ids[0], file.expires_at, file.expires_at + 1):
        world.open(file)
    world.at(last)
    world.open(file)


def test_a_holding_that_was_not_renewed_is_left_alone(world: World) -> None:
    """Else its owner could have a node keep it by challenges that nobody can draw."""
    file = world.publish("owner-1", ["node-1", "node-2"])
    world.revise(file, ["node-2"], cause=Cause.RENEWAL, expires_at=file.expires_at + 90 * DAY)
    world.at(file.expires_at + 1)
    with pytest.raises(HoldingExpiresBeforeAnswer):
        world.open(file)


def test_what_has_ended_is_not_challenged(world: World) -> None:
    file = world.publish("owner-1", ["node-1", "node-2"])
    world.revise(file, [], dropped=file.holding_ids[:1])
    with refused(HoldingNotLive, file.holding_ids[0]):
        world.open(file)
    world.open(file, holding=1)
    world.files.delete_file(file.file_id, sender=OWNER)
    with refused(HoldingNotLive, file.holding_ids[1]):
        world.open(file, holding=1)


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
        world.prove(challenge_id)
    elif end == "miss":
        world.miss(challenge_id)
    else:
        receipt = world.challenges.close(challenge_id, sender=STRANGER)
        assert event(ChallengeVoided, challenge_id, NODE.address) in receipt.events
    assert world.challenges.open_challenges_of(OWNER.address, NODE.address) == 1
    world.open(files[2])


def test_an_expired_file_is_not_challenged(world: World) -> None:
    file = world.publish("owner-1")
    world.at(file.expires_at + 1)
    with refused(FileExpired, file.file_id, file.expires_at):
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
        world.prove(challenge_id)
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
            world.challenges.prove(challenge_id, NOTHING, b"", sender=NODE)
        with refused(WrongChallengeStatus, challenge_id, reached, ChallengeStatus.TO_PROVE):
            world.challenges.prove_kzg(challenge_id, NOTHING, b"", sender=NODE)
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
            world.challenges.drawn_indices(number)
        with refused(UnknownChallenge, number):
            world.challenges.draw(number, sender=OWNER)
        with refused(UnknownChallenge, number):
            world.challenges.prove(number, NOTHING, b"", sender=NODE)
        with refused(UnknownChallenge, number):
            world.challenges.prove_kzg(number, NOTHING, b"", sender=NODE)
        with refused(UnknownChallenge, number):
            world.challenges.close(number, sender=OWNER)


# --- rules ---


def deployed(world: World, **changes: int) -> Deployment:
    return deploy(world.chain, DEVELOPER, replace(RULES, **changes))


def told(parameters: Parameters) -> Rules:
    names = [field.name for field in fields(Rules)]
    return Rules(**{name: getattr(parameters, name) for name in names})


def test_the_rules_are_told(world: World) -> None:
    assert world.challenges.rules() == told(RULES)
    least = {
        "draw_delay": 2,
        "answer_window": 1,
        "min_interval": 0,
        "max_open_per_node": 1,
        "slash_percent": 0,
    }
    least |= {"deposit_per_leaf": 0, "deposit_per_proof": 0, "deposit_per_blob": 0}
    made = deployed(world, **least)
    assert Contracts(world.chain, made).storage_challenge.rules() == told(made.parameters)


@pytest.mark.parametrize(
    "bad", [{"draw_delay": 1}, {"answer_window": 0}, {"max_open_per_node": 0}, {"slash_percent": 101}]
)
def test_rules_out_of_range_are_refused(world: World, bad: dict[str, int]) -> None:
    rules = replace(RULES, **bad)
    values = (rules.draw_delay, rules.answer_window, rules.max_open_per_node, rules.slash_percent)
    with refused(InvalidRules, *values):
        deployed(world, **bad)
