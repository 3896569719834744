"""One training round, 455 × (15 + 15), 2048 bits, over gRPC with mutual TLS, against queues in memory.

    python scripts/bench/transport.py [--json FILE] [--cores N] [--repeats N]

Each party computes in a process of its own (:mod:`dtxeth.transport.isolation`); the same two processes take turns
with both kinds of channel, so that all that differs is what lies between the channels. Bytes are those that TCP
carried, TLS and HTTP/2 included, as the kernel counts them. Seconds on the wall say what a user waits; those of the
processors, of all three processes, suffer less from other users of the machine.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from _harness import options, report

from dtxeth.crypto import generate_keypair, set_jobs
from dtxeth.learning import fixedpoint
from dtxeth.learning.journal import MemoryJournal
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import Link
from dtxeth.learning.vertical import GradientProtocol, Vote
from dtxeth.transport import Channel, Identity, Peer, memory_channels, run_in_process
from dtxeth.transport.messages import receive, send
from dtxeth.transport.rpc import GrpcTransport

ROWS, FEATURES, BITS, PRECISION = 455, 15, 2048, 24
PARTIES = ("active", "passive")
KINDS = ("memory", "sockets")
CIPHERTEXTS = len(PARTIES) * (ROWS + FEATURES) * BITS // 4
"""Bytes of a round's ciphertexts: every party's residuals, and its masked sums; each has twice the key's bits."""

_RECEIVED = 128  # where struct tcp_info of Linux has tcpi_bytes_received


class Turns(Channel):
    """A party's channel that is now one and now another.

    Args:
        channels: By kind.
    """

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self.take("memory")
        self.name, self.peers = self._now.name, self._now.peers

    def take(self, kind: str) -> None:
        """Go on with a channel of this kind."""
        self._now = self._channels[kind]

    def send(self, peer: str, tag: str, payload: bytes) -> None:
        """See :meth:`Channel.send`."""
        self._now.send(peer, tag, payload)

    def recv(self, peer: str, tag: str) -> bytes:
        """See :meth:`Channel.recv`."""
        return self._now.recv(peer, tag)

    def pending(self, peer: str) -> bool:
        """See :meth:`Channel.pending`."""
        return self._now.pending(peer)

    def abort(self, reason: str) -> None:
        """Give up on all of them."""
        for channel in self._channels.values():
            channel.abort(reason)


def main() -> None:
    """Measure and report."""
    asked = options(__doc__ or "", repeats=15, cores=2)
    rounds = len(KINDS) * (asked.repeats + 1)  # the first of each kind is not measured
    wall, processors, carried = _measure(rounds)
    seconds = {kind: statistics.median(wall[at :: len(KINDS)][1:]) for at, kind in enumerate(KINDS)}
    busy = {kind: statistics.median(processors[at :: len(KINDS)][1:]) for at, kind in enumerate(KINDS)}
    size = statistics.median(carried[1 :: len(KINDS)][1:])
    figures = {
        "seconds": {kind: round(median, 4) for kind, median in seconds.items()},
        "cpu_seconds": {kind: round(median, 4) for kind, median in busy.items()},
        "overhead": round(seconds["sockets"] / seconds["memory"] - 1, 4),
        "cpu_overhead": round(busy["sockets"] / busy["memory"] - 1, 4),
        "bytes_per_round": round(size),
        "bytes_ratio": round(size / CIPHERTEXTS, 4),
        "load": os.getloadavg()[0],
    }
    rows = [
        *([kind, f"{1000 * seconds[kind]:,.1f}", f"{1000 * busy[kind]:,.1f}", ""] for kind in KINDS),
        ["overhead", f"{figures['overhead']:+.1%}", f"{figures['cpu_overhead']:+.1%}", "≤ 15 %"],
        ["bytes a round", f"{size:,.0f}", "", ""],
        ["× bare ciphertexts", f"{figures['bytes_ratio']:.3f}", "", "≤ 1.05"],
    ]
    title = f"One round over sockets, {ROWS} × ({FEATURES} + {FEATURES}), {BITS} bits, {asked.cores} cores"
    report(title, ["", "ms", "ms of processors", "target"], rows, figures, asked.json)


def _measure(rounds: int) -> tuple[list[float], list[float], list[int]]:
    """Return seconds on the wall, seconds of processors and bytes over TCP of each round; kinds take turns."""
    marks: list[tuple[float, float, int]] = []
    spent: dict[str, float] = {}

    def flip() -> None:
        marks.append((time.perf_counter(), time.process_time() + sum(spent.values()), _bytes_received()))
        for turns in channels.values():
            turns.take(KINDS[(len(marks) - 1) % len(KINDS)])

    barrier = threading.Barrier(len(PARTIES), flip)

    def next_turn(name: str, seconds: float) -> None:
        spent[name] = seconds
        barrier.wait()

    with ExitStack() as stack, ThreadPoolExecutor(len(PARTIES)) as pool:
        doors = {name: stack.enter_context(GrpcTransport(Identity.create())) for name in PARTIES}
        peers = {name: Peer(door.endpoint, door.fingerprint) for name, door in doors.items()}
        memory = memory_channels(PARTIES)
        channels = {
            name: Turns(
                {
                    "memory": memory[name],
                    "sockets": doors[name].open(
                        bytes(32), name, {peer: peers[peer] for peer in PARTIES if peer != name}
                    ),
                }
            )
            for name in PARTIES
        }
        runs = [
            pool.submit(run_in_process, _party, channel, rounds, next_turn=next_turn)
            for channel in channels.values()
        ]
        for run in runs:
            run.result()
    wall, processors, carried = (np.diff(column).tolist() for column in zip(*marks, strict=True))
    return wall, processors, carried


def _party(
    channel: Channel,
    rounds: int,
    next_turn: Callable[[str, float], None],
    progress: Callable[..., None],
) -> None:
    """Run the rounds of one party, each when the peer is ready for it too."""
    set_jobs(1)
    keys = [generate_keypair(BITS, seed=name.encode() * 8) for name in PARTIES]
    place = PARTIES.index(channel.name)
    ring = Ring(
        channel,
        PARTIES,
        tuple(key.public_key for key in keys),
        (FEATURES, FEATURES),
        keys[place],
        PARTIES[0],
    )
    protocol = GradientProtocol(
        ring, Link(0.25), PRECISION, TaskSecrets(bytes(32), b"bench"), MemoryJournal()
    )
    random = np.random.default_rng(place)
    encoded = fixedpoint.encode(random.standard_normal((ROWS, FEATURES)), PRECISION)
    share = random.standard_normal(ROWS)
    for number in range(rounds):
        next_turn(channel.name, time.process_time())
        # "last": what is computed ahead, while waiting, would be missing from the next round's time
        protocol.run(number, share, None, encoded, last=True)
        send(channel, ring.successor, f"{number} vote", Vote(converged=False))
        receive(channel, ring.successor, f"{number} vote", Vote)
    next_turn(channel.name, time.process_time())


def _bytes_received() -> int:
    """Bytes that all TCP connections of this process have received so far: it holds both ends of each."""
    total = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        if not descriptor.is_socket():
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as connection:
            if connection.family in (socket.AF_INET, socket.AF_INET6):
                told: Any = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED + 8)
                total += struct.unpack_from("Q", told, _RECEIVED)[0]
    return total


if __name__ == "__main__":
    main()
