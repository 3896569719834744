"""Configuration files: TOML, checked key by key."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtxeth.errors import ConfigError


class TomlConfig(BaseModel):
    """Settings that live in a TOML file; unknown keys and values out of range are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ConfigError: It is missing, not TOML, or has an unknown key or a value out of range.
        """
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}; check the path") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        return cls.of(str(path), **settings)

    @classmethod
    def of(cls, source: str, **settings: Any) -> Self:
        """Check settings from anywhere; ``source`` names the place in errors.

        Raises:
            ConfigError: An unknown key or a value out of range.
        """
        try:
            return cls(**settings)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{source}: {key} is {first['input']!r}: {first['msg'].lower()}") from None

    def save(self, path: Path) -> None:
        """Write the file; what is not set is left out."""
        # JSON's numbers, strings, booleans and arrays of them are TOML's too.
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.model_dump(exclude_none=True).items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class LocalConfig(TomlConfig):
    """``network.toml`` of a network in one process."""

    storage_nodes: int = Field(default=4, ge=1, le=64)
    """How many storage nodes."""
    executors: int = Field(default=2, ge=0, le=64)
    """How many executors."""
    capacity: int = Field(default=10 * 2**30, ge=2**20)
    """Bytes that each storage node offers."""
    url: str | None = None
    """JSON-RPC URL of a development node; without it the chain is in the process."""
    ipfs: str | None = None
    """Multiaddr of an IPFS daemon's RPC for the pieces; without it each storage node has a folder."""


class OwnerConfig(TomlConfig):
    """``NAME.toml`` of a data owner: how applications for its files are answered, and how these are looked after."""

    manual: bool = False
    """Leave them to be answered by hand."""
    min_rows: int | None = Field(default=None, ge=1)
    """Least rows in a batch; by default the greater of 256 and ten times the owner's features."""
    max_leverage: float = Field(default=0.5, gt=0, le=1)
    """Rows of higher leverage are set aside."""
    requesters: list[str] | None = None
    """Accounts whose tasks are welcome; by default any."""
    algorithms: list[str] | None = None
    """Algorithms that are welcome; by default any."""
    executors: list[str] | None = None
    """Accounts that may be handed the files; by default the executors of the owner's own network process."""
    max_tasks: int = Field(default=16, ge=0)
    """Tasks of a kind that one file may take part in."""
    challenges_per_day: float = Field(default=4.0, ge=0, le=1440)
    """How often each holding of a file is challenged, on average, at random times; 0 for never."""
    offline_grace_seconds: int = Field(default=3600, ge=0)
    """Chain time for which a storage node may be offline by its own will before its pieces are moved."""
    repairs: bool = True
    """Whether pieces on nodes that are lost, caught, offline or draining are moved to others."""
    clients: list[str] = []
    """Accounts that the owner's HTTP API serves besides the owner's own."""
