"""Fitting: one model on given rows, at one party. A task's model and those of its folds are made alike.

Preparing and fitting are two steps, so that all models of a task are known to be possible before any ciphertext
is made: a batch below a floor, a column that is constant among a fold's rows or a sum that could overflow ends
the task when nothing but positions of rows has been said.
"""

from __future__ import annotations

import secrets as entropy
from dataclasses import dataclass, field

from dtxeth.errors import DataError
from dtxeth.learning import fixedpoint
from dtxeth.learning.part import Label, ModelPart, Moments
from dtxeth.learning.policy import Floors
from dtxeth.learning.screening import screen
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.splits import Positions
from dtxeth.learning.table import Matrix, Table
from dtxeth.learning.vertical import Fit, Progress, Ring, fit
from dtxeth.transport.channel import Channel


@dataclass(frozen=True)
class Design:
    """Rows that a model can be fitted on, as one party sees them.

    Attributes:
        table: The rows, in the common order.
        values: Their standardised features.
        target: What the residual subtracts, at the active party.
        moments: The standardisation.
        label: How z becomes a prediction, at the active party.
    """

    table: Table = field(repr=False)
    values: Matrix = field(repr=False)
    target: Matrix | None = field(repr=False)
    moments: Moments = field(repr=False)
    label: Label | None = field(repr=False)


@dataclass(frozen=True)
class Model:
    """A fitted model at one party: its part, and how the fit went."""

    part: ModelPart
    fit: Fit


def prepare(
    channel: Channel, table: Table, rows: Positions, spec: TaskSpec, floors: Floors, key_bits: int
) -> Design:
    """Agree with all peers on the rows that a model is fitted on, and make them ready.

    Args:
        channel: This party's channel.
        table: The party's common rows, in the common order.
        rows: Positions of those that the model may be trained on.
        spec: The task's spec.
        floors: What the owners demand.
        key_bits: Length of the modulus that sums must fit.

    Raises:
        PolicyError: A batch has fewer rows than the floor.
        DataError: A column or the label is constant over the rows.
        ConfigError: The fixed-point sums could overflow the key.
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    allowed = table.keep(rows.tolist())
    used = allowed.keep(screen(channel, allowed.values, spec.batch_size, floors))
    moments = Moments.of(used.values, used.features)
    values = moments.standardise(used.values)
    fixedpoint.check_headroom(values, spec.precision, len(channel.peers) + 1, key_bits)
    target, label = (None, None) if used.label is None else _target(used.label, used.classes, spec.label)
    return Design(used, values, target, moments, label)


def fit_model(
    ring: Ring,
    design: Design,
    spec: TaskSpec,
    secrets: TaskSecrets,
    task: bytes,
    progress: Progress | None = None,
) -> Model:
    """Fit a model together with the peers.

    Args:
        ring: The parties and keys.
        design: This party's rows.
        spec: The task's spec.
        secrets: Secrets of this model alone: no two models share start weights or masks.
        task: Identifies the task.
        progress: Called after every round with (round, of, seconds).

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed, out of range or replayed.
        TaskError: Training diverged.
    """
    fitted = fit(ring, design.values, design.target, spec, secrets, progress)
    part = ModelPart(
        algorithm=spec.algorithm,
        task=task.hex(),
        features=list(design.table.features),
        weights=fitted.weights.tolist(),
        moments=design.moments,
        label=design.label,
        salt=entropy.token_hex(32),
    )
    return Model(part, fitted)


def _target(values: Matrix, classes: tuple[str, str] | None, column: str) -> tuple[Matrix, Label]:
    """Return the target t of the residual, and how z becomes a prediction (see :mod:`vertical`)."""
    mean, deviation = float(values.mean()), float(values.std())
    if deviation == 0:
        raise DataError(f"label {column!r} has the same value in all {len(values)} rows to train on")
    if classes is not None:
        return values - mean, Label(column=column, offset=4 * (mean - 0.5), scale=1.0, classes=classes)
    return (values - mean) / deviation, Label(column=column, offset=mean, scale=deviation)
