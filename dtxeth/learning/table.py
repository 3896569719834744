"""Tables: one party's rows, read from CSV and checked before anything else happens with them."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtxeth.errors import DataError

Matrix = NDArray[np.float64]

MAX_NUMBER: Final = 1e100
"""Largest number in a file: squares of larger ones overflow."""


@dataclass(frozen=True)
class Table:
    """Rows of one party. Never shows its contents in ``repr``.

    Attributes:
        ids: One distinct, non-empty id for each row.
        features: Names of the feature columns.
        values: Features, shape (rows, features); NaN where a value is missing.
        label: Label of each row: the quantity itself, or 0/1 for the two classes; ``None`` at a passive
            party.
        classes: What 0 and 1 stand for, as written in the CSV; ``None`` unless the label is binary.
        words: Columns of words besides the features, empty where a value is missing.
    """

    ids: tuple[str, ...] = field(repr=False)
    features: tuple[str, ...]
    values: Matrix = field(repr=False)
    label: Matrix | None = field(default=None, repr=False)
    classes: tuple[str, str] | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

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
        words: Sequence[str] | None = (),
        missing: bool = False,
        name: str = "table",
    ) -> Table:
        """Read a table from CSV with a header line.

        Args:
            data: UTF-8 text, comma-separated.
            id: Column of the row ids.
            label: Column to predict, at the active party.
            binary: The label must have exactly two values (logistic regression).
            features: Columns of numbers to use; default all others, none of which may be constant.
            words: Columns of words to use; ``None``: all that have anything but numbers.
            missing: Whether features may have missing values: empty, NA, NaN or null.
            name: What error messages call the file.

        Raises:
            DataError: Unreadable text, missing, repeated or constant columns, empty or repeated ids, values that
                are missing though they may not, not numbers, or too large, a label that is not binary though it
                must be; names column and row.
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
        others = [column for column in header if column not in (id, label)]
        worded = [c for c in others if not _numeric(columns[c])] if words is None else list(words)
        chosen = tuple(c for c in others if c not in worded) if features is None else tuple(features)
        for column in (*chosen, *worded):
            if column not in columns:
                raise DataError(f"{name} has no column {column!r}, which the model was trained on")
        if not chosen and not worded:
            raise DataError(f"{name} has no feature column beside {id!r}")
        ids = _ids(columns[id], id, name)
        values = np.empty((len(rows), len(chosen)))
        for number, column in enumerate(chosen):
            values[:, number] = _numbers(columns[column], column, name, missing)
        if features is None:
            refuse_constant(values, chosen, name)
        texts = {column: _words(columns[column], column, name, missing) for column in worded}
        if label is None:
            return cls(ids, chosen, values, words=texts)
        if not binary:
            return cls(ids, chosen, values, _numbers(columns[label], label, name), words=texts)
        classes = _classes(columns[label], label, name)
        second = np.array([float(value == classes[1]) for value in columns[label]])
        return cls(ids, chosen, values, second, classes, texts)

    def take(self, ids: Sequence[str]) -> Table:
        """Return the rows called ``ids``, in that order."""
        position = {row: number for number, row in enumerate(self.ids)}
        return self.keep([position[row] for row in ids])

    def keep(self, positions: Sequence[int]) -> Table:
        """Return the rows at ``positions``, in that order."""
        chosen = list(positions)
        label = None if self.label is None else self.label[chosen]
        ids = tuple(self.ids[position] for position in chosen)
        words = {name: tuple(values[p] for p in chosen) for name, values in self.words.items()}
        return Table(ids, self.features, self.values[chosen], label, self.classes, words)


def refuse_constant(values: Matrix, features: Sequence[str], name: str, what: str = "") -> None:
    """Raise :class:`DataError` when a column of ``values`` has the same value in all rows, which ``what`` names."""
    for column, own in zip(features, values.T, strict=True):
        known = own[~np.isnan(own)]
        if not len(known):
            raise DataError(
                f"{name}: column {column!r} has no value in all {len(values)} rows{what}: remove it"
            )
        # a spread that rounding made is no spread
        if np.std(known) <= 1e-12 * np.abs(known).max():
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


def _numbers(values: Sequence[str], column: str, name: str, missing: bool = False) -> Matrix:
    numbers = np.empty(len(values))
    for number, value in enumerate(values):
        if missing and _is_missing(value):
            numbers[number] = np.nan
            continue
        try:
            numbers[number] = float(value)
        except ValueError:
            numbers[number] = np.nan
        if not abs(numbers[number]) <= MAX_NUMBER:
            what = "the value is missing"
            if np.isfinite(numbers[number]):
                what = f"{value[:40]} is beyond {MAX_NUMBER:g}, change the column's unit"
            elif value.strip():
                what = f"{value[:40]!r} is not a finite number"
            raise DataError(f"{name}: column {column!r}, row {number + 1}: {what}")
    return numbers


def _words(values: Sequence[str], column: str, name: str, missing: bool) -> tuple[str, ...]:
    if not missing:
        for number, value in enumerate(values, start=1):
            if _is_missing(value):
                raise DataError(f"{name}: column {column!r}, row {number}: the value is missing")
    return tuple("" if _is_missing(value) else value.strip() for value in values)


def _numeric(values: Sequence[str]) -> bool:
    """Whether no value is a word; what looks like a number but cannot be used is refused later."""
    try:
        for value in values:
            if not _is_missing(value):
                float(value)
    except ValueError:
        return False
    return True


def _is_missing(value: str) -> bool:
    return value.strip().lower() in ("", "na", "nan", "null")


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
