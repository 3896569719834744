"""Alignment of two and more parties: which rows all have in common, and in what order they use them.

Diffie-Hellman set intersection on ristretto255. Ids are hashed to the group, bound to the task, and masked by
secret scalars, one a party; masks commute. Where every party has masked, equal ids look alike, and only they
do. The common rows are used in the order of these values, which is random to anyone who lacks a secret.

**Two parties** send their masked sets, shuffled, and return the other's masked once more, in the order in
which it came, so that its owner can map it back. Each learns which of its own rows the other has.

**Three and more** stand in a ring, in the order of their names.

1. Every set goes once round the ring; each party masks and shuffles it, its owner first. Who masked last
   sends it to the first party.
2. The first party intersects the sets, which nobody can map to ids any more, and publishes the intersection,
   sorted. Every party checks it against the set that it masked last.
3. Towards each party p the intersection goes once round the ring, from p's successor to p; each takes its own
   mask off and keeps the order. At p it carries only p's mask, and p maps its ids.

So nobody learns of any row that is not common to all whether another party has it. The first party learns how
many rows any of the parties have in common; nobody else does. docs/protocols/alignment.md has it line by line.

Source: C. Meadows, IEEE S&P 1986; B. Huberman, M. Franklin, T. Hogg, EC 1999; J. Vaidya, C. Clifton, J.
Computer Security 2005 (more than two); semi-honest parties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import Field

from dtxeth.crypto import psi
from dtxeth.errors import CryptoError, DataError, InputError, PeerError
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

T = TypeVar("T")


class Points(Message):
    """Masked ids, 32 bytes each."""

    points: bytes


class Agreement(Message):
    """SHA-256 over the common ids, masked by all, in order."""

    digest: Annotated[bytes, Field(min_length=32, max_length=32)]


Engine = Callable[[Channel, Sequence[str], Mapping[str, int], bytes, TaskSecrets], list[str]]
"""An alignment protocol: arguments, result and errors of :func:`align`."""


def align(
    channel: Channel,
    ids: Sequence[str],
    rows: Mapping[str, int],
    task: bytes,
    secrets: TaskSecrets,
    *,
    pair: Engine | None = None,
) -> list[str]:
    """Find the rows that all parties have, together with the peers of ``channel``.

    Args:
        channel: This party's channel.
        ids: This party's ids, all different.
        rows: How many ids each party has, according to the chain.
        task: Names the task: masked ids of two tasks cannot be compared.
        secrets: Source of the scalar and of the shuffles.
        pair: What two parties run; default :func:`align_pair`.

    Returns:
        The common ids, in the order that all parties share.

    Raises:
        InputError: ``ids`` has another length than ``rows`` says, or there is no peer.
        DataError: No id is common to all.
        PeerError: A peer was silent, gave up, or sent something malformed, invalid or of another number.
    """
    if len(ids) != rows[channel.name]:
        raise InputError(f"{len(ids)} ids to align, the chain says {rows[channel.name]}: read the file anew")
    match len(channel.peers):
        case 0:
            raise InputError("alignment takes two or more parties, this task has one")
        case 1:
            return (pair or align_pair)(channel, ids, rows, task, secrets)
    return _Circle(channel, ids, rows, task, secrets).run()


def align_pair(
    channel: Channel, ids: Sequence[str], rows: Mapping[str, int], task: bytes, secrets: TaskSecrets
) -> list[str]:
    """Align two parties; arguments, result and errors as for :func:`align`."""
    (peer,) = channel.peers
    mask, shuffled = _mask(secrets), _shuffle(ids, secrets, channel.name)
    _send(channel, peer, "masked ids", mask.apply(_hash(shuffled, task)))
    theirs_twice = mask.apply(_receive(channel, peer, "masked ids", rows[peer]))
    _send(channel, peer, "returned ids", theirs_twice)
    own_twice = _receive(channel, peer, "returned ids", len(ids))
    common = set(theirs_twice)
    found = sorted((twice, row) for twice, row in zip(own_twice, shuffled, strict=True) if twice in common)
    _refuse_empty(len(found), rows)
    _agree(channel, [twice for twice, _ in found])
    return [row for _, row in found]


class _Circle:
    """One party's place in the ring of three and more."""

    def __init__(
        self, channel: Channel, ids: Sequence[str], rows: Mapping[str, int], task: bytes, secrets: TaskSecrets
    ) -> None:
        self._channel = channel
        self._ids = ids
        self._rows = rows
        self._task = task
        self._secrets = secrets
        self._mask = _mask(secrets)
        self._parties = sorted((channel.name, *channel.peers))
        self._first = self._parties[0]
        self._predecessor, self._successor = self._at(-1), self._at(1)

    def run(self) -> list[str]:
        """Run the three steps."""
        own = _shuffle(self._ids, self._secrets, self._channel.name)
        masked = self._mask.apply(_hash(own, self._task))
        last = self._round(masked)
        common = self._intersect(last) if self._channel.name == self._first else self._intersection(last)
        _refuse_empty(len(common), self._rows)
        _agree(self._channel, common)
        owners = dict(zip(masked, own, strict=True))
        try:
            return [owners[point] for point in self._unmasked(common)]
        except KeyError:
            raise PeerError(
                self._predecessor, "returned a common row that is none of ours: a party left the protocol"
            ) from None

    def _at(self, steps: int) -> str:
        """Name the party that many steps further in the ring."""
        position = self._parties.index(self._channel.name)
        return self._parties[(position + steps) % len(self._parties)]

    def _round(self, points: list[bytes]) -> list[bytes]:
        """Step 1: pass all sets on; return the set that this party masks last, its successor's."""
        for hop in range(1, len(self._parties)):
            owner, tag = self._at(-hop), f"masked ids {hop}"
            _send(self._channel, self._successor, tag, points)
            theirs = _receive(self._channel, self._predecessor, tag, self._rows[owner])
            points = _shuffle(self._mask.apply(theirs), self._secrets, owner)
        return points

    def _intersect(self, last: list[bytes]) -> list[bytes]:
        """Step 2 at the first party: publish the intersection of all sets, sorted."""
        found = set(last)
        for position, sender in enumerate(self._parties[1:], start=1):
            owner = self._parties[(position + 1) % len(self._parties)]
            found &= set(_receive(self._channel, sender, "masked by all", self._rows[owner]))
        common = sorted(found)
        for peer in self._channel.peers:
            _send(self._channel, peer, "intersection", common)
        return common

    def _intersection(self, last: list[bytes]) -> list[bytes]:
        """Step 2 elsewhere: hand a set over and check what comes back."""
        _send(self._channel, self._first, "masked by all", last)
        common = _receive(self._channel, self._first, "intersection")
        if sorted(common) != common or not set(common) <= set(last):
            raise PeerError(
                self._first, "published an intersection that is not sorted, or not one of our set"
            )
        return common

    def _unmasked(self, common: list[bytes]) -> list[bytes]:
        """Step 3: take the own mask off towards every other; return the points under the own mask only."""
        points = common
        for hop in range(1, len(self._parties)):
            _send(self._channel, self._successor, f"unmasked ids {hop}", self._mask.remove(points))
            points = _receive(self._channel, self._predecessor, f"unmasked ids {hop}", len(common))
        return points


