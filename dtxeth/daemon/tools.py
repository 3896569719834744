"""Programs that a network of processes on this machine needs besides ours: anvil, and js-ipfs if asked for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from dtxeth.errors import ConfigError

TOOLCHAIN: Final = Path(__file__).parents[2] / "hardhat-free-env"
"""Where a checkout has them, once their ``npm ci`` has run."""

LOOPBACK: Final = "127.0.0.1"


def anvil() -> Path:
    """The anvil of ``$DTXETH_ANVIL``, of ``$PATH``, or of this checkout.

    Raises:
        ConfigError: There is none.
    """
    return _program("anvil", "DTXETH_ANVIL", TOOLCHAIN / "node_modules" / ".bin" / "anvil")


def jsipfs() -> Path:
    """The js-ipfs of ``$DTXETH_JSIPFS``, of ``$PATH``, or of this checkout.

    Raises:
        ConfigError: There is none.
    """
    return _program("jsipfs", "DTXETH_JSIPFS", TOOLCHAIN / "ipfs" / "node_modules" / ".bin" / "jsipfs")


def jsipfs_environment(repo: Path) -> dict[str, str]:
    """What js-ipfs needs to know: its repository; and, on Node 20, a function that this lacks."""
    polyfill = TOOLCHAIN / "ipfs" / "polyfill.cjs"
    options = f"--require {polyfill}" if polyfill.exists() else ""
    return {**os.environ, "IPFS_PATH": str(repo), "NODE_OPTIONS": options}


def init_jsipfs(program: Path, repo: Path, port: int) -> None:
    """Make a repository for a daemon that knows no peers, unless there is one; set the port of its RPC.

    Raises:
        ConfigError: js-ipfs does not run here.
    """
    if not (repo / "config").exists():
        command: list[str | Path] = [
            program,
            "init",
            "--profile",
            "test",
            "--empty-repo",
            "--algorithm",
            "ed25519",
        ]
        made = subprocess.run(
            command, env=jsipfs_environment(repo), capture_output=True, text=True, timeout=120
        )
        if made.returncode:
            words = made.stderr.strip().splitlines() or ["no word"]
            raise ConfigError(f"{program} init failed: {words[-1]}; install it anew")
    config = json.loads((repo / "config").read_text(encoding="utf-8"))
    addresses = {"Swarm": [], "API": f"/ip4/{LOOPBACK}/tcp/{port}", "RPC": f"/ip4/{LOOPBACK}/tcp/0"}
    config["Addresses"] |= addresses
    (repo / "config").write_text(json.dumps(config), encoding="utf-8")


def free_port(wish: int | None = None) -> int:
    """A port of loopback that nobody listens at: the one wished for, if it is free."""
    for port in (wish or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise ConfigError(f"no port of {LOOPBACK} is free: close something")


def _program(name: str, variable: str, own: Path) -> Path:
    found = os.environ.get(variable) or shutil.which(name) or (str(own) if own.exists() else None)
    if found is None:
        raise ConfigError(
            f"there is no {name}: install it, or run `npm ci` in {own.parents[2]}, or name it in ${variable}"
        )
    return Path(found)
