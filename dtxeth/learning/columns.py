"""Columns: how what a file says becomes numbers that a model can be trained on.

A column of numbers is a feature; its missing values are filled with the mean, the median or the most frequent
value of the rows that the model is trained on. A column of words becomes one feature of 0 and 1 for each category
but the most frequent one, the *reference*. A value that is missing, rare or not seen in training counts as the
reference: all features of its column are 0.

Rare means on fewer than :data:`MIN_SUPPORT` of the common rows. The gradient of such a feature is a sum of
residuals over its category's rows alone, so a rare category would show its holder the labels of few rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dtxeth.errors import DataError
from dtxeth.learning.table import Matrix, Table

MIN_SUPPORT: Final = 32
"""Least rows of a category that gets a feature of its own."""


class Column(BaseModel):
    """What a model does with one column of a file.

    Attributes:
        name: The column.
        fill: What a missing number counts as; ``None``: it is refused.
        categories: Words that have a feature each, in order; ``None`` for a column of numbers.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    fill: float | None = Field(default=None, repr=False)
    categories: list[str] | None = Field(default=None, repr=False)

    @property
    def features(self) -> list[str]:
        """Names of the features that come of it."""
        if self.categories is None:
            return [self.name]
        return [f"{self.name}={category}" for category in self.categories]


def read_inputs(data: bytes, id: str, columns: Sequence[Column]) -> Table:
    """Read from CSV what a model needs, one column of numbers a feature.

    Raises:
        DataError: As :meth:`Table.from_csv`; a missing number of a column without a fill.
    """
    numbers = [column.name for column in columns if column.categories is None]
    words = [column.name for column in columns if column.categories is not None]
    fills = any(column.fill is not None for column in columns)
    table = Table.from_csv(data, id, features=numbers, words=words, missing=fills or bool(words))
    for number, column in enumerate(column for column in columns if column.categories is None):
        if column.fill is None and np.isnan(table.values[:, number]).any():
            raise DataError(f"column {column.name!r} has missing values, in training it had none: fill them")
    return encode(table, columns)


def learn_columns(table: Table) -> list[Column]:
    """Decide what becomes of each column of the common rows.

    Raises:
        DataError: A column of words has fewer than two categories with enough rows.
    """
    return [Column(name=name) for name in table.features] + [
        Column(name=name, categories=_categories(name, words)) for name, words in table.words.items()
    ]


def count_missing(table: Table) -> int:
    """Return how many values the columns of a table lack."""
    return int(np.isnan(table.values).sum()) + sum(words.count("") for words in table.words.values())


def encode(table: Table, columns: Sequence[Column]) -> Table:
    """Return the table with one column of numbers a feature; missing numbers stay missing."""
    place = {name: number for number, name in enumerate(table.features)}
    blocks = [
        table.values[:, [place[column.name]]]
        if column.categories is None
        else _indicators(table.words[column.name], column.categories)
        for column in columns
    ]
    features = tuple(feature for column in columns for feature in column.features)
    return Table(table.ids, features, np.column_stack(blocks), table.label, table.classes)


def learn_fills(columns: Sequence[Column], values: Matrix, strategy: str) -> list[Column]:
    """Say what each column's missing numbers count as.

    Args:
        columns: The columns.
        values: Features of the rows to learn from, shape (rows, features); NaN where missing.
        strategy: ``"mean"``, ``"median"`` or ``"most-frequent"``; ``"refuse"`` leaves the columns as they are.

    Raises:
        DataError: A column has no value at all in these rows.
    """
    from sklearn.impute import SimpleImputer  # takes a second to import

    if strategy == "refuse":
        return list(columns)
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        name = [feature for column in columns for feature in column.features][int(np.argmax(empty))]
        raise DataError(
            f"the common rows: column {name!r} has no value in any of {len(values)} rows: remove it"
        )
    fills = iter(SimpleImputer(strategy=strategy.replace("-", "_")).fit(values).statistics_.tolist())
    filled = []
    for column in columns:
        own = [next(fills) for _ in column.features]
        filled.append(column.model_copy(update={"fill": own[0]}) if column.categories is None else column)
    return filled


def fill(columns: Sequence[Column], values: Matrix) -> Matrix:
    """Return ``values``, shape (rows, features), with the missing numbers filled."""
    fills = np.array(
        [np.nan if column.fill is None else column.fill for column in columns for _ in column.features]
    )
    return np.where(np.isnan(values), fills, values)


def _categories(name: str, words: Sequence[str]) -> list[str]:
    counts = Counter(word for word in words if word)
    kept = sorted(word for word, count in counts.items() if count >= MIN_SUPPORT)
    if len(kept) < 2:
        raise DataError(
            f"the common rows: column {name!r} has {len(kept)} categories with {MIN_SUPPORT} rows or more, it "
            "takes two: remove it, or merge its categories"
        )
    reference = max(kept, key=lambda word: counts[word])
    return [word for word in kept if word != reference]


def _indicators(words: Sequence[str], categories: Sequence[str]) -> Matrix:
    return np.array([[float(word == category) for category in categories] for word in words])
