"""Executors: what they say when a run fails, what they keep, and whose files they may open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.errors import (
    ConfigError,
    CryptoError,
    DataError,
    DtxethError,
    PeerError,
    TaskError,
    UnknownNameError,
)
from dtxeth.roles import Executor, LocalNetwork, Requester, StoredFile, run
from tests.roles.town import Town, train_briefly

Failing = Callable[[Exception], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Makes every training end with an exception."""

    def prepare(error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(run, "run_in_process", fail)

    return prepare


def failure(town: Town) -> str:
    with pytest.raises(TaskError) as end:
        town.task(town.requester(), town.files(town.owner())).result()
    finish_runs(town)
    return str(end.value)


def finish_runs(town: Town) -> None:
    town.network.wait(
        lambda: None if any(executor.busy for executor in town.network.executors) else True, "the runs"
    )


@pytest.mark.parametrize(
    "error",
    [DataError("row 7 of patient Smith"), CryptoError("key 0xdeadbeef"), TaskError("gradient 3.14")],
)
def test_private_errors_reach_the_chain_by_their_kind_only(
    town: Town, failing: Failing, error: DtxethError
) -> None:
    failing(error)
    said = failure(town)
    assert "FAILED: executor 0x" in said
    assert f"{type(error).__name__}; the executor's log says more" in said
    assert str(error) not in said


@pytest.mark.parametrize("error", [ConfigError("setting l2 is 7"), PeerError("0xab", "sent " + 300 * "é")])
def test_public_errors_reach_the_chain_in_full(town: Town, failing: Failing, error: DtxethError) -> None:
    failing(error)
    assert str(error)[:100] in failure(town)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_our_own_mistakes_fail_the_task_too(town: Town, failing: Failing) -> None:
    failing(ZeroDivisionError("secret 0.123"))
    said = failure(town)
    assert "ZeroDivisionError; the executor's log says more" in said
    assert "secret" not in said


def test_a_table_that_cannot_be_learned_from_fails_the_task(town: Town, tmp_path: Path, brief: None) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(town.tables[0].read_text().replace("P7,", "P8,"))
    broken = town.owner().upload(path, "study")
    lab = town.requester()
    with pytest.raises(TaskError, match=r"DataError; the executor's log says more|gave up: DataError"):
        town.task(lab, [broken, town.neighbours]).result()
    finish_runs(town)


def test_too_few_common_rows_fail_the_task(town: Town, tmp_path: Path, brief: None) -> None:
    path = tmp_path / "others.csv"
    path.write_text(town.tables[0].read_text().replace("\nP", "\nQ"))
    strangers = town.owner().upload(path, "study")
    with pytest.raises(TaskError, match=r"FAILED"):
        town.task(town.requester(), [strangers, town.neighbours]).result()
    finish_runs(town)


def own_file(executor: Executor, path: Path) -> StoredFile:
    return executor.upload(path, "own")


def test_an_executor_works_on_its_own_file(town: Town, brief: None) -> None:
    """Self mode: the owner runs its own executor, and nobody has to be asked."""
    executor, lab = town.network.executors[0], town.requester()
    files = [own_file(executor, town.tables[0]), town.neighbours]
    task = town.task(lab, files)
    assert task.result().report["rounds"] == 2
    assert not executor.contracts.file_authorization.latest_of(files[0].id, executor.address, task.task_id)


@pytest.fixture
def trained(town: Town, brief: None) -> int:
    task = town.task(town.requester(), town.files(town.owner()))
    task.result()
    return task.task_id


def test_a_tampered_part_is_refused(town: Town, trained: int) -> None:
    executor = town.network.executors[0]
    path = executor.home / f"task-{trained}.part"
    sealed = path.read_bytes()
    assert executor.part(trained).task
    for damaged in (sealed[:-1], sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:], b""):
        path.write_bytes(damaged)
        with pytest.raises(CryptoError):
            executor.part(trained)
    other = town.network.executors[1]
    path.write_bytes((other.home / path.name).read_bytes())
    with pytest.raises(CryptoError):
        executor.part(trained)


def test_a_lost_part_is_named(town: Town, trained: int) -> None:
    executor = town.network.executors[0]
    with pytest.raises(
        UnknownNameError, match="executor1 has no part of the model of task 999: train it again"
    ):
        executor.part(999)
    (executor.home / f"task-{trained}.part").unlink()
    lab = _requester_of(town, trained)
    prediction = lab.predict(lab.model(trained), files=_files_of(town, trained))
    with pytest.raises(TaskError, match=f"has no part of the model of task {trained}"):
        prediction.result()
    finish_runs(town)


def _requester_of(town: Town, task_id: int) -> Requester:
    requester = town.network.contracts.task_registry.task_of(task_id).requester
    (lab,) = [actor for actor in town.network.actors if actor.address == requester]
    assert isinstance(lab, Requester)
    return lab


def _files_of(town: Town, task_id: int) -> list[bytes]:
    return [party.file_id for party in town.network.contracts.task_registry.parties_of(task_id)]


def test_an_executor_comes_back_to_what_it_had_begun(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that starts again joins a task that is Processing already; the other waits for it."""
    monkeypatch.setattr(run, "run_in_process", train_briefly)
    lab = town.requester(starts=False)
    task = town.task(lab, town.files(town.owner()))
    town.settle()
    lab.contracts.task_registry.start(task.task_id, sender=lab.account)
    first = town.network.executors[0]
    first.contracts.task_registry.begin(task.task_id, sender=first.account)
    assert task.status is TaskStatus.PROCESSING
    assert task.result().report["rounds"] == 2


def test_the_whole_task_over_sockets(tmp_path: Path, brief: None) -> None:
    """Training and prediction between executors that listen on loopback, with a new certificate in between."""
    with LocalNetwork(storage_nodes=2, executors=2, transport="grpc") as network:
        here = Town(network, tmp_path)
        first = network.executors[0]
        node = network.contracts.node_registry.node_of(first.address)
        assert (node.endpoint, node.tls_fingerprint) == (
            first.transport.endpoint,
            first.transport.fingerprint,
        )
        lab, files = here.requester(), here.files(here.owner())
        model = here.task(lab, files).result()
        first.rotate_certificate()
        assert first.transport.fingerprint != node.tls_fingerprint
        assert len(lab.predict(model, files=files).result()) == 300
