"""HealthBook: what challenges and heartbeats say about nodes, and what that means for files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtxeth.chain.bindings.errors import InvalidHealthRules, UnknownFile, UnknownNode
from dtxeth.chain.bindings.types import Health, HealthRules, Level
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.deploy import deploy
from tests.contracts.world import DAY, NOTHING, RULES, SLOT, Held, World, account, refused

NODE, STRANGER = account("node-1"), account("stranger")
GREEN, YELLOW, RED = Level.GREEN, Level.YELLOW, Level.RED


def health(world: World, node: str = "node-1") -> Health:
    return world.challenges.health_of(account(node).address)


def judge(world: World, file: Held, *, proves: bool) -> None:
    """Have node-1 prove or miss a challenge, within the hour."""
    world.at(world.now() + RULES.min_interval)
    challenge_id = world.draw(file, 1)
    if proves:
        world.prove(challenge_id)
    else:
        world.miss(challenge_id)


def beat(world: World, nodes: tuple[str, ...] = ("node-1",)) -> None:
    for node in nodes:
        world.at(max(world.now() + 1, world.nodes.node_of(account(node).address).last_heartbeat + SLOT))
        world.nodes.heartbeat(sender=account(node))


@pytest.fixture
def morning(world: World) -> World:
    """A world at the start of a day, so that the day does not end within a test."""
    world.view_at((world.now() // DAY + 1) * DAY)
    beat(world)
    return world


# --- nodes ---


def test_a_node_that_nobody_challenged_is_at_best_yellow(world: World) -> None:
    beat(world)
    found = health(world)
    assert (found.level, found.judges, found.success) == (YELLOW, 0, 10_000)


def test_a_node_that_proves_is_green(morning: World) -> None:
    judge(morning, morning.publish("owner-1"), proves=True)
    beat(morning)
    found = health(morning)
    assert (found.judges, found.success, found.misses_in_row, found.lost) == (1, 10_000, 0, False)
    assert found.score == (7 * 10_000 + 3 * found.heartbeats) // 10
    assert found.heartbeats < 10_000  # the node slept through most of its slots since it registered
    assert found.level == (GREEN if found.score >= 8500 else YELLOW)


def test_the_score_weighs_seven_to_three(morning: World) -> None:
    judge(morning, morning.publish("owner-1"), proves=False)
    counted, possible = morning.nodes.heartbeats_in_week(NODE.address)
    found = health(morning)
    assert found.success == 0
    assert found.heartbeats == counted * 10_000 // possible
    assert found.score == 3 * found.heartbeats // 10
    assert found.level == RED


def test_an_owner_counts_once_a_day_however_often_it_challenges(morning: World) -> None:
    """Naive: one share over all challenges; whoever challenges most decides."""
    puppet, honest = morning.publish("owner-2"), morning.publish("owner-1")
    judge(morning, honest, proves=False)
    for _ in range(9):
        judge(morning, puppet, proves=True)
    found = health(morning)
    assert (found.judges, found.success) == (2, 5000)  # and not 9000


def test_an_owners_day_is_its_share_of_proved_challenges(morning: World) -> None:
    file = morning.publish("owner-1")
    for proves in (True, False, True, True):
        judge(morning, file, proves=proves)
    found = health(morning)
    assert (found.judges, found.success) == (1, 255 * 3 // 4 * 10_000 // 255)


def test_days_count_for_a_week(morning: World) -> None:
    file = morning.publish("owner-1")
    day = morning.now() // DAY
    judge(morning, file, proves=False)
    for later in range(1, 7):
        morning.view_at((day + later) * DAY)
        assert health(morning).judges == 1
        assert health(morning).success == 0
    judge(morning, file, proves=True)  # on the seventh day
    assert (health(morning).judges, health(morning).success) == (2, 5000)
    morning.view_at((day + 7) * DAY)
    assert (health(morning).judges, health(morning).success) == (1, 10_000)
    morning.view_at((day + 13) * DAY)
    assert health(morning).judges == 0


def test_a_judgement_after_a_long_silence_starts_a_new_week(morning: World) -> None:
    file = morning.publish("owner-1")
    judge(morning, file, proves=False)
    morning.view_at(morning.now() + 20 * DAY)
    judge(morning, file, proves=True)
    assert (health(morning).judges, health(morning).success) == (1, 10_000)


# --- heartbeats ---


def test_heartbeats_are_a_share_of_the_slots_since_registration(world: World) -> None:
    world.register("stranger", 1000)
    joined = world.now()
    assert world.nodes.heartbeats_in_week(STRANGER.address) == (0, 0)
    assert health(world, "stranger").heartbeats == 10_000  # none was due yet
    for number in range(1, 5):
        world.at(joined + number * SLOT)
        world.nodes.heartbeat(sender=STRANGER)
    assert world.nodes.heartbeats_in_week(STRANGER.address) == (4, 4)
    world.view_at(joined + 8 * SLOT)
    assert world.nodes.heartbeats_in_week(STRANGER.address) == (4, 8)
    assert health(world, "stranger").heartbeats == 5000


def test_heartbeats_count_for_a_week(world: World) -> None:
    beat(world)
    day = world.now() // DAY
    world.view_at((day + 7) * DAY - 1)
    assert world.nodes.heartbeats_in_week(NODE.address)[0] == 1
    world.view_at((day + 7) * DAY)
    assert world.nodes.heartbeats_in_week(NODE.address)[0] == 0
    world.view_at((day + 30) * DAY + 5 * SLOT)
    assert world.nodes.heartbeats_in_week(NODE.address) == (0, (6 * DAY + 5 * SLOT) // SLOT)


# --- lost nodes ---


def test_a_silent_node_is_lost(world: World) -> None:
    beat(world)
    last = world.now() + RULES.lost_slots * SLOT
    world.view_at(last)
    assert not health(world).lost
    world.chain.mine()
    assert (health(world).lost, health(world).level) == (True, RED)
    beat(world)
    assert not health(world).lost


def test_a_node_that_misses_in_a_row_is_lost_until_it_answers(morning: World) -> None:
    file = morning.publish("owner-1")
    for number in range(1, RULES.lost_misses + 1):
        beat(morning)
        judge(morning, file, proves=False)
        beat(morning)
        assert health(morning).misses_in_row == number
        assert health(morning).lost == (number == RULES.lost_misses)
    morning.at(morning.now() + RULES.min_interval)
    challenge_id = morning.draw(file, 1)
    beat(morning)
    morning.prove(challenge_id, answer=morning.answer(challenge_id, "node-2"))
    assert (health(morning).misses_in_row, health(morning).lost) == (0, False)  # wrong, but not gone


# --- files ---


@pytest.fixture
def trio(world: World) -> Held:
    """Three copies, on nodes that have proved and are alive."""
    world.files.set_redundancy(
        world.files.namespace_id_of(account("owner-1").address, "study"), 1, 3, sender=account("owner-1")
    )
    beat(world, ("node-1", "node-2", "node-3"))
    return world.publish("owner-1", ["node-1", "node-2", "node-3"])


def test_a_file_is_green_with_sound_holdings_only(world: World, trio: Held) -> None:
    assert world.challenges.file_health(trio.file_id) == (GREEN, 0)  # Yellow nodes are sound
    world.nodes.set_online(False, sender=NODE)
    assert world.challenges.file_health(trio.file_id) == (YELLOW, 1)
    world.nodes.set_online(False, sender=account("node-2"))
    assert world.challenges.file_health(trio.file_id) == (YELLOW, 2)
    world.nodes.set_online(False, sender=account("node-3"))
    assert world.challenges.file_health(trio.file_id) == (RED, 3)


def test_a_failed_holding_is_unsound_until_it_is_replaced(world: World, trio: Held) -> None:
    world.miss(world.draw(trio, 1))
    beat(world, ("node-1", "node-2", "node-3"))
    assert world.challenges.file_health(trio.file_id) == (YELLOW, 1)
    world.at(world.now() + RULES.min_interval)
    world.prove(world.draw(trio, 1))
    beat(world, ("node-1", "node-2", "node-3"))
    assert world.challenges.file_health(trio.file_id)[1] == 1
    world.nodes.set_draining(True, sender=NODE)
    world.register("stranger", 10**6)
    world.revise(trio, ["stranger"], dropped=trio.holding_ids[:1])
    beat(world, ("node-1", "node-2", "node-3"))
    assert world.challenges.file_health(trio.file_id) == (GREEN, 0)


def test_missing_lost_and_expired_holdings_are_unsound(world: World, trio: Held) -> None:
    world.revise(trio, dropped=trio.holding_ids[:1])
    assert world.challenges.file_health(trio.file_id) == (YELLOW, 1)
    world.view_at(world.now() + (RULES.lost_slots + 1) * SLOT)
    assert world.challenges.file_health(trio.file_id) == (RED, 3)
    beat(world, ("node-1", "node-2", "node-3"))
    world.revise(trio, ["node-1", "node-3"], expires_at=trio.expires_at + DAY)
    world.view_at(trio.expires_at - SLOT)
    beat(world, ("node-1", "node-2", "node-3"))
    world.view_at(trio.expires_at)
    assert world.challenges.file_health(trio.file_id) == (GREEN, 0)
    world.chain.mine()
    assert world.challenges.file_health(trio.file_id) == (YELLOW, 1)  # node-2's holding was not renewed


def test_a_file_without_holdings_is_red(world: World, trio: Held) -> None:
    world.files.delete_file(trio.file_id, sender=trio.owner)
    assert world.challenges.file_health(trio.file_id) == (RED, 3)


def test_what_is_unknown_is_named(world: World) -> None:
    with refused(UnknownNode, STRANGER.address):
        world.challenges.health_of(STRANGER.address)
    with refused(UnknownFile, NOTHING):
        world.challenges.file_health(NOTHING)


# --- rules ---


def test_the_rules_of_health_are_told(world: World) -> None:
    assert world.challenges.health_rules() == HealthRules(RULES.lost_slots, RULES.lost_misses)


@pytest.mark.parametrize("bad", [{"lost_slots": 0}, {"lost_misses": 0}])
def test_rules_of_health_out_of_range_are_refused(world: World, bad: dict[str, int]) -> None:
    rules = replace(RULES, **bad)
    with refused(InvalidHealthRules, rules.lost_slots, rules.lost_misses):
        deploy(world.chain, DEVELOPER, rules)
