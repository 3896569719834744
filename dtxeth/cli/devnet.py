"""``dtxeth devnet``: a whole network of processes on this machine, kept in a folder between runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Final

import typer
from rich.markup import escape

from dtxeth.cli.context import DEFAULT_HOME, Home, Json
from dtxeth.cli.output import err, out, show_record, show_rows
from dtxeth.config import DevnetConfig
from dtxeth.daemon.devnet import CHAIN, IPFS, Devnet, Member, Told
from dtxeth.errors import UnknownNameError

FOLLOW_SECONDS: Final = 0.3

app = typer.Typer(
    name="devnet", no_args_is_help=True, help="A network of processes on this machine: chain, nodes, owners."
)


@app.command()
def up(
    storage_nodes: Annotated[int | None, typer.Option(help="How many storage nodes; default 4.")] = None,
    owners: Annotated[int | None, typer.Option(help="How many data owners; default 2.")] = None,
    executors: Annotated[int | None, typer.Option(help="How many executors; default 2.")] = None,
    ipfs_nodes: Annotated[
        int | None,
        typer.Option(help="How many storage nodes keep their pieces in an IPFS daemon; default 0."),
    ] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Start the network, or what of it does not run; all commands work on it with the same --home."""
    given = {
        "storage_nodes": storage_nodes,
        "owners": owners,
        "executors": executors,
        "ipfs_nodes": ipfs_nodes,
    }
    wish = {key: value for key, value in given.items() if value is not None}
    devnet = Devnet(home)
    with _told() as told:
        known = devnet.config.model_dump() if devnet.exists else {}
        devnet.up(DevnetConfig.of("the options", **known | wish), told)
    _show(devnet, json)


@app.command()
def status(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show what runs, and how it is."""
    _show(Devnet(home), json)


@app.command()
def down(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Stop everything; what it keeps stays in the folder."""
    devnet = Devnet(home)
    count = sum(member.child.pid is not None for member in devnet.members())
    with _told() as told:
        killed = devnet.down(told)
    show_record({"home": str(home), "stopped": count, "killed": killed}, as_json=json)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="Only of this process; of all by default.")] = None,
    lines: Annotated[int, typer.Option(min=0, help="How many lines of each to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show the logs."""
    members = list(Devnet(home).members())
    if name is not None:
        members = [member for member in members if member.name == name]
        if not members:
            raise UnknownNameError(f"there is no process {name!r}: `dtxeth devnet status` shows them")
    places = {member.name: _tail(member, lines) for member in members}
    with suppress(KeyboardInterrupt):
        while follow:
            time.sleep(FOLLOW_SECONDS)
            places = {member.name: _print_since(member, places[member.name]) for member in members}


def _tail(member: Member, lines: int) -> int:
    content = member.child.log.read_bytes() if member.child.log.exists() else b""
    shown = content.splitlines(keepends=True)[-lines:] if lines else []
    return _print_since(member, len(content) - sum(map(len, shown)))


def _print_since(member: Member, place: int) -> int:
    if not member.child.log.exists():
        return place
    with member.child.log.open("rb") as log:
        log.seek(place)
        for line in log.read().decode(errors="replace").splitlines():
            out.print(f"[bold]{member.name:<12}[/] {escape(line)}", soft_wrap=True)
        return log.tell()


def _show(devnet: Devnet, as_json: bool) -> None:
    rows = []
    for member in devnet.members():
        pid = member.child.pid
        state = "down" if pid is None else "ok"
        if pid is not None and member.config is not None:
            state = devnet.health(member.name).get("status", "starting")
        rows.append(
            {
                "name": member.name,
                "role": member.role,
                "status": state,
                "pid": pid,
                "listen": _listens(devnet, member),
            }
        )
    show_rows(rows, as_json=as_json, empty="nothing")


def _listens(devnet: Devnet, member: Member) -> str:
    if member.config is not None:
        return member.config.listen
    port = {CHAIN: devnet.config.chain_port, IPFS: devnet.config.ipfs_port}[member.role]
    return f"127.0.0.1:{port}"


@contextmanager
def _told() -> Iterator[Told]:
    """Show each step on a terminal."""
    with err.status("looking") as status:
        yield lambda step: status.update(escape(step))
