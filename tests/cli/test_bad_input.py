"""Bad input: one line that names the thing, exit status 2, and nothing changed on chain or disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dtxeth.chain import deploy
from tests.cli.conftest import Command, Place, Ran

UNKNOWN = "ab" * 32
NOWHERE = "http://127.0.0.1:9"


def fingerprint(folder: Path) -> dict[str, bytes]:
    """Hash of every file below a folder: the chain's own file is among them."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(ran: Ran, wrong: str) -> None:
    assert ran.status == 2, ran
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("error: ")
    assert wrong in lines[0], lines[0]


def test_a_missing_file(dtxeth: Command, place: Place) -> None:
    before = fingerprint(place.home)
    ran = dtxeth("file", "upload", "no.csv", "--as", "hospital", "--namespace", "study", "--home", place.home)
    refused(ran, "no.csv cannot be read (No such file or directory): check the path")
    assert fingerprint(place.home) == before


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"id,x,y\n1,2,0\n1,3,1\n", "table.csv: id '1' in row 2 is a duplicate"),
        (b"key,x,y\n1,2,0\n2,3,1\n", "table.csv has no id column 'id', its columns are: key, x, y"),
        (b"id,x,z\n1,2,0\n2,3,1\n", "table.csv has no label column 'y'"),
        (b"id,x,y\n1,two,0\n2,3,1\n", "column 'x', row 1: 'two' is not a finite number"),
        (b"id,x,y\n1,,0\n2,3,1\n", "column 'x', row 1: the value is missing"),
        (b"id,x,y\n1,2\n2,3,1\n", "row 1 has 2 values, the header has 3"),
        (b"id,x,y\n1,2,0\n2,3,1\n3,4,2\n", "label 'y' must have two values for logistic, it has 3"),
        (b"id,x,y\n1,\xff,0\n", "is not a readable CSV file"),
        (b"", "is empty"),
    ],
)
def test_a_table_that_cannot_be_learned_from(
    dtxeth: Command, place: Place, tmp_path: Path, content: bytes, wrong: str
) -> None:
    path, before = tmp_path / "table.csv", fingerprint(place.home)
    path.write_bytes(content)
    ran = dtxeth(
        *("file", "upload", path, "--as", "hospital", "--namespace", "study"),
        *("--id", "id", "--label", "y", "--binary", "--home", place.home),
    )
    refused(ran, wrong)
    assert fingerprint(place.home) == before


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (("task", "train", "cubic-vl"), "unknown algorithm 'cubic-vl': use one of linear-vl, logistic-vl"),
        (("task", "train", "linear-vl", "--set", "rounds=3"), "task setting rounds is 3"),
        (("task", "train", "linear-vl", "--set", "max_rounds=0"), "task setting max_rounds is 0"),
        (("task", "train", "linear-vl", "--set", "rounds"), "setting 'rounds' is not KEY=VALUE"),
        (("task", "train", "linear-vl", "--reward", "-1"), "-1"),
        (("task", "train", "linear-vl", "--file", UNKNOWN), "3 files need 3 executors, 2 are online"),
        (("task", "train", "linear-vl", "--executor", "executor9"), "no executor 'executor9'"),
        (("task", "train", "linear-vl", "--executor", "executor1"), "2 files for 1 executors"),
    ],
)
def test_a_task_that_cannot_be(dtxeth: Command, place: Place, command: tuple[str, ...], wrong: str) -> None:
    before = fingerprint(place.home)
    files = [part for file in place.files for part in ("--file", file)]
    refused(
        dtxeth(*command, *files, "--as", "lab", "--id", "id", "--label", "ill", "--home", place.home), wrong
    )
    assert fingerprint(place.home) == before


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (("task", "train", "linear-vl", "--file", UNKNOWN, "--file", "{1}"), UNKNOWN),
        (("task", "train", "linear-vl", "--file", "xyz", "--file", "{1}"), "'xyz' is no file id"),
    ],
)
def test_an_unknown_file_of_a_task(
    dtxeth: Command, place: Place, command: tuple[str, ...], wrong: str
) -> None:
    before = fingerprint(place.home)
    command = tuple(part.format(*place.files) for part in command)
    refused(dtxeth(*command, "--as", "lab", "--id", "id", "--label", "ill", "--home", place.home), wrong)
    assert fingerprint(place.home) == before


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (("file", "show", UNKNOWN), UNKNOWN),
        (("file", "download", UNKNOWN, "copy", "--as", "hospital"), UNKNOWN),
        (("file", "download", "{0}", "no/such/folder/copy", "--as", "hospital"), "no/such/folder"),
        (("file", "download", "{0}", "copy", "--as", "insurer"), "no current authorization"),
        (("namespace", "add", "n", "--as", "no name"), "keystore name 'no name'"),
        (("file", "list", "--owner", "nobody"), "there is no 'nobody' in this network"),
        (("file", "list", "--owner", "0x12"), "owner of files cannot be '0x12': give an address"),
        (("file", "list", "--status", "gone"), "give one of live, retained, lapsed, cleared, deleted"),
        (("file", "list", "--level", "purple"), "give one of red, yellow, green"),
        (("file", "show", "abc"), "'abc' is too short for a file id: give 8 digits or more"),
        (("file", "show", "xyzxyzxyz"), "'xyzxyzxyz' is no file id"),
        (("file", "health", UNKNOWN), UNKNOWN),
        (("file", "renew", UNKNOWN, "--days", "1", "--as", "hospital"), UNKNOWN),
        (("file", "renew", "{0}", "--days", "0", "--as", "hospital"), "cannot be renewed for 0 days"),
        (("file", "renew", "{0}", "--days", "-9", "--as", "hospital"), "cannot be renewed for -9 days"),
        (("file", "renew", "{0}", "--days", "99999", "--as", "hospital"), "99999 days"),
        (("file", "delete", UNKNOWN, "--as", "hospital", "--yes"), UNKNOWN),
        (("file", "delete", "{0}", "--as", "insurer", "--yes"), "only its owner may do this"),
        (("challenge", "list", "--node", "storage9"), "there is no storage node 'storage9'"),
        (("challenge", "list", "--node", "executor1"), "there is no storage node 'executor1'"),
        (("challenge", "list", "--algorithm", "md5"), "give one of none, merkle, kzg"),
        (("task", "list", "--executor", "storage1"), "there is no executor 'storage1'"),
        (("task", "list", "--status", "done"), "status of tasks cannot be 'done'"),
        (("task", "show", "9"), "there is no task 9"),
        (("migration", "list", "--cause", "boredom"), "cause of migrations cannot be 'boredom'"),
        (("node", "list", "--role", "king"), "give one of storage, executor"),
        (("node", "show", "nobody"), "there is no node 'nobody'"),
        (("node", "drain", "nobody"), "there is no storage node 'nobody'"),
        (("node", "leave", "executor1"), "there is no storage node 'executor1'"),
        (("node", "stake", "nobody"), "there is no storage node 'nobody'"),
        (("namespace", "add", "new", "--as", "hospital", "--erasure", "3/2"), "erasure (3, 2) is out of range"),
        (("namespace", "add", "new", "--as", "hospital", "--erasure", "0/2"), "erasure (0, 2) is out of range"),
        (("namespace", "add", "new", "--as", "hospital", "--erasure", "4/65"), "erasure (4, 65) is out of range"),
        (("namespace", "add", "new", "--as", "hospital", "--erasure", "4"), "erasure '4' is not K/N"),
        (("namespace", "add", "new", "--as", "hospital", "--erasure", "1/2", "--replicas", "2"), "not both"),
        (("namespace", "add", "new", "--as", "newcomer", "--erasure", "3/2"), "out of range"),
        (("namespace", "set", "study", "--as", "hospital"), "give --replicas R or --erasure K/N"),
        (("namespace", "set", "nope", "--as", "hospital", "--replicas", "1"), "hospital has no namespace 'nope'"),
        (("file", "upload", "pyproject.toml", "--as", "hospital", "--namespace", "precious"), "3"),
        (("file", "upload", "pyproject.toml", "--as", "hospital", "--namespace", "study", "--days", "0"), "0 days"),
        (("namespace", "add", "study", "--as", "hospital"), "study"),
        (("namespace", "add", "new", "--as", "hospital", "--replicas", "0"), "0"),
        (("namespace", "add", "new", "--as", "hospital", "--replicas", "999"), "999"),
        (("node", "heartbeat", "storage9"), "no storage node 'storage9'"),
        (("owner", "add", "hospital", "--min-rows", "0"), "min_rows is 0"),
        (("authorization", "approve", "7", "--as", "hospital"), "7"),
        (("authorization", "reject", "7", "--as", "hospital", "--reason", "no"), "7"),
        (("challenge", "open", "{0}", "--as", "insurer"), "owner"),
        (("challenge", "open", "{0}", "--as", "hospital", "--count", "0"), "0"),
        (("challenge", "open", "{0}", "--as", "hospital", "--count", "300"), "300"),
        (("task", "show", "7"), "7"),
        (("task", "show", "1" + 80 * "0"), "100"),
        (("task", "wait", "7", "--as", "lab"), "7"),
        (("task", "cancel", "7", "--as", "lab"), "7"),
        (("task", "predict", "7", "--file", "{0}", "--as", "lab"), "task 7 is no finished training task"),
    ],
)  # fmt: skip
def test_unknown_things_and_values_out_of_range(
    dtxeth: Command, place: Place, command: tuple[str, ...], wrong: str
) -> None:
    before = fingerprint(place.home)
    command = tuple(part.format(*place.files) for part in command)
    refused(dtxeth(*command, "--home", place.home), wrong)
    assert fingerprint(place.home) == before


