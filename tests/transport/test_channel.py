"""Channels: order, numbers, tags, bounds, silence and giving up; each good case with its corrupted twin."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgpack
import pytest

from dtxeth.errors import InputError, PeerError
from dtxeth.transport.channel import Channel, memory_channels

QUICK = 0.05


class Tampered:
    """Link that passes every frame of the peer through ``change``; frames may become several, or none."""

    def __init__(self, channel: Channel, change: Callable[[bytes], list[bytes]]) -> None:
        self._link = channel._link
        self._change = change
        self._waiting: list[bytes] = []
        channel._link = self

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        self._link.put(peer, frame, timeout)

    def get(self, peer: str, timeout: float) -> bytes:
        while not self._waiting:
            self._waiting = self._change(self._link.get(peer, timeout))
        return self._waiting.pop(0)

    def close(self) -> None:
        self._link.close()


def test_messages_arrive_in_order_and_are_counted() -> None:
    channels = memory_channels(["a", "b", "c"])
    channels["a"].send("b", "one", b"1")
    channels["a"].send("c", "other", b"x")
    channels["a"].send("b", "two", b"22")
    assert channels["b"].recv("a", "one") == b"1"
    assert channels["b"].recv("a", "two") == b"22"
    assert channels["c"].recv("a", "other") == b"x"
    assert channels["a"].bytes_sent == sum(
        len(msgpack.packb(frame)) for frame in ([0, "one", b"1"], [0, "other", b"x"], [1, "two", b"22"])
    )


def test_wrong_tag_names_the_peer() -> None:
    channels = memory_channels(["a", "b"])
    channels["a"].send("b", "3 masked", b"")
    with pytest.raises(PeerError, match=r"peer a: sent '3 masked' where '2 masked' was due") as caught:
        channels["b"].recv("a", "2 masked")
    assert caught.value.peer == "a"


def test_silence_ends() -> None:
    channels = memory_channels(["a", "b"], timeout=QUICK)
    with pytest.raises(PeerError, match=r"peer a: sent no 'hello' within 0\.05 s"):
        channels["b"].recv("a", "hello")


def test_peer_that_takes_nothing() -> None:
    channels = memory_channels(["a", "b"], timeout=QUICK, capacity=1)
    channels["a"].send("b", "one", b"")
    with pytest.raises(PeerError, match="peer b: took no message"):
        channels["a"].send("b", "two", b"")


def test_replayed_message() -> None:
    channels = memory_channels(["a", "b"])
    Tampered(channels["b"], lambda frame: [frame, frame])
    channels["a"].send("b", "one", b"1")
    assert channels["b"].recv("a", "one") == b"1"
    with pytest.raises(PeerError, match="peer a: replayed message 0 where number 1 was due"):
        channels["b"].recv("a", "one")


def test_lost_message() -> None:
    channels = memory_channels(["a", "b"])
    Tampered(channels["b"], lambda frame: [] if msgpack.unpackb(frame)[0] == 0 else [frame])
    channels["a"].send("b", "one", b"1")
    channels["a"].send("b", "one", b"1")
    with pytest.raises(PeerError, match="peer a: skipped to message 1 where number 0 was due"):
        channels["b"].recv("a", "one")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x93\x00\xa3one",
        msgpack.packb([0, "one"]),
        msgpack.packb([0, "one", b"1", b"2"]),
        msgpack.packb([True, "one", b"1"]),
        msgpack.packb([0.0, "one", b"1"]),
        msgpack.packb([0, b"one", b"1"]),
        msgpack.packb([0, "one", "1"]),
        msgpack.packb({"number": 0}),
        msgpack.packb([0, "one", msgpack.ExtType(1, b"1")]),
        msgpack.packb([0, "o" * 300, b"1"]),
        b"\x91" * 5000,
    ],
)
def test_malformed_frame(frame: bytes) -> None:
    channels = memory_channels(["a", "b"])
    Tampered(channels["b"], lambda _: [frame])
    channels["a"].send("b", "one", b"1")
    with pytest.raises(PeerError, match="peer a: sent a malformed frame"):
        channels["b"].recv("a", "one")


def test_payload_bounds_hold_on_both_sides() -> None:
    channels = memory_channels(["a", "b"], max_payload=8)
    channels["a"].send("b", "one", bytes(8))
    assert channels["b"].recv("a", "one") == bytes(8)
    with pytest.raises(InputError, match="has 9 bytes, the channel takes 8"):
        channels["a"].send("b", "two", bytes(9))
    Tampered(channels["b"], lambda _: [bytes(2000)])
    channels["a"].send("b", "two", b"")
    with pytest.raises(PeerError, match="peer a: sent a frame of 2000 bytes"):
        channels["b"].recv("a", "two")


def test_giving_up_reaches_a_waiting_peer() -> None:
    channels = memory_channels(["a", "b"])
    waiter_failed: list[PeerError] = []

    def wait() -> None:
        with pytest.raises(PeerError) as caught:
            channels["b"].recv("a", "hello")
        waiter_failed.append(caught.value)

    waiter = threading.Thread(target=wait)
    waiter.start()
    channels["a"].abort("PolicyError\x1b[31m")
    waiter.join(timeout=10)
    assert str(waiter_failed[0]) == "peer a: gave up: PolicyError?[31m"
    channels["a"].abort("twice is once")
    with pytest.raises(InputError, match="the channel of a is closed"):
        channels["a"].send("b", "more", b"")


def test_giving_up_does_not_wait_for_a_full_peer() -> None:
    channels = memory_channels(["a", "b"], capacity=1)
    channels["a"].send("b", "one", b"")
    channels["a"].abort("DataError")
    assert channels["b"].recv("a", "one") == b""


def test_unknown_peer_and_bad_names() -> None:
    channels = memory_channels(["a", "b"])
    with pytest.raises(InputError, match="c is not a peer of a, these are: b"):
        channels["a"].send("c", "one", b"")
    for names in ([], ["a"], ["a", "a"]):
        with pytest.raises(InputError, match="two or more different parties"):
            memory_channels(names)
