"""``dtxeth local``: a whole network in one process, kept in a folder between commands."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated, Final

import typer

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened_local
from dtxeth.cli.output import err, show_record, show_rows
from dtxeth.roles import LocalNetwork
from dtxeth.web import LocalServers

IDLE_SECONDS: Final = 0.5
"""How long workers that had nothing to do rest."""

app = typer.Typer(
    name="local", no_args_is_help=True, help="A whole network in one process, kept in a folder."
)


@app.command()
def init(
    home: Home = DEFAULT_HOME,
    storage_nodes: Annotated[int, typer.Option(help="How many storage nodes.")] = 4,
    executors: Annotated[int, typer.Option(help="How many executors.")] = 2,
    url: Annotated[
        str | None, typer.Option(help="JSON-RPC URL of a development node; else in-process.")
    ] = None,
    ipfs: Annotated[
        str | None, typer.Option(help="Multiaddr of an IPFS daemon for the pieces; else folders.")
    ] = None,
    json: Json = False,
) -> None:
    """Create a network: deploy the contracts, register storage nodes and executors."""
    with LocalNetwork(storage_nodes, executors, home=home, url=url, ipfs=ipfs) as network:
        show_record(_describe(network), as_json=json)


@app.command()
def status(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show the network: chain, block, nodes."""
    with opened_local(home) as network:
        show_record(_describe(network), as_json=json)


@app.command()
def serve(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Serve storage nodes and data owners over HTTP on loopback, and let them work, until Ctrl-C."""
    with opened_local(home) as network, LocalServers(network) as servers:
        rows = [
            {"role": role, "name": name, "url": url, "docs": f"{url}/docs"}
            for role, urls in (("storage", servers.storage_nodes), ("owner", servers.owners))
            for name, url in urls.items()
        ]
        show_rows(rows, as_json=json, empty="nobody is here to be served")
        err.print("serving until Ctrl-C")
        with suppress(KeyboardInterrupt):
            while True:
                if not network.pump():
                    time.sleep(IDLE_SECONDS)


def _describe(network: LocalNetwork) -> dict[str, object]:
    return {
        "home": str(network.home),
        "chain": network.config.url or "in-process",
        "chain_id": network.chain.chain_id,
        "block": network.chain.block_number,
        "pieces": network.config.ipfs or "folders",
        "storage_nodes": network.config.storage_nodes,
        "executors": network.config.executors,
    } | dict(network.contracts.deployment.addresses)