def test_a_folder_without_a_network(dtxeth: Command, tmp_path: Path) -> None:
    refused(
        dtxeth("node", "list", "--home", tmp_path / "none"),
        "has no network: create one with `dtxeth local init",
    )
    assert not (tmp_path / "none").exists()


def test_a_folder_with_a_network(dtxeth: Command, place: Place) -> None:
    before = fingerprint(place.home)
    refused(dtxeth("local", "init", "--home", place.home), "has a network already")
    assert fingerprint(place.home) == before


@pytest.mark.parametrize("setting", ["--storage-nodes", "--executors"])
def test_a_network_of_impossible_size(dtxeth: Command, tmp_path: Path, setting: str) -> None:
    refused(
        dtxeth("local", "init", "--home", tmp_path / "new", setting, 65),
        f"{setting[2:].replace('-', '_')} is 65",
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("url", [NOWHERE, "ftp://localhost", "nonsense"])
def test_a_url_with_no_chain_behind_it(dtxeth: Command, tmp_path: Path, url: str) -> None:
    refused(dtxeth("local", "init", "--home", tmp_path / "new", "--url", url), url)
    assert not (tmp_path / "new").exists()


def test_a_url_that_died(dtxeth: Command, place: Place) -> None:
    (place.home / "network.toml").write_text(f'url = "{NOWHERE}"\n')
    before = fingerprint(place.home)
    refused(dtxeth("node", "list", "--home", place.home), f"no chain answers at {NOWHERE}")
    assert fingerprint(place.home) == before


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("executors = 'two'", "executors is 'two'"), ("executers = 2", "executers"), ("[", "is not TOML")],
)
def test_a_broken_network_file(dtxeth: Command, place: Place, text: str, wrong: str) -> None:
    (place.home / "network.toml").write_text(text)
    refused(dtxeth("node", "list", "--home", place.home), wrong)


