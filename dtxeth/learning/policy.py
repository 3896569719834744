"""Policy: what a data owner allows its executor to take part in.

What a party learns from training is its own batch-summed gradients: linear equations about the residuals of all
rows. The floors keep these far from solvable: many rows for each feature of whoever has most, and no row that
dominates a party's features. They protect every owner from every other, so the strictest owner's hold for all:
to lower one, every owner has to lower it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dtxeth.errors import ConfigError, PolicyError
from dtxeth.learning.privacy import REPORT_DELTA, Account, epsilon_of
from dtxeth.learning.rowsets import LEAST_DIFFERENCE, difference
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
        programs: SHA-256 of each StableHLO program that ``dnn-vl`` may run on the file, in hexadecimal.
        executors: Accounts that may be handed the file; ``None``: those that the owner's own side runs. Whoever
            publishes a task names its executors, and an executor reads the file in the clear.
        max_tasks: Training tasks allowed on the file in all: each one yields new equations about the same
            rows.
        leave_one_out: Whether tasks may be evaluated by leaving out one row at a time: two models that differ by
            one row tell about that row.
        min_difference: Rows by which a task's rows must differ from those of an earlier one, unless they are the
            same; see :mod:`dtxeth.learning.rowsets`.
        max_epsilon: Most ε, at δ = 10⁻⁵, that a training task may cost; ``None``: it need not be differentially
            private at all.
        honest_majority: Whether networks may be trained under three-party computation, where any two of the three
            operators could put the tables together.
        show_scores: Whether predictions may show the active party as many functions of the file's features as it
            has features, or more, and so the features themselves but for their units.
        row_key: Key under which the owner's executors remember rows; the owner's side puts it in.

    Raises:
        ConfigError: A floor that is out of range.
    """

    min_rows: int | None = None
    max_leverage: float = DEFAULT_LEVERAGE
    requesters: frozenset[str] | None = None
    algorithms: frozenset[str] | None = None
    programs: frozenset[str] = frozenset()
    executors: frozenset[str] | None = None
    max_tasks: int = 16
    leave_one_out: bool = False
    min_difference: int = LEAST_DIFFERENCE
    max_epsilon: float | None = None
    honest_majority: bool = False
    show_scores: bool = False
    row_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.min_rows is not None and self.min_rows < 1:
            raise ConfigError(f"policy min_rows is {self.min_rows}: it starts at 1")
        if not 0 < self.max_leverage <= 1:
            raise ConfigError(f"policy max_leverage is {self.max_leverage}: a leverage is above 0, up to 1")
        if not 0 <= self.min_difference <= LEAST_DIFFERENCE:
            raise ConfigError(f"policy min_difference is {self.min_difference}: give 0 to {LEAST_DIFFERENCE}")
        if self.max_epsilon is not None and not self.max_epsilon > 0:
            raise ConfigError(f"policy max_epsilon is {self.max_epsilon}: give more than 0")

    def admit(self, spec: TaskSpec, requester: str, earlier: int, features: int | None = None) -> None:
        """Decide on a task before anything is fetched.

        Args:
            spec: The task's spec.
            requester: Account that asks.
            earlier: Tasks of this kind that the file took part in before; of predictions, other models that were
                used on it.
            features: Number of features in the file, when a prediction shows the active party their scores. Each
                model's are one linear function of them on every row, whatever the other parties add: they may be
                known. As many functions as features give the features, but for their units; so a file of one
                feature has nothing to hide behind, and only its owner can let it be predicted with.

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
        if spec.algorithm == "dnn-vl" and not self.honest_majority:
            raise PolicyError(
                "three-party computation, which two operators could open, is not allowed by the owner: use a "
                "linear model"
            )
        if (
            spec.evaluation is not None
            and spec.evaluation.method == "leave-one-out"
            and not self.leave_one_out
        ):
            raise PolicyError("evaluation leave-one-out is not allowed by the owner: use folds or a split")
        self._admit_cost(spec)
        if (
            spec.network is not None
            and spec.network.program is not None
            and spec.network.program not in self.programs
        ):
            raise PolicyError(
                f"program {spec.network.program} is not among those that the owner has approved: use layers, or ask "
                "the owner to read it"
            )
        limit = self.max_tasks
        if spec.kind == "predict" and features is not None and not self.show_scores:
            if features == 1:
                raise PolicyError(
                    "the file has one feature, which its scores would show: ask its owner to allow show_scores"
                )
            limit = min(limit, features - 1)
        if earlier >= limit:
            raise PolicyError(f"the file took part in {earlier} {spec.kind} tasks, the owner allows {limit}")

    def _admit_cost(self, spec: TaskSpec) -> None:
        if self.max_epsilon is None or spec.kind != "train":
            return
        if spec.privacy is None:
            raise PolicyError(
                f"the owner asks for differential privacy of at most ε = {self.max_epsilon:g}: set privacy"
            )
        # of one batch, since the number of rows is not known yet: more of them cost no more
        cost = epsilon_of(Account.of(spec.privacy, spec.max_rounds).rho, REPORT_DELTA)
        if cost > self.max_epsilon * (1 + 1e-9):
            raise PolicyError(
                f"the task costs ε = {cost:.3g} at δ = {REPORT_DELTA:g}, the owner allows {self.max_epsilon:g}"
            )

    def check_difference(self, rows: bytes, earlier: Iterable[tuple[int, bytes]]) -> None:
        """Compare the rows of a task with those of earlier ones.

        Args:
            rows: Sketch of the rows that are to be trained on.
            earlier: Numbers of earlier tasks on the owner's files, with sketches of their rows.

        Raises:
            PolicyError: They differ from those of an earlier task by too few.
        """
        for task, past in earlier:
            if 0 < difference(rows, past) < self.min_difference:
                raise PolicyError(
                    f"the common rows differ from those of task {task} by fewer than {self.min_difference}, which "
                    "would tell about these few: use the same rows, or others by more"
                )

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
