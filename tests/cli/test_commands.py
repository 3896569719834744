"""Every command says what it does, and one network lives its life through them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer

from dtxeth.cli import app
from tests.cli.conftest import Command, Place
from tests.roles.town import write_tables


def commands(group: typer.core.TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in group.commands.items():
        nested = isinstance(command, typer.core.TyperGroup)
        found += commands(command, (*path, name)) if nested else [(*path, name)]
    return found


ALL = commands(typer.main.get_command(app))


def test_there_are_commands_for_every_role() -> None:
    assert {path[0] for path in ALL if path} == {
        "authorization", "challenge", "demo", "file", "keys", "local", "namespace", "node", "owner", "task",
    }  # fmt: skip


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_something(dtxeth: Command, path: tuple[str, ...]) -> None:
    ran = dtxeth(*path, "--help")
    assert ran.status == 0
    assert "Usage: dtxeth" in ran.out
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    assert command.help
    assert command.help.splitlines()[0].split(":")[0] in " ".join(ran.out.split())


LISTS = [
    ("local", "status"), ("node", "list"), ("namespace", "list"), ("file", "list", "--as", "hospital"),
    ("file", "show", "{0}"), ("authorization", "list"), ("challenge", "list"), ("task", "list"),
]  # fmt: skip


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_lists_are_tables_for_people_and_json_for_machines(
    dtxeth: Command, place: Place, command: tuple[str, ...]
) -> None:
    command = (*(part.format(*place.files) for part in command), "--home", str(place.home))
    shown = dtxeth(*command, "--json").json
    table = dtxeth(*command)
    assert table.status == 0
    if isinstance(shown, dict):
        for value in shown.values():
            assert str(value) in table.out
    elif not shown:
        assert table.out == ""
        assert len(table.err.splitlines()) == 1
    else:
        header, *rows = table.out.splitlines()
        assert len(rows) == len(shown)
        for name, value in shown[0].items():
            title = name.replace("_", " ")
            assert title in header
            if isinstance(value, str):  # aligned: text begins below its title, and is never cut
                assert rows[0][header.index(title) :].startswith(value)


def test_keystores(dtxeth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, password = tmp_path / "keys", tmp_path / "password"
    assert "no keystores in" in dtxeth("keys", "list", "--directory", keys).err
    password.write_text("correct horse\n")
    made = dtxeth("keys", "new", "me", "--directory", keys, "--password-file", password, "--json").json
    assert dtxeth("keys", "list", "--directory", keys, "--json").json == [made]
    monkeypatch.setenv("DTXETH_PASSWORD", "correct horse")
    checked = dtxeth("keys", "check", made["path"], "--json").json
    assert checked == {"path": made["path"], "address": made["address"], "opens": True}
    assert "correct horse" not in Path(made["path"]).read_text()


def test_a_life_on_the_command_line(dtxeth: Command, tmp_path: Path, brief: None) -> None:
    home, tables = tmp_path / "home", write_tables(tmp_path)

    def run(*command: object) -> object:
        return dtxeth(*command, "--home", home, "--json").json

    assert run("local", "init", "--storage-nodes", 2)["storage_nodes"] == 2
    run("owner", "add", "hospital", "--min-rows", 290)
    run("owner", "add", "insurer", "--manual")
    for owner in ("hospital", "insurer"):
        run("namespace", "add", "study", "--as", owner)
    files = [
        run("file", "upload", table, "--as", owner, "--namespace", "study", "--id", "id")
        for owner, table in zip(("hospital", "insurer"), tables, strict=True)
    ]
    assert [file["rows"] for file in files] == [304, 304]
    given = [part for file in files for part in ("--file", file["id"])]
    columns = ("--id", "id", "--label", "ill", "--set", "max_rounds=2", "--as", "lab")
    task = run("task", "train", "logistic-vl", *given, *columns, "--reward", 1000, "--no-wait")
    assert task == {"task": 1, "status": "confirming"}

    stuck = dtxeth("task", "wait", 1, "--as", "lab", "--home", home)
    assert stuck.status == 1
    assert stuck.err == "error: task 1: nobody in this network has anything left to do for it\n"
    (asked,) = [row for row in run("authorization", "list") if row["status"] == "unapproved"]
    run("authorization", "approve", asked["authorization"], "--as", "insurer")
    trained = run("task", "wait", 1, "--as", "lab")
    assert (trained["status"], trained["rounds"], trained["aligned_rows"]) == ("finished", 2, 300)
    shown = run("task", "show", 1)
    assert json.loads(shown["spec"])["label"] == "ill"
    assert json.loads(shown["result"])["rounds"] == 2

    second = dtxeth("task", "predict", 1, *given, "--as", "lab", "--home", home)
    assert second.status == 1  # the insurer answers by hand
    (asked,) = [row for row in run("authorization", "list", "--task", 2) if row["status"] == "unapproved"]
    run("authorization", "reject", asked["authorization"], "--as", "insurer", "--reason", "enough")
    run("owner", "add", "insurer")
    out = tmp_path / "predicted.csv"
    assert run("task", "predict", 1, *given, "--as", "lab", "--out", out) == {"rows": 300, "path": str(out)}
    assert list(pd.read_csv(out).columns) == ["id", "ill"]

    third = run("task", "train", "logistic-vl", *given, *columns, "--reward", 7, "--no-wait")["task"]
    cancelled = run("task", "cancel", third, "--as", "lab")
    assert (cancelled["status"], cancelled["refunded"]) == ("cancelled", 7)
    assert [row["kind"] for row in run("task", "list")] == ["train", "predict", "predict", "train"]

    run("owner", "add", "insurer", "--manual")
    fourth = run("task", "train", "logistic-vl", *given, *columns, "--no-wait")["task"]
    assert dtxeth("task", "wait", fourth, "--as", "lab", "--home", home).status == 1
    (asked,) = [row for row in run("authorization", "list") if row["status"] == "unapproved"]
    run("authorization", "approve", asked["authorization"], "--as", "insurer")
    run("authorization", "revoke", asked["authorization"], "--as", "insurer", "--reason", "second thoughts")
    late = dtxeth("task", "time-out", fourth, "--as", "lab", "--home", home)
    assert late.status == 2  # its deadline has not passed
    assert len(late.err.splitlines()) == 1
    assert "revoked" in dtxeth("authorization", "list", "--task", fourth, "--home", home).out
    assert "logistic-vl" in dtxeth("task", "list", "--home", home).out

    proved = run("challenge", "open", files[0]["id"], "--as", "hospital", "--leaves", 2)
    assert {row["status"] for row in proved} == {"proved"}
    assert len(run("challenge", "list")) == len(proved) == 2
    run("node", "heartbeat", "storage1")
    copy = tmp_path / "copy.csv"
    run("file", "download", files[0]["id"], copy, "--as", "hospital")
    assert copy.read_bytes() == tables[0].read_bytes()


def test_a_task_that_fails_has_status_1(dtxeth: Command, place: Place) -> None:
    assert dtxeth("owner", "add", "insurer", "--algorithm", "linear-vl", "--home", place.home).status == 0
    given = [part for file in place.files for part in ("--file", file)]
    columns = ("--id", "id", "--label", "ill", "--as", "lab", "--home", place.home)
    ran = dtxeth("task", "train", "logistic-vl", *given, *columns)
    assert ran.status == 1
    assert ran.err.startswith("error: task 1 is REJECTED: executor 0x")
    assert len(ran.err.splitlines()) == 1


def test_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "dtxeth", "--help"], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert "Usage:" in ran.stdout


def test_an_interrupt_is_no_traceback(
    dtxeth: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dtxeth.cli.keys.list_keystores", interrupt)
    ran = dtxeth("keys", "list", "--directory", tmp_path)
    assert ran.status == 130
    assert "Traceback" not in ran.err
