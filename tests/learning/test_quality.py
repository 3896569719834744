"""Real data, split by columns: as good as scikit-learn on the pooled rows, and equal to the twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dtxeth.learning import Table, TaskSpec
from dtxeth.learning.learner import start_weights
from dtxeth.learning.plain import retrace, train_plain
from dtxeth.learning.secrets import TaskSecrets
from tests.learning.parties import ACTIVE, PASSIVE, predict_all, train_all


@dataclass(frozen=True)
class Study:
    """A data set between two owners whose rows overlap in part, with rows held out for evaluation."""

    logistic: bool
    train: dict[str, Table]
    test: dict[str, Table]

    def pooled(self, tables: dict[str, Table]) -> tuple[np.ndarray, np.ndarray]:
        common = sorted(set(tables[ACTIVE].ids) & set(tables[PASSIVE].ids))
        alice, bob = tables[ACTIVE].take(common), tables[PASSIVE].take(common)
        assert alice.label is not None
        return np.column_stack([alice.values, bob.values]), alice.label


def make_study(logistic: bool) -> Study:
    data = load_breast_cancer() if logistic else load_diabetes()
    random = np.random.default_rng(2024)
    rows, features = data.data.shape
    names = [str(name).replace(",", " ") for name in data.feature_names]
    order = random.permutation(rows)
    held_out, rest = order[: rows // 5], order[rows // 5 :]
    missing = len(rest) // 20

    def csv(chosen: np.ndarray, columns: range, with_label: bool) -> bytes:
        lines = [",".join(["id", *(names[c] for c in columns), *(["target"] if with_label else [])])]
        for row in random.permutation(chosen):
            values = [repr(float(data.data[row, c])) for c in columns]
            lines.append(
                ",".join([f"patient {row}", *values, *([str(data.target[row])] if with_label else [])])
            )
        return "\n".join(lines).encode()

    def tables(for_alice: np.ndarray, for_bob: np.ndarray) -> dict[str, Table]:
        half = features // 2
        return {
            ACTIVE: Table.from_csv(csv(for_alice, range(half), True), "id", "target", binary=logistic),
            PASSIVE: Table.from_csv(csv(for_bob, range(half, features), False), "id"),
        }

    return Study(logistic, tables(rest[missing:], rest[:-missing]), tables(held_out, held_out))


STUDIES = {"logistic-vl": make_study(True), "linear-vl": make_study(False)}


def spec_for(algorithm: str, **settings: object) -> TaskSpec:
    return TaskSpec(algorithm=algorithm, id="id", label="target", **settings)


def assert_as_good_as_pooled(
    study: Study, predicted: np.ndarray, truth: np.ndarray, rows: np.ndarray
) -> None:
    """Compare with scikit-learn, trained on the pooled rows, on the same held-out ``rows``."""
    if study.logistic:
        pooled = make_pipeline(StandardScaler(), LogisticRegression()).fit(*study.pooled(study.train))
        best = roc_auc_score(truth, pooled.decision_function(rows))
        assert roc_auc_score(truth, predicted) > best - 0.01
        assert np.mean((predicted > 0.5) == truth) > pooled.score(rows, truth) - 0.04
        return
    pooled = LinearRegression().fit(*study.pooled(study.train))
    best = np.sqrt(np.mean((pooled.predict(rows) - truth) ** 2))
    assert np.sqrt(np.mean((predicted - truth) ** 2)) < 1.01 * best


@pytest.mark.parametrize("algorithm", STUDIES)
def test_encrypted_model_is_as_good_as_scikit_learn_on_pooled_rows(algorithm: str) -> None:
    study = STUDIES[algorithm]
    spec = spec_for(algorithm).model_copy(update={"key_bits": 256})
    trainings = train_all(study.train, spec)
    assert trainings[ACTIVE].report["aligned_rows"] == len(study.pooled(study.train)[1])
    prediction = predict_all(study.test, trainings, spec)[ACTIVE]
    assert prediction is not None
    alice, bob = (study.test[name].take(prediction.ids) for name in (ACTIVE, PASSIVE))
    assert alice.label is not None
    rows = np.column_stack([alice.values, bob.values])
    assert_as_good_as_pooled(study, prediction.values, alice.label, rows)


@pytest.mark.parametrize("algorithm", STUDIES)
def test_many_rounds_reach_the_optimum(algorithm: str) -> None:
    """The twin, 3000 rounds from a random start, lands where the closed form of its loss is."""
    study = STUDIES[algorithm]
    spec = spec_for(algorithm, max_rounds=3000, tolerance=0.0)
    values, label = study.pooled(study.train)
    half = values.shape[1] // 2
    columns = [values[:, :half], values[:, half:]]
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    blocks = scaled[:, :half], scaled[:, half:]
    starts = [start_weights(x, TaskSecrets(bytes([i]) * 32, b"task")) for i, x in enumerate(blocks)]
    weights = np.concatenate(train_plain(spec, columns, label, starts))
    slope = 0.25 if study.logistic else 1.0
    goal = (label - label.mean()) / (1.0 if study.logistic else label.std())
    hessian = slope * scaled.T @ scaled / len(label) + spec.l2 * np.eye(len(weights))
    assert weights == pytest.approx(np.linalg.solve(hessian, scaled.T @ goal / len(label)), abs=1e-8)


@pytest.mark.slow
def test_rounds_at_full_key_length_equal_the_twin() -> None:
    """A few rounds: what they compute does not depend on their number, and the demo runs all of both algorithms."""
    study = STUDIES["logistic-vl"]
    spec = spec_for("logistic-vl", max_rounds=6, tolerance=0.0)
    trainings = train_all(study.train, spec, isolated=True)
    assert trainings[ACTIVE].report["rounds"] == 6
    assert trainings[ACTIVE].report["engine"]["paillier_bits"] == 2048
    ids = {name: training.ids for name, training in trainings.items()}
    twin = retrace(spec, study.train, ids, {name: training.start for name, training in trainings.items()})
    for name, training in trainings.items():
        assert np.abs(twin[name] - training.part.weights).max() < 1e-5
