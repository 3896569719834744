"""Fitting: one model on given rows, at one party. A task's model and those of its folds are made alike.

Preparing and fitting are two steps, so that all models of a task are known to be possible before any ciphertext
is made: a batch below a floor, a column that is constant among a fold's rows or a sum that could overflow ends
the task when nothing but positions of rows has been said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from dtxeth.errors import DataError
from dtxeth.learning.columns import Column, fill, learn_fills
from dtxeth.learning.journal import Journal
from dtxeth.learning.learner import Fit, check_headroom, start_weights
from dtxeth.learning.live import LiveEvaluation
from dtxeth.learning.part import Label, ModelPart, Moments
from dtxeth.learning.policy import Floors
from dtxeth.learning.progress import Step, Watcher
from dtxeth.learning.ring import Ring
from dtxeth.learning.screening import screen
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.splits import Positions
from dtxeth.learning.table import Matrix, Table
from dtxeth.learning.vertical import fit
from dtxeth.transport.channel import Channel

MAIN: Final = "model"
"""Stage of the task's model; those of its folds are ``"fold 1"`` and so on."""


@dataclass(frozen=True)
class Design:
    """Rows that a model can be fitted on, as one party sees them.

    Attributes:
        table: The rows, in the common order.
        columns: The columns of its file, with what missing values count as.
        values: Standardised features, shape (rows, features).
        target: What the residual subtracts, at the active party.
        moments: The standardisation.
        label: How z becomes a prediction, at the active party.
    """

    table: Table = field(repr=False)
    columns: list[Column] = field(repr=False)
    values: Matrix = field(repr=False)
    target: Matrix | None = field(repr=False)
    moments: Moments = field(repr=False)
    label: Label | None = field(repr=False)


@dataclass(frozen=True)
class Model:
    """A fitted model at one party.

    Attributes:
        design: Rows that it was fitted on.
        part: The party's share of it.
        fit: How the fit went.
        rounds: The round that it is of: the best one with live evaluation, else the last.
        curve: What live evaluation found, at the active party.
    """

    design: Design
    part: ModelPart
    fit: Fit
    rounds: int
    curve: list[dict[str, Any]]


def prepare(
    channel: Channel,
    table: Table,
    columns: Sequence[Column],
    rows: Positions,
    spec: TaskSpec,
    floors: Floors,
    stage: str,
) -> Design:
    """Agree with all peers on the rows that a model is fitted on, and make them ready.

    Args:
        channel: This party's channel.
        table: The party's common rows, in the common order, one column of numbers a feature.
        columns: The columns of its file.
        rows: Positions of those that the model may be trained on.
        spec: The task's spec.
        floors: What the owners demand.
        stage: Name of the model in messages: ``"model"``, or ``"fold 3"``, counted from 1.

    Raises:
        PolicyError: A batch has fewer rows than the floor.
        DataError: A column or the label is constant over the rows, or a column has no value in them.
        ConfigError: The fixed-point sums could overflow the key.
        PeerError: A peer was silent, gave up, or sent something malformed.
    """
    allowed = table.keep(rows.tolist())
    columns = learn_fills(columns, allowed.values, spec.missing)
    filled = fill(columns, allowed.values)
    kept = screen(channel, filled, spec.batch_size, floors)
    used, filled = allowed.keep(kept), filled[kept]
    what = "" if stage == MAIN else f" of {stage}"
    moments = Moments.of(filled, used.features, what)
    values = moments.standardise(filled)
    check_headroom(values, spec, len(channel.peers) + 1, spec.key_bits)
    target, label = None, None
    if used.label is not None:
        target, label = target_of(used.label, used.classes, spec, what)
    return Design(used, columns, values, target, moments, label)


def fit_model(
    ring: Ring,
    design: Design,
    spec: TaskSpec,
    secrets: TaskSecrets,
    task: bytes,
    stage: str,
    live: LiveEvaluation | None = None,
    watcher: Watcher | None = None,
    warm: ModelPart | None = None,
    journal: Journal | None = None,
) -> Model:
    """Fit a model together with the peers.

    Args:
        ring: The parties and keys.
        design: This party's rows.
        spec: The task's spec.
        secrets: Secrets of this model alone: no two models share start weights or masks.
        task: Identifies the task.
        stage: Name of the model for ``watcher``.
        live: Evaluates the model while it is trained.
        watcher: Called after every round.
        warm: This party's part of the model to start from.
        journal: Where this party writes down what it needs to go on after a crash; of this model alone.

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed, out of range or replayed.
        TaskError: Training diverged, or cannot be taken up again.
    """
    salt = secrets.derive(32, "part salt").hex()
    start = None if warm is None else warm_weights(warm, design, secrets)

    def part_of(fitted: Fit) -> ModelPart:
        label = design.label
        if label is not None:
            label = label.model_copy(update={"offset": label.offset + fitted.intercept})
        return ModelPart(
            algorithm=spec.algorithm,
            task=task.hex(),
            features=list(design.table.features),
            columns=design.columns,
            weights=fitted.weights.tolist(),
            moments=design.moments,
            label=label,
            salt=salt,
        )

    watch = _Watch(stage, spec.max_rounds, part_of, live, watcher)
    fitted = fit(ring, design.values, design.target, spec, secrets, watch, start, journal)
    if live is None or live.best is None:
        return Model(design, part_of(fitted), fitted, fitted.rounds, [])
    rounds, part = live.best
    return Model(design, part, fitted, rounds, live.curve)