def test_a_wrong_keystore_password(dtxeth: Command, place: Place, tmp_path: Path) -> None:
    (place.home / "password").write_text("wrong")
    before = fingerprint(place.home)
    refused(dtxeth("node", "list", "--home", place.home), "the password does not open keystore")
    assert fingerprint(place.home) == before
    (tmp_path / "wrong").write_text("wrong\n")
    keystore = place.home / "keys" / "owner" / "hospital.json"
    refused(
        dtxeth("keys", "check", keystore, "--password-file", tmp_path / "wrong"),
        f"does not open keystore {keystore}",
    )
    refused(dtxeth("keys", "check", keystore, "--password-file", tmp_path / "none"), "password file")
    refused(
        dtxeth("keys", "check", tmp_path / "none", "--password-file", tmp_path / "wrong"), "cannot be read"
    )


def test_a_lost_password(dtxeth: Command, place: Place) -> None:
    (place.home / "password").unlink()
    refused(dtxeth("node", "list", "--home", place.home), "password cannot be read")


def test_a_chain_with_no_deployment(dtxeth: Command, place: Place) -> None:
    for record in (place.home / "deployments").iterdir():
        record.unlink()
    before = fingerprint(place.home)
    refused(dtxeth("node", "list", "--home", place.home), "no record of a deployment")
    assert fingerprint(place.home) == before


def test_a_chain_that_was_lost(dtxeth: Command, place: Place) -> None:
    (place.home / "chain.sqlite").unlink()
    refused(dtxeth("node", "list", "--home", place.home), "there is no KeyRegistry at")


def test_a_deployment_with_other_code(dtxeth: Command, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = deploy.__globals__["artifact"]
    changed = json.loads(json.dumps(artifact("TaskRegistry")))
    changed["deployedBytecode"] = changed["deployedBytecode"][:-2] + "00"
    before = fingerprint(place.home)
    monkeypatch.setitem(
        deploy.__globals__, "artifact", lambda name: changed if name == "TaskRegistry" else artifact(name)
    )
    refused(dtxeth("node", "list", "--home", place.home), "is not our TaskRegistry")
    assert fingerprint(place.home) == before


def test_unknown_options_are_typers_business(dtxeth: Command) -> None:
    ran = dtxeth("node", "list", "--colour")
    assert ran.status == 2
    assert "No such option" in ran.err
    assert "Traceback" not in ran.err
