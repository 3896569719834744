"""Metrics of predictions, by scikit-learn, as plain numbers that JSON can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dtxeth.learning.table import Matrix

ROC_POINTS: Final = 200
"""Most points of a ROC curve; the corners of longer ones are thinned evenly."""

LOSSES: Final = {True: "log_loss", False: "rmse"}
"""The metric that says which of two models is better, the lower the better: of classes, and of quantities."""


def measure(truth: Matrix, predicted: Matrix, binary: bool) -> dict[str, Any]:
    """Measure predictions.

    Args:
        truth: The label of each row: the quantity, or 0/1.
        predicted: The quantity, or the probability of class 1; the threshold of a decision is 1/2.
        binary: Whether the label is a class.

    Returns:
        ``rows`` and, of classes, ``accuracy``, ``precision``, ``recall``, ``f1``, ``log_loss``, ``auc``, ``ks``
        (the largest distance between the distributions of scores of the two classes) and ``confusion``
        ``[[true 0, false 1], [false 0, true 1]]``; ``auc`` and ``ks`` are None where only one class occurs. Of
        quantities, ``rmse``, ``mae`` and ``r2``, which is None for one row.
    """
    from sklearn import metrics  # takes a second to import

    if not binary:
        return {
            "rows": len(truth),
            "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
            "mae": float(metrics.mean_absolute_error(truth, predicted)),
            "r2": float(metrics.r2_score(truth, predicted)) if len(truth) > 1 else None,
        }
    decided = predicted > 0.5
    both = len(np.unique(truth)) == 2
    false, true, _ = metrics.roc_curve(truth, predicted) if both else (np.zeros(1), np.zeros(1), None)
    return {
        "rows": len(truth),
        "accuracy": float(metrics.accuracy_score(truth, decided)),
        "precision": float(metrics.precision_score(truth, decided, zero_division=0.0)),
        "recall": float(metrics.recall_score(truth, decided, zero_division=0.0)),
        "f1": float(metrics.f1_score(truth, decided, zero_division=0.0)),
        "log_loss": float(metrics.log_loss(truth, predicted, labels=[0, 1])),
        "auc": float(metrics.roc_auc_score(truth, predicted)) if both else None,
        "ks": float(np.max(true - false)) if both else None,
        "confusion": metrics.confusion_matrix(truth, decided, labels=[0, 1]).tolist(),
    }


def roc(truth: Matrix, predicted: Matrix) -> list[list[float]]:
    """Return the corners of the ROC curve, (false positive rate, true positive rate); none for one class."""
    from sklearn import metrics

    if len(np.unique(truth)) < 2:
        return []
    false, true, _ = metrics.roc_curve(truth, predicted)
    chosen = np.unique(np.linspace(0, len(false) - 1, ROC_POINTS).round().astype(int))
    return [[float(x), float(y)] for x, y in zip(false[chosen], true[chosen], strict=True)]


def spread(measured: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean and the standard deviation (of the sample) of every metric that all folds have."""
    names = [name for name, value in measured[0].items() if isinstance(value, float)]
    columns = {name: [one[name] for one in measured] for name in names}
    complete = {name: np.array(column) for name, column in columns.items() if None not in column}
    return {
        "mean": {name: float(column.mean()) for name, column in complete.items()},
        "deviation": {
            name: float(column.std(ddof=1)) if len(column) > 1 else 0.0 for name, column in complete.items()
        },
    }
