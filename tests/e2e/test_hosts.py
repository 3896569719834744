"""Nodes on hosts of their own: a training whose link is cut, whose packets get lost, and one of whose hosts dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dtxeth.chain import create_keystore, deploy, list_keystores, load_keystore, open_chain
from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.chain.chain import DEVELOPER
from dtxeth.config import NodeConfig, OwnerConfig
from dtxeth.daemon.children import Child
from dtxeth.errors import ChainUnavailableError
from dtxeth.roles.remote import RemoteNetwork, connect_network
from tests.e2e.hosts import Hosts, hosts
from tests.roles.town import write_tables

pytestmark = [pytest.mark.long, pytest.mark.anvil]

ROLES = {
    "storage1": "storage",
    "owner1": "owner",
    "owner2": "owner",
    "executor1": "executor",
    "executor2": "executor",
}
CUT_SECONDS = 20
ROUNDS = 24
CHECKPOINT = 4


class Country:
    """The chain and five nodes, each on a host."""

    def __init__(self, switch: Hosts, home: Path, anvil: Path) -> None:
        self.switch, self.home = switch, home
        self._children = {name: Child(name, home) for name in ("chain", *ROLES)}
        self.url = f"http://{switch.address('chain')}:8545"
        self._anvil = anvil

    def found(self) -> None:
        """Start everything."""
        command = self.switch.command(
            "chain", self._anvil, "--host", "0.0.0.0", "--hardfork", "prague", "--silent"
        )
        self._children["chain"].start(command, os.environ)
        self._prepare()
        for name in ROLES:
            self.start(name)
        for name in ROLES:
            self.await_(lambda name=name: self.health(name).get("status") == "ok", f"{name} to be there", 180)

    def start(self, name: str) -> None:
        command = self.switch.command(name, sys.executable, "-m", "dtxeth", "node", "run", "--config")
        self._children[name].start([*command, self.home / f"{name}.toml"], os.environ)

    def kill_host(self, name: str) -> None:
        """The power fails: nothing says goodbye."""
        for other in ("chain", *ROLES):
            if other != name:
                self.switch.cut(name, other)
        self._children[name].kill()

    def health(self, name: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = httpx.get(
                f"http://{self.switch.address(name)}:9100/health", timeout=5
            ).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return answer

    def rounds(self, name: str) -> int:
        tasks = self.health(name).get("tasks", {})
        return max((task["rounds"] for task in tasks.values()), default=0)

    def await_(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what}: not after {seconds} s\n{self.logs()}"
            time.sleep(0.3)

    def logs(self) -> str:
        return "\n".join(f"{name}: {child.last_words()}" for name, child in self._children.items())

    def connect(self) -> RemoteNetwork:
        """What a requester and the owners' commands see, from outside."""

        def account(role: str, name: str) -> Any:
            return load_keystore(self.home / "keys" / f"{name}.json", "secret")

        return connect_network(
            self.url, self.home / "deployments", self.home / "outside", account, drives=("requester",)
        )

    def close(self) -> None:
        for child in self._children.values():
            child.ask_to_stop()
        for child in self._children.values():
            child.stop()

    def _prepare(self) -> None:
        """Deploy, and give everybody an account and a configuration."""

        def up() -> bool:
            try:
                open_chain(self.url).close()
            except ChainUnavailableError:
                return False
            return True

        self.await_(up, "the chain", 30)
        with open_chain(self.url) as chain:
            deploy(chain, DEVELOPER, None, self.home / "deployments")
            for name in (*ROLES, "lab"):
                made = create_keystore(self.home / "keys", "secret", name, scrypt_n=2)
                chain.request("anvil_setBalance", made.address, hex(10**21))
            chain.request("evm_setAutomine", False)
            chain.request("evm_setIntervalMining", 1)
        (self.home / "password").write_text("secret")
        accounts = {keystore.name: keystore.address for keystore in list_keystores(self.home / "keys")}
        executors = [accounts[name] for name, role in ROLES.items() if role == "executor"]
        for name, role in ROLES.items():
            address = self.switch.address(name)
            settings: dict[str, Any] = {
                "role": role,
                "name": name,
                "chain": self.url,
                "keystore": f"keys/{name}.json",
                "password_file": "password",
                "home": name,
                "listen": "0.0.0.0:7100",
                "endpoint": f"{'grpcs' if role == 'executor' else 'http'}://{address}:7100",
                "monitor": "0.0.0.0:9100",
            }
            if role == "owner":
                settings["owner"] = OwnerConfig(executors=executors, challenges_per_day=0).model_dump(
                    exclude_none=True
                )
            NodeConfig.of(name, **settings).save(self.home / f"{name}.toml")


@pytest.fixture
def country(toolchain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Country]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with hosts("chain", *ROLES) as switch:
        made = Country(switch, tmp_path, toolchain / "node_modules" / ".bin" / "anvil")
        try:
            made.found()
            yield made
        finally:
            made.close()


def test_a_training_over_bad_links_and_a_dead_host_ends_right(country: Country, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    switch = country.switch
    with country.connect() as network:
        files = []
        for name, table in zip(("owner1", "owner2"), tables, strict=True):
            owner = network.data_owner(name)
            owner.add_namespace("study", replicas=1)
            files.append(owner.upload(table, "study"))
        lab = network.requester("lab")
        task = lab.train(
            "logistic-vl",
            files=files,
            id="id",
            label="ill",
            max_rounds=ROUNDS,
            checkpoint_every=CHECKPOINT,
            tolerance=0.0,
        )

        def reached(rounds: int) -> Callable[[], bool]:
            def look() -> bool:
                network.pump()
                return country.rounds("executor1") >= rounds or task.status is TaskStatus.FINISHED

            return look

        switch.loss = 0.05
        country.await_(reached(3), "round 3", 300)
        switch.cut("executor1", "executor2")
        time.sleep(CUT_SECONDS)  # what is tested: an outage of this length
        assert task.status is TaskStatus.PROCESSING
        switch.mend()
        switch.loss = 0.05
        before = country.rounds("executor1")
        country.await_(reached(before + 3), "the training to go on", 300)
        assert task.status is TaskStatus.PROCESSING, "too few rounds to kill anybody in the middle"
        country.kill_host("executor2")
        time.sleep(1)
        assert task.status is TaskStatus.PROCESSING
        switch.mend()
        country.start("executor2")
        model = task.result(timeout=400)
        assert model.report["rounds"] == ROUNDS
        assert model.report["aligned_rows"] == 300
        (resumed,) = country.health("executor2")["tasks"].values()
        assert resumed["first"] > CHECKPOINT
        assert switch.lost > 0
