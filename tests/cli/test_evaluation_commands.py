"""A model evaluated from the command line: report, picture, and who may see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.cli.plot import sparkline
from dtxeth.roles import LocalNetwork
from tests.cli.conftest import Command, Place

TRAIN = ("--id", "id", "--label", "ill", "--set", "max_rounds=2", "--as", "lab")
LIVE = 'live={"every": 2, "share": 0.05}'


@pytest.mark.usefixtures("brief")
def test_a_model_is_evaluated_and_drawn(dtxeth: Command, place: Place) -> None:
    given = [part for file in place.files for part in ("--file", file)]
    plain = dtxeth("task", "train", "logistic-vl", *given, *TRAIN, "--home", place.home, "--json").json
    assert "report" not in plain
    unreported = dtxeth("task", "report", plain["task"], "--as", "lab", "--home", place.home)
    assert unreported.err.startswith(
        "error: task 1 was not evaluated: train with evaluation or live settings"
    )

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
