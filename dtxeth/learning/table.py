"""Tables: one party's rows, read from CSV and checked before anything else happens with them."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dtxeth.errors import DataError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Rows of one party. Never shows its contents in ``repr``.

    Attributes:
        ids: One distinct, non-empty id for each row.
        features: Names of the feature columns.
        values: Features, shape (rows, features).
        label: Label of each row: the quantity itself, or 0/1 for the two classes; ``None`` at a passive
            party.
        classes: What 0 and 1 stand for, as written in the CSV; ``None`` unless the label is binary.
    """

    ids: tuple[str, ...] = field(repr=False)
    features: tuple[str, ...]
    values: Matrix = field(repr=False)
    label: Matrix | None = field(default=None, repr=False)
    classes: tuple[str, str] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_csv(
        cls,
        data: bytes,
        id: str,
        label: str | None = None,
        *,
        binary: bool = False,
        features: Sequence[str] | None = None,
        name: str = "table",
    ) -> Table:
        """Read a table from CSV with a header line.

        Args:
            data: UTF-8 text, comma-separated.
            id: Column of the row ids.
            label: Column to predict, at the active party.
            binary: The label must have exactly two values (logistic regression).
            features: Columns to use; default all others, none of which may be constant.
            name: What error messages call the file.

        Raises:
            DataError: Unreadable text, missing, repeated or constant columns, empty or repeated ids, missing
                or non-numeric values, a label that is not binary though it must be; names column and row.
        """
        header, rows = _read(data, name)
        if not rows:
            raise DataError(f"{name} has no rows below its header")
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        for role, column in (("id", id), ("label", label)):
            if column is not None and column not in columns:
                raise DataError(
                    f"{name} has no {role} column {column!r}, its columns are: {', '.join(header)}"
                )
        if features is None:
            chosen = tuple(column for column in header if column not in (id, label))
        else:
            chosen = tuple(features)
            for column in chosen:
                if column not in columns:
                    raise DataError(f"{name} has no column {column!r}, which the model was trained on")
        if not chosen:
            raise DataError(f"{name} has no feature column beside {id!r}")
        ids = _ids(columns[id], id, name)
        values = np.column_stack([_numbers(columns[column], column, name) for column in chosen])
        if features is None:
            refuse_constant(values, chosen, name)
        if label is None:
            return cls(ids, chosen, values)
        if not binary:
            return cls(ids, chosen, values, _numbers(columns[label], label, name))
        classes = _classes(columns[label], label, name)
        return cls(ids, chosen, values, np.array([float(v == classes[1]) for v in columns[label]]), classes)

    def take(self, ids: Sequence[str]) -> Table:
        """Return the rows called ``ids``, in that order."""
        position = {row: number for number, row in enumerate(self.ids)}
        return self.keep([position[row] for row in ids])

    def keep(self, positions: Sequence[int]) -> Table:
        """Return the rows at ``positions``, in that order."""
        chosen = list(positions)
        label = None if self.label is None else self.label[chosen]
        ids = tuple(self.ids[position] for position in chosen)
        return Table(ids, self.features, self.values[chosen], label, self.classes)


def refuse_constant(values: Matrix, features: Sequence[str], name: str, what: str = "") -> None:
    """Raise :class:`DataError` when a column of ``values`` has the same value in all rows, which ``what`` names."""
    for column, low, high in zip(features, values.min(axis=0), values.max(axis=0), strict=True):
        if low == high:
            raise DataError(
                f"{name}: column {column!r} has the same value in all {len(values)} rows{what}: remove it"
            )


def _read(data: bytes, name: str) -> tuple[list[str], list[list[str]]]:
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{name} is not a readable CSV file ({error}): save it as UTF-8, comma-separated"
        ) from None
    if not lines or not any(lines[0]):
        raise DataError(f"{name} is empty: it needs a header line and rows")
    header = [column.strip() for column in lines[0]]
    for column in header:
        if header.count(column) > 1:
            raise DataError(f"{name} has the column {column!r} more than once: rename or remove one")
    rows = [line for line in lines[1:] if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"{name}: row {number} has {len(row)} values, the header has {len(header)}")
    return header, rows


def _ids(values: Sequence[str], column: str, name: str) -> tuple[str, ...]:
    seen: set[str] = set()
    for number, value in enumerate(values, start=1):
        if not value:
            raise DataError(f"{name}: row {number} has no id in column {column!r}")
        if value in seen:
            raise DataError(f"{name}: id {value!r} in row {number} is a duplicate: ids must be unique")
        seen.add(value)
    return tuple(values)


def _numbers(values: Sequence[str], column: str, name: str) -> Matrix:
    numbers = np.empty(len(values))
    for number, value in enumerate(values):
        try:
            numbers[number] = float(value)
        except ValueError:
            numbers[number] = np.nan
        if not np.isfinite(numbers[number]):
            what = f"{value[:40]!r} is not a finite number" if value.strip() else "the value is missing"
            raise DataError(f"{name}: column {column!r}, row {number + 1}: {what}")
    return numbers


def _classes(values: Sequence[str], column: str, name: str) -> tuple[str, str]:
    for number, value in enumerate(values, start=1):
        if not value.strip():
            raise DataError(f"{name}: column {column!r}, row {number}: the value is missing")
    found = sorted(set(values))
    if len(found) != 2:
        some = ", ".join(repr(v[:20]) for v in found[:4])
        raise DataError(
            f"{name}: label {column!r} must have two values for logistic, it has {len(found)}: {some}"
        )
    with contextlib.suppress(ValueError):  # "2" before "10", words by the alphabet
        found.sort(key=float)
    return found[0], found[1]
