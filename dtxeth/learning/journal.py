"""Journals: what a party writes down while it trains, so that it can go on after a crash.

All that is random in a run follows from the party's secret, so a run that starts again from a checkpoint says
the very same things again, bit for bit. Where it would not, because its peers do not, it stops: see
:class:`Promises`.
"""

from __future__ import annotations

import secrets as entropy
from typing import Annotated, Any, Final, Protocol

import msgpack
from pydantic import Field

from dtxeth.errors import TaskError
from dtxeth.learning.secrets import SECRET_BYTES
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

_BLOCK: Final = 64


class Journal(Protocol):
    """Named entries that outlive a crash. Instances can be pickled."""

    def load(self, name: str) -> bytes | None:
        """Return what was last saved under ``name``, if anything was."""

    def save(self, name: str, data: bytes) -> None:
        """Replace the entry ``name``; durable, and all or nothing, before this returns."""


class MemoryJournal:
    """A journal that outlives nothing but the run: for tests and simulation."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def load(self, name: str) -> bytes | None:
        """Return what was last saved under ``name``, if anything was."""
        return self.entries.get(name)

    def save(self, name: str, data: bytes) -> None:
        """Replace the entry ``name``."""
        self.entries[name] = data


class Section:
    """A part of a journal: its entries have names of their own.

    Args:
        journal: The whole.
        title: Names the section.
    """

    def __init__(self, journal: Journal, title: str) -> None:
        self._journal = journal
        self._title = title

    def load(self, name: str) -> bytes | None:
        """Return what was last saved under ``name`` in this section, if anything was."""
        return self._journal.load(f"{self._title} {name}")

    def save(self, name: str, data: bytes) -> None:
        """Replace the entry ``name`` of this section."""
        self._journal.save(f"{self._title} {name}", data)


def task_secret(journal: Journal) -> bytes:
    """Return the secret of this task (32 bytes), drawn when first asked for."""
    secret = journal.load("secret")
    if secret is None:
        secret = entropy.token_bytes(SECRET_BYTES)
        journal.save("secret", secret)
    return secret


class Promises:
    """Makes sure that no randomness ever covers two different messages.

    The randomness of a ciphertext follows from the secret and the number of the round. Under one randomness two
    ciphertexts would show the difference of their plaintexts, so a party writes down a digest of what it is
    about to encrypt, and never encrypts anything else in that round.

    Args:
        journal: Where the digests go.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._block = -1
        self._digests: dict[int, bytes] = {}

    def keep(self, number: int, digest: bytes) -> None:
        """Write down what round ``number`` encrypts.

        Args:
            number: The round.
            digest: SHA-256 of all plaintexts.

        Raises:
            TaskError: It once encrypted something else.
        """
        block = number // _BLOCK
        if block != self._block:
            entry = self._journal.load(f"promises {block}")
            self._block = block
            self._digests = {} if entry is None else msgpack.unpackb(entry, strict_map_key=False)
        if self._digests.setdefault(number, digest) != digest:
            raise TaskError(
                f"round {number} is not what it was before the interruption: a peer changed its data or secret,"
                " cancel the task and publish it anew"
            )
        self._journal.save(f"promises {block}", msgpack.packb(self._digests))


class Progressed(Message):
    """The newest round after which the sender has a checkpoint; 0 for none."""

    rounds: Annotated[int, Field(ge=0)]


class Checkpoints:
    """The two newest states of one party's training.

    A party finishes a round only with the word of all others that they are at its end, too; so when it saves
    a checkpoint, all others have at least the one before.

    Args:
        journal: Where the states go.
        every: Rounds from one checkpoint to the next.
    """

    def __init__(self, journal: Journal, every: int) -> None:
        self._journal = journal
        self._every = every

    def due(self, rounds: int) -> bool:
        """Return whether to save the state after so many rounds."""
        return rounds % self._every == 0

    def save(self, rounds: int, state: dict[str, Any]) -> None:
        """Save the state after so many rounds, in place of the older one."""
        older = min(range(2), key=lambda slot: self._read(slot)[0])
        self._journal.save(f"checkpoint {older}", msgpack.packb([rounds, state]))

    def rejoin(self, channel: Channel) -> tuple[int, dict[str, Any] | None]:
        """Agree with all peers on the newest round that every one can go on from.

        Returns:
            That round and the state after it; (0, None) to start from the beginning.

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed.
            TaskError: This party does not have that checkpoint any more.
        """
        mine = {rounds: state for rounds, state in map(self._read, range(2)) if state is not None}
        newest = max(mine, default=0)
        for peer in channel.peers:
            send(channel, peer, "progressed", Progressed(rounds=newest))
        theirs = [receive(channel, peer, "progressed", Progressed).rounds for peer in channel.peers]
        common = min(newest, *theirs)
        if common and common not in mine:
            raise TaskError(
                f"a peer can go on from round {common} at most, here are checkpoints of rounds"
                f" {', '.join(map(str, sorted(mine)))}: cancel the task and publish it anew"
            )
        return common, mine.get(common)

    def _read(self, slot: int) -> tuple[int, dict[str, Any] | None]:
        entry = self._journal.load(f"checkpoint {slot}")
        if entry is None:
            return 0, None
        rounds, state = msgpack.unpackb(entry)
        return rounds, state
