"""Configuration files: TOML, checked key by key."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtxeth.errors import ConfigError

_ADDRESS = r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}$"


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
            raise ConfigError(f"{source}: {cls._complaint(error.errors(include_url=False)[0])}") from None

    @classmethod
    def _complaint(cls, wrong: Any) -> str:
        key = ".".join(str(part) for part in wrong["loc"]) or "the whole"
        match wrong["type"]:
            case "extra_forbidden":
                return f"{key} is {wrong['input']!r}, a key that does not exist: {cls._advice(wrong['loc'])}"
            case "missing":
                return f"{key} is missing: add it"
            case "value_error":
                return f"{key}: {wrong['ctx']['error']}" if wrong["loc"] else str(wrong["ctx"]["error"])
        return f"{key} is {wrong['input']!r}: {wrong['msg'].lower()}"

    @classmethod
    def _advice(cls, place: tuple[str | int, ...]) -> str:
        """Say which keys there are where an unknown one was found."""
        fields: Any = cls.model_fields
        for part in place[:-1]:
            kinds = [*get_args(fields[part].annotation), fields[part].annotation]
            table = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
            fields = table.model_fields
        near = difflib.get_close_matches(str(place[-1]), fields, 1)
        return f"did you mean {near[0]}?" if near else f"take it out, or use one of {', '.join(fields)}"

    def save(self, path: Path) -> None:
        """Write the file; what is not set is left out."""
        values = self.model_dump(exclude_none=True)
        lines = _lines({key: value for key, value in values.items() if not isinstance(value, dict)})
        for key, table in values.items():
            if isinstance(table, dict):
                lines += ["", f"[{key}]", *_lines(table)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(values: Mapping[str, Any]) -> list[str]:
    # JSON's numbers, strings, booleans and arrays of them are TOML's too.
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]


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
    transport: Literal["memory", "grpc"] = "memory"
    """What connects the executors: queues, or gRPC over mutual TLS on loopback."""


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
    programs: list[str] = []
    """SHA-256 of each StableHLO program that dnn-vl may run."""
    executors: list[str] | None = None
    """Accounts that may be handed the files; by default the executors of the owner's own network process."""
    max_tasks: int = Field(default=16, ge=0)
    """Tasks of a kind that one file may take part in."""
    leave_one_out: bool = False
    """Whether models may be evaluated by leaving out one row at a time."""
    min_difference: int = Field(default=256, ge=0, le=256)
    """Rows by which a task's rows must differ from those of an earlier one, unless they are the same."""
    max_epsilon: float | None = Field(default=None, gt=0)
    """Most ε at δ = 10⁻⁵ that a training task may cost; by default it need not be differentially private."""
    honest_majority: bool = False
    """Whether networks may be trained under three-party computation, which any two of three operators could open."""
    show_scores: bool = False
    """Whether as many models may score a file as it has features, which shows these but for their units."""
    challenges_per_day: float = Field(default=4.0, ge=0, le=1440)
    """How often each holding of a file is challenged, on average, at random times; 0 for never."""
    offline_grace_seconds: int = Field(default=3600, ge=0)
    """Chain time for which a storage node may be offline by its own will before its pieces are moved."""
    repairs: bool = True
    """Whether pieces on nodes that are lost, caught, offline or draining are moved to others."""
    clients: list[str] = []
    """Accounts that the owner's HTTP API serves besides the owner's own."""


class ClientConfig(TomlConfig):
    """``client.toml``: how the commands reach a network of other processes; paths begin at the file's folder."""

    chain: str
    """JSON-RPC URL of the chain's node."""
    deployment: str = "deployments"
    """Record of the contracts' deployment, or the folder of such records."""
    password_file: str | None = None
    """File with the password of the keystores; without it ``$DTXETH_PASSWORD``, else it is asked for."""
    faucet: bool = False
    """Make a keystore for every new name, with money from the faucet of a development chain."""


class StorageConfig(TomlConfig):
    """``[storage]``: what a storage node offers, and where it keeps it."""

    capacity: int = Field(default=10 * 2**30, ge=2**20)
    """Bytes that it offers; its stake follows."""
    ipfs: str | None = None
    """Multiaddr of an IPFS daemon's RPC for the pieces; without it they go to a folder in ``home``."""


class NodeConfig(TomlConfig):
    """``NAME.toml`` of a node that runs as a daemon; paths begin at the file's folder."""

    role: Literal["storage", "owner", "executor"]
    """What the node does."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """What people call it; storage nodes and executors register under it."""
    chain: str
    """JSON-RPC URL of the chain's node."""
    deployment: str = "deployments"
    """Record of the contracts' deployment, or the folder of such records."""
    keystore: str
    """Keystore file of the node's account."""
    password_file: str | None = None
    """File with its password; without it ``$DTXETH_PASSWORD``, else it is asked for."""
    home: str
    """Folder for everything that the node keeps: records, pieces, index, pid file."""
    listen: str = Field(pattern=_ADDRESS)
    """``host:port`` at which it serves; port 0 takes a free one."""
    endpoint: str | None = Field(default=None, min_length=1, max_length=256)
    """URL by which others reach it, as it stands on chain; without it, that of ``listen``."""
    monitor: str | None = Field(default=None, pattern=_ADDRESS)
    """``host:port`` of ``/health`` and ``/metrics``; without it there are none."""
    log: Literal["console", "json"] = "console"
    """Form of the log, which goes to stderr."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    low_balance: int = Field(default=10**17, ge=0)
    """Wei below which the account's balance is warned about."""
    storage: StorageConfig | None = None
    """For storage nodes alone."""
    owner: OwnerConfig | None = None
    """For data owners alone."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse another role's table."""
        for table in ("storage", "owner"):
            if getattr(self, table) is not None and self.role != table:
                raise ValueError(f"[{table}] is for the role {table!r}, this is {self.role!r}: take it out")
        return self


class DevnetConfig(TomlConfig):
    """``devnet.toml``: a network of processes on one machine."""

    storage_nodes: int = Field(default=4, ge=1, le=64)
    """How many storage nodes."""
    owners: int = Field(default=2, ge=0, le=64)
    """How many data owners."""
    executors: int = Field(default=2, ge=0, le=64)
    """How many executors."""
    ipfs_nodes: int = Field(default=0, ge=0, le=64)
    """How many of the storage nodes keep their pieces in an IPFS daemon."""
    block_seconds: int = Field(default=1, ge=1, le=60)
    """Seconds between two blocks."""
    chain_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the chain's JSON-RPC; a free one is chosen and kept."""
    ipfs_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the IPFS daemon's RPC; likewise."""

    @property
    def counts(self) -> tuple[int, ...]:
        """What distinguishes one network from another."""
        return self.storage_nodes, self.owners, self.executors, self.ipfs_nodes

    def describe(self) -> str:
        """The same in words."""
        return f"{self.storage_nodes} storage nodes, {self.owners} owners and {self.executors} executors"

    def names(self, role: str) -> list[str]:
        """Names of the nodes of a role."""
        number = {"storage": self.storage_nodes, "owner": self.owners, "executor": self.executors}[role]
        return [f"{role}{place}" for place in range(1, number + 1)]

    def nodes(self) -> list[tuple[str, str]]:
        """Role and name of every node."""
        return [(role, name) for role in ("storage", "owner", "executor") for name in self.names(role)]
