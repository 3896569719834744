"""The challenger: at random times, at the right rate, whatever others do; and nodes that never miss."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator

import pytest

from dtxeth.chain import Parameters
from dtxeth.chain.bindings.events import ChallengeDrawn, ChallengeOpened
from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, Fault, Holding, HoldingState
from dtxeth.errors import ChainUnavailableError, IntegrityError, StorageError
from dtxeth.roles import DataOwner, LocalNetwork
from dtxeth.roles.care import Care
from dtxeth.roles.challenger import Challenger, choose_algorithm
from tests.roles.paper import DAY, paper_of, publish, turn_into_paper

PARAMETERS = Parameters(slot_seconds=DAY // 2, lost_slots=1000, lost_misses=255)
NEVER, OFTEN = Care(challenges_per_day=0), Care(challenges_per_day=4)


@pytest.fixture(scope="module")
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(storage_nodes=3, executors=0, parameters=PARAMETERS) as made:
        turn_into_paper(made.storage_nodes)
        made.pass_time(1)
        yield made


@pytest.fixture
def owner(network: LocalNetwork, request: pytest.FixtureRequest) -> Iterator[DataOwner]:
    owner = network.data_owner(re.sub(r"\W", "-", request.node.name), care=NEVER)
    owner.add_namespace("any", 3)
    yield owner
    network.remove_worker(owner)


@pytest.fixture
def file(network: LocalNetwork, owner: DataOwner) -> bytes:
    return publish(owner, network.storage_nodes, owner.namespace_id("any"))


def opened_by(owner: DataOwner) -> list[ChallengeOpened]:
    owner.network.index.sync()
    return owner.network.index.events(ChallengeOpened, challenger=owner.address)


def statuses(owner: DataOwner) -> Counter[ChallengeStatus]:
    record = owner.contracts.storage_challenge.challenge
    return Counter(record(opened.challenge_id).status for opened in opened_by(owner))


def test_days_pass_and_every_challenge_is_proved(
    network: LocalNetwork, owner: DataOwner, file: bytes
) -> None:
    owner.care = OFTEN
    network.pass_time(2 * DAY)
    opened = opened_by(owner)
    assert (
        6 <= len(opened) <= 49
    )  # 24 expected; beyond 5 standard deviations of a Poisson number (or 1 in 10^5)
    assert {event.holding_id for event in opened} == set(owner.contracts.file_registry.holdings_of(file))
    assert {(event.algorithm, event.count) for event in opened} == {(Algorithm.MERKLE, 10)}
    owner.care = NEVER
    network.pass_time(PARAMETERS.answer_window)
    assert statuses(owner) == {ChallengeStatus.PROVED: len(opened)}
    for node in network.storage_nodes:
        assert network.health_of(node.address).health.success == 10_000


def test_nobody_is_challenged_at_rate_zero_or_after_the_end(
    network: LocalNetwork, owner: DataOwner, file: bytes
) -> None:
    network.pass_time(DAY)
    owner.care = Care(challenges_per_day=1000)
    owner.delete(file)
    network.pass_time(DAY // 24)
    assert opened_by(owner) == []
    assert owner.due is None


def test_dates_are_exponential_and_begin_anew(network: LocalNetwork, owner: DataOwner, file: bytes) -> None:
    """Mean and deviation of an exponential variable; and a restart draws anew."""
    owner.care = Care(challenges_per_day=1.0)
    now, mean = network.chain.now(), DAY / 3
    challengers = [Challenger(owner, owner.care, owner.belongings) for _ in range(4)]
    for challenger in challengers:
        challenger.step()
    assert len({challenger.due for challenger in challengers}) > 1
    waits = [(challengers[0]._draw_date(now) or 0) - now for _ in range(2000)]
    assert abs(statistics.fmean(waits) - mean) < 5 * mean / math.sqrt(len(waits))
    assert abs(statistics.stdev(waits) - mean) < 0.2 * mean
    assert network.chain.now() == now


def test_what_nobody_kept_is_not_made_up_for(network: LocalNetwork, owner: DataOwner, file: bytes) -> None:
    owner.care = Care(challenges_per_day=100)
    owner.step()
    network.chain.advance(DAY)  # the owner's machine was off
    network.index.sync()
    owner.step()
    assert len(opened_by(owner)) <= 3


@pytest.mark.parametrize("raced", ["AlreadyChallenged", "ChallengedTooSoon", "TooManyOpenChallenges"])
def test_a_lost_race_is_nothing(network: LocalNetwork, owner: DataOwner, file: bytes, raced: str) -> None:
    files = [file]
    if raced == "TooManyOpenChallenges":
        files += [publish(owner, network.storage_nodes[:1] * 1, _single(owner)) for _ in range(16)]
    holdings = owner.contracts.file_registry.holdings_of
    for file_id in files[1:] or files:
        for holding_id in holdings(file_id):
            owner.open_challenge(holding_id)
    if raced == "ChallengedTooSoon":
        while network.pump():
            pass
    count = len(opened_by(owner))
    for holding_id in holdings(file)[:1]:
        assert not owner.challenger._open_one(holding_id, network.chain.now())
    assert len(opened_by(owner)) == count


def _single(owner: DataOwner) -> bytes:
    name = "single"
    try:
        return owner.namespace_id(name)
    except LookupError:
        return owner.add_namespace(name, 1)


def test_strangers_may_draw_and_close(network: LocalNetwork, owner: DataOwner, file: bytes) -> None:
    challenges, stranger = network.contracts.storage_challenge, network.storage_nodes[2].account
    holding_id = network.contracts.file_registry.holdings_of(file)[0]
    dead = next(
        node
        for node in network.storage_nodes
        if node.address == network.contracts.file_registry.holding(holding_id).node
    )
    network.remove_worker(dead)
    network.remove_worker(owner)
    challenge_id = owner.open_challenge(holding_id)
    network.chain.mine(3)
    challenges.draw(challenge_id, sender=stranger)
    network.chain.advance(PARAMETERS.answer_window + 1)
    challenges.close(challenge_id, sender=stranger)
    network.index.sync()
    owner.step()
    assert challenges.challenge(challenge_id).fault is Fault.MISSED
    assert owner.challenger.due is None
    network.add_worker(dead)
    network.add_worker(owner)


def test_the_most_urgent_is_answered_first(network: LocalNetwork, owner: DataOwner, file: bytes) -> None:
    node = network.storage_nodes[0]
    other = publish(owner, network.storage_nodes, owner.namespace_id("any"))
    on = [network.contracts.file_registry.holding_on(file_id, node.address) for file_id in (file, other)]
    network.remove_worker(node)
    challenges = [owner.open_challenge(holding_id) for holding_id in on]
    network.chain.mine(3)
    for challenge_id in reversed(challenges):
        network.contracts.storage_challenge.draw(challenge_id, sender=owner.account)
    paper_of(node).answered.clear()
    network.add_worker(node)
    network.pump()
    assert paper_of(node).answered == on[::-1]


@pytest.mark.parametrize("trouble", [StorageError("the daemon is away"), OSError(5, "input/output error")])
def test_an_answer_is_tried_again(
    network: LocalNetwork, owner: DataOwner, file: bytes, trouble: Exception
) -> None:
    node = network.storage_nodes[0]
    paper_of(node).trouble.extend([trouble] * 2)  # type: ignore[list-item]
    challenge_id = owner.open_challenge(network.contracts.file_registry.holding_on(file, node.address))
    network.pass_time(60)
    assert network.contracts.storage_challenge.challenge(challenge_id).status is ChallengeStatus.PROVED


def test_what_is_known_to_be_altered_is_not_sent(
    network: LocalNetwork, owner: DataOwner, file: bytes
) -> None:
    node = network.storage_nodes[0]
    holding_id = network.contracts.file_registry.holding_on(file, node.address)
    paper_of(node).trouble.append(IntegrityError("altered"))
    challenge_id = owner.open_challenge(holding_id)
    network.pass_time(PARAMETERS.answer_window + 60)
    record = network.contracts.storage_challenge.challenge(challenge_id)
    assert (record.status, record.fault) == (ChallengeStatus.FAILED, Fault.MISSED)
    assert network.contracts.storage_challenge.fault_of(holding_id)[0] is Fault.MISSED


def test_the_chain_is_away_in_between(
    network: LocalNetwork, owner: DataOwner, file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever request the chain fails at: the next turn goes on, and the challenge is proved."""
    node = network.storage_nodes[0]
    holding_id = network.contracts.file_registry.holding_on(file, node.address)
    request, countdown = network.chain.request, [0]

    def flaky(method: str, *params: object) -> object:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise ChainUnavailableError("no chain answers")
        return request(method, *params)

    monkeypatch.setattr(network.chain, "request", flaky)
    challenge_id = owner.open_challenge(holding_id)
    failures = 0
    for after in range(1, 60, 2):
        countdown[0] = after
        try:
            network.pump()
        except ChainUnavailableError:
            failures += 1
        countdown[0] = 0
        network.chain.mine()
    network.pass_time(1)
    assert failures > 5
    assert network.contracts.storage_challenge.challenge(challenge_id).status is ChallengeStatus.PROVED
    network.index.sync()
    assert len(network.index.events(ChallengeDrawn, challenge_id=challenge_id)) == 1


def test_both_alternate_at_random() -> None:
    def holding(root: bytes, commitments_root: bytes) -> Holding:
        return Holding(bytes(32), "", 0, 0, HoldingState.LIVE, 1, 1, 1, root, commitments_root)

    nothing, some = bytes(32), b"\1" * 32
    assert choose_algorithm(holding(some, nothing)) is Algorithm.MERKLE
    assert choose_algorithm(holding(nothing, some)) is Algorithm.KZG
    both = Counter(choose_algorithm(holding(some, some)) for _ in range(200))
    assert both[Algorithm.MERKLE] > 50 < both[Algorithm.KZG]
