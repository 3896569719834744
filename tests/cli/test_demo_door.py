"""``dtxeth demo`` on tables of one's own looks at them before anything starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dtxeth.cli.demo import shares
from dtxeth.cli.demo.parties import pooled_on, tables
from tests.cli.conftest import Command
from tests.cli.test_bad_input import refused
from tests.roles.town import write_tables

GOOD = "id,z\n1,2\n2,3\n"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a network was started")

    monkeypatch.setattr("dtxeth.roles.LocalNetwork", started)


@pytest.mark.parametrize(
    ("active", "passive", "wrong"),
    [
        (None, GOOD, "a.csv cannot be read (No such file or directory)"),
        ("", GOOD, "label column 'y' is in 0 of"),
        ("id,x,y\n1,2,0\n1,3,1\n", GOOD, "a.csv: id '1' in row 2 is a duplicate"),
        ("key,x,y\n1,2,0\n2,3,1\n", GOOD, "a.csv has no id column 'id'"),
        ("id,x,y\n1,2,0\n2,3,1\n", "id,y\n1,2\n", "label column 'y' is in 2 of"),
        ("id,x,y\n1,two,0\n2,3,1\n", GOOD, "'two' is not a finite number"),
        ("id,x,y\n1,2,0\n2,3,1\n", "id,z\n1,\n2,3\n", "b.csv: column 'z', row 1: the value is missing"),
        ("id,x,y\n1,2,0\n2,3,1\n3,4,2\n", GOOD, "must have two values for logistic, it has 3"),
        ("id,x,y\n1,2,0\n2,3,1\n", "id,z\n3,2\n4,3\n", "have no 'id' in common"),
        ("id,x,y\n1,2,0\n2,3,1\n", GOOD, "2 rows, the data owners' floor is 256"),
    ],
)
def test_bad_tables(dtxeth: Command, tmp_path: Path, active: str | None, passive: str, wrong: str) -> None:
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    for path, text in zip(paths, (active, passive), strict=True):
        if text is not None:
            path.write_text(text)
    refused(dtxeth("demo", "--party", paths[0], "--party", paths[1], "--label", "y"), wrong)


def test_too_few_parties(dtxeth: Command, tmp_path: Path) -> None:
    active, passive = write_tables(tmp_path)
    refused(dtxeth("demo", "--party", active), "1 --party files were given: give two")
    refused(dtxeth("demo", *(("--party", passive) * 3)), "3 --party files were given: give two")


def test_an_unknown_task(dtxeth: Command, tmp_path: Path) -> None:
    active, passive = write_tables(tmp_path)
    ran = dtxeth("demo", "--party", active, "--party", passive, "--label", "ill", "--task", "cubic")
    refused(ran, "unknown task 'cubic': use one of logistic, linear")


def test_a_report_that_cannot_be_written(dtxeth: Command, tmp_path: Path) -> None:
    refused(dtxeth("demo", "--report", tmp_path / "no" / "report.json"), "report.json cannot be written")


@pytest.mark.parametrize("option", ["--plot", "--report"])
def test_figures_of_three_parties_that_cannot_be_written(
    dtxeth: Command, tmp_path: Path, option: str
) -> None:
    refused(dtxeth("demo", "parties", option, tmp_path / "no" / "file"), "no/file cannot be written")


def test_three_owners_hold_every_column_once_and_the_same_folds_are_pooled() -> None:
    parts = tables(np.random.default_rng(7))
    held = [name for part in parts for name in part.columns if name not in ("id", "benign")]
    assert len(held) == len(set(held)) == 30
    assert ["benign" in part.columns for part in parts] == [True, False, False]
    common = sorted(set.intersection(*(set(part["id"]) for part in parts)))
    assert len(common) == 569 - 3 * 34
    pooled = pooled_on(parts, [common[start::5] for start in range(5)])
    assert pooled["auc"] > 0.98
    assert pooled_on(parts, [common[:100]])["auc"] != pooled["auc"]


def test_the_network_of_three_owners_is_compared_with_its_twin_on_the_same_rows() -> None:
    rng = np.random.default_rng(7)
    parts = shares.diabetes(3, rng)
    assert ["progression" in part.columns for part in parts] == [True, False, False]
    common = sorted(set.intersection(*(set(part["id"]) for part in parts)))
    assert len(common) == 442 - 3 * 26
    train, test = ([part[part["id"].isin(ids)] for part in parts] for ids in (common[80:], common[:80]))
    columns = {
        f"executor {n}": list(part.columns.drop(["id", "progression"], errors="ignore"))
        for n, part in enumerate(parts)
    }
    truth = test[0][["id", "progression"]]
    found = shares.compare(train, test, columns, truth)
    assert found["rmse"] == 0
    assert found["rmse_plain_twin"] < 1.05 * found["rmse_linear"]
    moved = shares.compare(train, test, columns, truth.assign(progression=truth["progression"] + 3))
    assert moved == {**found, "rmse": pytest.approx(3)}
