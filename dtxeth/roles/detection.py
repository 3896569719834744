"""How likely challenges are to find out that bytes are gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dtxeth.chain.bindings.types import Algorithm
from dtxeth.errors import InputError

COUNTS: Final[Mapping[Algorithm, int]] = MappingProxyType({Algorithm.MERKLE: 10, Algorithm.KZG: 8})
"""Leaves or blobs that a challenge asks for, unless told otherwise: about 300,000 gas of proof either way."""

LEAVES_PER_BLOB: Final = 512
"""Leaves of 248 bytes in a blob of 126,976."""


def detection_probability(
    algorithm: Algorithm, loss: float, count: int, challenges: float, *, whole_blobs: bool = False
) -> float:
    """Probability that challenges of a holding find its loss.

    The model: each leaf (248 bytes) of the holding is lost with probability ``loss``, independently of the others,
    and the holding is large beside ``count``. A Merkle challenge finds the loss if it draws a lost leaf. A KZG
    challenge finds it if it draws a *touched* blob, one with at least one lost byte: of 512 leaves hardly any blob
    is spared. A node that wants to hide gives up whole blobs instead; then a blob is lost with probability
    ``loss``, which is the best it can do against KZG, and makes no difference to Merkle.

    Drawing one leaf or blob from each of equal stretches finds a loss no less often than independent draws, which
    is what is computed here.

    Args:
        algorithm: What the challenges ask for.
        loss: Share of the holding's bytes that is lost, 0 to 1.
        count: Leaves or blobs drawn by each challenge, at least 1.
        challenges: Number of challenges, 0 or more; a mean number need not be whole.
        whole_blobs: Whether the lost bytes make up whole blobs.

    Returns:
        0 to 1.

    Raises:
        InputError: A value out of range.
    """
    if algorithm is Algorithm.NONE or not 0 <= loss <= 1 or count < 1 or challenges < 0:
        raise InputError(
            f"{algorithm.name}, loss {loss}, {count} draws, {challenges} challenges: "
            "give MERKLE or KZG, a loss of 0 to 1, at least 1 draw, 0 or more challenges"
        )
    touched = loss
    if algorithm is Algorithm.KZG and not whole_blobs:
        touched = 1 - (1 - loss) ** LEAVES_PER_BLOB
    return 1 - math.pow(1 - touched, count * challenges)


def detection_within(
    days: float, per_day: float, algorithm: Algorithm, loss: float, *, whole_blobs: bool = False
) -> float:
    """Probability that a challenger finds a loss in time.

    Its challenges come as a Poisson process, so those that find the loss are one too, of rate
    ``per_day × detection_probability(…, challenges=1)``.

    Args:
        days: How long it goes on.
        per_day: Its rate for each holding.
        algorithm: What it asks for, :data:`COUNTS` of it each time.
        loss: As for :func:`detection_probability`.
        whole_blobs: As for :func:`detection_probability`.

    Returns:
        0 to 1.

    Raises:
        InputError: A value out of range.
    """
    if days < 0 or per_day < 0:
        raise InputError(f"{per_day} challenges a day for {days} days: give numbers of 0 or more")
    found = detection_probability(algorithm, loss, COUNTS[algorithm], 1, whole_blobs=whole_blobs)
    return -math.expm1(-days * per_day * found)
