"""A network of real processes on this machine, through the command line and through ``dtxeth.connect``."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import dtxeth as package
from dtxeth.chain import create_keystore, load_keystore, open_chain
from dtxeth.chain.rows import NodeRow
from dtxeth.config import DevnetConfig, NodeConfig
from dtxeth.daemon import NodeDaemon
from dtxeth.daemon.devnet import Devnet
from dtxeth.errors import ConfigError, DeploymentError, InputError
from dtxeth.roles.remote import RemoteNetwork
from dtxeth.storage import RequestSigner, api
from dtxeth.storage.http import HttpStorageNode
from tests.cli.conftest import Command, dtxeth

__all__ = ["dtxeth"]

pytestmark = [pytest.mark.slow, pytest.mark.anvil]

AT_ONCE = 200
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def devnet(toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Two storage nodes, an owner and an executor."""
    network = Devnet(tmp_path_factory.mktemp("devnet"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTXETH_ANVIL", str(toolchain / "node_modules" / ".bin" / "anvil"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        network.up(DevnetConfig(storage_nodes=2, owners=1, executors=1))
        pids = [member.child.pid for member in network.members()]
        yield network
        network.down()
    assert not any(pid is not None and psutil.pid_exists(pid) for pid in pids)


@pytest.fixture
def run(devnet: Devnet, dtxeth: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on the network."""
    monkeypatch.setenv("DTXETH_HOME", str(devnet.home))
    return dtxeth


@pytest.fixture
def connected(devnet: Devnet, tmp_path: Path) -> Iterator[RemoteNetwork]:
    """The network as a newcomer sees it who knows the chain's URL."""
    with _connect(devnet, tmp_path) as network:
        yield network


def _connect(devnet: Devnet, folder: Path, **options: Any) -> RemoteNetwork:
    url = f"http://127.0.0.1:{devnet.config.chain_port}"
    keystore = folder / "newcomer.json"
    if not keystore.exists():
        address = create_keystore(folder, "secret", "newcomer", scrypt_n=2).address
        with open_chain(url) as chain:
            chain.request("anvil_setBalance", address, hex(10**21))
    given = {"deployment": devnet.home / "deployments", "password": "secret", "home": folder / "home"}
    return package.connect(url, keystore=keystore, **given | options)


def test_it_can_be_asked_and_started_again(devnet: Devnet, run: Command) -> None:
    before = run("devnet", "status", "--json").json
    assert [row["name"] for row in before] == ["chain", "storage1", "storage2", "owner1", "executor1"]
    assert {row["status"] for row in before} == {"ok"}
    assert run("devnet", "up", "--json").json == before
    other = run("devnet", "up", "--executors", 2)
    assert other.status == 2
    assert "has a network of 2 storage nodes, 1 owners and 1 executors, not of 2 storage nodes" in other.err
    assert "the node is there" in run("devnet", "logs", "storage1").out


def test_a_file_goes_through_it_and_outlives_a_killed_node(
    devnet: Devnet, run: Command, tmp_path: Path
) -> None:
    content = os.urandom(3 * MEBIBYTE // 2)
    (tmp_path / "plain.bin").write_bytes(content)
    run("namespace", "add", "study", "--as", "owner1", "--json")
    stored = run(
        "file", "upload", tmp_path / "plain.bin", "--as", "owner1", "--namespace", "study", "--json"
    ).json
    digits = stored["id"].removeprefix("0x")
    assert [row["name"] for row in run("file", "list", "--json").json] == ["plain.bin"]

    devnet.child("storage1").kill()
    states = {row["name"]: row["status"] for row in run("devnet", "status", "--json").json}
    assert states["storage1"] == "down"
    run("file", "download", digits, tmp_path / "one.bin", "--as", "owner1", "--json")
    assert (tmp_path / "one.bin").read_bytes() == content

    run("devnet", "up")
    devnet.child("storage2").kill()
    run("file", "download", digits, tmp_path / "two.bin", "--as", "owner1", "--json")
    assert (tmp_path / "two.bin").read_bytes() == content
    run("devnet", "up")


def test_a_newcomer_needs_the_chain_s_url_alone(connected: RemoteNetwork, tmp_path: Path) -> None:
    owner = connected.data_owner("newcomer")
    (tmp_path / "rows.csv").write_text("id,x\n1,2\n")
    stored = owner.upload(tmp_path / "rows.csv", "own")
    assert owner.rotate_encryption_key() == 2
    later = owner.upload(tmp_path / "rows.csv", "own")
    for file in (stored, later):  # wrapped to the earlier key, and to the new one
        owner.download(file, tmp_path / "back.csv")
        assert (tmp_path / "back.csv").read_text() == "id,x\n1,2\n"
    assert connected.requester("newcomer").address == owner.address


def test_a_node_that_moves_is_found_again(devnet: Devnet, run: Command, connected: RemoteNetwork) -> None:
    path = devnet.home / "nodes" / "storage2.toml"
    before = connected.storage_nodes_by_address()
    account = next(
        a for a in before if connected.index.page is not None and _url(before[a]).endswith(_port(path))
    )
    devnet.child("storage2").stop()
    config = NodeConfig.load(path)
    config.model_copy(update={"listen": f"127.0.0.1:{_free_port()}"}).save(path)
    devnet.start_node("storage2")
    devnet.await_node("storage2")
    connected.index.sync()
    node = connected.storage_nodes_by_address()[account]
    assert _url(node).endswith(_port(path))
    assert _url(node) != _url(before[account])
    assert node.status().used >= 0


def _url(node: Any) -> str:
    assert isinstance(node, HttpStorageNode)
    return node.url


def _port(path: Path) -> str:
    return NodeConfig.load(path).listen.rpartition(":")[2]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_node_tells_prometheus_and_a_stranger_how_it_is(devnet: Devnet) -> None:
    monitor = NodeConfig.load(devnet.home / "nodes" / "storage1.toml").monitor
    metrics = httpx.get(f"http://{monitor}/metrics").text
    assert 'dtxeth_node_info{name="storage1",role="storage"' in metrics
    for name in ("chain_block", "balance_wei", "storage_used_bytes", "storage_stake_wei", "step_age_seconds"):
        assert f"\ndtxeth_{name} " in metrics
    assert "process_open_fds" in metrics
    assert httpx.get(f"http://{monitor}/health").json()["status"] == "ok"


def test_two_hundred_requests_at_once(devnet: Devnet, connected: RemoteNetwork) -> None:
    """None fails, and the node's memory stays where it is."""
    registry = connected.contracts.file_registry
    signer = RequestSigner(connected.data_owner("newcomer").account, registry)
    (address, endpoint), *_ = (
        (row.address, row.endpoint) for row in connected.find(NodeRow, name="storage1")
    )
    pid = devnet.child("storage1").pid
    assert pid is not None
    process = psutil.Process(pid)
    before = process.memory_info().rss
    start = threading.Barrier(AT_ONCE)

    def ask(number: int) -> int:
        file, draft, piece = os.urandom(32), os.urandom(16), os.urandom(4096)
        with HttpStorageNode(endpoint, timeout=60) as node:
            start.wait()
            node.put_piece(_signed(signer, address, file, draft, piece), file, draft, 0, piece)
            return node.status().used

    with ThreadPoolExecutor(AT_ONCE) as threads:
        used = list(threads.map(ask, range(AT_ONCE)))
    assert max(used) >= AT_ONCE * 4096
    assert process.memory_info().rss < before + 64 * MEBIBYTE


def _signed(signer: RequestSigner, node: str, file: bytes, draft: bytes, piece: bytes) -> Any:
    return signer.sign(node, "PUT", api.piece_at(file, draft, 0), hashlib.sha256(piece).digest())


# --- bad input ---


def _storage(devnet: Devnet, folder: Path, **changes: Any) -> Path:
    """The configuration of a third storage node, with an account that has money."""
    path = folder / "storage3.toml"
    address = create_keystore(folder, "secret", "storage3", scrypt_n=2).address
    with open_chain(f"http://127.0.0.1:{devnet.config.chain_port}") as chain:
        chain.request("anvil_setBalance", address, hex(10**21))
    (folder / "password").write_text("secret\n")
    settings = NodeConfig.load(devnet.home / "nodes" / "storage1.toml").model_dump() | {
        "name": "storage3",
        "keystore": "storage3.json",
        "password_file": "password",
        "home": "storage3",
        "listen": "127.0.0.1:0",
        "monitor": None,
        "deployment": str(devnet.home / "deployments"),
    }
    NodeConfig.of("test", **settings | changes).save(path)
    return path


def _taken(devnet: Devnet) -> str:
    return NodeConfig.load(devnet.home / "nodes" / "storage1.toml").listen


def _other_chain(devnet: Devnet, folder: Path) -> None:
    (folder / "others").mkdir()
    (folder / "others" / "1.json").write_text((devnet.home / "deployments" / "31337.json").read_text())


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        (lambda d: {"listen": _taken(d)}, "cannot listen at 127.0.0.1 port "),
        (lambda d: {"name": "storage1"}, "storage node 'storage1' is registered by account 0x"),
        (lambda d: {"deployment": "others"}, "has no deployment on chain 31337 (there are for chain: 1)"),
        (lambda d: {"chain": "http://127.0.0.1:9"}, "no chain answers at http://127.0.0.1:9"),
        (lambda d: {"listen": "0.0.0.0:0"}, "endpoint is missing: 0.0.0.0:0 is no address that others can reach"),
        (lambda d: {"password_file": "none"}, "password file "),
        (
            lambda d: {"keystore": f"{d.home}/keys/storage/storage2.json", "password_file": f"{d.home}/password"},
            "is registered as storage node 'storage2', not as storage node 'storage3'",
        ),
    ],
)  # fmt: skip
def test_a_node_that_cannot_be_says_why_in_a_line(
    devnet: Devnet,
    run: Command,
    tmp_path: Path,
    changes: Callable[[Devnet], dict[str, Any]],
    wrong: str,
) -> None:
    _other_chain(devnet, tmp_path)
    ran = run("node", "run", "--config", _storage(devnet, tmp_path, **changes(devnet)))
    assert ran.status == 2
    assert ran.out == ""
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ran.err
    assert wrong in errors[0]
    nodes = run("node", "list", "--role", "storage", "--json").json
    assert {row["name"] for row in nodes} == {"storage1", "storage2"}


def test_a_node_that_runs_is_not_run_twice(devnet: Devnet, run: Command) -> None:
    ran = run("node", "run", "--config", devnet.home / "nodes" / "owner1.toml")
    assert ran.status == 2
    assert "runs this node already; stop it first" in ran.err


def test_a_connection_that_cannot_be(devnet: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DTXETH_PASSWORD", raising=False)
    with pytest.raises(
        ConfigError, match=r"no password for keystore .*: give password=… or set \$DTXETH_PASSWORD"
    ):
        _connect(devnet, tmp_path, password=None)
    (tmp_path / "none").mkdir()
    with pytest.raises(DeploymentError, match=r"no deployment on chain 31337 \(there are for chain: none\)"):
        _connect(devnet, tmp_path, deployment=tmp_path / "none")


def test_a_rule_for_an_owner_who_works_elsewhere(run: Command) -> None:
    ran = run("owner", "add", "owner1", "--manual")
    assert ran.status == 2
    assert "owner owner1 works in a process of its own: edit [owner] in its configuration" in ran.err


def test_init_writes_a_configuration_that_run_takes(devnet: Devnet, run: Command, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    made = run(
        "node", "init", "executor", "executor9", "--chain", f"http://127.0.0.1:{devnet.config.chain_port}",
        "--deployment", devnet.home / "deployments", "--listen", "127.0.0.1:0",
        "--config", tmp_path / "executor9.toml", "--password-file", tmp_path / "password", "--json",
    ).json  # fmt: skip
    assert load_keystore(tmp_path / "keys" / "executor9.json", "secret").address == made["account"]
    ran = run("node", "run", "--config", tmp_path / "executor9.toml")
    assert ran.status == 2
    assert f"account {made['account']} of executor9 has no money on chain 31337: send it some" in ran.err
    assert (
        run("node", "status", "--config", tmp_path / "executor9.toml", "--json").json["status"]
        == "not running"
    )
    with pytest.raises(InputError, match="storage1 has no certificate: only executors have one"):
        _daemon(devnet).rotate_certificate()


def _daemon(devnet: Devnet) -> Any:
    return NodeDaemon(NodeConfig.load(devnet.home / "nodes" / "storage1.toml"), devnet.home / "nodes")
