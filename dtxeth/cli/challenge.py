"""``dtxeth challenge``: have storage nodes prove that they still hold a file."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.file import FileId
from dtxeth.cli.output import show_rows
from dtxeth.roles import listing

app = typer.Typer(
    name="challenge", no_args_is_help=True, help="Have storage nodes prove that they still hold a file."
)


@app.command("open")
def open_(
    file: FileId,
    owner: As,
    leaves: Annotated[int, typer.Option(help="Leaves that each node has to show, 1 to 32.")] = 10,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Challenge every node that holds a file, and wait for the outcome."""
    with opened(home) as network:
        names = {row["address"]: row["name"] for row in listing.nodes(network)}
        rows = [
            {
                "challenge": result.challenge_id,
                "node": names[result.node],
                "status": result.status.name.lower(),
                "fault": result.fault.name.lower(),
            }
            for result in network.data_owner(owner).challenge(file, leaves)
        ]
        show_rows(rows, as_json=json, empty="no node holds the file")


@app.command("list")
def list_(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """List all challenges."""
    with opened(home) as network:
        show_rows(
            listing.challenges(network), as_json=json, empty="no challenges yet: `dtxeth challenge open FILE`"
        )
