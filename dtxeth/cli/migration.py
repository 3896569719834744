"""``dtxeth migration``: how files moved between storage nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.chain.rows import MigrationRow
from dtxeth.cli.context import opened
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

app = typer.Typer(name="migration", no_args_is_help=True, help="How files moved between storage nodes.")


@app.command("list")
@paged
def list_(
    page: Paging,
    file: OfFile = None,
    node: OfNode = None,
    owner: OfOwner = None,
    cause: Annotated[
        str | None, typer.Option(help="Only for this: repair, drain, recode, renewal or refresh.")
    ] = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List the revisions after which other nodes held a file: why, and which nodes it left and which joined."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            MigrationRow,
            {
                "revised_at": "revised_at",
                "file": lambda row: short(row.file),
                "version": "version",
                "cause": "cause",
                "left": lambda row: [named(node) for node in row.left],
                "joined": lambda row: [named(node) for node in row.joined],
            },
            empty="no file has moved yet",
            file=file,
            node=node,
            owner=owner,
            cause=cause,
            revised_since=since,
            revised_before=before,
        )
