"""scikit-learn estimators that simulate the three parties of a ``dnn-vl`` task in one process, without SPU.

They are the plain twin (:mod:`dtxeth.learning.mpc.twin`) of what three executors train on secret shares: the same
layers, start weights, batches and steps, on columns of which ``columns`` says who holds what.

    model = VerticalMLPRegressor(hidden_layer_sizes=(8,), columns={"clinic": [0, 1], "lab": [2, 3], "insurer": [4]})
    cross_val_score(model, X, y)
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Final, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from dtxeth.errors import ConfigError, DataError, TaskError
from dtxeth.learning.estimators import Columns, holders, two_classes
from dtxeth.learning.mpc import PARTIES
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.mpc.twin import predict_plain, train_plain
from dtxeth.learning.part import Moments
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

_ACTIVATIONS: Final = {"identity": "linear", "logistic": "sigmoid"}
"""What scikit-learn calls otherwise than a task's network does."""


class VerticalMLP(BaseEstimator):  # type: ignore[misc]
    """What both networks share: their settings, and the simulation.

    **The arithmetic is float64, a task's is SPU's fixed point** (40 fractional bits of 128). The RMSE on diabetes
    after 20 epochs agreed to 8 digits with relu; SPU's tanh is an approximation that moved outputs by about 4·10⁻³
    (``docs/protocols/dnn.md``). Columns are standardised by each party, so a scaler before it changes nothing.

    Settings have scikit-learn's names where they mean what they mean in its ``MLPRegressor``; ``l2`` is not
    its ``alpha``, which it divides by the rows of a batch, and there is no early stopping under encryption.

    Args:
        hidden_layer_sizes: Units of each hidden layer; none: a linear model.
        activation: Of the hidden layers: ``"relu"``, ``"tanh"``, ``"logistic"`` or ``"identity"``.
        columns: Each party's columns, by number or by name in a data frame: a mapping from three parties, or three
            sequences. Each column has one holder. By default they are split evenly; of two columns the third party
            has none then, which a task would refuse.
        solver: ``"sgd"`` (without momentum), ``"momentum"`` (heavy ball, 0.9) or ``"adam"``.
        learning_rate_init: Step length.
        max_iter: Epochs; all of them are trained.
        batch_size: Rows of a batch of the fixed random partition; by default all rows are one.
        l2: Weight of half of the squared weights, biases aside.
        random_state: Seed of the start weights and the partition, both of which are public in a task. An integer is
            what a task has in ``seed``.

    Attributes:
        parties_: The columns of each party, by number.
        network_: The network, as a task's spec has it.
        coefs_: The weights of each layer, shape (its inputs, its units); those of the first are on standardised
            columns.
        intercepts_: The biases of each layer.
        n_iter_: Epochs trained.
    """

    _output: str

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (8,),
        activation: str = "relu",
        *,
        columns: Columns | None = None,
        solver: str = "momentum",
        learning_rate_init: float = 0.05,
        max_iter: int = 100,
        batch_size: int | None = None,
        l2: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.columns = columns
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.l2 = l2
        self.random_state = random_state

    def network(self) -> Network:
        """Return the network that these settings mean, for a task: ``lab.train("dnn-vl", network=model.network())``.

        Raises:
            ConfigError: A setting is out of range.
        """
        activation = _ACTIVATIONS.get(self.activation, self.activation)
        network = {
            "layers": [
                *({"units": units, "activation": activation} for units in self.hidden_layer_sizes),
                {"units": 1, "activation": self._output},
            ],
            "optimiser": self.solver,
            "learning_rate": self.learning_rate_init,
            "epochs": self.max_iter,
            "batch_size": self.batch_size,
            "l2": self.l2,
            "seed": _seed(self.random_state),
        }
        spec = TaskSpec(algorithm="dnn-vl", id="row", label="label", network=network)
        assert spec.network is not None
        return spec.network

    def _fit(self, X: Matrix, target: Matrix) -> Self:
        count = X.shape[1]
        self.parties_ = self._holders(count)
        self.network_ = self.network()
        names = tuple(f"column {column}" for column in range(count))
        self._moments = Moments.of(X, names, "")
        # a task has the columns in the order of the parties' names, and start weights go by position
        order = np.concatenate([self.parties_[party] for party in sorted(self.parties_)])
        with np.errstate(over="ignore", invalid="ignore"):
            state = train_plain(self.network_, self._moments.standardise(X)[:, order], target)
        if not all(np.isfinite(value).all() for value in state):
            raise TaskError(
                f"training diverged with learning_rate_init={self.learning_rate_init:g}: lower it"
            )
        weights = 2 * len(self.network_.layers)
        first = np.empty_like(state[0])
        first[order] = state[0]
        self.coefs_ = [first, *state[2:weights:2]]
        self.intercepts_ = list(state[1:weights:2])
        self.n_iter_ = self.network_.epochs
        return self

    def _holders(self, count: int) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
        if self.columns is None:
            split = np.array_split(np.arange(count), PARTIES)
            return {f"party {number}": held for number, held in enumerate(split, start=1)}
        held = holders(self.columns, count, getattr(self, "feature_names_in_", None))
        if len(held) != PARTIES:
            raise ConfigError(
                f"columns names {len(held)} parties: a network on shares takes {PARTIES}, give each its columns"
            )
        return held

    def _output_of(self, X: Any) -> Matrix:
        check_is_fitted(self)
        values = self._moments.standardise(validate_data(self, X, reset=False, dtype=np.float64))
        state = [part for layer in zip(self.coefs_, self.intercepts_, strict=True) for part in layer]
        return predict_plain(self.network_, tuple(state), values)


