"""Configuration files: what is wrong is named by file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.config import LocalConfig, OwnerConfig
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
