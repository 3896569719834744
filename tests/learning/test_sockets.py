"""The same secrets make the same model, bit for bit, whatever carries the messages and however often that breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dtxeth.errors import PeerRestarted, TaskError
from dtxeth.learning import Policy, Training, train
from dtxeth.learning.journal import MemoryJournal
from dtxeth.transport import Channel
from tests.learning.parties import (
    ACTIVE,
    PASSIVE,
    context_of,
    made_up_tables,
    run_parties,
    small_key_spec,
    train_all,
)
from tests.transport.doors import Doors

TABLES = made_up_tables(logistic=True, common=40, own=3, features=3)
POLICY = Policy(min_rows=10, max_leverage=1.0)
SPEC = small_key_spec(algorithm="logistic-vl", max_rounds=4, checkpoint_every=2)
SECRETS = {name: name[0].encode() * 32 for name in TABLES}


@pytest.fixture(scope="module")
def in_memory() -> dict[str, Training]:
    return train_all(TABLES, SPEC, dict.fromkeys(TABLES, POLICY), secrets=SECRETS)


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors(*TABLES) as doors:
        yield doors


class Disturbed:
    """A link at which something happens before each of some frames is sent."""

    def __init__(self, channel: Channel, happens: dict[int, Callable[[], None]]) -> None:
        self._link, channel._link = channel._link, self
        self._happens = happens
        self.frames = 0

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        self._happens.pop(self.frames, lambda: None)()
        self.frames += 1
        self._link.put(peer, frame, timeout)

    def get(self, peer: str, timeout: float) -> bytes:
        return self._link.get(peer, timeout)

    def close(self) -> None:
        self._link.close()


def train_over_sockets(
    doors: Doors, happens: dict[int, Callable[[], None]], secrets: dict[str, bytes] = SECRETS
) -> dict[str, Training]:
    """Train as executors do: who died starts again from its journal, and so does who hears of it."""
    journals = {name: MemoryJournal() for name in TABLES}

    def party(name: str) -> Training:
        while True:
            channel = doors.open(name)
            if name == PASSIVE:
                Disturbed(channel, happens)
            try:
                training = train(
                    channel,
                    ACTIVE,
                    TABLES[name],
                    SPEC,
                    POLICY,
                    context_of(TABLES),
                    secret=secrets[name],
                    journal=journals[name],
                )
            except PeerRestarted:
                continue
            except TaskError:
                if name != PASSIVE:
                    raise
                doors.revive(name)
            else:
                channel.close()
                return training

    return run_parties({name: lambda name=name: party(name) for name in TABLES})


def same(first: dict[str, Training], second: dict[str, Training]) -> bool:
    return all(
        first[name].part.to_bytes() == second[name].part.to_bytes()
        and first[name].result == second[name].result
        for name in TABLES
    )


def test_sockets_make_the_model_of_memory(doors: Doors, in_memory: dict[str, Training]) -> None:
    assert same(train_over_sockets(doors, {}), in_memory)


def test_other_secrets_make_another(doors: Doors, in_memory: dict[str, Training]) -> None:
    others = SECRETS | {PASSIVE: bytes(32)}
    assert not same(train_over_sockets(doors, {}, others), in_memory)


def test_broken_links_make_the_model_of_memory(doors: Doors, in_memory: dict[str, Training]) -> None:
    broken = []

    def cut() -> None:
        for name in TABLES:  # each breaks the streams that come in
            doors[name].rotate(doors.identities[name])
        broken.append(PASSIVE)

    assert same(train_over_sockets(doors, dict.fromkeys((3, 9, 14, 18), cut)), in_memory)
    assert len(broken) == 4


def test_a_crash_makes_the_model_of_memory(doors: Doors, in_memory: dict[str, Training]) -> None:
    trainings = train_over_sockets(doors, {18: lambda: doors.kill(PASSIVE)})
    assert {training.report["resumed_from_round"] for training in trainings.values()} == {2}
    assert same(trainings, in_memory)
