"""Inboxes: every event is looked at until it is done with, in the chain's order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dtxeth.chain import Account, Contracts, EventIndex
from dtxeth.chain.bindings.events import KeyPublished
from dtxeth.errors import ChainUnavailableError, PolicyError
from dtxeth.roles.inbox import Inbox, Outcome


@pytest.fixture
def publish(contracts: Contracts, accounts: list[Account]) -> Callable[[int, int], None]:
    """Makes one event: account ``number`` publishes a key that is named by a letter's code."""

    def send(number: int, letter: int) -> None:
        contracts.key_registry.publish(bytes([letter]) * 32, sender=accounts[number])

    return send


@pytest.fixture
def index(contracts: Contracts) -> EventIndex:
    return EventIndex(contracts)


def inbox_of(index: EventIndex, account: Account) -> Inbox[KeyPublished]:
    return Inbox(index, KeyPublished, account=account.address)


def test_events_stay_until_they_are_done_with(
    index: EventIndex, accounts: list[Account], publish: Callable[[int, int], None]
) -> None:
    inbox, seen = inbox_of(index, accounts[0]), bytearray()
    outcomes = {ord("a"): Outcome.WAITING, ord("b"): Outcome.MOVED}

    def handle(event: KeyPublished) -> Outcome:
        seen.append(event.key[0])
        return outcomes[event.key[0]]

    assert not inbox.work(handle)
    publish(0, ord("a"))
    publish(1, ord("x"))
    publish(0, ord("b"))
    assert not inbox.work(handle), "the index has not seen them yet"
    index.sync()
    assert inbox.work(handle)
    outcomes[ord("b")] = Outcome.DONE
    assert not inbox.work(handle)
    assert not inbox.work(handle)
    publish(0, ord("a"))
    index.sync()
    assert not inbox.work(handle)
    assert seen == b"ababaaa"


def test_what_cannot_be_dealt_with_stays_and_stops_nothing(
    index: EventIndex, accounts: list[Account], publish: Callable[[int, int], None]
) -> None:
    inbox, seen = inbox_of(index, accounts[0]), bytearray()
    publish(0, ord("a"))
    publish(0, ord("b"))
    index.sync()

    def handle(event: KeyPublished) -> Outcome:
        seen.append(event.key[0])
        if event.key[0] == ord("a"):
            raise PolicyError("somebody broke a rule")
        return Outcome.DONE

    assert not inbox.work(handle)
    assert not inbox.work(handle)
    assert seen == b"aba"


def test_a_lost_chain_is_not_passed_over(
    index: EventIndex, accounts: list[Account], publish: Callable[[int, int], None]
) -> None:
    inbox = inbox_of(index, accounts[0])
    publish(0, ord("a"))
    index.sync()

    def handle(_: KeyPublished) -> Outcome:
        raise ChainUnavailableError("no chain answers")

    with pytest.raises(ChainUnavailableError):
        inbox.work(handle)


def test_the_most_urgent_comes_first_and_several_at_once(
    index: EventIndex, accounts: list[Account], publish: Callable[[int, int], None]
) -> None:
    inbox, seen, together = inbox_of(index, accounts[0]), bytearray(), threading.Barrier(3, timeout=10)
    for letter in b"cab":
        publish(0, letter)
    index.sync()

    def note(event: KeyPublished) -> Outcome:
        seen.append(event.key[0])
        return Outcome.WAITING

    def meet(_: KeyPublished) -> Outcome:
        together.wait()
        return Outcome.DONE

    inbox.work(note, lambda event: event.key[0])
    assert seen == b"abc"
    with ThreadPoolExecutor(3) as pool:
        inbox.work(meet, pool=pool)
    assert inbox.open == ()


def test_what_a_reorganisation_took_is_forgotten_and_what_it_brought_is_seen(
    contracts: Contracts, index: EventIndex, accounts: list[Account], publish: Callable[[int, int], None]
) -> None:
    inbox, seen = inbox_of(index, accounts[0]), bytearray()

    def handle(event: KeyPublished) -> Outcome:
        seen.append(event.key[0])
        return Outcome.WAITING

    publish(0, ord("a"))
    mark = contracts.chain.snapshot()
    publish(0, ord("b"))
    contracts.chain.mine(2)
    index.sync()
    inbox.work(handle)
    contracts.chain.rollback(mark)
    publish(0, ord("c"))  # in the very block that had b
    index.sync()
    inbox.work(handle)
    contracts.chain.mine(1)
    index.sync()
    inbox.work(handle)
    assert seen == b"abacac"
    assert [chr(event.key[0]) for event in inbox.open] == ["a", "c"]