class _Watch:
    """Evaluates a model while it is trained, and tells how it goes."""

    def __init__(
        self,
        stage: str,
        most: int,
        part_of: Callable[[Fit], ModelPart],
        live: LiveEvaluation | None,
        watcher: Watcher | None,
    ) -> None:
        self._stage, self._most, self._part_of = stage, most, part_of
        self._live, self._watcher = live, watcher
        self._began = time.perf_counter()

    def __call__(self, fit: Fit, ended: bool) -> bool:
        stop, metrics = False, None
        if self._live is not None and self._live.turn(fit.rounds, ended):
            stop = self._live.evaluate(fit.rounds, self._part_of(fit))
            metrics = self._live.curve[-1] if self._live.curve else None
        if self._watcher is not None:
            seconds = time.perf_counter() - self._began
            self._watcher(Step(self._stage, fit.rounds, self._most, seconds, metrics))
        return stop

    def state(self) -> Any:
        return None if self._live is None else self._live.state()

    def restore(self, state: Any) -> None:
        if self._live is not None:
            self._live.restore(state)


def target_of(
    values: Matrix, classes: tuple[str, str] | None, spec: TaskSpec, what: str
) -> tuple[Matrix, Label]:
    """Return the target t of the residual, and how z becomes a prediction (see :mod:`sigmoid`).

    Args:
        values: The quantity of each row, or 0/1.
        classes: What 0 and 1 stand for, of a binary label.
        spec: Task settings.
        what: Tells the rows in errors, such as ``" of fold 3"``.

    Raises:
        DataError: The label is constant.
    """
    mean, deviation, column = float(values.mean()), float(values.std()), spec.label
    if deviation == 0:
        raise DataError(f"label {column!r} has the same value in all {len(values)} common rows{what}")
    if classes is not None and spec.sigmoid == "trigonometric":
        offset = _shift(spec.class_weight, mean)
        return values - 0.5, Label(column=column, offset=offset, scale=1.0, classes=classes)
    if classes is not None:
        offset = 4 * (mean - 0.5) + _shift(spec.class_weight, mean)
        return values - mean, Label(column=column, offset=offset, scale=1.0, classes=classes)
    return (values - mean) / deviation, Label(column=column, offset=mean, scale=deviation)


def warm_weights(warm: ModelPart, design: Design, secrets: TaskSecrets) -> Matrix:
    """Return start weights from another model's part: on the new standardisation, 0 for features that it lacks.

    What hides the labels in the gradients of the others is the active party's part of z, which has to vary by 1 or
    more. Where the former model's varies less there, a secret random start is added to it.
    """
    former = dict(zip(warm.features, zip(warm.weights, warm.moments.deviations, strict=True), strict=True))
    weights = np.zeros(len(design.table.features))
    for number, (name, deviation) in enumerate(
        zip(design.table.features, design.moments.deviations, strict=True)
    ):
        if name in former:
            weight, its_deviation = former[name]
            weights[number] = weight * deviation / its_deviation
    if design.target is not None and np.std(design.values @ weights) < 1:
        weights = weights + start_weights(design.values, secrets)
    return weights


def _shift(weight: float | str | None, second: float) -> float:
    """Return what class weights add to the log-odds of the second class, whose share of the rows is ``second``.

    Rows cannot be weighted by class under encryption without telling their classes. Weighting the second class by r
    multiplies its odds by r, and so shifts the log-odds of a logistic model by log r, whatever the features are
    (prior correction: G. King, L. Zeng, Political Analysis 9, 2001; C. Elkan, IJCAI 2001): the label holder does
    that alone.
    """
    if weight is None:
        return 0.0
    return math.log((1 - second) / second if isinstance(weight, str) else weight)
