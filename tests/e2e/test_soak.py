"""Half an hour of work: what the nodes take of memory, files and threads does not grow."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dtxeth.chain import load_keystore
from dtxeth.config import DevnetConfig
from dtxeth.daemon.devnet import Devnet
from dtxeth.roles.remote import connect_network

pytestmark = [pytest.mark.soak, pytest.mark.anvil]

SECONDS = float(os.environ.get("DTXETH_SOAK_SECONDS", "1800"))
WARM = SECONDS / 4
"""Caches, pools and arenas are full after this."""

MORE_MEMORY = 48 * 2**20
MORE_FILES = 24
MORE_THREADS = 8


@dataclass(frozen=True)
class Use:
    memory: int
    files: int
    threads: int


def _use(devnet: Devnet) -> dict[str, Use]:
    found = {}
    for member in devnet.members():
        if member.config is not None and member.child.pid is not None:
            process = psutil.Process(member.child.pid)
            found[member.name] = Use(process.memory_info().rss, process.num_fds(), process.num_threads())
    return found


def test_nothing_grows(toolchain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTXETH_ANVIL", str(toolchain / "node_modules" / ".bin" / "anvil"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    devnet = Devnet(tmp_path)
    devnet.up(DevnetConfig(storage_nodes=2, owners=1, executors=0))
    try:
        before, after, rounds = _work(devnet, tmp_path)
    finally:
        devnet.down()
    assert rounds > 1
    for name, use in after.items():
        assert use.memory < before[name].memory + MORE_MEMORY, (name, before[name], use)
        assert use.files < before[name].files + MORE_FILES, (name, before[name], use)
        assert use.threads < before[name].threads + MORE_THREADS, (name, before[name], use)


def _work(devnet: Devnet, folder: Path) -> tuple[dict[str, Use], dict[str, Use], int]:
    """Upload, read, challenge and delete until time is up."""
    password = (devnet.home / "password").read_text()
    network = connect_network(
        f"http://127.0.0.1:{devnet.config.chain_port}",
        devnet.home / "deployments",
        folder / "outside",
        lambda role, name: load_keystore(devnet.home / "keys" / role / f"{name}.json", password),
        drives=(),
    )
    before: dict[str, Use] = {}
    began, rounds = time.monotonic(), 0
    with network:
        owner = network.data_owner("owner1")
        while time.monotonic() < began + SECONDS:
            (folder / "plain.bin").write_bytes(os.urandom(2**20))
            file = owner.upload(folder / "plain.bin", "soak")
            owner.challenge(file)
            owner.download(file, folder / "back.bin")
            owner.delete(file)
            rounds += 1
            if not before and time.monotonic() > began + WARM:
                before = _use(devnet)
        return before or _use(devnet), _use(devnet), rounds
