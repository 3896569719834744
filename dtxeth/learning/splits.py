"""Splits: which rows a model is tested on, and which it is trained on.

Splits without regard to the label follow from a seed that every party computes from the task. Stratified ones
are drawn by the active party from its task secret and sent to the others: drawn from a public seed, or in the
rows' order, they would tell every row's class. Drawn in secret they tell that each part has its share of the
second class, to within one row, and nothing else: all drawings with these counts are equally likely.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dtxeth.errors import DataError, PeerError
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.settings import Evaluation
from dtxeth.learning.table import Matrix
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

Positions = NDArray[np.int64]
"""Positions among the rows trained on, in the common order, ascending."""


class Parts(Message):
    """The part of each row: the number of its fold, or 1 where it is held out of a split."""

    parts: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=1 << 20)]


def split(
    channel: Channel,
    active: str,
    name: str,
    evaluation: Evaluation,
    rows: int,
    classes: Matrix | None,
    task: bytes,
    secrets: TaskSecrets,
) -> list[Positions]:
    """Agree with all peers on the rows that each evaluation model is tested on.

    Args:
        channel: This party's channel.
        active: The party that has the label.
        name: Tells apart the splits of a task.
        evaluation: What to do, ``stratified`` decided.
        rows: Number of rows.
        classes: Class of each row, at the active party of a logistic task.
        task: Identifies the task: seeds what is not stratified.
        secrets: Source of stratified parts, at the active party.

    Returns:
        For each model the rows to test, the same at every party.

    Raises:
        DataError: More parts than rows, or than rows of a class.
        PeerError: The active party was silent, or sent something malformed.
    """
    count = models_of(evaluation, rows)
    if evaluation.method == "leave-one-out":
        return [np.array([row]) for row in range(rows)]
    if not evaluation.stratified:
        order = TaskSecrets(bytes(32), task).permutation(rows, "split", name)
        return _tested(_part([np.array(order)], evaluation), evaluation)
    if channel.name != active:
        theirs = receive(channel, active, "parts", Parts).parts
        expected = set(range(2 if evaluation.method == "split" else count))
        if len(theirs) != rows or set(theirs) != expected:
            raise PeerError(active, f"sent parts of {len(theirs)} rows where {rows} rows were to be parted")
        return _tested(np.array(theirs), evaluation)
    assert classes is not None  # callers stratify logistic tasks only
    groups = [np.flatnonzero(classes == number) for number in (0, 1)]
    fewest = min(map(len, groups))
    if fewest < max(count, 2):
        raise DataError(f"a class has {fewest} common rows, the evaluation has {count} parts: use fewer")
    drawn = [group[secrets.permutation(len(group), "parts", name, i)] for i, group in enumerate(groups)]
    parts = _part(drawn, evaluation)
    for peer in channel.peers:
        send(channel, peer, "parts", Parts(parts=parts.tolist()))
    return _tested(parts, evaluation)


def models_of(evaluation: Evaluation, rows: int) -> int:
    """Return how many models the evaluation trains.

    Raises:
        DataError: More than there are rows.
    """
    if evaluation.method == "split":
        return 1
    count = rows if evaluation.method == "leave-one-out" else evaluation.folds
    if count > rows:
        raise DataError(f"the evaluation has {count} folds, the common rows are {rows}: use fewer folds")
    return count


def _part(groups: list[Positions], evaluation: Evaluation) -> Positions:
    """Give every row its part; rows of a group are in random order, and spread evenly."""
    rows = sum(map(len, groups))
    if evaluation.method == "split":
        parts = np.zeros(rows, dtype=np.int64)
        for group in groups:
            tested = max(1, round(evaluation.share * len(group)))
            parts[group[:tested] if evaluation.shuffle else np.arange(tested)] = 1
        return parts
    if not evaluation.shuffle:
        return np.arange(rows) * evaluation.folds // rows
    parts = np.empty(rows, dtype=np.int64)
    parts[np.concatenate(groups)] = np.arange(rows) % evaluation.folds
    return parts


def _tested(parts: Positions, evaluation: Evaluation) -> list[Positions]:
    numbers = [1] if evaluation.method == "split" else range(evaluation.folds)
    return [np.flatnonzero(parts == number) for number in numbers]
