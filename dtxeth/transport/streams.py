"""Streams: several protocol runs at a time over one channel, each from a thread of its own.

A stream is a :class:`~dtxeth.transport.channel.Channel` whose frames travel as messages of the channel beneath,
with the stream's number before them. Nobody reads in the background: whoever waits for a frame reads the next
message of that peer, whichever stream it is for, and lays it down there. So when all runs have ended, every
message has been taken, and the channel carries on as if it had had one run.

Parties may run different numbers of streams at a time, as long as all of them begin them in the same order.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from dtxeth.errors import PeerError
from dtxeth.transport.channel import Channel

MAX_AHEAD: Final = 64
"""Messages of one stream that a peer may be ahead of whoever reads them: protocols take turns, so few are."""

_TAG: Final = "stream"
_NUMBER_BYTES: Final = 4


class Streams:
    """Divides a channel, which nobody else uses until all runs have ended.

    Args:
        channel: The channel; its ``send`` and ``recv`` may be called from several threads, though for one peer from
            one thread at a time each.
        count: Number of streams.
    """

    def __init__(self, channel: Channel, count: int) -> None:
        self._channel = channel
        self._arrived: dict[str, list[deque[bytes]]] = {
            peer: [deque() for _ in range(count)] for peer in channel.peers
        }
        self._sending = {peer: threading.Lock() for peer in channel.peers}
        self._read: set[str] = set()
        self._changed = threading.Condition()
        self.failure: BaseException | None = None
        """Why the streams came to an end, if they did."""

    def open(self, number: int) -> Channel:
        """Return the channel of stream ``number``, to be used from one thread."""
        return Channel(self._channel.name, self._channel.peers, _StreamLink(self, number))

    def fail(self, error: BaseException) -> None:
        """End all streams: whoever waits or comes for a message gets ``error``; a later one changes nothing."""
        with self._changed:
            self.failure = self.failure or error
            self._changed.notify_all()

    def put(self, number: int, peer: str, frame: bytes) -> None:
        """Send ``frame`` to ``peer`` on stream ``number``; raises as :meth:`Channel.send`."""
        with self._sending[peer]:
            self._channel.send(peer, _TAG, number.to_bytes(_NUMBER_BYTES) + frame)

    def get(self, number: int, peer: str, wait: bool) -> bytes:
        """Return the next frame of ``peer`` on stream ``number``.

        Raises:
            TimeoutError: None is there, and ``wait`` is not set.
            PeerError: As :meth:`Channel.recv`; or the streams have ended.
        """
        while True:
            with self._changed:
                while (
                    not self._arrived[peer][number] and peer in self._read and wait and self.failure is None
                ):
                    self._changed.wait()
                if self.failure is not None:
                    raise self.failure
                if self._arrived[peer][number]:
                    return self._arrived[peer][number].popleft()
                if not wait and (peer in self._read or not self._channel.pending(peer)):
                    raise TimeoutError
                self._read.add(peer)
            self._take_in(peer)

    def _take_in(self, peer: str) -> None:
        """Read one message of ``peer`` and lay it down where it belongs."""
        try:
            payload = self._channel.recv(peer, _TAG)
            number = int.from_bytes(payload[:_NUMBER_BYTES])
            queues = self._arrived[peer]
            if len(payload) < _NUMBER_BYTES or number >= len(queues) or len(queues[number]) >= MAX_AHEAD:
                raise PeerError(peer, f"sent too much, or on a stream that is none of {len(queues)}")
            queues[number].append(payload[_NUMBER_BYTES:])
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            with self._changed:
                self._read.discard(peer)
                self._changed.notify_all()


class _StreamLink:
    """Link of one stream. Its patience is that of the channel beneath: a run waits as long as any peer talks."""

    def __init__(self, streams: Streams, number: int) -> None:
        self._streams = streams
        self._number = number

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        self._streams.put(self._number, peer, frame)

    def get(self, peer: str, timeout: float) -> bytes:
        return self._streams.get(self._number, peer, wait=timeout > 0)

    def close(self) -> None:
        """Nothing to release: the channel beneath goes on."""
