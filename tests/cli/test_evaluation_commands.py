"""A model evaluated from the command line: report, picture, and who may see them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.progress import Progress

from dtxeth.cli import progress
from dtxeth.cli.plot import sparkline
from dtxeth.learning.progress import Step
from dtxeth.roles import LocalNetwork
from tests.cli.conftest import Command, Place

TRAIN = ("--id", "id", "--label", "ill", "--set", "max_rounds=2", "--as", "lab")
LIVE = 'live={"every": 2, "share": 0.05}'


@pytest.mark.usefixtures("brief")
def test_a_model_is_evaluated_and_drawn(dtxeth: Command, place: Place) -> None:
    given = [part for file in place.files for part in ("--file", file)]
    bad = dtxeth("task", "train", "logistic-vl", *given, *TRAIN, "--evaluate", "folds", "--home", place.home)
    assert bad.err == "error: evaluation 'folds' is not folds:5, split:0.2 or leave-one-out\n"
    task = dtxeth(
        "task",
        "train",
        "logistic-vl",
        *given,
        *TRAIN,
        "--evaluate",
        "split:0.1",
        "--set",
        LIVE,
        "--home",
        place.home,
        "--json",
    ).json
    picture = place.home / "roc.png"
    command = ("task", "report", task["task"], "--home", place.home)
    shown = dtxeth(*command, "--as", "lab", "--plot", picture)
    assert shown.status == 0, shown.err
    assert "auc" in shown.out
    assert "confusion" in shown.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    report = dtxeth(*command, "--as", "lab", "--json").json
    assert report["evaluation"]["pooled"]["rows"] == 30
    assert report["result"]["rounds"] == 2
    stranger = dtxeth(*command, "--as", "spy")
    assert stranger.err.startswith("error: spy has no current authorization for file")
    with LocalNetwork.open(place.home) as network:
        lab = network.requester("lab")
        assert lab.report(task["task"]).data == report
        assert lab.task(task["task"]).result().report["report_file"] == task["report_file"]


def test_a_line_of_blocks() -> None:
    assert sparkline([3.0, 1.0, 2.0]) == "█▁▅"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_report_needs_a_folder_to_be_drawn_into(dtxeth: Command, listed: Place, tmp_path: Path) -> None:
    ran = dtxeth(
        "task",
        "train",
        "linear-vl",
        "--file",
        listed.files[0],
        *TRAIN,
        "--patience",
        2,
        "--home",
        listed.home,
    )
    assert ran.err == "error: --patience 2 needs --live: say how often to evaluate\n"


@pytest.mark.usefixtures("brief")
def test_parts_are_shown_exported_imported_and_started_from(
    dtxeth: Command, place: Place, tmp_path: Path
) -> None:
    home = ("--home", place.home)
    given = [part for file in place.files for part in ("--file", file)]
    task = dtxeth("task", "train", "logistic-vl", *given, *TRAIN, *home, "--json").json["task"]
    unreported = dtxeth("task", "report", task, "--as", "lab", *home)
    assert unreported.err.startswith(f"error: task {task} was not evaluated: train with evaluation or live")
    rows = dtxeth("part", "coefficients", task, "--executor", "executor1", *home, "--json").json
    others = dtxeth("part", "coefficients", task, "--executor", "executor2", *home, "--json").json
    assert {row["feature"] for row in rows} == {"age", "weight"}
    assert {row["feature"] for row in others} == {"height", "income", "debt"}

    path = tmp_path / "part.json"
    export = ("part", "export", task, "--executor", "executor1", "--out", path, *home)
    assert dtxeth(*export, "--json").json == {"task": task, "features": 2, "path": str(path)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert "cannot be written (File exists): name a new file" in dtxeth(*export).err
    for stored in (place.home / "executors" / "executor1").rglob(f"task-{task}.part"):
        stored.unlink()
    assert dtxeth("part", "coefficients", task, "--executor", "executor1", *home).err.startswith(
        f"error: executor1 has no part of the model of task {task}"
    )
    back = ("part", "import", task, "--executor", "executor1", "--file", path, *home)
    assert dtxeth(*back, "--json").json == {"task": task, "features": 2}
    path.write_text(path.read_text().replace('"salt":"', '"salt":"00')[:-3] + '"}')
    assert dtxeth(*back).err.startswith("error: ")

    warm = dtxeth("task", "train", "logistic-vl", *given, *TRAIN, "--warm-start", task, *home, "--json").json
    assert warm["rounds"] == 2
    spy = ("--id", "id", "--label", "ill", "--as", "spy", "--set", "max_rounds=2")
    refused = dtxeth("task", "train", "logistic-vl", *given, *spy, "--warm-start", task, *home)
    assert f"the model of task {task} is another requester's: start from one of your own" in refused.err


def test_a_dry_run_publishes_nothing(dtxeth: Command, listed: Place) -> None:
    given = [part for file in listed.files for part in ("--file", file)]
    train = ("task", "train", "logistic-vl", *given, *TRAIN, "--evaluate", "folds:3", "--home", listed.home)
    dry = ("--dry-run", "--features", 2, "--features", 3)
    found = dtxeth(*train, *dry, "--json").json
    assert (found["rows"], found["models"], found["rounds"]) == (304, 4, 8)
    assert found["seconds"] > 0
    shown = dtxeth(*train, *dry)
    assert "- every party learns which of its rows all have in common" in shown.out
    assert "would refuse this: the smallest batch has 203 rows, owners ask for 256" in shown.err
    assert len(dtxeth("task", "list", "--home", listed.home, "--json").json) == 1
    assert "--dry-run and --features go together" in dtxeth(*train, "--dry-run").err
    assert "1 numbers of features for 2 files: give one for each" in dtxeth(*train, *dry[:3]).err


def test_a_bar_a_stage_with_the_live_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Progress(disable=True)
    monkeypatch.setattr(progress, "progress_bar", lambda: nullcontext(shown))
    network = SimpleNamespace(on_progress=None)
    with progress.followed(network):
        for rounds, loss in ((2, 0.7), (4, 0.35)):
            network.on_progress(
                3, Step("model", rounds, 10, 0.1, {"round": rounds, "log_loss": loss, "auc": 0.9})
            )
        network.on_progress(3, Step("fold 2", 1, 4, 0.1))
    model, fold = shown.tasks
    assert (model.description, model.completed) == ("task 3, model: █▁  auc 0.9000  log_loss 0.3500", 4)
    assert (fold.description, fold.completed, fold.total) == ("task 3, fold 2: rounds", 1, 4)
