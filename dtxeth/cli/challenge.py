"""``dtxeth challenge``: have storage nodes prove that they still hold a file."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from dtxeth.chain.bindings.types import Algorithm
from dtxeth.chain.rows import ChallengeRow
from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.file import FileId
from dtxeth.cli.output import show_rows
from dtxeth.cli.tables import (
    Before,
    OfFile,
    OfNode,
    OfOwner,
    Paging,
    Since,
    namer,
    paged,
    short,
    show_page,
)
from dtxeth.roles import listing

app = typer.Typer(
    name="challenge", no_args_is_help=True, help="Have storage nodes prove that they still hold a file."
)


@app.command("open")
def open_(
    file: FileId,
    owner: As,
    count: Annotated[
        int | None,
        typer.Option(help="Leaves (1 to 32, else 10) or blobs (1 to 16, else 8) that each node has to show."),
    ] = None,
    algorithm: Annotated[
        Literal["merkle", "kzg"] | None,
        typer.Option(help="What to ask for, if the namespace has both."),
    ] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Challenge every node that holds a file, and wait for the outcome."""
    with opened(home) as network:
        row, named = listing.file_named(network, file), namer(network)
        asked = None if algorithm is None else Algorithm[algorithm.upper()]
        rows = [
            {
                "challenge": result.challenge_id,
                "node": named(result.node),
                "status": result.status.name.lower(),
                "fault": result.fault.name.lower(),
            }
            for result in network.data_owner(owner).challenge(row.file, count, asked)
        ]
        show_rows(rows, as_json=json, empty="no node holds the file")


@app.command("list")
@paged
def list_(
    page: Paging,
    node: OfNode = None,
    file: OfFile = None,
    owner: OfOwner = None,
    algorithm: Annotated[str | None, typer.Option(help="Only merkle or kzg.")] = None,
    status: Annotated[
        str | None,
        typer.Option(
            help="opened, to_prove, lapsed (out of time, not closed yet), proved, failed or void (never drawn)."
        ),
    ] = None,
    fault: Annotated[str | None, typer.Option(help="none, wrong or missed.")] = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List challenges; --since and --before ask when they were opened."""
    with opened(page.home) as network:
        show_page(
            network,
            page,
            ChallengeRow,
            {
                "number": "challenge",
                "status": "status",
                "fault": "fault",
                "node": "node_name",
                "file": lambda row: short(row.file),
                "asks for": lambda row: f"{row.count} {'leaves' if row.algorithm == 'merkle' else 'blobs'}",
                "opened_at": "opened_at",
            },
            empty="no challenges yet: `dtxeth challenge open FILE`",
            node=node,
            file=file,
            owner=owner,
            algorithm=algorithm,
            status=status,
            fault=fault,
            opened_since=since,
            opened_before=before,
        )
