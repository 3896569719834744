"""Every command says what it does, and one network lives its life through them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from dtxeth.chain.bindings.types import Possession
from dtxeth.cli import app
from dtxeth.roles import LocalNetwork
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
        "authorization", "challenge", "demo", "devnet", "file", "health", "keys", "local", "migration", "namespace",
        "node", "owner", "part", "task",
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


RECORDS = [("local", "status"), ("health",), ("node", "health", "storage1"), ("node", "show", "executor1")]


@pytest.mark.parametrize("command", RECORDS, ids=" ".join)
def test_records_are_lines_for_people_and_json_for_machines(
    dtxeth: Command, place: Place, command: tuple[str, ...]
) -> None:
    shown = dtxeth(*command, "--home", place.home, "--json").json
    lines = dtxeth(*command, "--home", place.home).out.splitlines()
    assert [line[: len(name)] for line, name in zip(lines, shown, strict=True)] == [
        name.replace("_", " ") for name in shown
    ]


LISTS = [
    (("node", "list"), 4), (("node", "list", "--role", "storage", "--online"), 2), (("node", "list", "--lost"), 0),
    (("node", "list", "--level", "yellow", "--staying"), 2), (("node", "slashes"), 0),
    (("namespace", "list"), 3), (("namespace", "list", "--owner", "hospital", "--possession", "merkle"), 2),
    (("file", "list"), 2), (("file", "list", "--owner", "insurer", "--status", "live"), 1),
    (("file", "list", "--expired"), 0), (("file", "list", "--namespace", "study", "--node", "storage1"), 2),
    (("file", "list", "--since", "2100-01-01"), 0), (("file", "list", "--before", "2100-01-01"), 2),
    (("file", "health"), 2), (("file", "health", "{0}"), 1), (("file", "holdings", "--file", "{0}"), 2),
    (("file", "holdings", "--node", "storage2", "--state", "live"), 2), (("migration", "list"), 0),
    (("challenge", "list"), 1), (("challenge", "list", "--node", "storage1", "--algorithm", "merkle"), 1),
    (("challenge", "list", "--status", "proved", "--owner", "hospital", "--file", "{0}"), 0),
    (("authorization", "list"), 1), (("authorization", "list", "--status", "approved", "--applier", "lab"), 1),
    (("authorization", "list", "--task", "8"), 0),
    (("task", "list"), 1), (("task", "list", "--requester", "lab", "--executor", "executor2"), 1),
    (("task", "list", "--kind", "train", "--status", "confirming", "--file", "{0}", "--in-time"), 1),
    (("task", "list", "--status", "finished"), 0),
]  # fmt: skip


@pytest.mark.parametrize(("command", "count"), LISTS, ids=str)
def test_lists_are_tables_for_people_and_json_for_machines(
    dtxeth: Command, listed: Place, command: tuple[str, ...], count: int
) -> None:
    command = (*(part.format(*listed.files) for part in command), "--home", str(listed.home))
    assert len(dtxeth(*command, "--json").json) == count
    table = dtxeth(*command)
    assert table.status == 0
    if not count:
        assert table.out == ""
        assert len(table.err.splitlines()) == 1
        return
    assert len(table.out.splitlines()) == 1 + count
    assert max(map(len, table.out.splitlines())) <= 80
    assert "0x" not in table.out  # names and short ids instead


def test_pages_on_the_command_line(dtxeth: Command, listed: Place) -> None:
    def names(*options: object) -> tuple[list[str], str]:
        ran = dtxeth("node", "list", *options, "--home", listed.home, "--json")
        return [row["name"] for row in ran.json], ran.err

    everyone = ["storage1", "storage2", "executor1", "executor2"]
    assert names() == (everyone, "")
    assert names("--limit", 3) == (everyone[:3], "1 to 3 of 4: go on with --offset 3\n")
    assert names("--limit", 3, "--offset", 3) == (everyone[3:], "")
    assert names("--newest", "--limit", 2)[0] == everyone[:-3:-1]
    far = dtxeth("node", "list", "--offset", 9, "--home", listed.home)
    assert (far.out, far.err) == ("", "nothing at offset 9: there are 4 in all\n")


def test_one_file(dtxeth: Command, listed: Place) -> None:
    """By its whole id or the first digits, as the table shows them."""
    digits = dtxeth("file", "list", "--owner", "hospital", "--home", listed.home).out.splitlines()[1][:12]
    assert listed.files[0].startswith(digits)
    for name in (digits, f"0x{digits}", listed.files[0], listed.files[0].upper()):
        shown = dtxeth("file", "show", name, "--home", listed.home, "--json").json
        assert (shown["file"], shown["name"]) == (f"0x{listed.files[0]}", listed.tables[0].name)
        assert (shown["owner"], shown["kept_as"], shown["health"]) == ("hospital", "2 copies", "green")
        assert [line.split(":")[0] for line in sorted(shown["holdings"])] == ["storage1", "storage2"]


def test_a_table_does_not_obey_names_on_the_chain(dtxeth: Command, place: Place) -> None:
    with LocalNetwork.open(place.home) as network:
        hospital, registry = network.data_owner("hospital"), network.contracts.file_registry
        registry.add_namespace(
            "\x1b[2J\x9b[bold]\u202eevil", 1, 1, Possession.MERKLE, sender=hospital.account
        )
    for ran in (
        dtxeth("namespace", "list", "--home", place.home),
        dtxeth("namespace", "list", "--home", place.home, "--json"),
    ):
        assert "evil" in ran.out
        assert not {"\x1b", "\x9b", "\u202e"} & set(ran.out)
    assert r"\x1b[2J\x9b[bold]\u202eevil" in dtxeth("namespace", "list", "--home", place.home).out


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

    proved = run("challenge", "open", files[0]["id"], "--as", "hospital", "--count", 2)
    assert {row["status"] for row in proved} == {"proved"}
    assert len(run("challenge", "list")) == len(proved) == 2
    assert run("node", "show", "storage1")["last_heartbeat_at"] is not None  # sent by the worker
    copy = tmp_path / "copy.csv"
    run("file", "download", files[0]["id"], copy, "--as", "hospital")
    assert copy.read_bytes() == tables[0].read_bytes()


def test_files_and_nodes_come_and_go_on_the_command_line(
    dtxeth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, table = tmp_path / "home", write_tables(tmp_path)[0]

    def run(*command: object) -> Any:
        return dtxeth(*command, "--home", home, "--json").json

    run("local", "init", "--storage-nodes", 4, "--executors", 0)
    beat = run("node", "heartbeat", "storage1")
    assert run("node", "show", "storage1")["last_heartbeat_at"] == beat["at"]
    coded = run("namespace", "add", "coded", "--as", "hospital", "--erasure", "2/3")
    assert (coded["kept_as"], coded["possession"]) == ("2 of 3", "merkle")
    file = run("file", "upload", table, "--as", "hospital", "--namespace", "coded", "--days", 1)
    renewed = run("file", "renew", file["id"][2:14], "--days", 30, "--as", "hospital")
    assert renewed["expires_at"] - file["expires_at"] == 30 * 86400

    leaving = run("file", "holdings", "--state", "live")[0]["node_name"]
    assert run("node", "drain", leaving)["draining"]
    assert not run("node", "drain", leaving, "--stop")["draining"]
    assert run("node", "leave", leaving)["returned"] > 0
    (moved,) = run("migration", "list", "--node", leaving)
    assert (moved["cause"], len(moved["left"]), len(moved["joined"])) == ("drain", 1, 1)
    row = dtxeth("migration", "list", "--home", home).out.splitlines()[1]
    assert leaving in row
    assert run("node", "list", "--offline")[0]["name"] == leaving
    assert run("file", "holdings", "--node", leaving, "--state", "live") == []
    assert run("file", "health", file["id"])[0]["level"] == "green"

    other = run("file", "holdings", "--state", "live")[0]["node_name"]
    assert not run("node", "offline", other)["online"]
    assert run("node", "online", other)["online"]
    assert run("node", "stake", other)["added"] == 0
    assert run("namespace", "set", "coded", "--as", "hospital", "--replicas", 3)["kept_as"] == "3 copies"

    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert dtxeth("file", "delete", file["id"], "--as", "hospital", "--home", home).status == 1
    assert run("file", "list", "--status", "deleted") == []
    run("file", "delete", file["id"], "--as", "hospital", "--yes")
    assert [row["file"] for row in run("file", "list", "--status", "deleted")] == [file["id"]]


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
