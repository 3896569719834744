"""Lists: the same from the index whenever it was built, and the same as from the contracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtxeth.chain import Account, Contracts, EventIndex, rows
from dtxeth.chain.rows import FileRow, NodeRow, Row
from dtxeth.errors import InputError
from tests.chain.brute_force import check_lists
from tests.chain.history import MOVES, STORY, History

KINDS = Row.__subclasses__()
START = (("publish", 0, 1), ("publish", 1, 2), ("propose", 0, 1), ("challenge", 0, 0), ("revise", 1, 3))

Moves = list[tuple[str, int, int]]
moves = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 9), st.integers(0, 9)), max_size=25)


def everything(index: EventIndex) -> dict[str, tuple[Row, ...]]:
    return {kind.view: index.page(kind).rows for kind in KINDS}


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=moves, dropped=moves, second=moves)
def test_any_history_gives_what_the_contracts_say(
    contracts: Contracts, accounts: list[Account], first: Moves, dropped: Moves, second: Moves
) -> None:
    """Followed move by move through a re-organisation, or built from nothing: the same, and the truth."""
    chain = contracts.chain
    mark = chain.snapshot()
    followed = EventIndex(contracts)
    history = History(contracts, accounts)
    for move in (*START, *first):
        history.do(*move)
        followed.sync()
    check_lists(history, followed)
    fork, known = chain.snapshot(), vars(history).copy()
    known |= {name: list(value) for name, value in known.items() if isinstance(value, list)}
    for move in dropped:
        history.do(*move)
        followed.sync()
    chain.rollback(fork)
    vars(history).update(known)
    for move in second:
        history.do(*move)
    followed.sync()
    check_lists(history, followed)
    rebuilt = EventIndex(contracts)
    rebuilt.sync()
    assert everything(rebuilt) == everything(followed)
    chain.rollback(mark)


@pytest.fixture(scope="module")
def told(local_network: Any, accounts: list[Account]) -> Iterator[tuple[History, EventIndex]]:
    """A history in which a bit of everything has happened."""
    contracts = local_network.contracts
    mark = contracts.chain.snapshot()
    history, index = History(contracts, accounts), EventIndex(contracts)
    for move in STORY:
        history.do(*move)
    index.sync()
    yield history, index
    contracts.chain.rollback(mark)


@pytest.fixture
def index(told: tuple[History, EventIndex]) -> EventIndex:
    return told[1]


def test_a_bit_of_everything_has_happened(told: tuple[History, EventIndex]) -> None:
    check_lists(*told)
    assert min(len(listed) for listed in everything(told[1]).values()) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_filters_pick_the_rows_that_have_the_value(index: EventIndex, kind: type[Row]) -> None:
    listed = index.page(kind).rows
    for name in set(kind.filters) & set(kind.columns()):
        values = Counter(getattr(row, name) for row in listed)
        for value, count in values.items():
            if value is not None:
                picked = index.page(kind, **{name: value})
                assert picked.rows == tuple(row for row in listed if getattr(row, name) == value)
                assert picked.total == count


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_half_open_ranges(index: EventIndex, kind: type[Row]) -> None:
    listed = index.page(kind).rows
    for name in (name.removesuffix("_since") for name in kind.filters if name.endswith("_since")):
        times = sorted(time for row in listed if (time := getattr(row, f"{name}_at")) is not None)
        for time in times[:: max(len(times) // 2, 1)]:
            since = index.page(kind, **{f"{name}_since": time})
            before = index.page(kind, **{f"{name}_before": datetime.fromtimestamp(time, UTC)})
            assert sorted(getattr(row, f"{name}_at") for row in since) == [t for t in times if t >= time]
            assert sorted(getattr(row, f"{name}_at") for row in before) == [t for t in times if t < time]


def test_filters_of_other_tables(index: EventIndex) -> None:
    files, holdings = index.page(FileRow), index.page(rows.HoldingRow, state="live")
    for node in index.page(NodeRow, role="storage"):
        kept = {held.file for held in holdings if held.node == node.address}
        assert {row.file for row in index.page(FileRow, node=node.address)} == kept
        moved = [row for row in index.page(rows.MigrationRow) if node.address in row.left + row.joined]
        assert list(index.page(rows.MigrationRow, node=node.address)) == moved
    for level in ("green", "yellow", "red"):
        healthy = {row.file for row in index.page(rows.FileHealthRow, level=level)}
        assert [row.file for row in index.page(FileRow, level=level)] == [
            row.file for row in files if row.file in healthy
        ]
    for executor in index.page(NodeRow, role="executor"):
        invited = [row for row in index.page(rows.TaskRow) if executor.address in row.executors]
        assert list(index.page(rows.TaskRow, executor=executor.address)) == invited


@pytest.mark.parametrize("kind", KINDS)
def test_pages_add_up_to_the_list(index: EventIndex, kind: type[Row]) -> None:
    listed = index.page(kind).rows
    for newest, expected in ((False, listed), (True, listed[::-1])):
        found: list[Row] = []
        offset: int | None = 0
        while offset is not None:
            page = index.page(kind, limit=2, offset=offset, newest=newest)
            assert page.total == len(listed)
            found += page
            offset = page.next
        assert tuple(found) == expected
    assert len(index.page(kind, limit=0)) == 0
    assert index.page(kind, offset=len(listed)).next is None


def test_a_page_knows_its_length_and_rows(index: EventIndex) -> None:
    page = index.page(NodeRow, limit=3)
    assert (len(page), page.total, page.next) == (3, 6, 3)
    assert page[0] == next(iter(page)) == page.rows[0]


@pytest.mark.parametrize(
    ("filters", "wrong"),
    [
        ({"colour": "red"}, "files cannot be filtered by 'colour'; filter by file, prefix, owner, namespace"),
        ({"status": "gone"}, "status of files cannot be 'gone': give one of live, retained, lapsed"),
        ({"owner": "hospital"}, "owner of files cannot be 'hospital': give an address"),
        ({"owner": "' OR 1=1 --"}, "give an address"),
        ({"owner; DROP TABLE logs": 1}, "files cannot be filtered by 'owner; DROP TABLE logs'"),
        ({"file": "ab"}, "give an id of 32 bytes"),
        ({"file": "zz" * 32}, "give an id of 32 bytes"),
        ({"file": None}, "give an id of 32 bytes"),
        ({"expired": 1}, "give true or false"),
        ({"namespace": "\ud800"}, "give a text"),
        ({"published_since": -1}, "give seconds"),
        ({"published_since": datetime(2026, 1, 1)}, "with a time zone"),
        ({"limit": -1}, "the limit of a list cannot be -1"),
        ({"offset": 1 << 63}, "the offset of a list cannot be"),
    ],
)
def test_wrong_filters_are_refused(index: EventIndex, filters: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        index.page(FileRow, **filters)
    assert wrong in str(caught.value)


def test_quotes_are_only_text(index: EventIndex) -> None:
    assert index.page(FileRow, namespace="' OR '1'='1").total == 0
    assert index.page(FileRow, namespace="space 1").total > 0


def test_addresses_of_any_case_ids_of_any_form_and_huge_numbers(index: EventIndex) -> None:
    file = index.page(FileRow)[0]
    assert file in index.page(FileRow, owner=file.owner.lower()).rows
    assert index.page(FileRow, file=file.file.hex()).rows == (file,)
    assert index.page(FileRow, file=f"0x{file.file.hex()}").rows == (file,)
    assert index.page(rows.AuthorizationRow, task=(1 << 256) - 1).total in (0, 1)
