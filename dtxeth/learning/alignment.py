"""Alignment of two parties: which rows they have in common, and in what order they use them.

Diffie-Hellman set intersection on ristretto255. Each party hashes its ids to the group, bound to the task,
masks them with its own secret scalar, shuffles and sends them. The peer masks them once more and returns them
in the order in which they came, so that their owner can map them back. Ids that both have now look alike to
both, and only they do. The common rows are used in the order of their doubly masked values, which is random
to anyone who lacks a secret.

Each party learns which of its own rows the other has, and the size of the other's set, which is public
anyway; of ids that are not common it learns nothing (decisional Diffie-Hellman, hash as random oracle). Both
learn the same.

Source: C. Meadows, IEEE S&P 1986; B. Huberman, M. Franklin, T. Hogg, EC 1999; semi-honest parties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dtxeth.crypto import psi
from dtxeth.errors import CryptoError, DataError, PeerError
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send


class Points(Message):
    """Masked ids, 32 bytes each."""

    points: bytes


class Agreement(Message):
    """SHA-256 over the doubly masked common ids in order."""

    digest: Annotated[bytes, Field(min_length=32, max_length=32)]


def align(
    channel: Channel, peer: str, ids: Sequence[str], peer_rows: int, task: bytes, secrets: TaskSecrets
) -> list[str]:
    """Find the common rows together with the peer.

    Args:
        channel: This party's channel.
        peer: The other party.
        ids: This party's ids, all different.
        peer_rows: How many ids the peer has, according to the chain.
        task: Names the task: masked ids of two tasks cannot be compared.
        secrets: Source of the scalar and of the shuffle.

    Returns:
        The common ids, in the order that both parties share.

    Raises:
        DataError: No id is common.
        PeerError: The peer was silent, gave up, or sent something malformed, invalid or of another number.
    """
    mask = psi.Mask(secrets.derive(psi.SEED_BYTES, "alignment scalar"))
    shuffled = [ids[position] for position in secrets.permutation(len(ids), "alignment order")]
    own = mask.apply(psi.hash_ids([row.encode() for row in shuffled], task))

    _send(channel, peer, "masked ids", own)
    theirs = _receive(channel, peer, "masked ids", peer_rows)
    theirs_twice = mask.apply(theirs)
    _send(channel, peer, "returned ids", theirs_twice)
    own_twice = _receive(channel, peer, "returned ids", len(ids))

    common = set(theirs_twice)
    found = sorted((twice, row) for twice, row in zip(own_twice, shuffled, strict=True) if twice in common)
    if not found:
        raise DataError(
            f"none of {len(ids)} ids is also among the {peer_rows} of {peer}: compare the id columns"
        )
    digest = hashlib.sha256(b"".join(twice for twice, _ in found)).digest()
    send(channel, peer, "common ids", Agreement(digest=digest))
    if receive(channel, peer, "common ids", Agreement).digest != digest:
        raise PeerError(peer, "does not find the same common rows as we do")
    return [row for _, row in found]


def _send(channel: Channel, peer: str, tag: str, points: list[bytes]) -> None:
    send(channel, peer, tag, Points(points=b"".join(points)))


def _receive(channel: Channel, peer: str, tag: str, count: int) -> list[bytes]:
    data = receive(channel, peer, tag, Points).points
    try:
        return psi.parse_points(data, count)
    except CryptoError as error:
        raise PeerError(peer, f"sent invalid {tag}: {error}") from None
