"""The demonstrations' tables: real data between parties, each with part of the columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

from dtxeth.errors import DataError, UnknownNameError
from dtxeth.learning.policy import Policy
from dtxeth.learning.sample import read_header
from dtxeth.learning.table import Table

HELD_OUT = 0.2
MISSING = 0.06
"""Share of the rows that a party lacks; each lacks other ones, so about 88 % are common."""

ALGORITHMS = {"logistic": "logistic-vl", "linear": "linear-vl"}


@dataclass(frozen=True)
class Study:
    """One learning problem between two parties.

    Attributes:
        task: ``"logistic"`` or ``"linear"``.
        title: What is learned, for people.
        id: Column that identifies a row.
        label: Column to learn; only the first party has it.
        train: Each party's rows to learn from, in an order of its own.
        test: Each party's held-out rows, without the label.
        truth: Label of the held-out rows, by id.
    """

    task: str
    title: str
    id: str
    label: str
    train: tuple[pd.DataFrame, pd.DataFrame]
    test: tuple[pd.DataFrame, pd.DataFrame]
    truth: pd.Series

    @property
    def algorithm(self) -> str:
        """Name of the algorithm in the task's spec."""
        return ALGORITHMS[self.task]

    @property
    def pooled(self) -> pd.DataFrame:
        """What neither party sees: the common training rows with all columns, indexed by id."""
        left, right = self.train
        return left.set_index(self.id).join(right.set_index(self.id), how="inner")

    @property
    def pooled_test(self) -> pd.DataFrame:
        """The common held-out rows with all columns, indexed by id."""
        left, right = self.test
        return left.set_index(self.id).join(right.set_index(self.id), how="inner")


def breast_cancer(rng: np.random.Generator) -> Study:
    """569 tumours × 30 measurements; the hospital knows the diagnosis and half of the measurements."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.assign(benign=data.target)
    return _split(table, "logistic", "is a breast tumour benign? (569 × 30)", "benign", rng)


def diabetes(rng: np.random.Generator) -> Study:
    """442 patients × 10 measurements; one party knows how far the disease went and half of the measurements."""
    data = load_diabetes(as_frame=True, scaled=False)
    table = data.data.assign(progression=data.target)
    return _split(table, "linear", "how far does diabetes progress in a year? (442 × 10)", "progression", rng)


def from_files(left: Path, right: Path, id: str, label: str, task: str, rng: np.random.Generator) -> Study:
    """Any two tables; one of them has the label.

    Raises:
        DataError: A file is not a table that can be learned from; not exactly one of them has the label; or too
            few rows are common.
        PolicyError: Fewer common rows than the owners' default floors ask for.
    """
    samples = [_content(path) for path in (left, right)]
    holders = [label in read_header(sample) for sample in samples]
    if sum(holders) != 1:
        raise DataError(
            f"label column {label!r} is in {sum(holders)} of {left} and {right}: exactly one of them must have it"
        )
    tables = [
        Table.from_csv(
            sample, id, label if holds else None, binary=holds and task == "logistic", name=str(path)
        )
        for path, sample, holds in zip((left, right), samples, holders, strict=True)
    ]
    active, passive = tables if holders[0] else reversed(tables)
    common = np.intersect1d(active.ids, passive.ids)
    if not len(common):
        raise DataError(f"{left} and {right} have no {id!r} in common: nothing can be learned from them")
    held_out = set(rng.choice(common, size=int(HELD_OUT * len(common)), replace=False))
    for table in (active, passive):
        Policy().floors(len(table.features)).check_rows(
            len(common) - len(held_out),
            f"rows that {left} and {right} have in common, without those held out",
        )
    frames = [_frame(table, id, label) for table in (active, passive)]
    train, test = zip(*(_hold_out(frame, id, held_out) for frame in frames), strict=True)
    truth = test[0].set_index(id)[label]
    title = f"{label} from {left.name} and {right.name}"
    return Study(task, title, id, label, train, (test[0].drop(columns=label), test[1]), truth)


def studies(parties: Sequence[Path], id: str, label: str, task: str, rng: np.random.Generator) -> list[Study]:
    """The studies that a demonstration tells: of two given tables, or both built-in ones.

    Raises:
        DataError: As :func:`from_files`; or one file was given, or more than two.
        UnknownNameError: No such task.
    """
    if not parties:
        return [breast_cancer(rng), diabetes(rng)]
    if len(parties) != 2:
        raise DataError(f"{len(parties)} --party files were given: give two")
    if task not in ALGORITHMS:
        raise UnknownNameError(f"unknown task {task!r}: use one of {', '.join(ALGORITHMS)}")
    return [from_files(parties[0], parties[1], id, label, task, rng)]


def in_parts(
    table: pd.DataFrame, label: str, parties: int, rng: np.random.Generator, id: str = "id"
) -> list[pd.DataFrame]:
    """Split a table by columns; each part has an order of its own, and lacks some rows.

    Args:
        table: Features and the label.
        label: The column that the first party gets besides.
        parties: How many there are.
        rng: Decides who lacks which row.
        id: Name of the column of ids, which is added.
    """
    numbers = rng.choice(np.arange(100_000, 1_000_000), size=len(table), replace=False)
    table = table.assign(**{id: [f"P{number}" for number in numbers]})
    order = rng.permutation(len(table))
    lacking = int(MISSING * len(table))
    parts = []
    for party, columns in enumerate(np.array_split(table.columns.drop([label, id]), parties)):
        own = table[[id, *columns, *([label] if party == 0 else [])]]
        own = own.drop(index=table.index[order[party * lacking : (party + 1) * lacking]])
        parts.append(own.sample(frac=1, random_state=rng))
    return parts


def _split(table: pd.DataFrame, task: str, title: str, label: str, rng: np.random.Generator) -> Study:
    ids = rng.choice(np.arange(100_000, 1_000_000), size=len(table), replace=False)
    table = table.assign(id=[f"P{number}" for number in ids])
    features = [column for column in table.columns if column not in ("id", label)]
    half = len(features) // 2
    held_out = set(rng.choice(table["id"], size=int(HELD_OUT * len(table)), replace=False))
    present = rng.permutation(len(table))
    lacking = int(MISSING * len(table))
    parties = []
    for columns, absent in (
        ([*features[:half], label], present[:lacking]),
        (features[half:], present[lacking : 2 * lacking]),
    ):
        own = table.drop(index=table.index[absent])[["id", *columns]]
        parties.append(_hold_out(own.sample(frac=1, random_state=rng), "id", held_out))
    (left, left_test), (right, right_test) = parties
    truth = left_test.set_index("id")[label]
    return Study(task, title, "id", label, (left, right), (left_test.drop(columns=label), right_test), truth)


def _hold_out(table: pd.DataFrame, id: str, held_out: set[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = table[id].isin(held_out)
    return table[~out], table[out]


def _frame(table: Table, id: str, label: str) -> pd.DataFrame:
    """Make a data frame of a table; the classes of a binary label become 0 and 1."""
    frame = pd.DataFrame(table.values, columns=list(table.features))
    frame.insert(0, id, list(table.ids))
    if table.label is not None:
        frame[label] = table.label if table.classes is None else table.label.astype(int)
    return frame


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path") from None
