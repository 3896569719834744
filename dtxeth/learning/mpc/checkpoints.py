"""Checkpoints of a shared network: shares of one run that all three parties still have.

Shares of two runs do not fit together, although both are of the same epoch: each run has fresh randomness. So a
checkpoint bears the name of its run, to which all parties contribute, and a task goes on from the newest
checkpoint that all three have of one run. A network that went on so is as good as one trained in one go, not
equal to it bit by bit: truncation on shares is random in the last bit.
"""

from __future__ import annotations

import hashlib
import secrets as entropy
from typing import Annotated, Any, Final

import msgpack
from pydantic import Field

from dtxeth.learning.journal import Journal
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

_NAME: Final = 32
_SLOTS: Final = ("network 0", "network 1")


class Held(Message):
    """What the sender could go on from, and its contribution to the name of this run."""

    nonce: Annotated[bytes, Field(min_length=_NAME, max_length=_NAME)]
    epochs: Annotated[list[Annotated[int, Field(ge=1, le=10_000)]], Field(max_length=len(_SLOTS))]
    runs: Annotated[
        list[Annotated[bytes, Field(min_length=_NAME, max_length=_NAME)]], Field(max_length=len(_SLOTS))
    ]


class Checkpoints:
    """The two newest checkpoints of one party.

    Args:
        journal: Where they are kept; ``None``: nowhere.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._run = b""

    def rejoin(self, channel: Channel) -> tuple[int, bytes]:
        """Begin a run together with all peers.

        Returns:
            The epoch to go on after and this party's shares then; (0, b"") to start from the beginning.

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed.
        """
        mine = {(epoch, run): shares for epoch, run, shares in self._entries()}
        nonce = entropy.token_bytes(_NAME)
        held = Held(nonce=nonce, epochs=[epoch for epoch, _ in mine], runs=[run for _, run in mine])
        for peer in channel.peers:
            send(channel, peer, "checkpoints", held)
        nonces, common = {channel.name: nonce}, set(mine)
        for peer in channel.peers:
            theirs = receive(channel, peer, "checkpoints", Held)
            nonces[peer] = theirs.nonce
            common &= set(zip(theirs.epochs, theirs.runs, strict=False))
        self._run = hashlib.sha256(b"".join(nonces[party] for party in sorted(nonces))).digest()
        if not common:
            return 0, b""
        newest = max(common)
        return newest[0], mine[newest]

    def save(self, epoch: int, shares: bytes) -> None:
        """Keep this party's shares after ``epoch``, in place of the older checkpoint."""
        if self._journal is None:
            return
        epochs = {slot: self._read(slot)[0] for slot in _SLOTS}
        older = min(_SLOTS, key=lambda slot: epochs[slot])
        self._journal.save(older, msgpack.packb([epoch, self._run, shares]))

    def _entries(self) -> list[tuple[int, bytes, bytes]]:
        return [entry for entry in map(self._read, _SLOTS) if entry[0]]

    def _read(self, slot: str) -> tuple[int, bytes, bytes]:
        data = None if self._journal is None else self._journal.load(slot)
        if data is None:
            return 0, b"", b""
        entry: Any = msgpack.unpackb(data)
        epoch, run, shares = entry
        return epoch, run, shares
