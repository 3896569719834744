"""The command line, run in this process; and a network in a folder for it to work on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from dtxeth.chain.rows import HoldingRow
from dtxeth.cli import main
from dtxeth.roles import LocalNetwork
from tests.roles.town import brief, write_tables

__all__ = ["brief"]


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture
def dtxeth(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs ``dtxeth`` with arguments, as the console script does."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["dtxeth", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return Ran(end.value.code or 0, captured.out, captured.err)

    yield run
    structlog.reset_defaults()  # `main` has logs go to this test's stderr, which ends with it


@dataclass(frozen=True)
class Place:
    """A closed network: two storage nodes, two executors, owners, a requester, and two stored tables."""

    home: Path
    tables: tuple[Path, Path]
    files: tuple[str, str]


@pytest.fixture(scope="session")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("place")
    tables = write_tables(folder)
    with LocalNetwork(storage_nodes=2, executors=2, home=folder / "home") as network:
        owners = network.data_owner("hospital"), network.data_owner("insurer")
        files = [owner.upload(table, "study") for owner, table in zip(owners, tables, strict=True)]
        owners[0].add_namespace("precious", replicas=3)
        network.requester("lab")
        network.index.sync()
    return Place(folder / "home", tables, (files[0].id.hex(), files[1].id.hex()))


@pytest.fixture(scope="session")
def listed(_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same with a challenge, a task, and a grant to the requester; to be looked at only."""
    home = tmp_path_factory.mktemp("listed") / "home"
    shutil.copytree(_place.home, home)
    with LocalNetwork.open(home) as network:
        hospital, lab = network.data_owner("hospital"), network.requester("lab")
        held = network.find(HoldingRow, file=_place.files[0], node="storage1")
        hospital.open_challenge(held[0].holding)
        lab.train("logistic-vl", files=list(_place.files), id="id", label="ill")
        file, until = bytes.fromhex(_place.files[0]), network.chain.now() + 3600
        network.contracts.file_authorization.grant(
            file, lab.address, 7, b"key", until, sender=hospital.account
        )
    return Place(home, _place.tables, _place.files)


@pytest.fixture
def place(_place: Place, tmp_path: Path) -> Place:
    """A copy for one test."""
    shutil.copytree(_place.home, tmp_path / "home")
    return Place(tmp_path / "home", _place.tables, _place.files)
