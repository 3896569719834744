"""Transports: where executors get the channels of their tasks from."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from dtxeth.transport.channel import TIMEOUT, Channel, memory_channels
from dtxeth.transport.identity import Peer


class Transport(Protocol):
    """Opens the sessions of one executor's tasks."""

    @property
    def endpoint(self) -> str | None:
        """URL under which peers reach it; None if only this process does."""

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of its TLS certificate, or 32 zero bytes."""

    def open(
        self, session: bytes, name: str, peers: Mapping[str, Peer], *, timeout: float = TIMEOUT
    ) -> Channel:
        """Open a session of ``name`` with ``peers``, or open it again after a peer has restarted.

        A peer that is away has ``timeout`` seconds to come back.
        """

    def stand_by(self, session: bytes, name: str, peers: Mapping[str, Peer]) -> None:
        """Listen for peers that still need this party in a session where it has nothing left to do."""

    def wanted(self, session: bytes) -> bool:
        """Whether a peer has begun a session anew, so that it should be opened again."""

    def away(self, session: bytes) -> tuple[str, ...]:
        """The peers in a session that have no connection with this party now."""

    def forget(self, session: bytes) -> None:
        """End a session for good."""

    def close(self) -> None:
        """End all sessions."""


class MemoryTransport:
    """Sessions between executors in one process, which start and end together; any number of them share it."""

    endpoint: str | None = None
    fingerprint = bytes(32)

    def __init__(self) -> None:
        self._channels: dict[bytes, dict[str, Channel]] = {}
        self._lock = threading.Lock()

    def open(
        self, session: bytes, name: str, peers: Mapping[str, Peer], *, timeout: float = TIMEOUT
    ) -> Channel:
        """See :meth:`Transport.open`; nobody goes away and comes back here, so that ``timeout`` is not used."""
        with self._lock:
            if session not in self._channels:
                self._channels[session] = memory_channels([name, *peers])
            return self._channels[session][name]

    def stand_by(self, session: bytes, name: str, peers: Mapping[str, Peer]) -> None:
        """Nothing to do: nobody restarts alone."""

    def wanted(self, session: bytes) -> bool:
        """Never."""
        return False

    def away(self, session: bytes) -> tuple[str, ...]:
        """None: all are in this process."""
        return ()

    def forget(self, session: bytes) -> None:
        """Let go of a session's channels; those who hold one keep it."""
        with self._lock:
            self._channels.pop(session, None)

    def close(self) -> None:
        """Nothing to release."""
