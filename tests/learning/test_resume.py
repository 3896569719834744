"""A party dies at any message; all start again from their journals and end the same, bit for bit."""

from __future__ import annotations

import functools
import pickle
from dataclasses import replace

import msgpack
import numpy as np
import pytest

from dtxeth.crypto import encryptor
from dtxeth.crypto.fixedbase import FixedBase
from dtxeth.errors import TaskError
from dtxeth.learning import Policy, Training
from dtxeth.learning.journal import Checkpoints, MemoryJournal, Promises, Section, task_secret
from dtxeth.learning.settings import Evaluation, Live
from dtxeth.transport import Channel, memory_channels
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, run_parties, small_key_spec, train_all

TABLES = made_up_tables(logistic=True, common=40, own=3, features=3)
POLICIES = dict.fromkeys(TABLES, Policy(min_rows=10, max_leverage=1.0))
SPEC = small_key_spec(
    algorithm="logistic-vl",
    sigmoid="trigonometric",
    sigmoid_terms=1,
    max_rounds=3,
    checkpoint_every=2,
    live=Live(every=3),
)
EVALUATED = SPEC.model_copy(update={"evaluation": Evaluation(method="split"), "live": None, "max_rounds": 2})


class CrashError(Exception):
    pass


class Mortal:
    """A link that keeps what is sent, and dies instead of sending message ``last``."""

    def __init__(self, channel: Channel, last: int | None = None) -> None:
        self._link, channel._link = channel._link, self
        self._last = last
        self.sent: list[tuple[str, bytes]] = []

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        _, tag, payload = msgpack.unpackb(frame)
        if len(self.sent) == self._last and tag != "!abort":
            raise CrashError
        self.sent.append((tag, payload))
        self._link.put(peer, frame, timeout)

    def get(self, peer: str, timeout: float) -> bytes:
        return self._link.get(peer, timeout)

    def close(self) -> None:
        self._link.close()


def run(journals: dict[str, MemoryJournal], dies: str = "", at: int | None = None, tables=TABLES, spec=SPEC):
    channels = memory_channels(tables, timeout=30)
    links = {name: Mortal(channels[name], at if name == dies else None) for name in tables}
    outcome = train_all(tables, spec, POLICIES, channels, journals=journals)
    return outcome, {name: link.sent for name, link in links.items()}


def fresh() -> dict[str, MemoryJournal]:
    journals = {name: MemoryJournal() for name in TABLES}
    for name, journal in journals.items():
        journal.save("secret", name[0].encode() * 32)
    return journals


def same(first: dict[str, Training], second: dict[str, Training]) -> None:
    for name, training in first.items():
        assert second[name].part.to_bytes() == training.part.to_bytes()
        assert second[name].result == training.result
        assert second[name].evaluation == training.evaluation
        assert second[name].ids == training.ids


WHOLE, SENT = run(fresh())


@pytest.fixture(autouse=True)
def tables_of_powers_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All runs here have the same bases; their tables take most of the time."""
    build = functools.cache(FixedBase)
    monkeypatch.setattr(
        encryptor, "FixedBase", lambda base, root, bits, more=(): build(base, root, bits, tuple(more))
    )


def test_a_party_dies_at_any_message_and_all_end_the_same() -> None:
    assert len(SENT[ACTIVE]) == len(SENT[PASSIVE]) + 2 > 25
    resumed = set()
    for at in range(len(SENT[ACTIVE])):
        dies = PASSIVE if at % 2 and at < len(SENT[PASSIVE]) else ACTIVE
        journals = fresh()
        outcome, _ = run(journals, dies, at)
        assert isinstance(outcome[dies], CrashError)
        outcome, sent = run(pickle.loads(pickle.dumps(journals)))
        same(WHOLE, outcome)
        resumed.add(outcome[ACTIVE].report["resumed_from_round"])
        for name in TABLES:
            assert set(sent[name]) <= set(SENT[name]) | {m for m in sent[name] if m[0] == "progressed"}
    assert resumed == {0, 2, 3}


def test_a_party_dies_in_the_middle_of_an_evaluation_model() -> None:
    whole, sent = run(fresh(), spec=EVALUATED)
    last = len(sent[PASSIVE])
    for at in (last - 12, last - 2):
        journals = fresh()
        assert isinstance(run(journals, PASSIVE, at, spec=EVALUATED)[0][PASSIVE], CrashError)
        outcome, again = run(journals, spec=EVALUATED)
        same(whole, outcome)
        assert len(again[PASSIVE]) < last - 8


def test_a_party_that_lost_everything_is_caught_up_with() -> None:
    """One party's checkpoints are gone, not its secret: all begin again."""
    journals = fresh()
    run(journals, PASSIVE, 24)
    journals[PASSIVE] = fresh()[PASSIVE]
    outcome, _ = run(journals)
    same(WHOLE, outcome)
    assert outcome[ACTIVE].report["resumed_from_round"] == 0