def _mask(secrets: TaskSecrets) -> psi.Mask:
    return psi.Mask(secrets.derive(psi.SEED_BYTES, "alignment scalar"))


def _shuffle(items: Sequence[T], secrets: TaskSecrets, owner: str) -> list[T]:
    return [items[position] for position in secrets.permutation(len(items), "alignment order", owner)]


def _hash(ids: Sequence[str], task: bytes) -> list[bytes]:
    return psi.hash_ids([row.encode() for row in ids], task)


def _refuse_empty(common: int, rows: Mapping[str, int]) -> None:
    if not common:
        sizes = ", ".join(f"{party} has {count}" for party, count in sorted(rows.items()))
        raise DataError(f"no id is common to all parties ({sizes}): compare the id columns")


def _agree(channel: Channel, common: Sequence[bytes]) -> None:
    """Make sure that all parties use the same rows in the same order."""
    digest = hashlib.sha256(b"".join(common)).digest()
    for peer in channel.peers:
        send(channel, peer, "common ids", Agreement(digest=digest))
    for peer in channel.peers:
        if receive(channel, peer, "common ids", Agreement).digest != digest:
            raise PeerError(peer, "does not find the same common rows as we do")


def _send(channel: Channel, peer: str, tag: str, points: list[bytes]) -> None:
    send(channel, peer, tag, Points(points=b"".join(points)))


def _receive(channel: Channel, peer: str, tag: str, count: int | None = None) -> list[bytes]:
    """Receive ``count`` valid points, or any number where ``None``."""
    data = receive(channel, peer, tag, Points).points
    try:
        return psi.parse_points(data, len(data) // psi.POINT_BYTES if count is None else count)
    except CryptoError as error:
        raise PeerError(peer, f"sent invalid {tag}: {error}") from None