def _seed(random_state: Any) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))


class VerticalMLPRegressor(RegressorMixin, VerticalMLP):  # type: ignore[misc]
    """A neural network for a quantity on columns that three parties hold: the plain twin of a ``dnn-vl`` task.

    Settings and attributes are those of :class:`VerticalMLP`, and so is how far float is from SPU's fixed point.
    """

    _output = "linear"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the network to ``X``, shape (rows, columns), and ``y``, one quantity a row.

        Raises:
            ValueError: They are no such arrays, or a column or ``y`` is constant.
            ConfigError: A setting is out of range, or ``columns`` does not give every column one of three holders.
            TaskError: Training diverged.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        y = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        self._mean, self._deviation = float(y.mean()), float(y.std())
        if self._deviation == 0:
            raise DataError(f"y has the same value in all {len(y)} rows: there is nothing to learn")
        return self._fit(X, (y - self._mean) / self._deviation)

    def predict(self, X: Any) -> Matrix:
        """Predict one quantity a row."""
        output = self._output_of(X)
        return np.asarray(self._mean + self._deviation * output, dtype=np.float64)


class VerticalMLPClassifier(ClassifierMixin, VerticalMLP):  # type: ignore[misc]
    """A neural network for two classes on columns that three parties hold: the plain twin of a ``dnn-vl`` task.

    Settings and attributes are those of :class:`VerticalMLP`, and so is how far float is from SPU's fixed point.

    Attributes:
        classes_: Both classes, sorted.
    """

    _output = "sigmoid"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the network to ``X``, shape (rows, columns), and ``y``, one class a row.

        Raises:
            ValueError: They are no such arrays, ``y`` has not two classes, or a column is constant.
            ConfigError: A setting is out of range, or ``columns`` does not give every column one of three holders.
            TaskError: Training diverged.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        self.classes_, classes = two_classes(y)
        return self._fit(X, classes)

    def predict_proba(self, X: Any) -> Matrix:
        """Return the probabilities of both classes, shape (rows, 2)."""
        second = self._output_of(X)
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Predict one class a row."""
        second = self._output_of(X)
        return np.asarray(self.classes_[(second > 0.5).astype(int)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