def test_a_peer_with_another_secret_gets_no_second_encryption_under_one_randomness() -> None:
    journals = fresh()
    run(journals, ACTIVE, len(SENT[ACTIVE]) - 1)
    journals[PASSIVE] = MemoryJournal()
    outcome, sent = run(journals)
    assert "sent another 'masked ids' than before a crash" in str(outcome[ACTIVE])
    assert not any("chain" in tag for tag, _ in sent[ACTIVE])


def test_other_data_is_not_encrypted_under_the_same_randomness() -> None:
    journals = fresh()
    run(journals, ACTIVE, len(SENT[ACTIVE]) - 1)
    alice = TABLES[ACTIVE]
    changed = TABLES | {ACTIVE: replace(alice, values=alice.values + np.eye(len(alice), 3))}
    for journal in journals.values():
        for name in [name for name in journal.entries if "checkpoint" in name]:
            del journal.entries[name]
    outcome, _ = run(journals, tables=changed)
    with pytest.raises(TaskError, match="round 0 is not what it was before the interruption"):
        raise outcome[ACTIVE]


def test_promises_outlive_the_process_and_hold_for_every_round() -> None:
    journal = MemoryJournal()
    for number in (0, 1, 64, 200):
        Promises(journal).keep(number, bytes([number]) * 32)
    again = Promises(journal)
    for number in (200, 0, 64, 1):
        again.keep(number, bytes([number]) * 32)
        with pytest.raises(TaskError, match=f"round {number} is not what it was"):
            again.keep(number, bytes(32 * [255]))


def test_the_two_newest_checkpoints_are_kept() -> None:
    def rejoin(*rounds: list[int]) -> list[tuple[int, object]]:
        channels = memory_channels("ab", timeout=10)

        def program(name: str, saved: list[int]) -> tuple[int, object]:
            checkpoints = Checkpoints(MemoryJournal(), 10)
            for number in saved:
                checkpoints.save(number, {"number": number})
            return checkpoints.rejoin(channels[name])

        outcome = run_parties(
            {name: lambda n=name, s=saved: program(n, s) for name, saved in zip("ab", rounds, strict=True)}
        )
        return list(outcome.values())

    assert rejoin([], []) == [(0, None), (0, None)]
    assert rejoin([10, 20, 30], [10, 20]) == [(20, {"number": 20})] * 2
    assert rejoin([10, 20], []) == [(0, None)] * 2
    behind, far = rejoin([10], [10, 20, 30])
    assert behind == (10, {"number": 10})
    with pytest.raises(
        TaskError, match="can go on from round 10 at most, here are checkpoints of rounds 20, 30"
    ):
        raise far


def test_sections_do_not_meet_and_the_secret_stays() -> None:
    journal = MemoryJournal()
    one, two = Section(journal, "fold 1"), Section(journal, "fold 2")
    one.save("checkpoint", b"1")
    assert (one.load("checkpoint"), two.load("checkpoint")) == (b"1", None)
    assert task_secret(journal) == task_secret(journal)
    assert len(task_secret(journal)) == 32
    assert task_secret(journal) != task_secret(MemoryJournal())
