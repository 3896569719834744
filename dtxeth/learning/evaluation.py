"""Evaluation: models of the same kind, trained beside the task's model, each tested on rows that it never saw.

Every evaluation model starts from weights of its own and runs as many rounds as the task's model did (with live
evaluation: as its best round says). Its predictions for its test rows go to the active party, as in a prediction
task: each row is shown once, under one model. The active party measures them; what it finds goes to the requester,
and only its hash to the others and on chain.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dtxeth.crypto.parallel import effective_jobs
from dtxeth.learning.columns import Column
from dtxeth.learning.fitting import MAIN, Design, Model, fit_model, prepare
from dtxeth.learning.journal import Journal, MemoryJournal, Section
from dtxeth.learning.live import LiveEvaluation
from dtxeth.learning.metrics import measure, roc, spread
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Floors
from dtxeth.learning.predict import open_predictions
from dtxeth.learning.progress import Step, Watcher
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.settings import Evaluation
from dtxeth.learning.spec import TaskSpec, canonical_json
from dtxeth.learning.splits import Positions, split
from dtxeth.learning.table import Matrix, Table
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send
from dtxeth.transport.streams import Streams


class Reported(Message):
    """SHA-256 of the report that the active party made for the requester."""

    digest: Annotated[bytes, Field(min_length=32, max_length=32)]


@dataclass(frozen=True)
class Fold:
    """One evaluation model at one party.

    Attributes:
        rows: Positions of the test rows among the common rows.
        trained: Number of rows that it was trained on.
        rounds: Rounds run.
        predicted: Predictions for the test rows, at the active party.
    """

    rows: Positions = field(repr=False)
    trained: int
    rounds: int
    predicted: Matrix | None = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """All models of a task, known to be possible, before any ciphertext is made.

    Attributes:
        spec: The task's spec.
        task: Identifies the task.
        active: The party that has the label.
        table: This party's common rows, in the common order.
        design: Rows of the task's model.
        held_out: Rows of its live evaluation.
        folds: Rows to test and rows to train on of every evaluation model.
    """

    spec: TaskSpec
    task: bytes
    active: str
    table: Table = field(repr=False)
    design: Design = field(repr=False)
    held_out: Table | None = field(repr=False)
    folds: list[tuple[Positions, Design]] = field(repr=False)

    @classmethod
    def of(
        cls,
        channel: Channel,
        active: str,
        table: Table,
        columns: list[Column],
        spec: TaskSpec,
        floors: Floors,
        task: bytes,
        secrets: TaskSecrets,
    ) -> Plan:
        """Agree with all peers on the rows of every model; arguments and errors as for splits and designs."""
        everything = np.arange(len(table))

        def parts(name: str, wanted: Evaluation) -> list[Positions]:
            decided = wanted.shuffle and spec.logistic if wanted.stratified is None else wanted.stratified
            wanted = wanted.model_copy(update={"stratified": decided})
            classes = table.label if spec.logistic else None
            return split(channel, active, name, wanted, len(table), classes, task, secrets)

        def design(excluded: Positions, stage: str) -> Design:
            rows = np.setdiff1d(everything, excluded)
            return prepare(channel, table, columns, rows, spec, floors, stage)

        live, held_out = spec.live, np.arange(0)
        if live is not None:
            (held_out,) = parts("live", Evaluation(method="split", share=live.share))
        tested = [] if spec.evaluation is None else parts("evaluation", spec.evaluation)
        return cls(
            spec,
            task,
            active,
            table,
            design(held_out, MAIN),
            None if live is None else table.keep(held_out.tolist()),
            [(rows, design(rows, _stage(number))) for number, rows in enumerate(tested)],
        )

    def run(
        self,
        ring: Ring,
        secrets: TaskSecrets,
        watcher: Watcher | None = None,
        warm: ModelPart | None = None,
        journal: Journal | None = None,
    ) -> tuple[Model, list[Fold]]:
        """Fit the task's model, then the evaluation models, several at a time, and test these.

        Args:
            ring: The parties and keys.
            secrets: Secrets of the task.
            watcher: Called after every round of every model.
            warm: This party's part of the model that the task's model starts from. Evaluation models do not, for it
                may know their test rows.
            journal: Where this party writes down what it needs to go on after a crash; default nowhere.

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed, out of range or replayed.
            TaskError: Training diverged.
        """
        live = None
        if self.spec.live is not None and self.held_out is not None:
            live = LiveEvaluation(ring.channel, self.active, self.spec.live, self.held_out)
        journal = journal or MemoryJournal()
        main = Section(journal, MAIN)
        model = fit_model(ring, self.design, self.spec, secrets, self.task, MAIN, live, watcher, warm, main)
        rounds = model.rounds if warm is None else self.spec.max_rounds
        spec = self.spec.model_copy(update={"max_rounds": rounds})
        streams, watching = Streams(ring.channel, len(self.folds)), threading.Lock()

        def watch(step: Step) -> None:
            with watching:
                if watcher is not None:
                    watcher(step)

        def test(number: int) -> Fold:
            if streams.failure is not None:
                raise streams.failure
            try:
                own = replace(ring, channel=streams.open(number))
                return self._test(own, spec, number, secrets, watch, journal)
            except BaseException as error:
                streams.fail(error)
                ring.channel.abort(type(error).__name__)  # wakes those who wait for the peers' messages
                raise

        # beyond the cores allowed, a second run computes while the first waits for a peer
        with ThreadPoolExecutor(max(2, effective_jobs())) as pool:
            pending = [pool.submit(test, number) for number in range(len(self.folds))]
        if streams.failure is not None:
            raise streams.failure
        return model, [fold.result() for fold in pending]

    def _test(
        self,
        ring: Ring,
        spec: TaskSpec,
        number: int,
        secrets: TaskSecrets,
        watcher: Watcher,
        journal: Journal,
    ) -> Fold:
        rows, design = self.folds[number]
        own = secrets.child("fold", number)
        stage = _stage(number)
        section = Section(journal, stage)
        model = fit_model(ring, design, spec, own, self.task, stage, None, watcher, None, section)
        values = self.table.values[rows]
        predicted = open_predictions(ring.channel, self.active, model.part, values)
        return Fold(rows, len(design.table), model.fit.rounds, predicted)


def _stage(number: int) -> str:
    return f"fold {number + 1}"


def report_on(
    plan: Plan, model: Model, folds: Sequence[Fold], summary: dict[str, Any], secrets: TaskSecrets
) -> bytes:
    """At the active party: write what the requester gets, canonical JSON.

    Args:
        plan: The models of the task.
        model: The task's model.
        folds: The evaluation models.
        summary: The public result.
        secrets: Secrets of the task.

    Returns:
        An object of ``task`` (hex), ``result`` (the summary), ``label``, ``classes``, ``evaluation`` (see
        :func:`summarise`), ``live`` and a random ``salt``, so that the report's hash tells nothing about it.
    """
    spec = plan.spec
    live = None
    if spec.live is not None and plan.held_out is not None:
        live = {
            "settings": spec.live.model_dump(),
            "rows": len(plan.held_out),
            "best_round": model.rounds,
            "curve": model.curve,
        }
    return canonical_json(
        {
            "task": plan.task.hex(),
            "result": summary,
            "label": spec.label,
            "classes": plan.table.classes,
            "evaluation": summarise(spec, folds, plan.table) if folds else None,
            "live": live,
            "salt": secrets.derive(32, "report salt").hex(),
        }
    )


def summarise(spec: TaskSpec, folds: Sequence[Fold], table: Table) -> dict[str, Any]:
    """At the active party: measure all folds, each for itself and all rows together.

    Args:
        spec: The task's spec.
        folds: The evaluation models, with predictions.
        table: The common rows with their label.

    Returns:
        ``settings``, ``folds`` (metrics of each; none for leave-one-out, where a fold is one row), their ``mean``
        and ``deviation``, ``pooled`` metrics of all tested rows, and the pooled ``roc``.
    """
    assert spec.evaluation is not None
    assert table.label is not None
    binary = table.classes is not None
    measured = []
    for fold in folds:
        assert fold.predicted is not None
        metrics = measure(table.label[fold.rows], fold.predicted, binary)
        measured.append({"trained_rows": fold.trained, "rounds": fold.rounds} | metrics)
    truth = table.label[np.concatenate([fold.rows for fold in folds])]
    predicted = np.concatenate([fold.predicted for fold in folds if fold.predicted is not None])
    single = spec.evaluation.method == "leave-one-out"
    return {
        "settings": spec.evaluation.model_dump(),
        "folds": [] if single else measured,
        **({"mean": {}, "deviation": {}} if single else spread(measured)),
        "pooled": measure(truth, predicted, binary),
        "roc": roc(truth, predicted) if binary else [],
    }


def agree_on_report(channel: Channel, active: str, report: bytes | None) -> str:
    """Tell the peers the hash of the active party's report, or hear it; return it as hex.

    Raises:
        PeerError: The active party was silent or gave up.
    """
    if report is None:
        return receive(channel, active, "report", Reported).digest.hex()
    digest = hashlib.sha256(report).digest()
    for peer in channel.peers:
        send(channel, peer, "report", Reported(digest=digest))
    return digest.hex()
