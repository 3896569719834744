"""Channels: numbered, tagged, bounded messages between the parties of one protocol run.

A protocol is a program that sends bytes to named peers and waits for theirs. What carries the bytes is a
:class:`Link`: queues in memory here, sockets elsewhere. Everything that makes a message trustworthy as *the
next message of this run* lives above the link, in :class:`Channel`: a frame is ``msgpack([number, tag,
payload])``, numbers count up from 0 for each peer, and a frame with another number or tag than the one
expected ends the run. Who the peer is, is the link's business (queues in memory are private; sockets use
mutual TLS).

A party that gives up says so to all peers with :meth:`Channel.abort`, so that nobody waits for it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Protocol

import msgpack

from dtxeth.errors import InputError, PeerError, TaskError

MAX_PAYLOAD: Final = 256 * 1024 * 1024
"""Longest payload in bytes: one 3072-bit ciphertext for each of 340,000 rows."""

TIMEOUT: Final = 120.0
"""Seconds that a party waits for one message by default: well above the slowest step of a round."""

_ABORT: Final = "!abort"
_MAX_REASON: Final = 200
_FRAME_OVERHEAD: Final = 1024


class Link(Protocol):
    """Carries frames between one party and its peers, in order for each peer."""

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        """Hand ``frame`` over for ``peer``; raises :class:`TimeoutError` when it is not taken in time."""

    def get(self, peer: str, timeout: float) -> bytes:
        """Return the next frame of ``peer``; raises :class:`TimeoutError` when none comes in time."""

    def close(self) -> None:
        """Release what the link holds; peers that wait are not told (see :meth:`Channel.abort`)."""


class Channel:
    """One party's end of a protocol run.

    Args:
        name: This party.
        peers: The other parties.
        link: What carries the frames.
        timeout: Seconds to wait for one message.
        max_payload: Longest payload sent or accepted, in bytes.
    """

    def __init__(
        self,
        name: str,
        peers: Iterable[str],
        link: Link,
        *,
        timeout: float = TIMEOUT,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self.name = name
        self.peers = tuple(peers)
        self._bytes_sent = 0
        self._link = link
        self._timeout = timeout
        self._max_payload = max_payload
        self._next_out = dict.fromkeys(self.peers, 0)
        self._next_in = dict.fromkeys(self.peers, 0)
        self._arrived: dict[str, bytes] = {}
        self._open = True

    @property
    def bytes_sent(self) -> int:
        """Length of all frames sent so far."""
        return self._bytes_sent

    def send(self, peer: str, tag: str, payload: bytes) -> None:
        """Send ``payload`` to ``peer`` as the message that the protocol calls ``tag``.

        Raises:
            InputError: The peer is unknown, the channel is closed or the payload is too long.
            PeerError: The peer does not take messages any more.
        """
        self._check(peer)
        if len(payload) > self._max_payload:
            raise InputError(
                f"message {tag!r} has {len(payload)} bytes, the channel takes {self._max_payload}: "
                "use smaller batches"
            )
        frame: bytes = msgpack.packb([self._next_out[peer], tag, payload])
        try:
            self._link.put(peer, frame, self._timeout)
        except TimeoutError:
            raise PeerError(peer, f"took no message for {self._timeout:g} s; see its log") from None
        self._next_out[peer] += 1
        self._bytes_sent += len(frame)

    def pending(self, peer: str) -> bool:
        """Return at once whether the next message of ``peer`` is there, so that :meth:`recv` will not wait.

        Raises:
            InputError: The peer is unknown or the channel is closed.
        """
        self._check(peer)
        if peer not in self._arrived:
            with suppress(TimeoutError):
                self._arrived[peer] = self._link.get(peer, 0.0)
        return peer in self._arrived

    def recv(self, peer: str, tag: str) -> bytes:
        """Return the payload of the next message of ``peer``, which must be the one called ``tag``.

        Raises:
            InputError: The peer is unknown or the channel is closed.
            PeerError: The peer was silent, gave up, or sent a malformed, replayed or unexpected frame.
        """
        self._check(peer)
        try:
            frame = self._arrived.pop(peer) if self.pending(peer) else self._link.get(peer, self._timeout)
        except TimeoutError:
            raise PeerError(peer, f"sent no {tag!r} within {self._timeout:g} s; see its log") from None
        number, sent_tag, payload = self._parse(peer, frame)
        expected = self._next_in[peer]
        if number != expected:
            what = "replayed" if number < expected else "skipped to"
            raise PeerError(peer, f"{what} message {number} where number {expected} was due")
        self._next_in[peer] += 1
        if sent_tag == _ABORT:
            reason = payload[:_MAX_REASON].decode("utf-8", "replace")
            raise PeerError(peer, f"gave up: {''.join(c if c.isprintable() else '?' for c in reason)}")
        if sent_tag != tag:
            raise PeerError(peer, f"sent {sent_tag[:40]!r} where {tag!r} was due")
        return payload

    def abort(self, reason: str) -> None:
        """Tell every peer that this party gives up, and close; never raises.

        Args:
            reason: Shown to the peers, at most 200 bytes of it: it must not hold anything private.
        """
        if not self._open:
            return
        payload = reason.encode()[:_MAX_REASON]
        for peer in self.peers:
            frame = msgpack.packb([self._next_out[peer], _ABORT, payload])
            try:
                self._link.put(peer, frame, 0.0)
            except (TimeoutError, OSError, TaskError):
                continue  # a peer that takes nothing any more finds out by its own timeout
        self.close()

    def close(self) -> None:
        """Release the link; later sends and receives are refused."""
        self._open = False
        self._link.close()

    def _check(self, peer: str) -> None:
        if not self._open:
            raise InputError(f"the channel of {self.name} is closed: open a new one for a new run")
        if peer not in self._next_in:
            raise InputError(f"{peer} is not a peer of {self.name}, these are: {', '.join(self.peers)}")

    def _parse(self, peer: str, frame: bytes) -> tuple[int, str, bytes]:
        if len(frame) > self._max_payload + _FRAME_OVERHEAD:
            raise PeerError(
                peer, f"sent a frame of {len(frame)} bytes, at most {self._max_payload} are allowed"
            )
        try:
            parts = msgpack.unpackb(frame, max_bin_len=self._max_payload, max_str_len=256, max_array_len=3)
        except (ValueError, RecursionError, msgpack.UnpackException):
            parts = None
        match parts:
            case [int(number), str(tag), bytes(payload)] if not isinstance(number, bool):
                return number, tag, payload
        raise PeerError(peer, "sent a malformed frame; it may run another version")


class _Queues:
    """Link over one bounded queue for each ordered pair of parties."""

    def __init__(self, name: str, queues: dict[tuple[str, str], queue.Queue[bytes]]) -> None:
        self._name = name
        self._queues = queues

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        """Queue ``frame`` for ``peer``."""
        try:
            self._queues[self._name, peer].put(frame, block=timeout > 0, timeout=timeout or None)
        except queue.Full:
            raise TimeoutError from None

    def get(self, peer: str, timeout: float) -> bytes:
        """Take the next frame of ``peer``."""
        try:
            return self._queues[peer, self._name].get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    def close(self) -> None:
        """Nothing to release: frames already queued stay readable for the peers."""


def memory_channels(
    names: Iterable[str], *, timeout: float = TIMEOUT, max_payload: int = MAX_PAYLOAD, capacity: int = 64
) -> dict[str, Channel]:
    """Connect ``names`` with each other inside this process, for one protocol run.

    Args:
        names: The parties, two or more, all different.
        timeout: Seconds that a party waits for one message.
        max_payload: Longest payload in bytes.
        capacity: Frames that may wait in one direction between two parties.

    Returns:
        One channel for each party, to be used from one thread each.

    Raises:
        InputError: Fewer than two names, or the same name twice.
    """
    parties = list(names)
    if len(parties) < 2 or len(set(parties)) != len(parties):
        raise InputError(f"a channel needs two or more different parties, got {', '.join(parties) or 'none'}")
    queues: dict[tuple[str, str], queue.Queue[bytes]] = {
        (a, b): queue.Queue(capacity) for a in parties for b in parties if a != b
    }
    return {
        name: Channel(
            name,
            [p for p in parties if p != name],
            _Queues(name, queues),
            timeout=timeout,
            max_payload=max_payload,
        )
        for name in parties
    }
