"""``dtxeth node init|run|status|stop|rotate``: a storage node, data owner or executor as a process of its own."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer

from dtxeth.chain import Account, create_keystore, list_keystores, load_keystore
from dtxeth.cli.context import Json
from dtxeth.cli.output import show_record
from dtxeth.cli.passwords import read_password
from dtxeth.config import NodeConfig, StorageConfig
from dtxeth.daemon import NodeDaemon, logs
from dtxeth.errors import ConfigError, InputError

Config = Annotated[Path, typer.Option("--config", help="The node's TOML file (see `dtxeth node init`).")]
HEALTH_SECONDS = 5.0


def init(
    role: Annotated[Literal["storage", "owner", "executor"], typer.Argument(help="What the node does.")],
    name: Annotated[str, typer.Argument(help="What to call it; unique in its role.")],
    chain: Annotated[str, typer.Option(help="JSON-RPC URL of the chain's node.")],
    deployment: Annotated[Path, typer.Option(help="Record of the contracts, or the folder of records.")],
    listen: Annotated[str, typer.Option(help="host:port at which it serves.")],
    config: Annotated[Path | None, typer.Option(help="TOML file to write; default NAME.toml.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL by which others reach it; default that of --listen.")
    ] = None,
    monitor: Annotated[str | None, typer.Option(help="host:port of /health and /metrics.")] = None,
    keystore: Annotated[
        Path | None, typer.Option(help="Keystore file; default keys/NAME.json, made if missing.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with its password; else $DTXETH_PASSWORD, else it is asked for.")
    ] = None,
    capacity: Annotated[int | None, typer.Option(help="Bytes that a storage node offers.")] = None,
    ipfs: Annotated[
        str | None, typer.Option(help="Multiaddr of a storage node's IPFS daemon; else a folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a node's configuration, and make its keystore; sends nothing to the chain."""
    path = config or Path(f"{name}.toml")
    if path.exists():
        raise ConfigError(f"{path} exists already: edit it, or give another --config")
    given: dict[str, Any] = {"capacity": capacity, "ipfs": ipfs}
    settings: dict[str, Any] = {
        "role": role,
        "name": name,
        "chain": chain,
        "deployment": _from(path, deployment),
        "keystore": _from(path, keystore or path.parent / "keys" / f"{name}.json"),
        "password_file": password_file and _from(path, password_file),
        "home": name,
        "listen": listen,
        "endpoint": endpoint,
        "monitor": monitor,
    }
    if any(value is not None for value in given.values()):
        settings["storage"] = {key: value for key, value in given.items() if value is not None}
    elif role == "storage":
        settings["storage"] = StorageConfig().model_dump()
    checked = NodeConfig.of("the options", **settings)
    address = _keystore(path.parent / checked.keystore, password_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    checked.save(path)
    show_record({"config": str(path), "role": role, "name": name, "account": address}, as_json=json)


def run(config: Config) -> None:
    """Run a node until SIGTERM or Ctrl-C; it registers, or says where it is now, and works."""
    daemon, account = _load(config)
    logs.configure(daemon.config.log, daemon.config.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    daemon.run(account, stop)


def status(config: Config, json: Json = False) -> None:
    """Show whether a node runs, and how it is."""
    daemon = _daemon(config)
    pid = daemon.pid_file.pid
    record = {
        "name": daemon.config.name,
        "role": daemon.config.role,
        "status": "not running" if pid is None else "running",
        "pid": pid,
    }
    if pid is not None and daemon.config.monitor is not None:
        try:
            answer = httpx.get(f"http://{daemon.config.monitor}/health", timeout=HEALTH_SECONDS)
            record |= answer.json()
        except (httpx.HTTPError, ValueError):
            record["status"] = "running, but /health does not answer"
    show_record(record, as_json=json)


def stop(
    config: Config,
    seconds: Annotated[float, typer.Option(help="How long to wait for its end.")] = 30.0,
    json: Json = False,
) -> None:
    """Stop a node: it ends what it serves; a task that runs goes on after the next start."""
    daemon = _daemon(config)
    pid = daemon.pid_file.pid
    if not daemon.pid_file.stop(seconds):
        raise InputError(
            f"node {daemon.config.name} (process {pid}) has not ended in {seconds:g} s: look at its log"
        )
    show_record({"name": daemon.config.name, "status": "stopped", "pid": pid}, as_json=json)


def rotate(
    what: Annotated[
        Literal["certificate", "key"],
        typer.Argument(help="certificate: of an executor's TLS. key: to which secrets are wrapped."),
    ],
    config: Config,
    json: Json = False,
) -> None:
    """Replace an executor's TLS certificate, or an account's encryption key; a new endpoint goes into the TOML file.

    A certificate is replaced while the node is stopped; its fingerprint goes on chain at the next start. Secrets that
    were wrapped to an earlier encryption key stay readable.
    """
    daemon, account = _load(config)
    if what == "certificate":
        daemon.rotate_certificate()
        show_record({"name": daemon.config.name, "certificate": "new at the next start"}, as_json=json)
        return
    with daemon.connect(account) as network:
        version = network.requester(daemon.config.name).rotate_encryption_key()
    show_record({"name": daemon.config.name, "version": version}, as_json=json)


def _daemon(config: Path) -> NodeDaemon:
    return NodeDaemon(NodeConfig.load(config), config.parent)


def _load(config: Path) -> tuple[NodeDaemon, Account]:
    daemon = _daemon(config)
    file = daemon.config.password_file
    password = read_password(None if file is None else config.parent / file)
    return daemon, load_keystore(config.parent / daemon.config.keystore, password)


def _keystore(path: Path, password_file: Path | None) -> str:
    """Address of a keystore, made if missing."""
    if path.exists():
        return next(known.address for known in list_keystores(path.parent) if known.path == path)
    return create_keystore(path.parent, read_password(password_file, confirm=True), path.stem).address


def _from(config: Path, path: Path) -> str:
    """A path as the configuration has it: from its folder, if it is in there."""
    folder, path = config.parent.resolve(), path.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
