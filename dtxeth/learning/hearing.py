"""Hearing a peer twice: after a crash it must say again what it said before."""

from __future__ import annotations

import hashlib

from dtxeth.errors import PeerError
from dtxeth.learning.journal import Journal
from dtxeth.transport.channel import Channel


class Hearing(Channel):
    """A channel on which every message heard is written down, by its digest, before it is acted upon.

    A peer that may align again and again, each time with other ids, learns of more ids than it has rows: this one's
    scalar is the same every time. So whoever comes back with another message is refused.

    Args:
        channel: What it is part of; each tag is heard once of each peer.
        journal: Where the digests go.
    """

    def __init__(self, channel: Channel, journal: Journal) -> None:
        self.name = channel.name
        self.peers = channel.peers
        self._channel = channel
        self._journal = journal

    @property
    def bytes_sent(self) -> int:
        """See :attr:`Channel.bytes_sent`."""
        return self._channel.bytes_sent

    def send(self, peer: str, tag: str, payload: bytes) -> None:
        """See :meth:`Channel.send`."""
        self._channel.send(peer, tag, payload)

    def recv(self, peer: str, tag: str) -> bytes:
        """See :meth:`Channel.recv`.

        Raises:
            PeerError: The peer said something else before a crash, or as :meth:`Channel.recv`.
        """
        payload = self._channel.recv(peer, tag)
        digest, entry = hashlib.sha256(payload).digest(), f"heard {tag} of {peer}"
        heard = self._journal.load(entry)
        if heard is None:
            self._journal.save(entry, digest)
        elif heard != digest:
            raise PeerError(peer, f"sent another {tag!r} than before a crash: publish a new task")
        return payload

    def abort(self, reason: str) -> None:
        """See :meth:`Channel.abort`."""
        self._channel.abort(reason)

    def close(self) -> None:
        """See :meth:`Channel.close`."""
        self._channel.close()
