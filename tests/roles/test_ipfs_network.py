"""A network whose storage nodes keep their pieces on a real IPFS daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.errors import StorageError
from dtxeth.roles import LocalNetwork
from tests.roles.town import write_tables
from tests.storage.daemon import installed_jsipfs, jsipfs_daemon


@pytest.mark.ipfs
def test_files_live_on_the_daemon(tmp_path: Path) -> None:
    table, _ = write_tables(tmp_path)
    home = tmp_path / "home"
    with jsipfs_daemon(installed_jsipfs(), tmp_path) as address:
        with LocalNetwork(storage_nodes=2, executors=0, home=home, ipfs=address) as network:
            file = network.data_owner("hospital").upload(table, "study")
        with LocalNetwork.open(home) as network:
            hospital = network.data_owner("hospital")
            hospital.download(file, tmp_path / "copy.csv")
            assert (tmp_path / "copy.csv").read_bytes() == table.read_bytes()
            assert {result.status.name for result in hospital.challenge(file)} == {"PROVED"}
            assert not list(home.glob("nodes/*/blocks"))


def test_no_daemon_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1"):
        LocalNetwork(storage_nodes=1, executors=0, home=tmp_path, ipfs="/ip4/127.0.0.1/tcp/1")
