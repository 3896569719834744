"""Screening: the common rows that every owner's floors allow, before any ciphertext is made.

A row of leverage near 1 in a party's own features nearly determines one of its gradients, and so shows that
party the row's residual. Such rows are set aside by all parties. What this tells the others is which common
rows stand out in somebody's table, one bit each. As the rest then weighs more, the search repeats until no
party objects.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dtxeth.errors import PeerError
from dtxeth.learning.learner import partition
from dtxeth.learning.policy import Floors, leverages
from dtxeth.learning.table import Matrix
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send


class SetAside(Message):
    """Positions among the rows still kept that the sender wants to leave out."""

    positions: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=1 << 20)]


def screen(channel: Channel, values: Matrix, batch_size: int | None, floors: Floors) -> list[int]:
    """Agree with all peers on the rows to train on.

    Args:
        channel: This party's channel.
        values: Its features of the common rows, in the common order; shape (rows, features).
        batch_size: As in the spec.
        floors: What the owners demand.

    Returns:
        Positions of the rows to keep, ascending; the same at every party.

    Raises:
        PolicyError: A batch has fewer rows than the floor.
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    kept = np.arange(len(values))
    attempt = 0
    while True:
        batches = partition(len(kept), batch_size)
        smallest = min(batch.stop - batch.start for batch in batches)
        floors.check_rows(smallest, "the smallest batch" if len(batches) > 1 else "the common rows")
        mine = [
            batch.start + int(position)
            for batch in batches
            for position in np.flatnonzero(leverages(values[kept[batch]]) > floors.leverage)
        ]
        for peer in channel.peers:
            send(channel, peer, f"set aside {attempt}", SetAside(positions=mine))
        excluded = set(mine)
        for peer in channel.peers:
            theirs = receive(channel, peer, f"set aside {attempt}", SetAside).positions
            if theirs and max(theirs) >= len(kept):
                raise PeerError(peer, f"set aside row {max(theirs)} of {len(kept)}")
            excluded.update(theirs)
        if not excluded:
            return [int(row) for row in kept]
        kept = np.delete(kept, sorted(excluded))
        attempt += 1
