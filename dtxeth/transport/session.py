"""Sessions: what makes a link of streams that break, and of processes that die.

A session joins the parties of one task. Between two of them, frames travel as numbered packets; the receiver
acknowledges, drops duplicates and refuses gaps; the sender keeps what is not acknowledged and sends it again on the
next stream. So a broken stream is not noticed above the link.

A party that was killed has forgotten its numbers: it cannot go on, only begin anew. Each opening of a session
is an *incarnation*, known by an epoch and a random nonce. Two incarnations talk with each other only in the same
epoch, and each only with the one that it met first. One that meets another nonce in its epoch knows that the peer
was killed, and ends with :class:`~dtxeth.errors.PeerRestarted`; its successor opens the next epoch. One that meets
a higher epoch ends too, and its successor opens that one. An epoch is left only after a real crash, and everybody
follows to the highest, so that one crash costs every party one new incarnation.
"""

from __future__ import annotations

import secrets
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dtxeth.errors import PeerError, PeerRestarted, TaskError
from dtxeth.transport.channel import MAX_PAYLOAD

PACKET: Final = 1 << 20
"""Most bytes of a frame that travel in one packet."""

WINDOW: Final = MAX_PAYLOAD
"""Bytes that may wait for an acknowledgement, or to be read, in one direction between two parties; a single longer
frame may too."""

MAX_FRAME: Final = MAX_PAYLOAD + 1024
"""Longest frame in bytes: a payload with its number and tag."""

MAX_WAITING: Final = 4096
"""Frames, and packets beyond those that :data:`WINDOW` holds, that may wait in one direction."""

MAX_EPOCH: Final = 1 << 31
NONCE_BYTES: Final = 16

_HEADER: Final = struct.Struct(">Q?")


class Conflict(Exception):  # noqa: N818 - neither side has made a mistake
    """The other side's incarnation is not the one to talk to; ``epoch`` is the one to follow to."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"epoch {epoch}")
        self.epoch = epoch


class Outbox:
    """Packets for one peer that it has not acknowledged yet."""

    def __init__(self) -> None:
        self._packets: deque[bytes] = deque()
        self._first = 0
        self._size = 0

    @property
    def end(self) -> int:
        """Number that the next packet gets."""
        return self._first + len(self._packets)

    def __bool__(self) -> bool:
        return bool(self._packets)

    def has_room(self, size: int) -> bool:
        """Whether a frame of so many bytes can be added."""
        few = len(self._packets) < MAX_WAITING and self._size + size <= WINDOW
        return few or not self._packets

    def add(self, frame: bytes) -> None:
        """Cut a frame into packets."""
        for start in range(0, len(frame) or 1, PACKET):
            last = start + PACKET >= len(frame)
            self._packets.append(_HEADER.pack(self.end, last) + frame[start : start + PACKET])
            self._size += len(self._packets[-1])

    def packet(self, number: int) -> bytes:
        """The packet of this number, which has been added and not acknowledged."""
        return self._packets[number - self._first]

    def acknowledge(self, end: int) -> None:
        """Forget the packets before number ``end``.

        Raises:
            ValueError: They were acknowledged before, or never sent.
        """
        if not self._first <= end <= self.end:
            raise ValueError(f"acknowledged the packets before {end}, due were {self._first} to {self.end}")
        while self._first < end:
            self._size -= len(self._packets.popleft())
            self._first += 1


class Inbox:
    """Frames of one peer that nobody has read yet."""

    def __init__(self) -> None:
        self.expected = 0
        self._frames: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def has_room(self) -> bool:
        """Whether the next packet can be taken."""
        return not self._frames or (len(self._frames) < MAX_WAITING and self._size < WINDOW)

    def take(self, packet: bytes) -> None:
        """Take the next packet, or drop one that was taken before.

        Raises:
            ValueError: It is malformed, numbers were skipped, or its frame is too long.
        """
        if len(packet) < _HEADER.size or len(packet) > _HEADER.size + PACKET or packet[8] > 1:
            raise ValueError(f"sent a malformed packet of {len(packet)} bytes")
        number, last = _HEADER.unpack_from(packet)
        if number < self.expected:
            return
        if number > self.expected:
            raise ValueError(f"skipped to packet {number} where number {self.expected} was due")
        part = packet[_HEADER.size :]
        if sum(map(len, self._parts)) + len(part) > MAX_FRAME:
            raise ValueError(f"sent a frame of more than {MAX_FRAME} bytes")
        self.expected += 1
        self._parts.append(part)
        self._size += len(part)
        if last:
            self._frames.append(b"".join(self._parts))
            self._parts.clear()

    def pop(self) -> bytes:
        """The oldest frame."""
        frame = self._frames.popleft()
        self._size -= len(frame)
        return frame


class _Line:
    """What a session keeps for one peer."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.inbox = Inbox()
        self.nonce: bytes | None = None
        self.next_out: int | None = None  # next packet of the stream to the peer, None while there is none
        self.out_stream = 0  # counts the streams to the peer
        self.in_stream = 0  # counts the streams from the peer
        self.hang_up: Callable[[], object] | None = None  # ends the stream from the peer


