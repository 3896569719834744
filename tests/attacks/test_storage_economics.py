"""Attacks on the money and the records of storage: each works on a naive network and fails on our contracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dtxeth.chain.bindings.errors import (
    AlreadyChallenged,
    ChallengedTooSoon,
    InvalidAcknowledgement,
    TooManyOpenChallenges,
)
from dtxeth.chain.bindings.types import ChallengeStatus, Fault
from dtxeth.chain.chain import open_chain
from tests.contracts.world import RATE, RULES, STAKE, World, account, pieces

NODE, VICTIM, PUPPET = account("node-1"), account("owner-1"), account("owner-2")
CAP = RULES.max_open_per_node


@pytest.fixture
def world() -> Iterator[World]:
    with open_chain() as chain:
        yield World(chain)


@dataclass
class NaiveNetwork:
    """What one writes first: a stake that goes to whoever was wronged, and challenges without limits.

    Attributes:
        stake: Of the one node.
        paid: What owners got of it.
        open: Open challenges as (owner, holding).
        proved: Challenges proved, of all.
        acknowledged: Holdings that the node has signed for, of any version of the file.
    """

    stake: int = STAKE
    paid: Counter[str] = field(default_factory=Counter)
    open: list[tuple[str, int]] = field(default_factory=list)
    proved: list[bool] = field(default_factory=list)
    acknowledged: set[bytes] = field(default_factory=set)

    def fail(self, owner: str) -> None:
        """A failed challenge costs the whole stake, and all of it goes to the owner."""
        self.paid[owner] += self.stake
        self.stake = 0

    def challenge(self, owner: str, holding: int, cap: int | None = None) -> bool:
        """A challenge is open; there may be a cap on all that are open on the node."""
        if cap is not None and len(self.open) >= cap:
            return False
        self.open.append((owner, holding))
        return True

    def swap(self, holding: int) -> None:
        """A holding is replaced; what was asked about it no longer matters."""
        self.open = [entry for entry in self.open if entry[1] != holding]

    def success(self) -> float:
        """Health is the share of proved challenges, whoever opened them."""
        return sum(self.proved) / len(self.proved)


# --- a node that takes its stake out before its victims get it ---


def test_draining_the_stake_through_a_puppet_owner(world: World) -> None:
    """A node about to lose its victims' bytes fails a challenge of its own, on a file of one byte."""
    naive = NaiveNetwork()
    naive.fail("puppet")
    naive.fail("victim")
    assert (naive.paid["puppet"], naive.paid["victim"]) == (STAKE, 0)

    victim, publication = world.publish("owner-1"), world.publication(PUPPET)
    tiny = world.acknowledge("node-1", PUPPET, publication, leafCount=1, size=1)
    world.files.publish(publication, [tiny], sender=PUPPET)
    world.challenges.open(2, 1, 1, sender=PUPPET, value=RULES.deposit_per_leaf)
    world.chain.mine(RULES.draw_delay)
    world.challenges.draw(1, sender=PUPPET)
    world.miss(1)
    lost = STAKE - world.nodes.pledge_of(NODE.address).stake
    assert lost <= RATE, "the bond of one byte"
    assert world.nodes.credit_of(PUPPET.address) <= lost // 2, "and half of that is burned"
    world.miss(world.draw(victim))
    assert world.nodes.credit_of(VICTIM.address) == 3000 * RATE * RULES.slash_percent // 100 // 2


def test_taking_the_stake_back_by_failing_on_purpose_costs_half(world: World) -> None:
    """Naive: who wants out early has the stake slashed to an account of its own."""
    naive = NaiveNetwork()
    naive.fail("node itself")
    assert naive.paid["node itself"] == STAKE

    file = world.publish("owner-2")
    for _ in range(4):
        world.at(world.now() + RULES.min_interval)
        world.miss(world.draw(file, 1))
    assert STAKE - world.nodes.pledge_of(NODE.address).stake == 3000 * RATE
    assert world.nodes.credit_of(PUPPET.address) <= 3000 * RATE // 2
    assert world.nodes.burned() >= 3000 * RATE // 2


