"""A local network whose storage nodes and owners are reached over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtxeth.errors import NotEnoughNodesError
from dtxeth.roles import LocalNetwork
from dtxeth.storage.http import HttpStorageNode
from dtxeth.web import LocalServers, OwnerClient


def test_files_travel_over_http(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(os.urandom(1_200_000))
    with LocalNetwork(storage_nodes=3, executors=0) as network:
        owner = network.data_owner("hospital")
        owner.add_namespace("study", erasure=(2, 3))
        registry = network.contracts.file_registry
        with LocalServers(network) as servers:
            for node in network.storage_nodes:
                url = servers.storage_nodes[node.name]
                assert network.contracts.node_registry.node_of(node.address).endpoint == url
                assert isinstance(network.storage_nodes_by_address()[node.address], HttpStorageNode)
            with OwnerClient(servers.owners["hospital"], owner.address, owner.account, registry) as client:
                file = client.upload(tmp_path / "scan", "study")["file"]
                servers.kill(network.storage_nodes[0].address)
                client.download(file, tmp_path / "one lost")
                servers.kill(network.storage_nodes[1].address)
                with pytest.raises(NotEnoughNodesError):
                    client.download(file, tmp_path / "two lost")
                assert client.health(file)["total"] == 3
        owner.download(file, tmp_path / "in process")
        endpoints = {
            network.contracts.node_registry.node_of(node.address).endpoint for node in network.storage_nodes
        }
    assert (tmp_path / "one lost").read_bytes() == (tmp_path / "scan").read_bytes()
    assert (tmp_path / "in process").read_bytes() == (tmp_path / "scan").read_bytes()
    assert not (tmp_path / "two lost").exists()
    assert endpoints == {"local://storage1", "local://storage2", "local://storage3"}


def test_the_command_serves_until_interrupted(tmp_path: Path) -> None:
    with LocalNetwork(1, 0, home=tmp_path) as network:
        network.data_owner("hospital")
    command = [sys.executable, "-m", "dtxeth", "local", "serve", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head, storage, owner = (process.stdout.readline() for _ in range(3))
        assert "serving" in process.stderr.readline()
        url = next(word for word in storage.split() if word.startswith("http"))
        with HttpStorageNode(url) as node:
            assert node.status().used == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert head.split() == ["role", "name", "url", "docs"]
    assert owner.split()[:2] == ["owner", "hospital"]
