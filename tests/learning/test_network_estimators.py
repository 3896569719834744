"""The networks' estimators are scikit-learn's kind, and fit what a task's plain twin fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dtxeth import VerticalMLPClassifier, VerticalMLPRegressor
from dtxeth.errors import ConfigError, DataError, TaskError
from dtxeth.learning.mpc.twin import predict_plain, train_plain


@parametrize_with_checks([VerticalMLPRegressor(), VerticalMLPClassifier()])
def test_scikit_learn_finds_nothing_wrong(estimator: Any, check: Any) -> None:
    check(estimator)


def test_they_work_in_pipelines_cross_validation_and_grid_search() -> None:
    values, label = load_breast_cancer(return_X_y=True)
    columns = {"hospital": range(10), "bank": range(10, 20), "insurer": range(20, 30)}
    model = make_pipeline(StandardScaler(), VerticalMLPClassifier(columns=columns, random_state=1))
    assert cross_val_score(model, values, label, scoring="roc_auc").mean() > 0.98
    search = GridSearchCV(VerticalMLPRegressor(random_state=1), {"l2": [1e-3, 3.0]}, cv=3)
    assert search.fit(*load_diabetes(return_X_y=True)).best_params_ == {"l2": 1e-3}


def test_a_network_is_no_worse_than_a_linear_model() -> None:
    values, label = load_diabetes(return_X_y=True)
    scored = [
        -cross_val_score(model, values, label, scoring="neg_root_mean_squared_error").mean()
        for model in (VerticalMLPRegressor(activation="tanh", l2=1e-2, random_state=1), LinearRegression())
    ]
    assert scored[0] <= 1.05 * scored[1]


def test_columns_are_in_the_order_of_the_parties_as_in_a_task() -> None:
    frame, label = load_diabetes(return_X_y=True, as_frame=True)
    split = {"lab": ["bp", "s1"], "clinic": ["age", "sex", "bmi"], "insurer": ["s2", "s3", "s4", "s5", "s6"]}
    model = VerticalMLPRegressor((4,), "logistic", columns=split, max_iter=5, random_state=3).fit(
        frame, label
    )
    ordered = frame[[*split["clinic"], *split["insurer"], *split["lab"]]].to_numpy()
    values = (ordered - ordered.mean(axis=0)) / ordered.std(axis=0)
    target = ((label - label.mean()) / label.std(ddof=0)).to_numpy()
    state = train_plain(model.network_, values, target)
    twin = label.mean() + label.std(ddof=0) * predict_plain(model.network_, state, values)
    assert model.predict(frame) == pytest.approx(twin)
    assert [weights.shape for weights in model.coefs_] == [(10, 4), (4, 1)]
    assert model.coefs_[0][list(frame).index("age")] == pytest.approx(state[0][0])
    assert model.network() == model.network_
    assert model.network_.seed == 3
    other = VerticalMLPRegressor((4,), "logistic", max_iter=5, random_state=3).fit(frame, label)
    assert other.predict(frame) != pytest.approx(twin)  # another order, so another start


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"columns": [[0, 1], [2, 3]]}, "columns names 2 parties: a network on shares takes 3"),
        ({"columns": [[0], [1], [2]]}, "each of the 4 columns one holder"),
        ({"hidden_layer_sizes": (0,)}, "layers.0.units"),
        ({"activation": "softmax"}, "activation"),
        ({"solver": "lbfgs"}, "optimiser"),
        ({"max_iter": 0}, "epochs"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_settings_that_no_task_would_have_are_refused(settings: dict[str, Any], complaint: str) -> None:
    random = np.random.default_rng(1)
    with pytest.raises(ConfigError, match=complaint):
        VerticalMLPRegressor(**settings).fit(random.standard_normal((20, 4)), random.standard_normal(20))


def test_what_cannot_be_learned_from_is_refused() -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((20, 4))
    with pytest.raises(DataError, match="y has the same value in all 20 rows"):
        VerticalMLPRegressor().fit(values, np.ones(20))
    with pytest.raises(DataError, match="column 'column 2' has the same value"):
        VerticalMLPClassifier().fit(np.where(np.arange(4) == 2, 1.0, values), np.arange(20) % 2)
    with pytest.raises(TaskError, match="training diverged with learning_rate_init=10: lower it"):
        VerticalMLPRegressor((), solver="sgd", learning_rate_init=10.0, max_iter=1000, random_state=0).fit(
            values, random.standard_normal(20)
        )
