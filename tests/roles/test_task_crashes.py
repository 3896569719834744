"""An executor is killed at every step of a task, and started again: the work ends right, and once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dtxeth.chain import create_keystore, load_keystore
from dtxeth.chain.bindings.events import FilePublished, TaskReported
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Policy
from dtxeth.roles import Executor, LocalNetwork, Requester, StoredFile
from dtxeth.roles.local import ALLOWANCE, DEPLOYMENTS, LIGHT_SCRYPT
from dtxeth.roles.tasks import FINAL
from dtxeth.roles.vault import Vault
from dtxeth.web import LocalServers
from tests.roles.town import write_tables
from tests.roles.victim import PREDICTION, TRAINING, Point, Victim

pytestmark = [pytest.mark.anvil, pytest.mark.long]

PASSWORD = "of a test"


@dataclass
class Scene:
    """An executor that lives, here, and one that dies, elsewhere; the one that dies has the labels."""

    network: LocalNetwork
    survivor: Executor
    victim: Victim
    address: str
    lab: Requester
    files: list[StoredFile]
    tables: tuple[Path, Path]

    def submit(self, **settings: Any) -> Any:
        return self.lab.train(
            "logistic-vl",
            files=self.files,
            id="id",
            label="ill",
            executors=[self.address, self.survivor.address],
            max_rounds=2,
            **settings,
        )

    def work(self, until: Any) -> None:
        """Drive everybody who lives here."""
        end = time.monotonic() + 120
        while not until():
            assert time.monotonic() < end
            if not self.network.pump():
                time.sleep(0.02)

    def kill_at(self, point: Point, task: Any) -> None:
        process = self.victim.start(point)
        self.work(lambda: not process.is_alive() or task.status in FINAL)
        process.join(20)
        assert process.exitcode == -9, f"it did not come to {point}; the task is {task.status.name}"

    def finish(self, task: Any) -> Any:
        process = self.victim.start()
        try:
            self.work(lambda: task.status in FINAL)
            self.work(lambda: not self.vault.inner(f"task-{task.task_id}").folder.exists())  # and its secrets
            return task.result()
        finally:
            process.kill()
            process.join()

    @property
    def vault(self) -> Vault:
        """What the victim keeps."""
        account = load_keystore(self.victim.keystore, PASSWORD)
        key = account.encryption_key(self.network.chain.chain_id, purpose="executor").private_bytes_raw()
        return Vault(self.victim.home / "models", key)

    def reports(self, task: Any) -> int:
        return len(self.network.index.events(TaskReported, task_id=task.task_id, executor=self.address))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def scene(anvil: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("crashes")
    tables = write_tables(folder / "tables")
    with (
        LocalNetwork(
            storage_nodes=2, executors=1, url=anvil, transport="grpc", home=folder / "net"
        ) as network,
        LocalServers(network),
        pytest.MonkeyPatch.context() as patch,
    ):
        from dtxeth.roles import run
        from tests.roles.town import train_briefly

        patch.setattr(run, "run_in_process", train_briefly)
        address = create_keystore(folder / "keys", PASSWORD, "victim", scrypt_n=LIGHT_SCRYPT).address
        network.chain.faucet(address, ALLOWANCE)
        (survivor,) = network.executors
        policy = Policy(executors=frozenset({address, survivor.address}), max_tasks=1000)
        owners = [network.data_owner(name, policy) for name in ("hospital", "bank")]
        files = [owner.upload(table, "study") for owner, table in zip(owners, tables, strict=True)]
        victim = Victim(
            url=anvil,
            deployment=network.home / DEPLOYMENTS,
            home=folder / "victim",
            keystore=folder / "keys" / "victim.json",
            password=PASSWORD,
            listen=f"127.0.0.1:{free_port()}",
        )
        process = victim.start()  # joins the network
        scene = Scene(network, survivor, victim, address, network.requester("lab"), files, tables)
        scene.work(lambda: any(node == address for node in _executors(network)))
        process.kill()
        process.join()
        yield scene


def _executors(network: LocalNetwork) -> list[str]:
    from dtxeth.chain.bindings.types import Role

    return network.requester("lab").online_nodes(Role.EXECUTOR)


def test_killed_at_every_step(scene: Scene) -> None:
    task = scene.submit()
    for point in TRAINING:
        if point.argument == "task-1.part":
            point = replace(point, argument=f"task-{task.task_id}.part")
        scene.kill_at(point, task)
    model = scene.finish(task)
    assert model.report["rounds"] == 2
    assert scene.reports(task) == 1

    prediction = scene.lab.predict(model, files=scene.files)
    for point in PREDICTION:
        scene.kill_at(point, prediction)
    predicted = scene.finish(prediction)
    assert scene.reports(prediction) == 1
    registry = scene.network.contracts.file_registry
    namespace = registry.namespace_id_of(scene.address, f"task {prediction.task_id}")
    assert len(scene.network.index.events(FilePublished, owner=scene.address, namespace_id=namespace)) == 1
    assert_predicted_by_the_parts(scene, task.task_id, predicted)


def assert_predicted_by_the_parts(scene: Scene, task_id: int, predicted: pd.DataFrame) -> None:
    kept = scene.vault.load(f"task-{task_id}.part")
    assert kept is not None
    parts = (ModelPart.from_bytes(kept), scene.survivor.part(task_id))
    tables = [pd.read_csv(path, index_col="id").loc[predicted["id"]] for path in scene.tables]
    z = sum(part.score(table[part.features].to_numpy()) for part, table in zip(parts, tables, strict=True))
    label = parts[0].label
    assert label is not None
    assert len(predicted) == 300
    expected = 1 / (1 + np.exp(-(label.offset + label.scale * np.asarray(z))))
    np.testing.assert_allclose(predicted["ill"], expected, rtol=1e-5)
