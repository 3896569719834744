"""Simulation: all parties of a training in one process, for who may see all of their columns.

Where one program has all rows, there is nobody to protect them from: the owners' floors, which keep parties from
each other's rows, do not apply here, and any number of rows can be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dtxeth.errors import PeerError
from dtxeth.learning.fitting import target_of
from dtxeth.learning.handshake import TaskContext
from dtxeth.learning.part import ModelPart, Moments
from dtxeth.learning.policy import Policy
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.session import Training, train
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix, Table, refuse_constant
from dtxeth.learning.twin import fit_twin
from dtxeth.transport import memory_channels

_TASK = b"simulation"
_NO_FLOORS = Policy(min_rows=1, max_leverage=1.0)


@dataclass(frozen=True)
class LinearModel:
    """What all parties of a simulation know together.

    Attributes:
        coefficients: Of each party's columns, on the label or the log-odds.
        intercept: What is predicted where all columns are 0.
    """

    coefficients: list[Matrix]
    intercept: float


def simulate(
    spec: TaskSpec,
    columns: Mapping[str, Matrix],
    label: Matrix,
    secrets: Sequence[bytes],
    *,
    encrypted: bool,
) -> LinearModel:
    """Train with all parties in this process.

    Args:
        spec: Task settings.
        columns: Each party's features, shape (rows, its features); the first party holds the label.
        label: The quantity of each row, or 0/1 for logistic.
        secrets: 32 bytes a party, from which its start weights follow.
        encrypted: Run the whole protocol over channels in memory, or its integer twin.

    Raises:
        DataError: A column or the label is constant.
        TaskError: Training diverged.
    """
    for party, values in columns.items():
        refuse_constant(values, _names(party, values), party)
    run = _encrypted if encrypted else _in_the_clear
    return run(spec, columns, label, secrets)


def _in_the_clear(
    spec: TaskSpec, columns: Mapping[str, Matrix], label: Matrix, secrets: Sequence[bytes]
) -> LinearModel:
    active, *_ = columns
    moments = {party: Moments.of(values, _names(party, values), "") for party, values in columns.items()}
    target, meaning = target_of(label, ("0", "1") if spec.logistic else None, spec, "")
    fits = fit_twin(
        {party: moments[party].standardise(values) for party, values in columns.items()},
        active,
        target,
        spec,
        {party: TaskSecrets(secret, _TASK) for party, secret in zip(columns, secrets, strict=True)},
    )
    coefficients = [
        meaning.scale * fits[party].weights / np.array(moments[party].deviations) for party in columns
    ]
    moved = sum(
        float(c @ np.array(moments[party].means)) for c, party in zip(coefficients, columns, strict=True)
    )
    offset = meaning.offset + sum(meaning.scale * fit.intercept for fit in fits.values())
    return LinearModel(coefficients, offset - moved)


def _encrypted(
    spec: TaskSpec, columns: Mapping[str, Matrix], label: Matrix, secrets: Sequence[bytes]
) -> LinearModel:
    active, *_ = columns
    ids = tuple(str(row) for row in range(len(label)))
    context = TaskContext(_TASK, "simulation", dict.fromkeys(columns, len(ids)))
    channels = memory_channels(columns)

    def run(party: str, secret: bytes) -> Training:
        held = (label, ("0", "1") if spec.logistic else None) if party == active else (None, None)
        table = Table(ids, _names(party, columns[party]), columns[party], *held)
        return train(channels[party], active, table, spec, _NO_FLOORS, context, secret=secret)

    with ThreadPoolExecutor(len(columns)) as pool:
        futures = [pool.submit(run, party, secret) for party, secret in zip(columns, secrets, strict=True)]
    errors = [future.exception() for future in futures]
    for error in sorted(filter(None, errors), key=lambda error: isinstance(error, PeerError)):
        raise error  # what failed itself, before whom that surprised
    return _joined([future.result().part for future in futures])


def _names(party: str, values: Matrix) -> tuple[str, ...]:
    return tuple(f"{party}, column {column}" for column in range(values.shape[1]))


def _joined(parts: Sequence[ModelPart]) -> LinearModel:
    label = next(part.label for part in parts if part.label is not None)
    coefficients = [label.scale * np.array(list(part.coefficients().values())) for part in parts]
    zeros = sum(float(part.score(np.zeros((1, len(part.features))))[0]) for part in parts)
    return LinearModel(coefficients, label.offset + label.scale * zeros)
