"""``dtxeth authorization``: who may read which file, for which task."""

from __future__ import annotations

from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import show_record, show_rows
from dtxeth.roles import listing

app = typer.Typer(name="authorization", no_args_is_help=True, help="Who may read which file, for which task.")

Number = Annotated[int, typer.Argument(help="Number of the authorization.")]
Reason = Annotated[str, typer.Option(help="Why; it will be public.")]


@app.command("list")
def list_(
    task: Annotated[int | None, typer.Option(help="Only of this task.")] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """List applications and what came of them."""
    with opened(home) as network:
        filters = {} if task is None else {"task_id": task}
        show_rows(
            listing.authorizations(network, **filters), as_json=json, empty="nobody has applied for a file"
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
