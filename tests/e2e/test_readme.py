"""The README's example, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

README = Path(__file__).parents[2] / "README.md"


def example() -> str:
    """The README's blocks of Python, which go on from one to the next."""
    return "".join(re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL))


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.Series:
    """The tables that the example names, in the working directory; returns the labels of the new rows."""
    rng = np.random.default_rng(11)
    rows, new = 300, 60
    values = rng.standard_normal((rows + new, 4))
    target = pd.Series(
        (values @ [2.0, -1.0, 1.5, 1.0] > 0).astype(int), index=[f"c{i}" for i in range(rows + new)]
    )
    left = pd.DataFrame(values[:, :2], columns=["age", "dose"], index=target.index).rename_axis("id")
    right = pd.DataFrame(values[:, 2:], columns=["income", "debt"], index=target.index).rename_axis("id")
    left[:rows].assign(target=target).to_csv(tmp_path / "patients.csv")
    right[:rows].to_csv(tmp_path / "accounts.csv")
    left[rows:].to_csv(tmp_path / "new-patients.csv")
    right[rows:].to_csv(tmp_path / "new-accounts.csv")
    (tmp_path / "scans.tar").write_bytes(rng.bytes(100_000))
    monkeypatch.chdir(tmp_path)
    return target


@pytest.mark.slow
def test_the_example_runs_as_it_stands(tables: pd.Series, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(example(), names)
    scores = names["scores"]
    assert isinstance(scores, pd.DataFrame)
    assert sorted(scores["id"]) == sorted(tables.index[300:])
    right = (scores.set_index("id")["target"] > 0.5) == tables[scores["id"]].astype(bool)
    assert right.mean() > 0.9
    assert "Level.GREEN" in capsys.readouterr().out
