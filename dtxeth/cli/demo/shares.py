"""The chapter of ``dtxeth demo parties`` on a neural network: three owners train it on secret shares."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from dtxeth.cli.demo.data import HELD_OUT, in_parts
from dtxeth.cli.demo.tables import table
from dtxeth.learning.mpc.estimators import VerticalMLPRegressor
from dtxeth.learning.progress import Step
from dtxeth.roles import DataOwner, LocalNetwork, Requester, StoredFile

ID: Final = "id"
LABEL: Final = "progression"
TWIN: Final = VerticalMLPRegressor((8,), "tanh", max_iter=60, learning_rate_init=0.1, l2=0.05, random_state=1)
"""The same network in the clear."""


class Shares:
    """Tells the chapter.

    Args:
        network: With three executors that have SPU.
        owners: Three, whose policies allow the network; they have a namespace "study".
        requester: Who asks for the network.
        folder: Where the owners' files may be written.
        console: Where the story is told.
    """

    def __init__(
        self,
        network: LocalNetwork,
        owners: Sequence[DataOwner],
        requester: Requester,
        folder: Path,
        console: Console,
    ) -> None:
        self.network, self.folder, self.console = network, folder, console
        self._owners, self._requester = owners, requester

    def learn(self, rng: np.random.Generator) -> dict[str, float]:
        """Train a network on diabetes, and predict held-out rows, beside the plain twin and a linear model.

        Args:
            rng: Decides who lacks which row, and which are held out; never a secret.

        Returns:
            ``rmse`` and ``rmse_plain_twin`` on the held-out rows, and the ``seconds`` of the training task.
        """
        parts = diabetes(len(self._owners), rng)
        held_out = set(rng.choice(parts[0][ID], size=int(HELD_OUT * len(parts[0])), replace=False))
        train = [part[~part[ID].isin(held_out)] for part in parts]
        test = [part[part[ID].isin(held_out)] for part in parts]
        asked = [test[0].drop(columns=LABEL), *test[1:]]
        files = self._upload("train", train)
        began = time.monotonic()
        with self.console.status("connecting the three") as status:

            def watch(task: int, step: Step) -> None:
                status.update(f"{step.stage}: {step.rounds} of {step.most}")

            self.network.on_progress = watch
            model = self._requester.train(
                "dnn-vl", files=files, id=ID, label=LABEL, network=TWIN.network()
            ).result()
            seconds = time.monotonic() - began
            predicted = self._requester.predict(model, files=self._upload("test", asked)).result()
        parties = self.network.contracts.task_registry.parties_of(model.task_id)
        held = {file.id: _features(part) for file, part in zip(files, train, strict=True)}
        columns = {party.executor: held[party.file_id] for party in parties}
        found = compare(train, test, columns, predicted)
        rows = table("RMSE on held-out rows", "", numbers=(1,))
        rows.add_row("network on secret shares", f"{found['rmse']:.3f}")
        rows.add_row("its plain twin, pooled data", f"{found['rmse_plain_twin']:.3f}")
        rows.add_row("linear regression, pooled data", f"{found.pop('rmse_linear'):.3f}")
        self.console.print(
            f"{model.report['aligned_rows']} common rows, {model.report['rounds']} epochs of a network with one "
            f"hidden layer, by {model.report['engine']}, in {seconds:.0f} s. Each executor keeps shares of the "
            f"weights, which nobody knows; {len(predicted)} held-out rows were predicted."
        )
        self.console.print(rows)
        return found | {"seconds": round(seconds, 1)}

    def _upload(self, kind: str, frames: Sequence[pd.DataFrame]) -> list[StoredFile]:
        files = []
        for owner, frame in zip(self._owners, frames, strict=True):
            path = self.folder / f"{owner.name}-diabetes-{kind}.csv"
            frame.to_csv(path, index=False)
            files.append(owner.upload(path, namespace="study"))
        return files


def diabetes(parties: int, rng: np.random.Generator) -> list[pd.DataFrame]:
    """442 patients × 10 measurements in tables by columns, each without some rows; the first has the label."""
    data = load_diabetes(as_frame=True, scaled=False)
    return in_parts(data.data.assign(**{LABEL: data.target}), LABEL, parties, rng, ID)


def compare(
    train: Sequence[pd.DataFrame],
    test: Sequence[pd.DataFrame],
    columns: Mapping[str, Sequence[str]],
    predicted: pd.DataFrame,
) -> dict[str, float]:
    """Score predictions beside models that learn from pooled data, which nobody has.

    Args:
        train: The owners' rows to learn from.
        test: Their held-out rows, with the label.
        columns: The features of each executor: start weights go by the executors' order.
        predicted: Columns id and label, as a prediction task delivers them.

    Returns:
        ``rmse`` of the predictions, ``rmse_plain_twin`` and ``rmse_linear``.
    """
    known, asked = _pooled(train), _pooled(test)
    ours = predicted.astype({ID: str}).set_index(ID)[LABEL]
    asked = asked.loc[ours.index]
    models = {
        "rmse_plain_twin": clone(TWIN).set_params(columns=dict(columns)),
        "rmse_linear": LinearRegression(),
    }
    found = {"rmse": float(root_mean_squared_error(asked[LABEL], ours))}
    for name, model in models.items():
        model.fit(known.drop(columns=LABEL), known[LABEL])
        theirs = model.predict(asked.drop(columns=LABEL))
        found[name] = float(root_mean_squared_error(asked[LABEL], theirs))
    return found


def _features(part: pd.DataFrame) -> list[str]:
    return [str(column) for column in part.columns if column not in (ID, LABEL)]


def _pooled(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part.set_index(ID) for part in parts], axis=1, join="inner")
