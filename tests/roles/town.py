"""A network in one process, companies with made-up tables, and trainings that take a moment."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dtxeth.learning.policy import Policy
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles import DataOwner, LocalNetwork, Requester, StoredFile, run
from dtxeth.transport import Channel

ROWS = 300


def write_tables(folder: Path, rows: int = ROWS, own: int = 4, seed: int = 7) -> tuple[Path, Path]:
    """Two CSV files: ``active.csv`` has the binary label ``ill``; each party lacks ``own`` of the other's rows."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows + 2 * own, 5))
    score = values @ np.array([1.0, -1.0, 0.5, 1.0, -0.5]) + random.standard_normal(len(values))
    table = pd.DataFrame(values, columns=["age", "weight", "height", "income", "debt"])
    table.insert(0, "id", [f"P{number}" for number in range(len(values))])
    table["ill"] = (score > 0).astype(int)
    folder.mkdir(parents=True, exist_ok=True)
    table[["id", "age", "weight", "ill"]][: rows + own].to_csv(folder / "active.csv", index=False)
    passive = table[["id", "height", "income", "debt"]].drop(index=range(rows, rows + own))
    passive.sample(frac=1, random_state=seed).to_csv(folder / "passive.csv", index=False)
    return folder / "active.csv", folder / "passive.csv"


def train_briefly(
    program: Callable[..., Any],
    channel: Channel,
    sample: bytes,
    spec: TaskSpec,
    *arguments: Any,
    **services: Any,
) -> Any:
    """Stand in for ``run_in_process``: the same training in this thread, with a 256-bit key."""
    short = spec.model_copy(update={"key_bits": 256})
    return program(channel, sample, short, *arguments, **services)


@dataclass
class Town:
    """A network whose inhabitants get names of their own, so that tests can share it."""

    network: LocalNetwork
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def block(self) -> int:
        return self.network.chain.block_number

    def owner(self, policy: Policy | None = None, *, manual: bool = False) -> DataOwner:
        return self.network.data_owner(f"owner{next(self.numbers)}", policy, manual=manual)

    def requester(self, *, starts: bool = True) -> Requester:
        lab = self.network.requester(f"lab{next(self.numbers)}")
        if not starts:
            self.network.remove_worker(lab)
        return lab

    def files(self, owner: DataOwner) -> list[StoredFile]:
        """An owner's table with the label, and its neighbour's without."""
        return [owner.upload(self.tables[0], "study"), self.neighbours]

    @functools.cached_property
    def tables(self) -> tuple[Path, Path]:
        return write_tables(self.folder / "tables")

    @functools.cached_property
    def neighbours(self) -> StoredFile:
        return self.network.data_owner("neighbour", Policy(max_tasks=1000)).upload(self.tables[1], "study")

    def settle(self) -> None:
        """Let everybody do what can be done now."""
        while self.network.pump():
            pass

    def task(self, requester: Requester, files: list[StoredFile], **settings: Any) -> Any:
        return requester.train("logistic-vl", files=files, id="id", label="ill", max_rounds=2, **settings)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Three storage nodes and two executors, shared by the tests of a module."""
    with LocalNetwork(storage_nodes=3, executors=2) as network:
        yield Town(network, tmp_path_factory.mktemp("town"))


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings with short keys, in the executors' own threads."""
    monkeypatch.setattr(run, "run_in_process", train_briefly)