# --- owners that flood a node, or stand in the way of others ---


def test_flooding_a_node_with_challenges(world: World) -> None:
    naive = NaiveNetwork()
    assert all(naive.challenge("owner", 1) for _ in range(1000))

    files = [world.publish("owner-1") for _ in range(CAP + 1)]
    first = world.draw(files[0])
    with pytest.raises(AlreadyChallenged):
        world.open(files[0])
    world.prove(first)
    with pytest.raises(ChallengedTooSoon):
        world.open(files[0])
    for file in files[1:]:
        world.open(file)
    world.at(world.now() + RULES.min_interval)
    with pytest.raises(TooManyOpenChallenges):
        world.open(files[0])
    assert world.challenges.credit_of(NODE.address) > 0, "each answer is paid for"


def test_shielding_a_node_by_a_puppets_challenges(world: World) -> None:
    """Naive: a cap on all challenges of a node, which the node's own puppet uses up."""
    naive = NaiveNetwork()
    while naive.challenge("puppet", 1, cap=CAP):
        pass
    assert not naive.challenge("victim", 2, cap=CAP)

    victim = world.publish("owner-1")
    for file in [world.publish("owner-2") for _ in range(CAP)]:
        world.open(file)
    with pytest.raises(TooManyOpenChallenges):
        world.open(world.publish("owner-2"))
    world.miss(world.draw(victim))
    assert world.nodes.credit_of(VICTIM.address) > 0


# --- lost challenges that disappear ---


@pytest.mark.parametrize("way", ["swap", "drop", "delete"])
def test_voiding_a_lost_challenge_by_ending_the_holding(world: World, way: str) -> None:
    """An owner and a node that agree to make a failure vanish, or a node that hurries an owner into a repair."""
    naive = NaiveNetwork()
    naive.challenge("owner", 1)
    naive.swap(1)
    assert naive.open == []

    file = world.publish("owner-1", ["node-1", "node-2"])
    challenge_id = world.draw(file)
    if way == "delete":
        world.files.delete_file(file.file_id, sender=VICTIM)
    else:
        world.revise(file, ["node-1"] if way == "swap" else [], dropped=(1,) if way == "drop" else ())
    world.nodes.set_online(False, sender=NODE)
    world.miss(challenge_id)
    record = world.challenges.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.FAILED, Fault.MISSED)
    assert world.nodes.pledge_of(NODE.address).stake < STAKE
    assert world.challenges.health_of(NODE.address).misses_in_row == 1


# --- records that say what one likes ---


def test_farming_health_with_files_of_ones_own(world: World) -> None:
    """A node fails an owner and answers a hundred challenges of its puppet's."""
    naive = NaiveNetwork(proved=[False] + [True] * 100)
    assert naive.success() > 0.99

    world.view_at((world.now() // 86400 + 1) * 86400)
    victim, puppet = world.publish("owner-1"), world.publish("owner-2")
    world.miss(world.draw(victim, 1))
    for _ in range(8):
        world.view_at(world.now() + RULES.min_interval)
        world.prove(world.draw(puppet, 1))
    health = world.challenges.health_of(NODE.address)
    assert (health.judges, health.success) == (2, 5000), "one owner, one voice"
    assert world.challenges.fault_of(victim.holding_ids[0])[0] == Fault.MISSED, (
        "and the victim's record stands"
    )


def test_framing_a_node_by_an_acknowledgement_of_an_earlier_version(world: World) -> None:
    """The node swapped its holding and freed the old bytes; the owner puts the old one on chain again."""
    naive = NaiveNetwork(acknowledged={pieces("node-1")})
    naive.swap(1)
    assert pieces("node-1") in naive.acknowledged, "signed once, good for ever"

    file = world.publish("owner-1", ["node-1", "node-2"])
    revision = world.revision(file)
    unused = world.join("node-1", file, revision)
    world.revise(file, ["node-2"])  # version 2 came about without it
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(revision, [unused], sender=VICTIM)
    with pytest.raises(InvalidAcknowledgement):
        world.files.revise(revision, [world.acknowledge("node-1", VICTIM, file.publication)], sender=VICTIM)
