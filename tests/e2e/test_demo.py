"""The whole story as a user starts it: ``dtxeth demo``, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

TRAINING = {"rounds", "seconds", "aligned_rows", "expected_rows", "coef_max_diff_plain_twin"}
SCORES = {
    "logistic": {"auc", "auc_pooled", "accuracy", "accuracy_pooled"},
    "linear": {"rmse", "rmse_pooled", "r2", "r2_pooled"},
}
STORAGE = {
    "nodes", "files", "bytes", "challenges", "challenge_rounds", "challenge_rounds_expected",
    "failed_node_was_the_altered_one", "downloaded_with_node_down",
}  # fmt: skip


def tell(folder: Path, *arguments: object, rounds: int) -> tuple[str, dict[str, Any]]:
    report = folder / "report.json"
    ran = subprocess.run(
        [sys.executable, "-m", "dtxeth", "demo", "--rounds", str(rounds), "--report", str(report)]
        + [str(argument) for argument in arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout, json.loads(report.read_text())


def check_training(report: dict[str, Any], task: str, rounds: int) -> None:
    part = report[task]
    assert set(part) == TRAINING | SCORES[task]
    assert part["rounds"] == rounds
    assert part["aligned_rows"] == part["expected_rows"] > 256
    assert part["coef_max_diff_plain_twin"] < 1e-5


def check_storage(report: dict[str, Any], files: int) -> None:
    storage = report["storage"]
    assert set(storage) == STORAGE
    assert (storage["nodes"], storage["files"]) == (4, files)
    assert storage["failed_node_was_the_altered_one"] is True
    assert storage["downloaded_with_node_down"] is True
    assert storage["challenges"]["failed"] >= 1
    assert storage["challenges"]["proved"] >= storage["challenges"]["failed"]
    assert report["gas"]
    assert all(isinstance(used, int) and used > 21_000 for used in report["gas"].values())


def test_the_story_on_real_data(tmp_path: Path) -> None:
    story, report = tell(tmp_path, rounds=3)
    assert set(report) == {"logistic", "linear", "storage", "gas"}
    for task in ("logistic", "linear"):
        check_training(report, task, 3)
    check_storage(report, files=8)
    for chapter in ("The network", "Logistic regression", "Linear regression", "Possession challenges",
                    "A storage node dies", "What it cost"):  # fmt: skip
        assert chapter in story
    assert "Caught after" in story
    assert "DIFFERENT" not in story


@pytest.fixture
def companies(tmp_path: Path) -> tuple[Path, Path]:
    """Two companies' customers, 400 in common, in orders of their own; the second has the label."""
    random = np.random.default_rng(3)
    customers = pd.DataFrame(
        random.standard_normal((440, 5)), columns=["age", "income", "debt", "visits", "clicks"]
    )
    customers["spent"] = customers @ [3.0, 2.0, -1.0, 4.0, 1.0] + random.standard_normal(440) + 100
    customers.insert(0, "customer", [f"{number:05}" for number in random.permutation(440)])
    bank, shop = tmp_path / "bank.csv", tmp_path / "shop.csv"
    customers[["customer", "age", "income", "debt"]][20:].to_csv(bank, index=False)
    shopped = customers[["clicks", "visits", "customer", "spent"]][:420]
    shopped.sample(frac=1, random_state=4).to_csv(shop, index=False)
    return bank, shop


def test_the_story_on_tables_of_ones_own(tmp_path: Path, companies: tuple[Path, Path]) -> None:
    bank, shop = companies
    own = ("--party", bank, "--party", shop, "--id", "customer", "--label", "spent", "--task", "linear")
    story, report = tell(tmp_path, *own, rounds=8)
    assert set(report) == {"linear", "storage", "gas"}
    check_training(report, "linear", 8)
    assert report["linear"]["expected_rows"] == 320  # of 400 in common, a fifth is held out
    assert report["linear"]["r2"] > 0  # better than the mean, after few rounds
    check_storage(report, files=4)
    assert "spent from bank.csv and shop.csv" in story
