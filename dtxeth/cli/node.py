"""``dtxeth node``: storage nodes and executors."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import show_record, show_rows
from dtxeth.errors import UnknownNameError
from dtxeth.roles import listing

app = typer.Typer(name="node", no_args_is_help=True, help="Storage nodes and executors.")


@app.command("list")
def list_(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """List all registered nodes."""
    with opened(home) as network:
        show_rows(listing.nodes(network), as_json=json, empty="no nodes are registered")


@app.command()
def heartbeat(
    name: Annotated[str, typer.Argument(help="Name of a storage node.")],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Say on chain that a storage node is alive; one heartbeat in a slot counts."""
    with opened(home) as network:
        node = next((node for node in network.storage_nodes if node.name == name), None)
        if node is None:
            raise UnknownNameError(f"there is no storage node {name!r}: `dtxeth node list` shows them")
        node.heartbeat()
        show_record({"node": name, "address": node.address, "at": network.chain.now()}, as_json=json)