class Session:
    """One incarnation of a session: a :class:`~dtxeth.transport.channel.Link`, with a side for the streams.

    Args:
        peers: The other parties.
        epoch: The epoch to be in.
        waiting: Begin closed: nothing is to be said, but somebody may call.

    Attributes:
        nonce: Tells this incarnation from others.
        successor: The epoch that the next incarnation here must be in.
    """

    def __init__(self, peers: Iterable[str], epoch: int, *, waiting: bool = False) -> None:
        self.epoch = self.successor = epoch
        self.nonce = secrets.token_bytes(NONCE_BYTES)
        self._lines = {peer: _Line() for peer in peers}
        self._waiting = self._closed = waiting
        self._wanted = False
        self._failure: Callable[[], TaskError] | None = None
        self._changed = threading.Condition()

    # The link

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        """Keep ``frame`` until ``peer`` has it; raises :class:`TimeoutError` when there is no room in time."""
        outbox = self._lines[peer].outbox
        with self._changed:
            if not self._changed.wait_for(lambda: self._failure or outbox.has_room(len(frame)), timeout):
                raise TimeoutError
            self._check()
            outbox.add(frame)
            self._changed.notify_all()

    def get(self, peer: str, timeout: float) -> bytes:
        """Return the next frame of ``peer``; raises :class:`TimeoutError` when none comes in time."""
        inbox = self._lines[peer].inbox
        with self._changed:
            if not self._changed.wait_for(lambda: self._failure or inbox, timeout):
                raise TimeoutError
            self._check()
            frame = inbox.pop()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Say nothing more; what was said is still sent, and who calls is still heard."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # For the streams

    @property
    def closed(self) -> bool:
        """Whether this party has said everything."""
        return self._closed

    @property
    def over(self) -> bool:
        """Whether this incarnation has ended."""
        return self._failure is not None

    @property
    def wanted(self) -> bool:
        """Whether a peer needs a new incarnation of this session."""
        return self._wanted

    def end(self, failure: Callable[[], TaskError]) -> None:
        """End this incarnation: whoever waits gets the failure, all streams end."""
        with self._changed:
            self._end(failure)

    def hang_up(self) -> None:
        """Break all streams from the peers, who call again."""
        with self._changed:
            for line in self._lines.values():
                if line.hang_up is not None:
                    line.hang_up()

    def meet(self, peer: str, epoch: int, nonce: bytes) -> None:
        """Take note of a peer's incarnation.

        Raises:
            Conflict: The two do not belong together.
        """
        with self._changed:
            line = self._lines[peer]
            if self._failure is not None or epoch < self.epoch:
                raise Conflict(self.successor)
            if epoch == self.epoch and line.nonce == nonce:
                return
            if epoch == self.epoch and line.nonce is None and not self._waiting:
                line.nonce = nonce
                return
            # Nobody has exchanged anything with one who only waits: it need not leave the epoch.
            self._follow(peer, epoch if epoch > self.epoch or line.nonce is None else epoch + 1)
            raise Conflict(self.successor)

    def leave(self, peer: str, epoch: int) -> None:
        """End this incarnation because ``peer`` says that it is in a higher epoch already."""
        with self._changed:
            if self._failure is None and epoch > self.epoch:
                self._follow(peer, epoch)

    @property
    def away(self) -> tuple[str, ...]:
        """The peers from whom no stream is open."""
        return tuple(peer for peer, line in self._lines.items() if line.hang_up is None)

    @property
    def owes(self) -> bool:
        """Whether something that was said has not reached its peer yet."""
        return self._failure is None and any(line.outbox for line in self._lines.values())

    def has_business(self, peer: str) -> bool:
        """Whether there is, or will be, something to send."""
        return not self._closed or bool(self._lines[peer].outbox)

    def rest(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait until something happens, at most so long: the end of this incarnation, or what ``until`` names."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or until(), seconds)

    def call(self, peer: str) -> int:
        """Begin a stream to ``peer``; earlier ones end."""
        with self._changed:
            line = self._lines[peer]
            line.out_stream += 1
            line.next_out = None
            self._changed.notify_all()
            return line.out_stream

    def acknowledge(self, peer: str, end: int) -> None:
        """The peer has the packets before ``end``; the first time on a stream: wants them from there.

        Raises:
            ValueError: That cannot be.
        """
        with self._changed:
            line = self._lines[peer]
            line.outbox.acknowledge(end)
            line.next_out = end if line.next_out is None else max(end, line.next_out)
            self._changed.notify_all()

    def packets(self, peer: str, stream: int) -> Iterator[bytes]:
        """The packets for ``peer``, on one stream, as they come up; ends with the stream, or when all is said."""
        line = self._lines[peer]
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._failure
                        or line.out_stream != stream
                        or (line.next_out is not None and (self._closed or line.next_out < line.outbox.end))
                    )
                )
                if self._failure or line.out_stream != stream:
                    return
                if line.next_out is None or line.next_out >= line.outbox.end:
                    return
                packet = line.outbox.packet(line.next_out)
                line.next_out += 1
            yield packet

    def answer(self, peer: str, hang_up: Callable[[], object]) -> int:
        """Begin a stream from ``peer``; an earlier one is hung up."""
        with self._changed:
            line = self._lines[peer]
            if line.hang_up is not None:
                line.hang_up()
            line.in_stream += 1
            line.hang_up = hang_up
            self._changed.notify_all()
            return line.in_stream

    def part(self, peer: str, stream: int) -> None:
        """Note that a stream from ``peer`` has ended."""
        with self._changed:
            line = self._lines[peer]
            if line.in_stream == stream:
                line.hang_up = None

    def expected(self, peer: str) -> int:
        """Number of the packet that ``peer`` should send next."""
        return self._lines[peer].inbox.expected

    def take(self, peer: str, stream: int, packet: bytes) -> int | None:
        """Take a packet in, once there is room.

        Returns:
            The number of the packet that should come next; None if the stream is no longer the current one.

        Raises:
            ValueError: The peer broke the rules.
        """
        line = self._lines[peer]
        with self._changed:
            self._changed.wait_for(lambda: self._failure or line.in_stream != stream or line.inbox.has_room)
            if self._failure or line.in_stream != stream:
                return None
            line.inbox.take(packet)
            self._changed.notify_all()
            return line.inbox.expected

    def refuse(self, peer: str, reason: str) -> None:
        """End this incarnation because a peer broke the rules."""
        self.end(lambda: PeerError(peer, reason))

    def _follow(self, peer: str, epoch: int) -> None:
        self.successor = epoch
        self._wanted = True
        self._end(lambda: PeerRestarted(peer, "began the session anew"))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure()

    def _end(self, failure: Callable[[], TaskError]) -> None:
        if self._failure is None:
            self._failure = failure
        for line in self._lines.values():
            if line.hang_up is not None:
                line.hang_up()
        self._changed.notify_all()
