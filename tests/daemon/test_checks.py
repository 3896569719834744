"""A daemon does not begin where its clock, or all of its peers, are of another mind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dtxeth.daemon.checks import LAG_PATIENCE, MAX_AHEAD, MAX_LAG, check_clock, check_versions
from dtxeth.errors import ChainError, VersionError
from dtxeth.storage import NodeStatus

NOW = 1_800_000_000


class FakeChain:
    chain_id = 31337

    def __init__(self, *times: int) -> None:
        self._blocks = [{"number": hex(number), "timestamp": hex(time)} for number, time in enumerate(times)]
        self._next: Iterator[dict[str, str]] = iter(self._blocks)

    def block(self, number: str) -> Any:
        return next(self._next, self._blocks[-1])


def check(*times: int) -> float:
    """Run the check at NOW; returns how long it rested."""
    rested = 0.0

    def pause(seconds: float) -> None:
        nonlocal rested
        rested += seconds

    check_clock(FakeChain(*times), lambda: NOW + rested, pause)  # type: ignore[arg-type]
    return rested


def test_a_chain_on_good_terms_with_the_clock() -> None:
    for head in (NOW, NOW + MAX_AHEAD, NOW - MAX_LAG):
        assert check(head) == 0


def test_a_head_that_is_ahead() -> None:
    with pytest.raises(
        ChainError, match=r"head of chain 31337 is 61 s ahead of this machine's clock: set the clock"
    ):
        check(NOW + MAX_AHEAD + 1)


def test_a_chain_that_ticks_and_lags() -> None:
    with pytest.raises(ChainError, match=r"makes blocks that lag \d+ s behind this machine's clock"):
        check(NOW - 3600, NOW - 3599)


def test_a_chain_that_makes_blocks_only_now_and_then() -> None:
    assert check(NOW - 3600) >= LAG_PATIENCE  # it may be all right: nobody has used it
    assert check(NOW - 3600, NOW) < LAG_PATIENCE


class Peer:
    def __init__(self, answer: NodeStatus | Exception) -> None:
        self._answer = answer

    def status(self) -> NodeStatus:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_one_node_of_another_version_is_its_own_trouble_but_all_are_ours() -> None:
    other, gone, same = VersionError("speaks version 2"), ConnectionError("gone"), NodeStatus(1, 0)
    check_versions([])
    check_versions([Peer(gone)])  # type: ignore[list-item]
    check_versions([Peer(other), Peer(same)])  # type: ignore[list-item]
    with pytest.raises(VersionError, match="speaks version 2"):
        check_versions([Peer(gone), Peer(other)])  # type: ignore[list-item]
