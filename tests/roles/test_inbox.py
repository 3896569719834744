"""Inboxes: every event is looked at until it is done with, in the chain's order."""

from __future__ import annotations

from typing import Any

import pytest

from dtxeth.errors import ChainUnavailableError, PolicyError
from dtxeth.roles.inbox import Inbox, Outcome


class Index:
    """Stands in for the event index."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def events(self, event: type[Any], **filters: Any) -> list[str]:
        assert filters == {"node": "me"}
        return list(self.found)


def test_events_stay_until_they_are_done_with() -> None:
    index, seen = Index(), []
    inbox: Inbox[Any] = Inbox(index, str, node="me")  # type: ignore[arg-type]
    outcomes = {"a": Outcome.WAITING, "b": Outcome.MOVED}

    def handle(event: str) -> Outcome:
        seen.append(event)
        return outcomes[event]

    assert not inbox.work(handle)
    index.found = ["a", "b"]
    assert inbox.work(handle)
    outcomes["b"] = Outcome.DONE
    assert not inbox.work(handle)
    assert not inbox.work(handle)
    assert seen == ["a", "b", "a", "b", "a"]


def test_what_cannot_be_dealt_with_stays_and_stops_nothing() -> None:
    index, seen = Index(), []
    index.found = ["a", "b"]
    inbox: Inbox[Any] = Inbox(index, str, node="me")  # type: ignore[arg-type]

    def handle(event: str) -> Outcome:
        seen.append(event)
        if event == "a":
            raise PolicyError("somebody broke a rule")
        return Outcome.DONE

    assert not inbox.work(handle)
    assert not inbox.work(handle)
    assert seen == ["a", "b", "a"]


def test_a_lost_chain_is_not_passed_over() -> None:
    index = Index()
    index.found = ["a"]
    inbox: Inbox[Any] = Inbox(index, str, node="me")  # type: ignore[arg-type]

    def handle(_: str) -> Outcome:
        raise ChainUnavailableError("no chain answers")

    with pytest.raises(ChainUnavailableError):
        inbox.work(handle)
