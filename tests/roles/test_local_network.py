"""A network in a folder: closed, opened again, gone on with; and the same life on anvil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import dtxeth
from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.errors import ConfigError, DeploymentError, InputError, KeystoreError
from dtxeth.learning.policy import Policy
from dtxeth.roles import LocalNetwork
from tests.roles.town import Town, write_tables


def test_a_network_goes_on_where_it_was_closed(tmp_path: Path, brief: None) -> None:
    active, passive = write_tables(tmp_path)
    home, policy = tmp_path / "home", Policy(min_rows=290, algorithms=frozenset({"logistic-vl"}), max_tasks=3)
    with LocalNetwork(storage_nodes=2, executors=2, home=home) as network:
        hospital, insurer = network.data_owner("hospital", policy), network.data_owner("insurer", manual=True)
        files = [hospital.upload(active, "study"), insurer.upload(passive, "study")]
        lab = network.requester("lab")
        task = Town(network, tmp_path).task(lab, files)
        network.index.sync()
        addresses = {(type(actor), actor.name): actor.address for actor in network.actors}
        block = network.chain.block_number

    with LocalNetwork.open(home) as network:
        assert network.chain.block_number == block
        assert {(type(actor), actor.name): actor.address for actor in network.actors} == addresses
        hospital, insurer = network.data_owner("hospital"), network.data_owner("insurer")
        assert (hospital.policy, hospital.manual) == (policy, False)
        assert (insurer.policy, insurer.manual) == (Policy(), True)
        assert hospital.files() == files[:1]
        hospital.download(files[0], tmp_path / "copy.csv")
        assert (tmp_path / "copy.csv").read_bytes() == active.read_bytes()
        assert all(result.status.name == "PROVED" for result in hospital.challenge(files[0], 2))
        Town(network, tmp_path).settle()
        (applied,) = insurer.applications()
        insurer.approve(applied.authorization_id)
        model = network.requester("lab").task(task.task_id).result()
        assert model.report["rounds"] == 2

    with LocalNetwork.open(home) as network:
        lab = network.requester("lab")
        prediction = lab.predict(lab.model(task.task_id), files=files)
        Town(network, tmp_path).settle()
        for applied in network.data_owner("insurer").applications():
            network.data_owner("insurer").approve(applied.authorization_id)
        assert len(prediction.result()) == 300


def test_a_policy_changes_only_when_told(tmp_path: Path) -> None:
    with LocalNetwork(storage_nodes=1, executors=0) as network:
        owner = network.data_owner("owner", Policy(max_tasks=1), manual=True)
        assert network.data_owner("owner") is owner
        assert (owner.policy.max_tasks, owner.manual) == (1, True)
        assert network.data_owner("owner", Policy(max_tasks=2)) is owner
        assert (owner.policy.max_tasks, owner.manual) == (2, False)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("closed") / "home"
    with LocalNetwork(storage_nodes=1, executors=0, home=home) as network:
        network.data_owner("owner")
    return home


@pytest.fixture
def home(closed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(closed, tmp_path / "home"))


def test_secrets_are_for_their_owner_alone(home: Path) -> None:
    for secret in (home / "password", home / "keys" / "owner" / "owner.json"):
        assert secret.stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o077 == 0


def test_a_folder_has_one_network(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"has a network already: open it with LocalNetwork\.open"):
        LocalNetwork(home=home)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network\.toml cannot be read"):
        LocalNetwork.open(tmp_path)


def test_a_wrong_password_opens_nothing(home: Path) -> None:
    (home / "password").write_text("wrong")
    with pytest.raises(KeystoreError, match="the password does not open keystore"):
        LocalNetwork.open(home)


def test_a_lost_record_is_not_replaced(home: Path) -> None:
    shutil.rmtree(home / "deployments")
    with pytest.raises(DeploymentError, match="no record of a deployment"):
        LocalNetwork.open(home)


def test_a_broken_owner_file_is_named(home: Path) -> None:
    (home / "owners" / "owner.toml").write_text("max_leverage = 2.0")
    with pytest.raises(ConfigError, match=r"owner\.toml: max_leverage is 2\.0"):
        LocalNetwork.open(home)


def test_numbers_have_bounds() -> None:
    for settings in ({"storage_nodes": 0}, {"storage_nodes": 65}, {"executors": -1}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            LocalNetwork(**settings)


def test_a_temporary_network_leaves_nothing() -> None:
    with LocalNetwork(storage_nodes=1, executors=0) as network:
        home = network.home
        assert home.exists()
    assert not home.exists()


def test_nobody_shows_secrets(closed: Path) -> None:
    with LocalNetwork.open(closed) as network:
        for actor in network.actors:
            assert repr(actor) == f"{type(actor).__name__}({actor.name!r}, {actor.address})"


@pytest.mark.anvil
def test_the_same_life_on_anvil(anvil: str, tmp_path: Path, brief: None) -> None:
    active, passive = write_tables(tmp_path)
    home = tmp_path / "home"
    with dtxeth.LocalNetwork(storage_nodes=2, executors=2, home=home, url=anvil) as network:
        hospital, insurer = network.data_owner("hospital"), network.data_owner("insurer")
        files = [hospital.upload(active, "study"), insurer.upload(passive, "study")]
        lab = network.requester("lab")
        task = Town(network, tmp_path).task(lab, files, reward=1000)
        model = task.result()
        assert len(lab.predict(model, files=files).result()) == 300
        assert {result.status.name for result in hospital.challenge(files[0], 2)} == {"PROVED"}
        assert network.contracts.task_registry.credit_of(network.executors[0].address) == 500
    with dtxeth.LocalNetwork.open(home) as network:
        assert network.requester("lab").task(task.task_id).status is TaskStatus.FINISHED
        assert network.data_owner("hospital").files() == files[:1]


def test_only_development_chains_take_a_whole_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtxeth.chain.chain.Chain.is_development", False)
    with pytest.raises(InputError, match="development"):
        LocalNetwork(home=tmp_path / "home")
    assert not (tmp_path / "home" / "network.toml").exists()
