"""``dtxeth owner``: data owners and their policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import show_record
from dtxeth.learning.policy import Policy

app = typer.Typer(name="owner", no_args_is_help=True, help="Data owners: who may use their files, and how.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the owner.")],
    manual: Annotated[bool, typer.Option("--manual", help="Answer applications by hand.")] = False,
    min_rows: Annotated[
        int | None, typer.Option(help="Least rows in a batch; default max(256, 10 x features).")
    ] = None,
    max_tasks: Annotated[int, typer.Option(help="Tasks of a kind that one file may take part in.")] = 16,
    requester: Annotated[
        list[str] | None, typer.Option(help="Welcome requester's address; default any.")
    ] = None,
    algorithm: Annotated[list[str] | None, typer.Option(help="Welcome algorithm; default any.")] = None,
    executor: Annotated[
        list[str] | None, typer.Option(help="Address of a trusted executor; default those of this network.")
    ] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Add a data owner to the network, or change its policy."""
    policy = replace(
        Policy(),
        min_rows=min_rows,
        max_tasks=max_tasks,
        requesters=frozenset(requester) if requester else None,
        algorithms=frozenset(algorithm) if algorithm else None,
        executors=frozenset(executor) if executor else None,
    )
    with opened(home) as network:
        owner = network.data_owner(name, policy, manual=manual)
        answers = "by hand" if manual else "by policy"
        show_record({"name": name, "address": owner.address, "applications": answers}, as_json=json)
