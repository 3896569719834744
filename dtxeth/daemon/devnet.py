"""A whole network of processes on this machine: chain, storage nodes, data owners, executors; kept in a folder.

The folder is a home for the command line, too (``client.toml``), with the keystores of everybody.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from dtxeth.chain import Chain, create_keystore, deploy, list_keystores, open_chain
from dtxeth.chain.chain import DEVELOPER
from dtxeth.config import ClientConfig, DevnetConfig, NodeConfig, OwnerConfig, StorageConfig
from dtxeth.daemon import tools
from dtxeth.daemon.children import Child
from dtxeth.daemon.tools import LOOPBACK, free_port
from dtxeth.errors import ChainUnavailableError, ConfigError, InputError
from dtxeth.roles.local import ALLOWANCE, LIGHT_SCRYPT

START_SECONDS: Final = 180.0
"""How long everything may take to be there: on a busy machine a Python process needs many seconds to begin."""

CHAIN: Final = "chain"
IPFS: Final = "ipfs"

Told = Callable[[str], None]
"""Told of every step, for whoever waits."""


@dataclass(frozen=True)
class Member:
    """A process of the network.

    Attributes:
        name: What it is called.
        role: ``chain``, ``ipfs``, ``storage``, ``owner`` or ``executor``.
        child: The process.
        config: A node's configuration, if it is one.
    """

    name: str
    role: str
    child: Child
    config: NodeConfig | None = None


class Devnet:
    """A network of processes, which go on when the one that started them has ended.

    Args:
        home: Folder that keeps everything between runs.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    @property
    def exists(self) -> bool:
        """Whether the folder has one."""
        return (self.home / "devnet.toml").exists()

    @property
    def config(self) -> DevnetConfig:
        """What it consists of.

        Raises:
            ConfigError: There is none, or its file is not valid.
        """
        if not self.exists:
            raise ConfigError(
                f"{self.home} has no network: start one with `dtxeth devnet up --home {self.home}`"
            )
        return DevnetConfig.load(self.home / "devnet.toml")

    def up(self, wish: DevnetConfig | None = None, told: Told = lambda step: None) -> None:
        """Start whatever does not run, and wait until all of it works.

        Args:
            wish: What a new network is to consist of; one that exists keeps to what it was made of.
            told: Told of every step.

        Raises:
            InputError: The network that is there consists of something else.
            ConfigError: A program is missing, or a process does not come up; those that did are stopped again.
        """
        if not self.exists:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            (wish or DevnetConfig()).save(self.home / "devnet.toml")
        elif wish is not None and wish.counts != self.config.counts:
            raise InputError(
                f"{self.home} has a network of {self.config.describe()}, not of {wish.describe()}: use another --home"
            )
        try:
            self._start_chain(told)
            self._start_ipfs(told)
            self._start_nodes(told)
        except BaseException:
            self.down()
            raise

    def down(self, told: Told = lambda step: None) -> list[str]:
        """Stop everything, the nodes first and the chain last; what they keep stays.

        Returns:
            Names of processes that had to be killed.
        """
        members = list(self.members()) if self.exists else []
        for member in members:
            if member.config is not None:
                member.child.ask_to_stop()
        killed = []
        for member in reversed(members):
            if member.child.pid is not None:
                told(f"stopping {member.name}")
            if not member.child.stop():
                killed.append(member.name)
        return killed

    def members(self) -> Iterator[Member]:
        """The processes that the network consists of, whether they run or not."""
        config = self.config
        yield Member(CHAIN, CHAIN, self.child(CHAIN))
        if config.ipfs_nodes:
            yield Member(IPFS, IPFS, self.child(IPFS))
        for role, name in config.nodes():
            path = self.home / "nodes" / f"{name}.toml"
            yield Member(name, role, self.child(name), NodeConfig.load(path) if path.exists() else None)

    def child(self, name: str) -> Child:
        """The process of a name."""
        return Child(name, self.home)

    def start_node(self, name: str) -> None:
        """Start one node again, say after it was killed; :meth:`await_node` waits for it."""
        if (pid := self.child(name).pid) is not None:
            raise InputError(f"{name} runs as process {pid}: stop it first")
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "dtxeth",
            "node",
            "run",
            "--config",
            self._toml(name),
        ]
        self.child(name).start(command, os.environ)

    def await_node(self, name: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait until a node says that it is well.

        Returns:
            What it says.

        Raises:
            ConfigError: It has ended, or takes too long.
        """
        end = time.monotonic() + seconds
        child = self.child(name)
        while (health := self.health(name)).get("status") != "ok":
            if child.pid is None:
                raise ConfigError(f"{name} has ended: {child.last_words()} (all of it: {child.log})")
            if time.monotonic() > end:
                raise ConfigError(f"{name} is not there after {seconds:.0f} s: see {child.log}")
            time.sleep(0.2)
        return health

    def health(self, name: str) -> dict[str, Any]:
        """What a node says of itself; nothing if it does not answer."""
        try:
            config = NodeConfig.load(self._toml(name))
            answer: dict[str, Any] = httpx.get(f"http://{config.monitor}/health", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return answer

    # --- the parts ---

    def _start_chain(self, told: Told) -> None:
        config = self.config
        if self.child(CHAIN).pid is None:
            told("starting the chain")
            port = free_port(config.chain_port)
            config = config.model_copy(update={"chain_port": port})
            config.save(self.home / "devnet.toml")
            state = self.home / "chain.json"
            command: list[str | Path] = [
                tools.anvil(), "--host", LOOPBACK, "--port", str(port), "--hardfork", "prague", "--silent",
                "--state", state, "--state-interval", "5",
            ]  # fmt: skip
            self.child(CHAIN).start(command, os.environ)
        url = f"http://{LOOPBACK}:{config.chain_port}"
        client = ClientConfig(chain=url, password_file="password", faucet=True)  # noqa: S106 - a file's name
        client.save(self.home / "client.toml")
        with self._await_chain(url) as chain:
            chain.request("evm_setAutomine", True)
            told("deploying the contracts")
            deploy(chain, DEVELOPER, None, self.home / "deployments")
            self._make_accounts(chain)
            # From now on a block a second, as real chains make them: their time is the clock's.
            chain.request("evm_setAutomine", False)
            chain.request("evm_setIntervalMining", config.block_seconds)

    def _await_chain(self, url: str) -> Chain:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return open_chain(url)
            except ChainUnavailableError:
                if self.child(CHAIN).pid is None or time.monotonic() > end:
                    raise ConfigError(f"the chain did not start: {self.child(CHAIN).last_words()}") from None
                time.sleep(0.1)

    def _make_accounts(self, chain: Chain) -> None:
        path = self.home / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(32), encoding="utf-8")
        password = path.read_text(encoding="utf-8")
        for role, name in (*self.config.nodes(), ("requester", "requester")):
            folder = self.home / "keys" / role
            if not (folder / f"{name}.json").exists():
                made = create_keystore(folder, password, name, scrypt_n=LIGHT_SCRYPT)
                chain.request("anvil_setBalance", made.address, hex(ALLOWANCE))

    def _start_ipfs(self, told: Told) -> None:
        config = self.config
        if not config.ipfs_nodes or self.child(IPFS).pid is not None:
            return
        told("starting the IPFS daemon")
        port = free_port(config.ipfs_port)
        config.model_copy(update={"ipfs_port": port}).save(self.home / "devnet.toml")
        program, repo = tools.jsipfs(), self.home / "ipfs"
        tools.init_jsipfs(program, repo, port)
        self.child(IPFS).start([program, "daemon", "--offline"], tools.jsipfs_environment(repo))
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.post(f"http://{LOOPBACK}:{port}/api/v0/version", timeout=10).raise_for_status()
                return
            except httpx.HTTPError:
                if self.child(IPFS).pid is None or time.monotonic() > end:
                    words = self.child(IPFS).last_words()
                    raise ConfigError(f"the IPFS daemon did not start: {words}") from None
                time.sleep(0.2)

    def _start_nodes(self, told: Told) -> None:
        names = [name for _, name in self.config.nodes()]
        for role, name in self.config.nodes():
            if self.child(name).pid is None:
                self._configure(role, name)
                self.start_node(name)
        for count, name in enumerate(names, start=1):
            told(f"starting {name} ({count} of {len(names)} nodes)")
            self.await_node(name)

    def _configure(self, role: str, name: str) -> None:
        """Write a node's configuration: with the ports that it had, where they are free."""
        path, config = self._toml(name), self.config
        known = NodeConfig.load(path) if path.exists() else None
        settings: dict[str, Any] = {
            "role": role,
            "name": name,
            "chain": f"http://{LOOPBACK}:{config.chain_port}",
            "deployment": "../deployments",
            "keystore": f"../keys/{role}/{name}.json",
            "password_file": "../password",
            "home": name,
            "listen": f"{LOOPBACK}:{free_port(_port(known.listen if known else None))}",
            "monitor": f"{LOOPBACK}:{free_port(_port(known.monitor if known else None))}",
        }
        if known is not None:
            NodeConfig.of(str(path), **known.model_dump() | settings).save(path)
            return
        if role == "storage":
            on_ipfs = name in config.names("storage")[: config.ipfs_nodes]
            ipfs = f"/ip4/{LOOPBACK}/tcp/{config.ipfs_port}" if on_ipfs else None
            settings["storage"] = StorageConfig(ipfs=ipfs).model_dump(exclude_none=True)
        elif role == "owner":
            executors = [known.address for known in list_keystores(self.home / "keys" / "executor")]
            settings["owner"] = OwnerConfig(executors=executors).model_dump(exclude_none=True)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        NodeConfig.of(str(path), **settings).save(path)

    def _toml(self, name: str) -> Path:
        return self.home / "nodes" / f"{name}.toml"


def _port(address: str | None) -> int | None:
    return None if address is None else int(address.rpartition(":")[2])
