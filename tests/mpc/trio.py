"""Three parties with the columns of real data, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtxeth.learning import Policy, Prediction, Table, TaskContext, TaskSpec
from dtxeth.learning.mpc.session import NetworkTraining, predict_network, train_network
from dtxeth.learning.mpc.twin import predict_plain, train_plain
from dtxeth.learning.table import Matrix
from dtxeth.transport import Channel, memory_channels, run_in_process

ALICE, BOB, CAROL = PARTIES = ("alice", "bob", "carol")
NAMED = Policy(honest_majority=True)


@dataclass(frozen=True)
class Trio:
    """Rows of which each party has a third of the columns, and alice the label."""

    values: Matrix
    label: Matrix
    classes: tuple[str, str] | None = None
    tables: dict[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        thirds = np.array_split(np.arange(self.values.shape[1]), 3)
        for party, columns in zip(PARTIES, thirds, strict=True):
            alice = party == ALICE
            self.tables[party] = Table(
                ids=tuple(f"row {number}" for number in range(len(self.values))),
                features=tuple(f"x{column}" for column in columns),
                values=self.values[:, columns],
                label=self.label if alice else None,
                classes=self.classes if alice else None,
            )

    def train(self, spec: TaskSpec, **changes: Any) -> dict[str, NetworkTraining]:
        """Run ``train_network`` at every party; results or exceptions."""
        return run_all(train_network, self._arguments(spec, changes))

    def predict(self, trained: Mapping[str, NetworkTraining], spec: TaskSpec) -> dict[str, Prediction | None]:
        """Run ``predict_network`` at every party; results or exceptions."""
        predicting = spec.model_copy(update={"kind": "predict"})
        arguments = self._arguments(predicting, {})
        for party, given in arguments.items():
            given.insert(2, trained[party].part)
        return run_all(predict_network, arguments)

    def twin(self, training: NetworkTraining, spec: TaskSpec) -> dict[str, float]:
        """Predict by the plain twin of a training, by row."""
        order = [int(row.removeprefix("row ")) for row in training.ids]
        values, label = self.values[order], self.label[order]
        values = (values - values.mean(axis=0)) / values.std(axis=0)
        mean, deviation = (0.0, 1.0) if self.classes else (label.mean(), label.std())
        assert spec.network is not None
        state = train_plain(spec.network, values, (label - mean) / deviation)
        predicted = mean + deviation * predict_plain(spec.network, state, values)
        return dict(zip(training.ids, predicted.tolist(), strict=True))

    def truth(self, ids: tuple[str, ...]) -> Matrix:
        """Return the labels of rows."""
        return self.label[[int(row.removeprefix("row ")) for row in ids]]

    def _arguments(self, spec: TaskSpec, changes: Mapping[str, Any]) -> dict[str, list[Any]]:
        context = TaskContext(b"task", "lab", {party: len(self.values) for party in PARTIES})
        return {
            party: [
                ALICE,
                self.tables[party],
                spec,
                changes.get("policy", NAMED),
                context,
                *changes.get("further", {}).get(party, ()),
            ]
            for party in PARTIES
        }


def run_all(program: Callable[..., Any], arguments: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Run a program at every party in a process each; return results, or exceptions in their place."""
    channels = memory_channels(arguments)

    def run(party: str, channel: Channel) -> Any:
        try:
            return run_in_process(program, channel, *arguments[party])
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(arguments)) as pool:
        futures = {party: pool.submit(run, party, channels[party]) for party in arguments}
        return {party: future.result(timeout=300) for party, future in futures.items()}


def network_spec(**network: Any) -> TaskSpec:
    return TaskSpec(algorithm="dnn-vl", id="id", label="y", network=network)
