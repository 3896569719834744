"""``dtxeth authorization``: who may read which file, for which task."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.chain.rows import AuthorizationRow
from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import show_record
from dtxeth.cli.tables import (
    Before,
    OfFile,
    OfOwner,
    Paging,
    Since,
    namer,
    paged,
    short,
    show_page,
)

app = typer.Typer(name="authorization", no_args_is_help=True, help="Who may read which file, for which task.")

Number = Annotated[int, typer.Argument(help="Number of the authorization.")]
Reason = Annotated[str, typer.Option(help="Why; it will be public.")]


@app.command("list")
@paged
def list_(
    page: Paging,
    applier: Annotated[str | None, typer.Option(help="Only of this applier: name or address.")] = None,
    owner: OfOwner = None,
    file: OfFile = None,
    task: Annotated[int | None, typer.Option(help="Only of this task.")] = None,
    status: Annotated[
        str | None, typer.Option(help="unapproved, approved, expired, rejected or revoked.")
    ] = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List applications and what came of them, and grants; --since and --before ask when they were decided."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            AuthorizationRow,
            {
                "number": "authorization",
                "status": "status",
                "file": lambda row: short(row.file),
                "applier": lambda row: named(row.applier),
                "owner": lambda row: named(row.owner),
                "task": "task",
                "expires_at": "expires_at",
            },
            empty="nobody has applied for a file",
            applier=applier,
            owner=owner,
            file=file,
            task=task,
            status=status,
            decided_since=since,
            decided_before=before,
        )


@app.command()
def approve(number: Number, owner: As, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Hand the file key, wrapped, to an applier."""
    with opened(home) as network:
        network.data_owner(owner).approve(number)
        show_record({"authorization": number, "status": "approved"}, as_json=json)


@app.command()
def reject(number: Number, owner: As, reason: Reason, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Refuse an application."""
    with opened(home) as network:
        network.data_owner(owner).reject(number, reason)
        show_record({"authorization": number, "status": "rejected"}, as_json=json)


@app.command()
def revoke(number: Number, owner: As, reason: Reason, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Take an approval back: nodes stop serving; a key already seen stays seen."""
    with opened(home) as network:
        network.data_owner(owner).revoke(number, reason)
        show_record({"authorization": number, "status": "revoked"}, as_json=json)
