"""Executors' doors on loopback, and a directory of them that can change, as the chain's does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType

from dtxeth.transport import Channel, Identity, Peer
from dtxeth.transport.rpc import GrpcTransport

SESSION = b"session of one task" + bytes(13)


class Directory(Mapping[str, Peer]):
    """The peers of one party, as they are at the moment."""

    def __init__(self, doors: Doors, names: list[str]) -> None:
        self._doors, self._names = doors, names

    def __getitem__(self, name: str) -> Peer:
        if name not in self._names:
            raise KeyError(name)
        return self._doors.published[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Doors:
    """One door for each name.

    Attributes:
        published: What the chain says about each.
    """

    def __init__(self, *names: str) -> None:
        self.identities = {name: Identity.create() for name in names}
        self.doors = {name: GrpcTransport(identity) for name, identity in self.identities.items()}
        self.published = {name: Peer(door.endpoint, door.fingerprint) for name, door in self.doors.items()}

    def __getitem__(self, name: str) -> GrpcTransport:
        return self.doors[name]

    def peers_of(self, name: str, parties: list[str] | None = None) -> Directory:
        return Directory(self, [party for party in parties or self.doors if party != name])

    def open(self, name: str, session: bytes = SESSION, timeout: float = 20.0) -> Channel:
        return self.doors[name].open(session, name, self.peers_of(name), timeout=timeout)

    def kill(self, name: str) -> None:
        """End a door without a word, as if its process had been killed."""
        self.doors[name].close(grace=0)

    def revive(self, name: str) -> None:
        """Start a killed door again, at the same address."""
        address = self.published[name].endpoint.removeprefix("grpcs://")
        self.doors[name] = GrpcTransport(self.identities[name], address)

    def __enter__(self) -> Doors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self.doors:
            self.kill(name)
