"""The plaintext twin: the same training on pooled rows, in float64, without any of the machinery.

For tests, demos and simulation, where one program may see all tables. It shares no code with the encrypted
protocol: what they have in common is the mathematics, so agreement of the two checks both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix, Table


def train_plain(
    spec: TaskSpec,
    columns: Sequence[Matrix],
    label: Matrix,
    starts: Sequence[Matrix],
    rounds: int | None = None,
) -> list[Matrix]:
    """Train on pooled rows.

    Args:
        spec: Task settings; the algorithm decides between linear and first-order logistic.
        columns: Each party's raw features of the same rows in the same order, shape (rows, its features).
        label: Raw label of each row; 0/1 for logistic.
        starts: Each party's start weights on standardised features.
        rounds: Rounds to run; default until the tolerance or ``spec.max_rounds`` is reached.

    Returns:
        Each party's weights on standardised features.
    """
    scaled = [(x - x.mean(axis=0)) / x.std(axis=0) for x in columns]
    parties, rows = len(scaled), len(label)
    slope = 0.25 if spec.algorithm == "logistic-vl" else 1.0
    goal = label - label.mean() if spec.algorithm == "logistic-vl" else (label - label.mean()) / label.std()
    hessians = [slope * x.T @ x / rows + spec.l2 * np.identity(x.shape[1]) for x in scaled]
    blocks = 1 if spec.batch_size is None else max(1, rows // spec.batch_size)
    edges = [rows * block // blocks for block in range(blocks + 1)]
    now = [np.array(w, dtype=np.float64) for w in starts]
    before = [w.copy() for w in now]
    accelerated = spec.momentum is None and spec.learning_rate is None and spec.batch_size is None
    inertia = 0.7 if spec.momentum is None else spec.momentum
    reach = 1.332 if accelerated else 2.0
    ages = [1.0] * parties
    models = [w.copy() for w in now]
    for number in range(spec.max_rounds if rounds is None else rounds):
        low, high = edges[number % blocks], edges[number % blocks + 1]
        error = slope * sum(x[low:high] @ w for x, w in zip(scaled, now, strict=True)) - goal[low:high]
        after, norms = [], []
        for i, (x, w, old, hessian) in enumerate(zip(scaled, now, before, hessians, strict=True)):
            descent = x[low:high].T @ error / (high - low) + spec.l2 * w
            norms.append(float(np.sqrt(descent @ descent)))
            moved = w if accelerated else w + inertia * (w - old)
            if spec.learning_rate is None and spec.l1 == 0:
                moved = moved - reach / parties * np.linalg.lstsq(hessian, descent, rcond=None)[0]
            else:
                rate = spec.learning_rate or reach / parties / np.linalg.norm(hessian, 2)
                moved = moved - rate * descent
                moved = moved - np.clip(moved, -rate * spec.l1, rate * spec.l1)
            move, models[i] = moved - models[i], moved
            if not accelerated:
                after.append(moved)
            elif descent @ move > 0:
                ages[i] = 1.0
                after.append(moved)
            else:
                older = (1 + np.sqrt(1 + 4 * ages[i] ** 2)) / 2
                after.append(moved + (ages[i] - 1) / older * move)
                ages[i] = older
        before, now = now, after
        if rounds is None and max(norms) < spec.tolerance:
            break
    return models


def retrace(
    spec: TaskSpec,
    tables: Mapping[str, Table],
    ids: Mapping[str, Sequence[str]],
    starts: Mapping[str, Matrix],
    rounds: int | None = None,
) -> dict[str, Matrix]:
    """Repeat a finished training in the clear.

    Args:
        spec: The task's spec.
        tables: Each party's whole table; exactly one has the label.
        ids: Each party's ids of the rows trained on, in the common order (``Training.ids``).
        starts: Each party's start weights (``Training.start``).
        rounds: Rounds that were run; default until tolerance or ``spec.max_rounds``.

    Returns:
        Each party's weights on standardised features.
    """
    parties = sorted(tables)
    pooled = [tables[party].take(ids[party]) for party in parties]
    label = next(table.label for table in pooled if table.label is not None)
    weights = train_plain(
        spec, [table.values for table in pooled], label, [starts[p] for p in parties], rounds
    )
    return dict(zip(parties, weights, strict=True))
