"""Two parties with made-up tables, run as threads over channels in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest

from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table

T = TypeVar("T")

Run = Callable[..., dict[str, Any]]


def run_parties(programs: Mapping[str, Callable[[], T]]) -> dict[str, T | BaseException]:
    """Run one program for each party; return results, or what was raised."""

    def guarded(program: Callable[[], T]) -> T | BaseException:
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


def made_up_tables(logistic: bool, common: int = 300, own: int = 20, features: int = 4) -> dict[str, Table]:
    """Tables of "alice" (active) and "bob" with ``common`` common ids and ``own`` further ones each, shuffled."""
    random = np.random.default_rng(7)
    total = common + 2 * own
    hidden = random.standard_normal((total, 3))
    values = {
        name: hidden @ random.standard_normal((3, features)) + random.standard_normal((total, features))
        for name in ("alice", "bob")
    }
    quantity = values["alice"].sum(axis=1) - values["bob"][:, 0] + random.standard_normal(total)
    label = (quantity > 0).astype(float) if logistic else 50 + 9 * quantity
    rows = {"alice": np.arange(common + own), "bob": np.r_[np.arange(common), np.arange(common + own, total)]}
    tables = {}
    for name, chosen in rows.items():
        order = random.permutation(chosen)
        tables[name] = Table(
            ids=tuple(f"row {row}" for row in order),
            features=tuple(f"{name} {i}" for i in range(features)),
            values=values[name][order] * 3 + 5,
            label=label[order] if name == "alice" else None,
            classes=("0", "1") if logistic and name == "alice" else None,
        )
    return tables


@pytest.fixture(params=["linear-vl", "logistic-vl"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)
