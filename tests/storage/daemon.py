"""A real IPFS daemon for tests: js-ipfs, from hardhat-free-env/ipfs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

IPFS = Path(__file__).parents[2] / "hardhat-free-env" / "ipfs"


def installed_jsipfs() -> Path:
    """The IPFS daemon of hardhat-free-env, installed if it is missing."""
    jsipfs = IPFS / "node_modules" / ".bin" / "jsipfs"
    if not jsipfs.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed; the IPFS daemon needs it")
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=IPFS, check=True, capture_output=True)
    return jsipfs


@contextlib.contextmanager
def jsipfs_daemon(jsipfs: Path, home: Path) -> Iterator[str]:
    """A js-ipfs daemon with a repository of its own, on free ports, without any peers."""
    environment = {
        **os.environ,
        "IPFS_PATH": str(home / "repo"),
        "NODE_OPTIONS": f"--require {IPFS / 'polyfill.cjs'}",
    }
    subprocess.run(
        [jsipfs, "init", "--profile", "test", "--empty-repo", "--algorithm", "ed25519"],
        env=environment, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    config = json.loads((home / "repo/config").read_text())
    config["Addresses"] |= {
        "Swarm": [],
        "RPC": "/ip4/127.0.0.1/tcp/0",
    }  # the test profile frees the other ports
    (home / "repo/config").write_text(json.dumps(config))
    daemon = subprocess.Popen(
        [jsipfs, "daemon", "--offline"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert daemon.stdout is not None
    try:
        said = ""
        for line in daemon.stdout:
            said += line
            if "Daemon is ready" in line:
                break
        listening = re.search(r"HTTP API listening on (\S+?)(/http)?\n", said)
        if listening is None:
            pytest.fail("the IPFS daemon did not start:\n" + said)
        yield listening[1]
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)
