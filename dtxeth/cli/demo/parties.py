"""The story of ``dtxeth demo parties``: three owners learn together, and find out how well, without showing a row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.live import Live as LiveDisplay
from rich.markup import escape
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dtxeth.cli.demo.data import in_parts
from dtxeth.cli.demo.shares import Shares
from dtxeth.cli.demo.tables import chapter, table
from dtxeth.cli.plot import draw, sparkline
from dtxeth.errors import ConfigError
from dtxeth.learning.metrics import measure, spread
from dtxeth.learning.mpc import require_spu
from dtxeth.learning.policy import Policy
from dtxeth.learning.progress import Step
from dtxeth.learning.session import Training
from dtxeth.learning.settings import Evaluation, Live
from dtxeth.roles import LocalNetwork
from dtxeth.roles.report import EvaluationReport

OWNERS = ("hospital", "laboratory", "insurer")
ID, LABEL, FOLDS = "id", "benign", 5
POLICY = Policy(algorithms=frozenset({"logistic-vl", "dnn-vl"}), honest_majority=True)
SHOWN = ("auc", "accuracy", "log_loss", "ks")
LOOKS = 6
"""Live evaluations of the task's model: each shows the label holder one number a row."""


class Parties:
    """Tells the story step by step, and collects the report.

    Args:
        network: A fresh network with three executors.
        folder: Where the owners' files may be written.
        console: Where the story is told.
        rng: Decides who lacks which row; never a secret.
    """

    def __init__(
        self, network: LocalNetwork, folder: Path, console: Console, rng: np.random.Generator
    ) -> None:
        self.network, self.folder, self.console = network, folder, console
        self.report: dict[str, Any] = {"logistic": None, "dnn": None}
        self._rng, self._tables = rng, tables(rng)
        self._trainings: list[Training] = []
        self._owners = [network.data_owner(name, POLICY) for name in OWNERS]
        self._requester = network.requester("university")
        for executor in network.executors:
            executor.on_trained = lambda _, training: self._trainings.append(training)

    def learn(self, rounds: int, plot: Path) -> None:
        """Train and evaluate a logistic model, encrypted throughout; draw its curves.

        Args:
            rounds: Rounds of each of the six models at most.
            plot: Where the PNG goes.
        """
        chapter(self.console, "Three owners, one model: is a breast tumour benign? (569 × 30)")
        rows = table("owner", "holds", "rows", numbers=(2,))
        for owner, frame in zip(OWNERS, self._tables, strict=True):
            features = [name for name in frame.columns if name not in (ID, LABEL)]
            label = f", and the label {LABEL!r}" if LABEL in frame.columns else ""
            rows.add_row(owner, f"{len(features)} columns: {features[0]} …{label}", str(len(frame)))
        self.console.print(rows)
        every = max(1, -(-rounds // LOOKS))
        watch = _Watch(self.console)
        self.network.on_progress = watch
        with watch:
            model = self._requester.train(
                "logistic-vl",
                files=self._upload(),
                id=ID,
                label=LABEL,
                sigmoid="trigonometric",
                max_rounds=rounds,
                tolerance=0.0,
                evaluation=Evaluation(folds=FOLDS),
                live=Live(every=every),
            ).result()
        found = self._requester.report(model)
        draw(found, plot)
        active = next(training for training in self._trainings if training.evaluation is not None)
        pooled = pooled_on(self._tables, [list(rows) for rows in active.tested])
        self._tell(model.report, found, pooled, watch, plot)
        self.report |= {
            "logistic": {
                "auc_cv_mean": found.mean["auc"],
                "auc_cv_std": found.deviation["auc"],
                "auc_pooled_cv": pooled["auc"],
                "accuracy_cv_mean": found.mean["accuracy"],
                "accuracy_pooled_cv": pooled["accuracy"],
            },
            "psi": {
                "parties": len(OWNERS),
                "rows": [len(frame) for frame in self._tables],
                "aligned": model.report["aligned_rows"],
            },
            "engine": active.report["engine"],
            "round_ms": round(watch.round_ms, 1),
        }

    def learn_a_network(self) -> None:
        """Train a network on secret shares, if the extra is there."""
        chapter(self.console, "Three owners, one neural network: how far does diabetes progress? (442 × 10)")
        try:
            require_spu()
        except ConfigError as missing:
            self.console.print(escape(f"Left out: {missing}"))
            return
        story = Shares(self.network, self._owners, self._requester, self.folder, self.console)
        self.report["dnn"] = story.learn(self._rng)

    def _upload(self) -> list[Any]:
        files = []
        for owner, frame in zip(self._owners, self._tables, strict=True):
            path = self.folder / f"{owner.name}.csv"
            frame.to_csv(path, index=False)
            owner.add_namespace("study", replicas=2)
            files.append(owner.upload(path, namespace="study"))
        return files

    def _tell(
        self,
        result: dict[str, Any],
        found: EvaluationReport,
        pooled: dict[str, float],
        watch: _Watch,
        plot: Path,
    ) -> None:
        self.console.print(
            f"{result['aligned_rows']} rows are common to all three. Six models, {watch.rounds} rounds under "
            f"{result['key_bits']}-bit Paillier, {watch.round_ms:.0f} ms a round."
        )
        losses = [point["log_loss"] for point in found.curve]
        self.console.print(
            f"Live, on held-out rows: log loss {sparkline(losses)} from {losses[0]:.4f} to {losses[-1]:.4f}; "
            f"the model of round {found.best_round} was kept. Curves are in [bold]{plot}[/]."
        )
        rows = table(f"{FOLDS} folds", "encrypted", "±", "scikit-learn, pooled data", numbers=(1, 2, 3))
        for name in SHOWN:
            rows.add_row(
                name.replace("_", " "),
                f"{found.mean[name]:.4f}",
                f"{found.deviation[name]:.4f}",
                f"{pooled[name]:.4f}",
            )
        self.console.print(rows)


class _Watch:
    """Follows all models of a task; draws the live curve while it grows."""

    def __init__(self, console: Console) -> None:
        self._began = time.monotonic()
        self._first = self._last = 0.0
        self._done: dict[str, int] = {}
        self._losses: list[float] = []
        self._display = LiveDisplay(console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> None:
        self._display.start()

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, task: int, step: Step) -> None:
        """Take note of a round that one of the parties has done."""
        self._last = time.monotonic()
        self._first = self._first or self._last - step.seconds
        self._done[step.stage] = max(step.rounds, self._done.get(step.stage, 0))
        if step.metrics is not None:
            self._losses.append(step.metrics["log_loss"])
        stages = "  ".join(f"{stage} {rounds}/{step.most}" for stage, rounds in sorted(self._done.items()))
        self._display.update(f"rounds: {stages}\nlog loss: {sparkline(self._losses)}", refresh=True)

    @property
    def rounds(self) -> int:
        """Rounds of all models."""
        return sum(self._done.values())

    @property
    def round_ms(self) -> float:
        """Milliseconds a round, the models that are trained at the same time taken together."""
        return 1000 * (self._last - self._first) / max(1, self.rounds)


def tables(rng: np.random.Generator) -> list[pd.DataFrame]:
    """Breast cancer's 30 columns in three tables, in an order of their own, each without some rows."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return in_parts(frame.assign(**{LABEL: data.target}), LABEL, len(OWNERS), rng, ID)


def pooled_on(parts: list[pd.DataFrame], folds: list[list[str]]) -> dict[str, float]:
    """Cross-validate scikit-learn's logistic regression on pooled data, which nobody has, on the same folds.

    Args:
        parts: The owners' tables.
        folds: The ids that each fold tests.

    Returns:
        The mean of every metric over the folds.
    """
    pooled = pd.concat([part.set_index(ID) for part in parts], axis=1, join="inner")
    values, label = pooled.drop(columns=LABEL), pooled[LABEL]
    measured = []
    for tested in folds:
        rest = values.index.difference(pd.Index(tested))
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(values.loc[rest], label.loc[rest])
        predicted = model.predict_proba(values.loc[tested])[:, 1]
        measured.append(measure(label.loc[tested].to_numpy(dtype=float), predicted, binary=True))
    return dict(spread(measured)["mean"])
