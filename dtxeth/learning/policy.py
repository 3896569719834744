"""Policy: what a data owner allows its executor to take part in.

What a party learns from training is its own batch-summed gradients: linear equations about the residuals of all
rows. The floors keep these far from solvable: many rows for each feature of whoever has most, and no row that
dominates a party's features. They protect every owner from every other, so the strictest owner's hold for all:
to lower one, every owner has to lower it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from dtxeth.errors import ConfigError, PolicyError
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

DEFAULT_LEVERAGE: Final = 0.5


def default_rows(features: int) -> int:
    """Return the least rows in a batch when the party with most features has ``features``."""
    return max(256, 10 * features)


@dataclass(frozen=True)
class Floors:
    """What one owner demands of every batch.

    Attributes:
        rows: Least number of rows.
        leverage: Largest leverage xᵢᵀ(XᵀX)⁻¹xᵢ of a row in any party's features; rows above it are set aside.
        lowered: Whether one of them is weaker than the default.
    """

    rows: int
    leverage: float
    lowered: bool

    def check_rows(self, rows: int, what: str) -> None:
        """Raise :class:`PolicyError` when ``rows`` is below the floor; ``what`` names them in the message."""
        if rows < self.rows:
            raise PolicyError(
                f"{what}: {rows} rows, the data owners' floor is {self.rows}: bring more common rows"
            )


@dataclass(frozen=True)
class Policy:
    """A data owner's rules for one file.

    Attributes:
        min_rows: Least rows in a batch; ``None``: max(256, 10·features).
        max_leverage: Rows of higher leverage in any party's features are set aside.
        requesters: Accounts whose tasks are welcome; ``None``: any.
        algorithms: Algorithms that are welcome; ``None``: any.
        executors: Accounts that may be handed the file; ``None``: those that the owner's own side runs. Whoever
            publishes a task names its executors, and an executor reads the file in the clear.
        max_tasks: Training tasks allowed on the file in all: each one yields new equations about the same
            rows.
        leave_one_out: Whether tasks may be evaluated by leaving out one row at a time: two models that differ by
            one row tell about that row.

    Raises:
        ConfigError: A floor that is out of range.
    """

    min_rows: int | None = None
    max_leverage: float = DEFAULT_LEVERAGE
    requesters: frozenset[str] | None = None
    algorithms: frozenset[str] | None = None
    executors: frozenset[str] | None = None
    max_tasks: int = 16
    leave_one_out: bool = False

    def __post_init__(self) -> None:
        if self.min_rows is not None and self.min_rows < 1:
            raise ConfigError(f"policy min_rows is {self.min_rows}: it starts at 1")
        if not 0 < self.max_leverage <= 1:
            raise ConfigError(f"policy max_leverage is {self.max_leverage}: a leverage is above 0, up to 1")

    def admit(self, spec: TaskSpec, requester: str, earlier: int, features: int | None = None) -> None:
        """Decide on a task before anything is fetched.

        Args:
            spec: The task's spec.
            requester: Account that asks.
            earlier: Tasks of this kind that the file took part in before.
            features: Number of features in the file, for prediction: each prediction shows the active party
                one linear function of them on every row, so there must be fewer predictions than features.

        Raises:
            PolicyError: The requester, the algorithm or the number of tasks is not allowed.
        """
        if self.requesters is not None and requester not in self.requesters:
            raise PolicyError(
                f"requester {requester} is not among the {len(self.requesters)} that the owner allows"
            )
        if self.algorithms is not None and spec.algorithm not in self.algorithms:
            allowed = ", ".join(sorted(self.algorithms)) or "none"
            raise PolicyError(f"algorithm {spec.algorithm} is not allowed by the owner, allowed: {allowed}")
        if (
            spec.evaluation is not None
            and spec.evaluation.method == "leave-one-out"
            and not self.leave_one_out
        ):
            raise PolicyError("evaluation leave-one-out is not allowed by the owner: use folds or a split")
        limit = self.max_tasks
        if spec.kind == "predict" and features is not None:
            limit = min(limit, features - 1)
        if earlier >= limit:
            raise PolicyError(f"the file took part in {earlier} {spec.kind} tasks, the owner allows {limit}")

    def floors(self, most_features: int) -> Floors:
        """Return what the owner demands when the party with most features has ``most_features``."""
        default = default_rows(most_features)
        rows = default if self.min_rows is None else self.min_rows
        return Floors(rows, self.max_leverage, rows < default or self.max_leverage > DEFAULT_LEVERAGE)


def strictest(floors: Iterable[Floors]) -> Floors:
    """Return the floors that satisfy every owner."""
    demands = list(floors)
    return Floors(
        rows=max(floor.rows for floor in demands),
        leverage=min(floor.leverage for floor in demands),
        lowered=all(floor.lowered for floor in demands),
    )


def leverages(values: Matrix) -> Matrix:
    """Return the leverage, in 0..1, of each row of ``values`` (rows, features) among these and a constant."""
    centred = np.column_stack([np.ones(len(values)), values - values.mean(axis=0)])
    basis, singular, _ = np.linalg.svd(centred, full_matrices=False)
    kept = basis[:, singular > singular[0] * len(values) * np.finfo(np.float64).eps]
    return np.asarray((kept**2).sum(axis=1), dtype=np.float64)
