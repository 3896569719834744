"""The estimators are scikit-learn's kind, and fit what the protocol fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dtxeth import VerticalLinearRegression, VerticalLogisticRegression
from dtxeth.errors import ConfigError, DataError
from dtxeth.learning import TaskSpec, simulation


@parametrize_with_checks([VerticalLinearRegression(), VerticalLogisticRegression()])
def test_scikit_learn_finds_nothing_wrong(estimator: Any, check: Any) -> None:
    check(estimator)


def test_they_work_in_pipelines_cross_validation_and_grid_search() -> None:
    values, label = load_breast_cancer(return_X_y=True)
    columns = {"hospital": range(10), "bank": range(10, 20), "insurer": range(20, 30)}
    model = make_pipeline(StandardScaler(), VerticalLogisticRegression(columns=columns, random_state=1))
    assert cross_val_score(model, values, label, scoring="roc_auc").mean() > 0.98
    search = GridSearchCV(VerticalLinearRegression(random_state=1), {"l2": [0.01, 100.0]}, cv=3)
    assert search.fit(*load_diabetes(return_X_y=True)).best_params_ == {"l2": 0.01}


def test_columns_go_by_name_in_a_frame_and_the_split_does_not_change_the_optimum() -> None:
    values, label = load_diabetes(return_X_y=True, as_frame=True)
    split = {"a": ["age", "bmi"], "b": ["sex", "bp", "s1", "s2"], "c": ["s3", "s4", "s5", "s6"]}
    settings = {"max_rounds": 300, "tolerance": 0.0, "l2": 0.1, "random_state": 0}
    named = VerticalLinearRegression(columns=split, **settings).fit(values, label)
    assert named.parties_["a"].tolist() == [0, 2]
    halves = VerticalLinearRegression(**settings).fit(values, label)
    pooled = make_pipeline(StandardScaler(), Ridge(0.1 * len(values))).fit(values, label)
    for model in (named, halves):
        assert model.predict(values) == pytest.approx(pooled.predict(values), rel=1e-5)


@pytest.mark.parametrize("model", [VerticalLinearRegression(), VerticalLogisticRegression()])
def test_encrypted_rounds_are_those_in_the_clear(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_key(**settings: Any) -> TaskSpec:
        return TaskSpec(**settings).model_copy(update={"key_bits": 256})

    monkeypatch.setattr("dtxeth.learning.estimators.TaskSpec", short_key)
    random = np.random.default_rng(4)
    values = random.standard_normal((60, 4)) * [1, 2, 3, 4] + 5
    label = values @ [1, 1, -1, 0.5] + random.standard_normal(60)
    label = label > np.median(label) if isinstance(model, VerticalLogisticRegression) else label
    model = clone(model).set_params(columns=[[3], [0], [1, 2]], max_rounds=4, random_state=5)
    plain = clone(model).fit(values, label)
    encrypted = clone(model).set_params(encrypted=True).fit(values, label)
    assert encrypted.coef_ == pytest.approx(plain.coef_, abs=1e-5)
    assert encrypted.intercept_ == pytest.approx(plain.intercept_, abs=1e-4)
    other = clone(model).set_params(random_state=6).fit(values, label)
    assert other.coef_ != pytest.approx(plain.coef_, abs=1e-5)  # four rounds from another start


@pytest.mark.parametrize(
    "columns",
    [[[0, 1, 2, 3]], [[0, 1], [1, 2, 3]], [[0, 1], [2]], [[0, 1], [2, 3, 4]], [["a"], [1, 2, 3]], [0, 1]],
)
def test_columns_without_one_holder_each_are_refused(columns: Any) -> None:
    random = np.random.default_rng(1)
    model = VerticalLinearRegression(columns=columns)
    with pytest.raises(ConfigError, match="columns is "):
        model.fit(random.standard_normal((20, 4)), random.standard_normal(20))


def test_what_cannot_be_learned_from_is_refused() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 2.0, 2.0]})
    with pytest.raises(DataError, match="same value in all 3 rows"):
        VerticalLinearRegression().fit(frame, [1.0, 2.0, 4.0])
    with pytest.raises(DataError, match="binary"):
        VerticalLogisticRegression().fit(frame, [0, 1, 2])
    with pytest.raises(ConfigError, match="momentum"):
        VerticalLinearRegression(momentum=2.0).fit(frame.assign(b=[1, 3, 2]), [1.0, 2.0, 4.0])


def test_the_error_of_who_failed_comes_before_those_of_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TaskSpec(algorithm="linear-vl", id="id", label="y", learning_rate=50.0, max_rounds=200)
    spec = spec.model_copy(update={"key_bits": 256})
    random = np.random.default_rng(1)
    columns = {name: random.standard_normal((20, 1)) for name in "ab"}
    with pytest.raises(Exception, match="training diverged"):
        simulation.simulate(
            spec, columns, random.standard_normal(20), [bytes(32), bytes([1] * 32)], encrypted=True
        )


# ----- as good as scikit-learn on pooled columns, for any number of parties


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_five_folds_of_breast_cancer_are_as_good_as_pooled_ones(parties: int) -> None:
    values, label = load_breast_cancer(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    columns = [part.tolist() for part in np.array_split(np.arange(30), parties)]
    ours = VerticalLogisticRegression(columns=columns, random_state=1)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    found, pooled = (
        cross_validate(model, values, label, cv=folds, scoring=["roc_auc", "accuracy"])
        for model in (ours, theirs)
    )
    assert found["test_roc_auc"].mean() > pooled["test_roc_auc"].mean() - 0.003
    assert found["test_accuracy"].mean() > pooled["test_accuracy"].mean() - 0.01


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_five_folds_of_diabetes_are_as_good_as_pooled_ones(parties: int) -> None:
    values, label = load_diabetes(return_X_y=True)
    folds = KFold(5, shuffle=True, random_state=1)
    columns = [part.tolist() for part in np.array_split(np.arange(10), parties)]
    ours = VerticalLinearRegression(columns=columns, random_state=1)
    errors = [
        -np.mean(cross_val_score(model, values, label, cv=folds, scoring="neg_root_mean_squared_error"))
        for model in (ours, LinearRegression())
    ]
    assert errors[0] < 1.005 * errors[1]
