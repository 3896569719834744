"""Vertical prediction: the parties' parts of z meet at the active party, which has the label's units.

The active party sees the sum of the others' parts of z on each common row, from which it could learn the
passive features' one linear combination; owners bound the number of predictions by the number of passive
features (see :class:`dtxeth.learning.policy.Policy`). With two parties that sum is the passive party's own z.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dtxeth.errors import PeerError
from dtxeth.learning.part import Label, ModelPart
from dtxeth.learning.table import Matrix
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send


class Scores(Message):
    """One party's part of z, little-endian float64 for each common row."""

    z: bytes


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


def send_scores(channel: Channel, active: str, part: ModelPart, values: Matrix) -> None:
    """At a passive party: send the part of z for ``values`` to the active party."""
    send(channel, active, "scores", Scores(z=part.score(values).astype("<f8").tobytes()))


def collect(channel: Channel, part: ModelPart, label: Label, values: Matrix) -> Matrix:
    """At the active party: add up z over all parties and return the predictions.

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    z = part.score(values)
    for peer in channel.peers:
        data = receive(channel, peer, "scores", Scores).z
        if len(data) != 8 * len(z):
            raise PeerError(peer, f"sent {len(data)} bytes of scores for {len(z)} common rows")
        theirs = np.frombuffer(data, dtype="<f8")
        if not np.all(np.isfinite(theirs)):
            raise PeerError(peer, "sent scores that are not finite")
        z = z + theirs
    predicted = label.offset + label.scale * z
    if label.classes is None:
        return predicted
    return 1 / (1 + np.exp(-np.clip(predicted, -700, 700)))


def open_predictions(channel: Channel, active: str, part: ModelPart, values: Matrix) -> Matrix | None:
    """Let the active party predict rows; return the predictions there, ``None`` elsewhere.

    Args:
        channel: This party's channel.
        active: The party that has the label.
        part: This party's share of the model.
        values: Its features of the rows, in original units; shape (rows, features).

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    if part.label is None:
        send_scores(channel, active, part, values)
        return None
    return collect(channel, part, part.label, values)
