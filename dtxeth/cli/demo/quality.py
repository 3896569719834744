"""How good a model is, beside the one that scikit-learn would train on the pooled data, which nobody has."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dtxeth.cli.demo.data import Study
from dtxeth.learning.plain import retrace
from dtxeth.learning.session import Training
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table


def compare(study: Study, predicted: pd.DataFrame) -> dict[str, float]:
    """Score predictions on the held-out rows, beside a pooled scikit-learn model on the same rows.

    Args:
        study: The learning problem.
        predicted: Columns id and label, as a prediction task delivers them.

    Returns:
        ``auc``, ``auc_pooled``, ``accuracy``, ``accuracy_pooled``; or ``rmse``, ``rmse_pooled``, ``r2``, ``r2_pooled``.
    """
    ours = predicted.astype({study.id: str}).set_index(study.id)[study.label]
    truth = study.truth.loc[ours.index]
    pooled = study.pooled.drop(columns=study.label), study.pooled[study.label]
    held_out = study.pooled_test.loc[ours.index]
    if study.task == "linear":
        theirs = make_pipeline(StandardScaler(), LinearRegression()).fit(*pooled).predict(held_out)
        return {
            "rmse": float(root_mean_squared_error(truth, ours)),
            "rmse_pooled": float(root_mean_squared_error(truth, theirs)),
            "r2": float(r2_score(truth, ours)),
            "r2_pooled": float(r2_score(truth, theirs)),
        }
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*pooled)
    classes = model.classes_
    theirs = model.predict_proba(held_out)[:, 1]
    return {
        "auc": float(roc_auc_score(truth == classes[1], ours)),
        "auc_pooled": float(roc_auc_score(truth == classes[1], theirs)),
        "accuracy": float(accuracy_score(truth == classes[1], ours > 0.5)),
        "accuracy_pooled": float(accuracy_score(truth == classes[1], theirs > 0.5)),
    }


def twin_difference(study: Study, spec: TaskSpec, trainings: dict[str, Training], rounds: int) -> float:
    """Retrace a training in the clear, and return how far the coefficients are apart at most.

    Args:
        study: The learning problem; both parties' training rows are used.
        spec: The task's spec.
        trainings: What each executor holds after training, in the order of the parties.
        rounds: Rounds that were run.
    """
    tables = {party: _table(study, frame, spec) for party, frame in zip(trainings, study.train, strict=True)}
    ids = {party: training.ids for party, training in trainings.items()}
    starts = {party: training.start for party, training in trainings.items()}
    twins = retrace(spec, tables, ids, starts, rounds)
    return max(
        float(np.abs(np.array(training.part.weights) - twins[party]).max())
        for party, training in trainings.items()
    )


def _table(study: Study, frame: pd.DataFrame, spec: TaskSpec) -> Table:
    label = study.label if study.label in frame.columns else None
    content = frame.to_csv(index=False).encode()
    return Table.from_csv(content, study.id, label, binary=label is not None and spec.logistic)
