"""``dtxeth namespace``: where a data owner's files go, and how often they are replicated."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import show_record, show_rows
from dtxeth.roles import listing

app = typer.Typer(
    name="namespace", no_args_is_help=True, help="Namespaces: groups of files with one redundancy."
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name, unique among the owner's.")],
    owner: As,
    replicas: Annotated[int, typer.Option(help="Storage nodes that hold each slice.")] = 2,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Add a namespace."""
    with opened(home) as network:
        network.data_owner(owner).add_namespace(name, replicas)
        show_record({"name": name, "owner": owner, "replicas": replicas}, as_json=json)


@app.command("list")
def list_(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """List all namespaces."""
    with opened(home) as network:
        show_rows(
            listing.namespaces(network),
            as_json=json,
            empty="no namespaces: add one with `dtxeth namespace add NAME --as OWNER`",
        )
