"""``dtxeth node``: storage nodes and executors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dtxeth.chain.rows import NodeRow, SlashRow
from dtxeth.cli import daemon
from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import show_record
from dtxeth.cli.tables import (
    Before,
    OfFile,
    OfNode,
    OfOwner,
    Paging,
    Since,
    ether,
    namer,
    paged,
    short,
    show_page,
    size,
)
from dtxeth.errors import UnknownNameError
from dtxeth.roles import MemberNetwork

app = typer.Typer(
    name="node",
    no_args_is_help=True,
    help="Nodes: run them as processes; storage nodes' health, stake and leaving.",
)
for command in (daemon.init, daemon.run, daemon.status, daemon.stop, daemon.rotate):
    app.command()(command)

Name = Annotated[str, typer.Argument(help="Name of a storage node of this network.")]


@app.command("list")
@paged
def list_(
    page: Paging,
    role: Annotated[str | None, typer.Option(help="storage or executor.")] = None,
    online: Annotated[bool | None, typer.Option("--online/--offline", help="Only those that are.")] = None,
    draining: Annotated[
        bool | None, typer.Option("--draining/--staying", help="Only those that are.")
    ] = None,
    level: Annotated[str | None, typer.Option(help="Only of this health: green, yellow or red.")] = None,
    lost: Annotated[bool | None, typer.Option("--lost/--alive", help="Only those that are.")] = None,
) -> None:
    """List registered nodes."""
    with opened(page.home) as network:
        show_page(
            network,
            page,
            NodeRow,
            {
                "name": "name",
                "role": "role",
                "state": _state,
                "health": lambda row: "lost" if row.lost else row.level or "",
                "used": lambda row: size(row.used) if row.role == "storage" else "",
                "capacity": lambda row: size(row.capacity) if row.role == "storage" else "",
                "seen_at": "last_heartbeat_at",
            },
            empty="no nodes are registered",
            role=role,
            online=online,
            draining=draining,
            level=level,
            lost=lost,
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a node.")],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Show everything about one node: endpoint, capacity, stake, health."""
    with opened(home) as network:
        found = network.find(NodeRow, name=name)
        if not found:
            raise UnknownNameError(f"there is no node {name!r}: `dtxeth node list` shows them")
        show_record(asdict(found[0]), as_json=json)


@app.command()
def health(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show a storage node's health, and what it is made of.

    The score is 0.7 x challenge success + 0.3 x heartbeat ratio over a week, of 10000: green from 8500, yellow from
    6000. A node that was never challenged in the week is yellow at best; one that is lost is red.
    """
    with opened(home) as network:
        row = network.node_named(name)
        parts = ("name", "level", "score", "success", "heartbeats", "judges", "misses_in_row", "lost")
        show_record({part: getattr(row, part) for part in parts}, as_json=json)


@app.command()
def heartbeat(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Say on chain that a storage node is alive; one heartbeat in a slot counts."""
    with opened(home) as network:
        node = network.operator(name)
        node.heartbeat()
        show_record({"node": name, "address": node.address, "at": network.chain.now()}, as_json=json)


@app.command()
def online(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Have a storage node take new files again, with the stake that its capacity needs."""
    with opened(home) as network:
        network.operator(name).go_online()
        _show_state(network, name, json)


@app.command()
def offline(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Have a storage node take no new files; what it holds stays promised."""
    with opened(home) as network:
        network.operator(name).go_offline()
        _show_state(network, name, json)


@app.command()
def drain(
    name: Name,
    stop: Annotated[bool, typer.Option("--stop", help="Take it back: stay.")] = False,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Ask data owners to move their pieces off a storage node; it serves on meanwhile."""
    with opened(home) as network:
        network.operator(name).drain(not stop)
        _show_state(network, name, json)


@app.command()
def leave(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Drain a storage node, wait until it holds nothing, and take its stake back."""
    with opened(home) as network:
        back = network.operator(name).leave()
        show_record({"node": name, "returned": back}, as_json=json)


@app.command()
def stake(name: Name, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Bring a storage node's stake up to what its capacity needs, say after it was slashed."""
    with opened(home) as network:
        added = network.operator(name).top_up()
        show_record({"node": name, "added": added, "stake": network.node_named(name).stake}, as_json=json)


@app.command()
@paged
def slashes(
    page: Paging,
    node: OfNode = None,
    owner: OfOwner = None,
    file: OfFile = None,
    fault: Annotated[str | None, typer.Option(help="Only for this: wrong or missed.")] = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List what storage nodes lost for failed challenges."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            SlashRow,
            {
                "slashed_at": "slashed_at",
                "node": "node_name",
                "fault": "fault",
                "amount": lambda row: ether(row.amount),
                "owner": lambda row: named(row.owner),
                "file": lambda row: short(row.file),
            },
            empty="no node was ever slashed",
            node=node,
            owner=owner,
            file=file,
            fault=fault,
            slashed_since=since,
            slashed_before=before,
        )


def _state(row: NodeRow) -> str:
    if not row.online:
        return "offline"
    return "draining" if row.draining else "online"


def _show_state(network: MemberNetwork, name: str, as_json: bool) -> None:
    row = network.node_named(name)
    show_record(
        {"node": name, "online": row.online, "draining": row.draining, "holdings": row.holdings},
        as_json=as_json,
    )
