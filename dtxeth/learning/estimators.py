"""scikit-learn estimators that simulate all parties of a vertical training in one process.

They fit the model that separate owners would get, on columns of which ``columns`` says who holds what: to try a
study before its owners meet, to choose settings by grid search, to see what the protocol costs in accuracy.

    model = make_pipeline(StandardScaler(), VerticalLogisticRegression(columns={"hospital": [0, 1], "bank": [2, 3]}))
    cross_val_score(model, X, y)
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from dtxeth.errors import ConfigError, DataError
from dtxeth.learning.secrets import SECRET_BYTES
from dtxeth.learning.simulation import LinearModel, simulate
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

Columns = Mapping[str, Sequence[Any]] | Sequence[Sequence[Any]]


class VerticalLinearModel(BaseEstimator):  # type: ignore[misc]
    """What both linear models share: their settings, and the simulation.

    Args:
        columns: Each party's columns, by number or by name in a data frame: a mapping from parties, or one sequence
            a party. Each column has one holder; the first party holds the label too. By default two parties have
            half of the columns each.
        learning_rate: Step length of plain gradient descent; by default every party steps by its local curvature.
        momentum: Heavy-ball momentum; by default steps are accelerated.
        l1: Weight of the absolute values of the coefficients on standardised columns.
        l2: Weight of half of their squares.
        batch_size: Least rows in a batch of the fixed partition; by default all rows are one.
        tolerance: Training stops when all gradients have a norm below this.
        max_rounds: Rounds at most.
        encrypted: Run the whole protocol, Paillier encryption included, over channels in memory. By default its
            integer twin computes the same rounds in the clear.
        precision: Fractional bits under encryption.
        key_bits: Length of the Paillier modulus.
        random_state: Seed of the secret start weights.

    Attributes:
        coef_: One coefficient a column.
        intercept_: What is predicted, or the log-odds, where all columns are 0.
        parties_: The columns of each party, by number.
    """

    _algorithm: str

    def __init__(
        self,
        *,
        columns: Columns | None = None,
        learning_rate: float | None = None,
        momentum: float | None = None,
        l1: float = 0.0,
        l2: float = 0.01,
        batch_size: int | None = None,
        tolerance: float = 1e-4,
        max_rounds: int = 40,
        encrypted: bool = False,
        precision: int = 24,
        key_bits: int = 2048,
        random_state: Any = None,
    ) -> None:
        self.columns = columns
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.l1 = l1
        self.l2 = l2
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.max_rounds = max_rounds
        self.encrypted = encrypted
        self.precision = precision
        self.key_bits = key_bits
        self.random_state = random_state

    def _fit(self, X: Matrix, label: Matrix, **more: Any) -> Self:
        self.parties_ = holders(self.columns, X.shape[1], getattr(self, "feature_names_in_", None))
        names = (
            "learning_rate",
            "momentum",
            "l1",
            "l2",
            "batch_size",
            "tolerance",
            "max_rounds",
            "precision",
        )
        settings = {name: getattr(self, name) for name in (*names, "key_bits")}
        spec = TaskSpec(algorithm=self._algorithm, id="row", label="label", **settings, **more)
        random = check_random_state(self.random_state)
        model: LinearModel = simulate(
            spec,
            {party: X[:, held] for party, held in self.parties_.items()},
            label,
            [random.bytes(SECRET_BYTES) for _ in self.parties_],
            encrypted=self.encrypted,
        )
        self.coef_ = np.empty(X.shape[1])
        for held, coefficients in zip(self.parties_.values(), model.coefficients, strict=True):
            self.coef_[held] = coefficients
        self.intercept_ = model.intercept
        return self

    def _score(self, X: Any) -> Matrix:
        check_is_fitted(self)
        values = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(values @ self.coef_ + self.intercept_, dtype=np.float64)


class VerticalLinearRegression(RegressorMixin, VerticalLinearModel):  # type: ignore[misc]
    """Linear regression on columns that several parties hold.

    Settings and attributes are those of :class:`VerticalLinearModel`.
    """

    _algorithm = "linear-vl"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the model to ``X``, shape (rows, columns), and ``y``, one quantity a row.

        Raises:
            ValueError: They are no such arrays, or a column or ``y`` is constant.
            ConfigError: A setting is out of range, or ``columns`` does not give every column one holder.
            TaskError: Training diverged.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        return self._fit(X, np.asarray(column_or_1d(y, warn=True), dtype=np.float64))

    def predict(self, X: Any) -> Matrix:
        """Predict one quantity a row."""
        return self._score(X)


class VerticalLogisticRegression(ClassifierMixin, VerticalLinearModel):  # type: ignore[misc]
    """Logistic regression with two classes on columns that several parties hold.

    Settings and attributes are those of :class:`VerticalLinearModel`.

    Args:
        sigmoid: How it is evaluated under encryption, ``"trigonometric"`` or ``"first-order"``.
        sigmoid_terms: Sine terms of the trigonometric one.

    Attributes:
        classes_: Both classes, sorted.
    """

    _algorithm = "logistic-vl"

    def __init__(
        self,
        *,
        sigmoid: str = "trigonometric",
        sigmoid_terms: int = 3,
        columns: Columns | None = None,
        learning_rate: float | None = None,
        momentum: float = 0.7,
        l1: float = 0.0,
        l2: float = 0.01,
        batch_size: int | None = None,
        tolerance: float = 1e-4,
        max_rounds: int = 40,
        encrypted: bool = False,
        precision: int = 24,
        key_bits: int = 2048,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            columns=columns,
            learning_rate=learning_rate,
            momentum=momentum,
            l1=l1,
            l2=l2,
            batch_size=batch_size,
            tolerance=tolerance,
            max_rounds=max_rounds,
            encrypted=encrypted,
            precision=precision,
            key_bits=key_bits,
            random_state=random_state,
        )
        self.sigmoid = sigmoid
        self.sigmoid_terms = sigmoid_terms

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the model to ``X``, shape (rows, columns), and ``y``, one class a row.

        Raises:
            ValueError: They are no such arrays, ``y`` has not two classes, or a column is constant.
            ConfigError: A setting is out of range, or ``columns`` does not give every column one holder.
            TaskError: Training diverged.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        self.classes_, classes = two_classes(y)
        sigmoid = {"sigmoid": self.sigmoid, "sigmoid_terms": self.sigmoid_terms}
        return self._fit(X, classes, **sigmoid)

    def decision_function(self, X: Any) -> Matrix:
        """Return the log-odds of the second class, one a row."""
        return self._score(X)

    def predict_proba(self, X: Any) -> Matrix:
        """Return the probabilities of both classes, shape (rows, 2)."""
        second = 1 / (1 + np.exp(-np.clip(self._score(X), -700, 700)))
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Predict one class a row."""
        scores = self._score(X)
        return np.asarray(self.classes_[(scores > 0).astype(int)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def two_classes(y: Any) -> tuple[np.ndarray[Any, Any], Matrix]:
    """Return both classes of a label, sorted, and 0 or 1 a row for which of them it has.

    Raises:
        ValueError: ``y`` is not one class a row.
        DataError: It has not two classes.
    """
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind != "binary":
        raise DataError(f"Only binary classification is supported. The type of the target is {kind}.")
    classes, numbers = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    if len(classes) != 2:
        raise DataError(f"y has {len(classes)} class, two are needed: {classes}")
    return classes, numbers.astype(np.float64)


def holders(
    columns: Columns | None, count: int, names: Sequence[Hashable] | None
) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the columns of each party, by number; by default two parties have half of them each.

    Args:
        columns: As an estimator has it.
        count: How many columns there are.
        names: Their names, if they have some.

    Raises:
        ConfigError: A column that does not exist, or has no holder, or two.
        DataError: Fewer than two columns.
    """
    if count < 2:
        raise DataError(f"n_features={count}: two parties need two columns at least")
    if columns is None:
        columns = [range(count // 2), range(count // 2, count)]
    if not isinstance(columns, Mapping):
        columns = {f"party {number}": held for number, held in enumerate(columns, start=1)}
    number_of = {name: number for number, name in enumerate(() if names is None else names)}
    try:
        holders = {
            party: np.array(
                [number_of[c] if isinstance(c, str) else range(count)[c] for c in held], dtype=np.int64
            )
            for party, held in columns.items()
        }
    except (LookupError, TypeError):
        raise ConfigError(
            f"columns is {columns!r}: name columns of X, or give numbers below {count}"
        ) from None
    held = sorted(np.concatenate([np.arange(0), *holders.values()]).tolist())
    if len(holders) < 2 or held != list(range(count)) or not all(map(len, holders.values())):
        raise ConfigError(
            f"columns is {columns!r}: give two parties or more, and each of the {count} columns one holder"
        )
    return holders
