"""Placement: never two shards of a stripe on one node, within everybody's room, and found whenever there is one."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.chain.bindings.types import Level
from dtxeth.errors import NotEnoughNodesError
from dtxeth.storage.coding import Layout, Redundancy
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.placement import Candidate, Shard, place, replace

RESERVE = 5000


def layout_of(needed: int, total: int, stripes: int) -> Layout:
    """The last stripe's shards are one byte short, unless it is the only one."""
    return Layout(Redundancy(needed, total), stripes * needed * SLICE_SIZE - needed * (stripes > 1))


def with_rooms(rooms: list[int]) -> list[Candidate]:
    """Nodes with room for so many shards each, and not a byte for another one."""
    return [
        Candidate(f"node{number}", RESERVE + (room + 1) * SLICE_SIZE - 1) for number, room in enumerate(rooms)
    ]


def check(placed: dict[str, list[Shard]], candidates: list[Candidate], layout: Layout) -> None:
    free = {candidate.address: candidate.free for candidate in candidates}
    for node, shards in placed.items():
        stripes = [stripe for stripe, _ in shards]
        assert len(set(stripes)) == len(stripes)
        assert not any(map(layout.is_short, stripes[:-1]))
        assert len(shards) * SLICE_SIZE + RESERVE <= free[node]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 12),
    st.lists(st.integers(0, 14), min_size=1, max_size=9),
)
def test_complete_within_room_and_found_if_there_is_one(
    needed: int, more: int, stripes: int, rooms: list[int]
) -> None:
    layout, candidates = layout_of(needed, needed + more, stripes), with_rooms(rooms)
    total = needed + more
    # Gale and Ryser's condition, for stripes of equal width:
    possible = sum(min(room, stripes) for room in rooms) >= stripes * total
    try:
        placed = place(layout, candidates, RESERVE)
    except NotEnoughNodesError:
        assert not possible
        return
    assert possible
    check(placed, candidates, layout)
    every = sorted(shard for shards in placed.values() for shard in shards)
    assert every == sorted(product(range(stripes), range(total)))
    if sum(room >= stripes for room in rooms) == len(rooms):
        assert len(placed) == total


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_replacements_are_as_many_as_can_be(data: st.DataObject) -> None:
    stripes, nodes = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    layout = layout_of(1, 6, stripes)
    held = {f"node{number}": set(data.draw(st.sets(st.integers(0, stripes - 1)))) for number in range(nodes)}
    candidates = with_rooms(data.draw(st.lists(st.integers(0, 4), min_size=nodes, max_size=nodes)))
    missing = data.draw(
        st.lists(st.tuples(st.integers(0, stripes - 1), st.integers(0, 5)), unique=True, max_size=8)
    )
    placed, unplaced = replace(layout, held, missing, candidates, RESERVE)
    check(placed, candidates, layout)
    assert sorted([shard for shards in placed.values() for shard in shards] + unplaced) == sorted(missing)
    assert all(stripe not in held[node] for node, shards in placed.items() for stripe, _ in shards)
    # What a flow can carry is what its narrowest cut lets through (Ford and Fulkerson): try all cuts.
    demand = Counter(stripe for stripe, _ in missing)
    room = {candidate.address: (candidate.free - RESERVE) // SLICE_SIZE for candidate in candidates}
    narrowest = min(
        sum(room[node] for node, on in zip(held, inside, strict=True) if on)
        + sum(
            min(
                wanted,
                sum(stripe not in held[node] for node, on in zip(held, inside, strict=True) if not on),
            )
            for stripe, wanted in demand.items()
        )
        for inside in product([True, False], repeat=nodes)
    )
    assert len(missing) - len(unplaced) == narrowest


@pytest.mark.parametrize(
    "unfit",
    [{"level": Level.RED}, {"lost": True}, {"online": False}, {"draining": True}, {"free": 0}, {"score": 0}],
)
def test_unfit_nodes_get_nothing(unfit: dict[str, object]) -> None:
    fine = [Candidate(f"node{number}", 1 << 40) for number in range(3)]
    bad = Candidate("bad", **({"free": 1 << 50} | unfit))
    for _ in range(20):
        assert "bad" not in place(layout_of(2, 3, 4), [bad, *fine], RESERVE)
        assert "bad" not in replace(layout_of(2, 3, 4), {}, [(0, 0)], [bad, *fine], RESERVE)[0]
    with pytest.raises(NotEnoughNodesError, match=r"2 usable storage nodes.*3 are needed for 2 of 3"):
        place(layout_of(2, 3, 4), [bad, *fine[:2]], RESERVE)


def test_files_spread_by_room_health_and_record() -> None:
    """800 files onto 8 nodes: alike, each gets 300 of the 2400 shards, give or take 6 standard deviations of 14."""
    alike = [Candidate(f"node{number}", 1 << 40) for number in range(8)]
    counts = Counter(node for _ in range(800) for node in place(layout_of(2, 3, 1), alike, RESERVE))
    assert all(216 < counts[one.address] < 384 for one in alike)
    unlike = [
        Candidate("good", 1 << 40),
        Candidate("small", 1 << 38),
        Candidate("ill", 1 << 40, Level.YELLOW, 6000),
        Candidate("caught", 1 << 40, strikes=2),
    ]
    counts = Counter(node for _ in range(800) for node in place(layout_of(1, 1, 1), unlike, RESERVE))
    assert counts["good"] > counts["ill"] > counts["caught"] > 0
    assert counts["good"] > 2 * counts["small"] > 0


def test_every_node_gets_slices_and_parity() -> None:
    placed = place(layout_of(4, 6, 60), with_rooms([60] * 6), RESERVE)
    for shards in placed.values():
        assert Counter(number for _, number in shards) == dict.fromkeys(range(6), 10)
        assert [stripe for stripe, _ in shards] != sorted(stripe for stripe, _ in shards)
