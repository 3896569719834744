"""Sessions over streams that drop, repeat and break: whatever happens, frames arrive once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import PeerError, PeerRestarted
from dtxeth.transport import session as session_module
from dtxeth.transport.session import Conflict, Inbox, Outbox, Session

FRAMES = st.lists(st.binary(max_size=40), max_size=12)


@settings(max_examples=60, deadline=None)
@given(FRAMES, st.data())
def test_frames_arrive_once_and_in_order(frames: list[bytes], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "PACKET", 7)
        outbox, inbox, got = Outbox(), Inbox(), []
        unsent, sent = list(frames), 0
        while unsent or outbox:
            match data.draw(
                st.sampled_from(["put", "send", "send", "acknowledge", "break", "repeat", "read"])
            ):
                case "put" if unsent:
                    outbox.add(unsent.pop(0))
                case "send" if sent < outbox.end:
                    inbox.take(outbox.packet(sent))
                    sent += 1
                case "acknowledge" | "break" as what:
                    outbox.acknowledge(inbox.expected)
                    sent = inbox.expected if what == "break" else max(sent, inbox.expected)
                case "repeat" if outbox and outbox._first < inbox.expected:
                    inbox.take(outbox.packet(outbox._first))
                case "read" if inbox:
                    got.append(inbox.pop())
                case _ if sent < outbox.end:
                    inbox.take(outbox.packet(sent))
                    sent += 1
        while inbox:
            got.append(inbox.pop())
        assert got == frames


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "malformed packet of 0 bytes"),
        (bytes(8), "malformed packet of 8 bytes"),
        (bytes(8) + b"\2x", "malformed packet of 10 bytes"),
        (bytes(9 + session_module.PACKET + 1), "malformed packet"),
        (bytes(7) + b"\1\1x", "skipped to packet 1 where number 0 was due"),
    ],
)
def test_bad_packets_are_refused(packet: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Inbox().take(packet)


def test_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_FRAME", 10)
    inbox = Inbox()
    inbox.take(bytes(8) + b"\0" + bytes(10))
    with pytest.raises(ValueError, match="sent a frame of more than 10 bytes"):
        inbox.take(bytes(7) + b"\1\0" + b"x")


@pytest.mark.parametrize("end", [0, 3])
def test_acknowledgements_are_checked(end: int) -> None:
    outbox = Outbox()
    outbox.add(b"a")
    outbox.add(b"b")
    outbox.acknowledge(1)
    with pytest.raises(ValueError, match=f"acknowledged the packets before {end}, due were 1 to 2"):
        outbox.acknowledge(end)


def test_buffers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "WINDOW", 20)
    here = Session(["b"], 1)
    here.put("b", bytes(100), 0)  # one frame may be longer
    with pytest.raises(TimeoutError):
        here.put("b", b"x", 0.01)
    here.call("b")
    here.acknowledge("b", 0)
    here.acknowledge("b", 1)
    here.put("b", b"x", 0)
    inbox = Inbox()
    inbox.take(bytes(8) + b"\1" + bytes(30))
    assert not inbox.has_room
    inbox.pop()
    assert inbox.has_room


NONCE, OTHER = bytes(16), b"\1" * 16


def test_incarnations_that_belong_together() -> None:
    here = Session(["b", "c"], 3)
    here.meet("b", 3, NONCE)
    here.meet("b", 3, NONCE)
    here.meet("c", 3, OTHER)
    assert not here.wanted


@pytest.mark.parametrize(("epoch", "nonce", "successor"), [(3, OTHER, 4), (7, NONCE, 7)])
def test_a_peer_that_crashed_ends_the_incarnation(epoch: int, nonce: bytes, successor: int) -> None:
    here = Session(["b", "c"], 3)
    here.meet("b", 3, NONCE)
    with pytest.raises(Conflict):
        here.meet("b", epoch, nonce)
    assert (here.over, here.wanted, here.successor) == (True, True, successor)
    with pytest.raises(PeerRestarted, match="peer b"):
        here.get("c", 0)


def test_one_from_an_earlier_epoch_is_told_so() -> None:
    here = Session(["b"], 3)
    with pytest.raises(Conflict) as conflict:
        here.meet("b", 2, NONCE)
    assert conflict.value.epoch == 3
    assert not here.over
    there = Session(["a"], 2)
    there.leave("a", 3)
    assert (there.over, there.successor) == (True, 3)


def test_one_that_waits_need_not_leave_its_epoch() -> None:
    here = Session(["b"], 3, waiting=True)
    with pytest.raises(Conflict):
        here.meet("b", 3, NONCE)
    assert (here.wanted, here.successor) == (True, 3)


def test_a_peer_that_breaks_the_rules_is_named() -> None:
    here = Session(["b"], 1)
    here.refuse("b", "sent nonsense")
    with pytest.raises(PeerError, match="peer b: sent nonsense"):
        here.put("b", b"", 0)
    assert not here.wanted
