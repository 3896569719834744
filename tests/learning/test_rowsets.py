from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import DataError
from dtxeth.learning.rowsets import CAPACITY, LEAST_DIFFERENCE, SKETCH_BYTES, difference, sketch

KEY, OTHER = b"k" * 32, b"o" * 32
IDS = [f"row {i}" for i in range(700)]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text(max_size=8), max_size=40), st.sets(st.text(max_size=8), max_size=40))
def test_the_difference_is_counted(first: set[str], second: set[str]) -> None:
    assert difference(sketch(KEY, first), sketch(KEY, second)) == len(first ^ second)


@pytest.mark.parametrize("count", [0, 1, LEAST_DIFFERENCE - 1, LEAST_DIFFERENCE, CAPACITY, CAPACITY + 1, 700])
@pytest.mark.parametrize("added", [0, 100])
def test_up_to_the_capacity_exactly_and_never_less_beyond(count: int, added: int) -> None:
    kept = [*IDS[count:], *(f"new {i}" for i in range(added))]
    assert difference(sketch(KEY, IDS), sketch(KEY, kept)) == min(count + added, CAPACITY)


def test_order_does_not_matter_and_size_does_not_show() -> None:
    assert sketch(KEY, IDS) == sketch(KEY, reversed(IDS))
    assert len(sketch(KEY, [])) == len(sketch(KEY, IDS)) == SKETCH_BYTES


def test_under_two_keys_nothing_compares() -> None:
    assert difference(sketch(KEY, IDS), sketch(OTHER, IDS)) == CAPACITY


@pytest.mark.parametrize("bad", [b"", bytes(SKETCH_BYTES - 1), b"\xff" * SKETCH_BYTES])
def test_what_is_no_sketch_is_refused(bad: bytes) -> None:
    for pair in ((bad, sketch(KEY, IDS)), (sketch(KEY, IDS), bad)):
        with pytest.raises(DataError, match=f"{len(bad)} bytes are no sketch"):
            difference(*pair)
