"""Two parties with made-up tables, run as threads over channels in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np

from dtxeth.learning import Policy, Prediction, Table, TaskContext, TaskSpec, Training, predict, train
from dtxeth.learning.journal import Journal
from dtxeth.transport import Channel, memory_channels, run_in_process

T = TypeVar("T")

ACTIVE, PASSIVE = "alice", "bob"


def run_parties(programs: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Run one program for each party; return the results, or the exceptions in their place."""

    def guarded(program: Callable[[], T]) -> Any:
        try:
            return program()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(programs)) as pool:
        futures = {name: pool.submit(guarded, program) for name, program in programs.items()}
        return {name: future.result(timeout=300) for name, future in futures.items()}


def small_key_spec(**settings: Any) -> TaskSpec:
    """A spec with a 256-bit key, which no validated spec can have."""
    defaults = {"algorithm": "linear-vl", "id": "id", "label": "y", "max_rounds": 30, "tolerance": 0.0}
    return TaskSpec(**(defaults | settings)).model_copy(update={"key_bits": 256})


def made_up_tables(
    logistic: bool = False, common: int = 300, own: int = 20, features: int = 4
) -> dict[str, Table]:
    """Tables of alice, who is active, and bob: ``common`` common ids and ``own`` further ones each."""
    random = np.random.default_rng(7)
    total = common + 2 * own
    hidden = random.standard_normal((total, 3))
    values = {
        name: hidden @ random.standard_normal((3, features)) + random.standard_normal((total, features))
        for name in (ACTIVE, PASSIVE)
    }
    quantity = values[ACTIVE].sum(axis=1) - values[PASSIVE][:, 0] + random.standard_normal(total)
    label = (quantity > 0).astype(float) if logistic else 50 + 9 * quantity
    rows = {
        ACTIVE: np.arange(common + own),
        PASSIVE: np.r_[np.arange(common), np.arange(common + own, total)],
    }
    tables = {}
    for name, chosen in rows.items():
        order = random.permutation(chosen)
        tables[name] = Table(
            ids=tuple(f"row {row}" for row in order),
            features=tuple(f"{name} {i}" for i in range(features)),
            values=values[name][order] * 3 + 5,
            label=label[order] if name == ACTIVE else None,
            classes=("no", "yes") if logistic and name == ACTIVE else None,
        )
    return tables


def context_of(tables: Mapping[str, Table], task: bytes = b"task 1", **settings: Any) -> TaskContext:
    return TaskContext(task, "lab", {name: len(table) for name, table in tables.items()}, **settings)


def train_all(
    tables: Mapping[str, Table],
    spec: TaskSpec,
    policies: Mapping[str, Policy] | None = None,
    channels: Mapping[str, Channel] | None = None,
    secrets: Mapping[str, bytes] | None = None,
    context: TaskContext | None = None,
    isolated: bool = False,
    journals: Mapping[str, Journal] | None = None,
) -> dict[str, Training]:
    """Run ``train`` at every party, as threads or as processes; results or exceptions."""
    channels = channels or memory_channels(tables)

    def run(name: str) -> Training:
        policy = (policies or {}).get(name, Policy())
        program = partial(train, secret=(secrets or {}).get(name), journal=(journals or {}).get(name))
        if isolated:
            program = partial(run_in_process, program)
        return program(channels[name], ACTIVE, tables[name], spec, policy, context or context_of(tables))

    return run_parties({name: lambda name=name: run(name) for name in tables})


def predict_all(
    tables: Mapping[str, Table],
    trainings: Mapping[str, Training],
    spec: TaskSpec,
    channels: Mapping[str, Channel] | None = None,
) -> dict[str, Prediction | None]:
    """Run ``predict`` at every party with the parts of ``trainings``; results or exceptions."""
    channels = channels or memory_channels(tables)
    spec = spec.model_copy(update={"kind": "predict"})
    context = context_of(tables, b"task 2")
    return run_parties(
        {
            name: lambda name=name: predict(
                channels[name], ACTIVE, tables[name], trainings[name].part, spec, Policy(), context
            )
            for name in tables
        }
    )
