"""Configuration files: what is wrong is named by file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.config import LocalConfig, NodeConfig, OwnerConfig
from dtxeth.errors import ConfigError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    config = OwnerConfig(manual=True, min_rows=300, requesters=['0xab "quoted"', "ü"], algorithms=[])
    config.save(tmp_path / "owner.toml")
    assert OwnerConfig.load(tmp_path / "owner.toml") == config
    LocalConfig().save(tmp_path / "network.toml")
    assert LocalConfig.load(tmp_path / "network.toml") == LocalConfig()
    assert "url" not in (tmp_path / "network.toml").read_text()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("storage_nodes = 0", "storage_nodes is 0: input should be greater than or equal to 1"),
        ("storage_nodes = 65", "storage_nodes is 65: input should be less than or equal to 64"),
        ('storage_nodes = "4"', "storage_nodes is '4': input should be a valid integer"),
        ("executors = true", "executors is True: input should be a valid integer"),
        ("nodes = 4", "nodes is 4, a key that does not exist: take it out, or use one of storage_nodes"),
        ("executor = 4", "executor is 4, a key that does not exist: did you mean executors?"),
        ("executors 2", "is not TOML: Expected '='"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "network.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        LocalConfig.load(path)
    assert str(refusal.value).startswith(str(path))
    assert wrong in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none\.toml cannot be read: No such file or directory; check the path"
    ):
        LocalConfig.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml is not TOML"):
        LocalConfig.load(tmp_path / "binary.toml")


def test_a_list_element_is_named(tmp_path: Path) -> None:
    (tmp_path / "owner.toml").write_text("requesters = ['a', 7]")
    with pytest.raises(ConfigError, match=r"requesters\.1 is 7"):
        OwnerConfig.load(tmp_path / "owner.toml")


NODE = """
role = "storage"
name = "storage1"
chain = "http://127.0.0.1:8545"
keystore = "storage1.json"
home = "storage1"
listen = "127.0.0.1:8080"
"""


def test_a_node_with_its_role_s_table_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "storage1.toml"
    path.write_text(NODE + '[storage]\ncapacity = 2097152\nipfs = "/ip4/127.0.0.1/tcp/5001"\n')
    config = NodeConfig.load(path)
    assert config.storage is not None
    assert config.storage.capacity == 2**21
    config.save(path)
    assert NodeConfig.load(path) == config


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ('listn = "a:1"', "listn is 'a:1', a key that does not exist: did you mean listen?"),
        ("[storage]\ncapcity = 3", "storage.capcity is 3, a key that does not exist: did you mean capacity?"),
        (
            "[storage]\ncapacity = 3",
            "storage.capacity is 3: input should be greater than or equal to 1048576",
        ),
        ("[owner]\nmanual = true", "[owner] is for the role 'owner', this is 'storage': take it out"),
        ('monitor = "9100"', "monitor is '9100': string should match pattern"),
        ("low_balance = -1", "low_balance is -1: input should be greater than or equal to 0"),
    ],
)
def test_what_is_wrong_with_a_node_is_named(tmp_path: Path, change: str, wrong: str) -> None:
    path = tmp_path / "storage1.toml"
    path.write_text(f"{NODE}\n{change}\n")
    with pytest.raises(ConfigError) as refusal:
        NodeConfig.load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert wrong in str(refusal.value)


def test_a_node_without_an_address_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "storage1.toml"
    path.write_text(NODE.replace("listen", "# listen"))
    with pytest.raises(ConfigError, match="listen is missing: add it"):
        NodeConfig.load(path)
