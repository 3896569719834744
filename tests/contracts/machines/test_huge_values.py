"""Amounts that no chain with ether's supply has; a private one may. They are refused, never cut."""

from __future__ import annotations

import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import Algorithm, Role
from tests.contracts.machines.revm import RevmChain
from tests.contracts.machines.stage import CAPACITY, RATE, Stage

MOST = 2**96 - 1


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(RevmChain())


def test_a_stake_that_slashes_could_not_count_is_refused(stage: Stage) -> None:
    stage.reset()
    node, nodes = stage.accounts["node-1"], stage.contracts.node_registry
    stage.chain.faucet(node.address, 10**29)
    staked = CAPACITY * RATE
    for amount in (2**96 - staked, 2**96):
        with pytest.raises(reverts.StakeTooLarge) as caught:
            nodes.add_stake(sender=node, value=amount)
        assert tuple(caught.value.arguments.values()) == (node.address, staked + amount, MOST)
    nodes.add_stake(sender=node, value=MOST - staked)
    assert nodes.pledge_of(node.address).stake == MOST
    assert nodes.room_of(node.address) <= CAPACITY


def test_a_capacity_beyond_all_stake_is_refused(stage: Stage) -> None:
    stage.reset()
    stranger, nodes = stage.accounts["stranger"], stage.contracts.node_registry
    with pytest.raises(reverts.StakeTooSmall) as caught:
        nodes.register(Role.STORAGE, "huge", "http://huge", bytes(32), 2**64 - 1, sender=stranger, value=1)
    assert caught.value.required == (2**64 - 1) * RATE


def test_a_deposit_that_the_record_cannot_hold_is_refused(stage: Stage) -> None:
    stage.reset()
    owner, challenges = stage.accounts["owner"], stage.contracts.storage_challenge
    stage.chain.faucet(owner.address, 2**81)
    with pytest.raises(reverts.InvalidDeposit):
        challenges.open(2, Algorithm.MERKLE, 1, sender=owner, value=2**80)
    challenges.open(2, Algorithm.MERKLE, 1, sender=owner, value=2**80 - 1)
    assert challenges.challenge(1).deposit == 2**80 - 1
