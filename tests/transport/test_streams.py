"""Streams: runs that share a channel do not notice each other, and end together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgpack
import pytest

from dtxeth.errors import InputError, PeerError
from dtxeth.transport import Channel, memory_channels, run_in_process
from dtxeth.transport.streams import MAX_AHEAD, Streams


def converse(channel: Channel, number: int, rounds: int) -> list[bytes]:
    """Send to all and hear from all; what is said depends on the stream."""
    heard = []
    for turn in range(rounds):
        for peer in channel.peers:
            channel.send(peer, f"turn {turn}", f"{channel.name} {number} {turn}".encode())
        heard += [channel.recv(peer, f"turn {turn}") for peer in channel.peers]
    return heard


def run_streams(channel: Channel, workers: int, count: int = 6, progress: object = None) -> list[list[bytes]]:
    streams = Streams(channel, count)
    with ThreadPoolExecutor(workers) as pool:
        heard = list(pool.map(lambda n: converse(streams.open(n), n, rounds=3 + n), range(count)))
    converse(channel, -1, 1)  # the channel carries on
    return heard


@pytest.mark.parametrize("isolated", [False, True])
def test_parties_run_as_many_streams_at_a_time_as_they_like(isolated: bool) -> None:
    channels = memory_channels("abc", timeout=20)
    workers = {"a": 1, "b": 2, "c": 6}

    def party(name: str) -> list[list[bytes]]:
        if isolated and name != "a":
            return run_in_process(run_streams, channels[name], workers[name])
        return run_streams(channels[name], workers[name])

    with ThreadPoolExecutor(3) as pool:
        heard = dict(zip(channels, pool.map(party, channels), strict=True))
    for name, peers in (("a", "bc"), ("b", "ac"), ("c", "ab")):
        assert heard[name] == [
            [f"{peer} {number} {turn}".encode() for turn in range(3 + number) for peer in peers]
            for number in range(6)
        ]


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (lambda channel: channel.send("a", "stream", bytes(3)), "none of 2"),
        (lambda channel: channel.send("a", "stream", (2).to_bytes(4) + b"x"), "none of 2"),
        (
            lambda channel: [channel.send("a", "stream", bytes(5)) for _ in range(MAX_AHEAD + 1)],
            "sent too much",
        ),
        (lambda channel: channel.send("a", "other", b""), "sent 'other' where 'stream' was due"),
        (lambda channel: channel.abort("TaskError"), "gave up: TaskError"),
    ],
)
def test_a_hostile_peer_ends_all_streams(attack: Callable[[Channel], object], message: str) -> None:
    channels = memory_channels("ab", timeout=5, capacity=100)
    streams = Streams(channels["a"], 2)
    attack(channels["b"])
    with ThreadPoolExecutor(2) as pool:
        # stream 1 gets nothing, whatever is sent on stream 0
        waiting = [pool.submit(partial(streams.open(1).recv, "b", "turn 0")) for _ in range(2)]
        for one in waiting:
            with pytest.raises(PeerError, match=f"peer b: .*{message}"):
                one.result()
    with pytest.raises(PeerError, match=message):
        streams.open(0).recv("b", "turn 0")


def test_a_failed_run_ends_those_that_wait() -> None:
    channels = memory_channels("ab", timeout=0.2)
    streams = Streams(channels["a"], 2)
    streams.fail(InputError("first"))
    streams.fail(InputError("second"))
    with pytest.raises(InputError, match="first"):
        streams.open(0).recv("b", "turn 0")


def test_streams_number_their_own_messages() -> None:
    """A message replayed on its stream is noticed, as on any channel."""
    channels = memory_channels("ab", timeout=5)
    frame = bytes(4) + msgpack.packb([0, "turn 0", b"x"])
    for _ in range(2):
        channels["b"].send("a", "stream", frame)
    stream = Streams(channels["a"], 1).open(0)
    assert stream.recv("b", "turn 0") == b"x"
    with pytest.raises(PeerError, match="replayed message 0 where number 1 was due"):
        stream.recv("b", "turn 1")
