"""Vertical prediction: the parties' parts of z meet at the active party, which has the label's units.

**What it sees.** With three and more parties the passive ones hide their parts from it: each two of them share a
fresh seed, from which both stretch the same mask; one adds it to its part and the other subtracts it, modulo
2⁶⁴. Whatever anybody sends is uniform by itself, and the masks cancel in the sum over all passive parties: that
sum on each common row is what the active party learns. With two parties it is the passive party's own z. It
is one linear function of the passive features; owners bound the number of predictions by the number of passive
features (see :class:`dtxeth.learning.policy.Policy`).

The active party and one passive party together know that one's masks, so among three parties they learn the
third's part. Seeds are drawn anew each time, so no mask ever hides two vectors.

Source: K. Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017
(§4, pairwise masks; without its recovery of parties that drop out).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dtxeth.errors import DataError, PeerError
from dtxeth.learning.part import ModelPart
from dtxeth.learning.table import Matrix
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

_FRACTION: Final = 32
_LARGEST: Final = 2.0**24


class Scores(Message):
    """One party's part of z for each row, masked: units of 2⁻³² modulo 2⁶⁴, little-endian."""

    z: bytes


class MaskSeed(Message):
    """What two passive parties stretch to the mask that they share."""

    seed: Annotated[bytes, Field(min_length=32, max_length=32)]


@dataclass(frozen=True)
class Prediction:
    """What the active party holds after prediction.

    Attributes:
        ids: The common rows.
        values: For each: the quantity in the label's units, or the probability of the second class.
        label: Column that was predicted.
        classes: The two classes of a logistic model.
    """

    ids: tuple[str, ...] = field(repr=False)
    values: Matrix = field(repr=False)
    label: str
    classes: tuple[str, str] | None = None


def collect_scores(channel: Channel, active: str, z: Matrix) -> Matrix | None:
    """Show the active party the sum of all parties' z, and no part of it where there are three and more.

    Args:
        channel: This party's channel.
        active: The party that has the label.
        z: This party's part for each row.

    Returns:
        The sums at the active party, ``None`` elsewhere.

    Raises:
        DataError: A part is not finite or beyond ±2²⁴.
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    total = _encode(z)
    if channel.name != active:
        send(channel, active, "scores", Scores(z=(total + _masks(channel, active, len(z))).tobytes()))
        return None
    for peer in channel.peers:
        data = receive(channel, peer, "scores", Scores).z
        if len(data) != 8 * len(z):
            raise PeerError(peer, f"sent {len(data)} bytes of scores for {len(z)} common rows")
        total = total + np.frombuffer(data, dtype="<u8")
    return np.ldexp(total.view(np.int64).astype(np.float64), -_FRACTION)


def _encode(z: Matrix) -> NDArray[np.uint64]:
    """Round to multiples of 2⁻³²; the sum of up to 64 parts stays below 2⁶³."""
    if not np.all(np.abs(z) <= _LARGEST):  # also catches NaN
        raise DataError(
            f"a row's score is beyond ±{_LARGEST:g} standard deviations: look for values of another unit"
        )
    return np.rint(np.ldexp(z, _FRACTION)).astype(np.int64).view(np.uint64)


def _masks(channel: Channel, active: str, rows: int) -> NDArray[np.uint64]:
    """At a passive party: the sum of the masks that it shares with each other one, modulo 2⁶⁴."""
    others = [peer for peer in channel.peers if peer != active]
    seeds = {peer: token_bytes(32) for peer in others if channel.name < peer}
    for peer, seed in seeds.items():
        send(channel, peer, "score mask", MaskSeed(seed=seed))
    total = np.zeros(rows, dtype=np.uint64)
    for peer in others:
        seed = seeds.get(peer) or receive(channel, peer, "score mask", MaskSeed).seed
        stream = hashlib.shake_256(b"dtxeth score mask\0" + seed).digest(8 * rows)
        mask = np.frombuffer(stream, dtype="<u8")
        total = total + mask if peer in seeds else total - mask
    return total


def open_predictions(channel: Channel, active: str, part: ModelPart, values: Matrix) -> Matrix | None:
    """Let the active party predict rows; return the predictions there, ``None`` elsewhere.

    Args:
        channel: This party's channel.
        active: The party that has the label.
        part: This party's share of the model.
        values: Its features of the rows, in original units; shape (rows, features).

    Raises:
        DataError: A score is not finite, or out of all proportion.
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    z = collect_scores(channel, active, part.score(values))
    if z is None or part.label is None:
        return None
    predicted = part.label.offset + part.label.scale * z
    if part.label.classes is None:
        return predicted
    return np.asarray(1 / (1 + np.exp(-np.clip(predicted, -700, 700))), dtype=np.float64)
