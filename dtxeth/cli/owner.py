"""``dtxeth owner``: data owners and their policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import show_record
from dtxeth.learning.policy import Policy
from dtxeth.learning.rowsets import LEAST_DIFFERENCE

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
    program: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of an approved StableHLO program for dnn-vl.")
    ] = None,
    executor: Annotated[
        list[str] | None, typer.Option(help="Address of a trusted executor; default those of this network.")
    ] = None,
    max_leverage: Annotated[float, typer.Option(help="Rows of higher leverage are set aside.")] = 0.5,
    min_difference: Annotated[
        int,
        typer.Option(help="Rows by which a task must differ from an earlier one, unless its are the same."),
    ] = LEAST_DIFFERENCE,
    max_epsilon: Annotated[
        float | None, typer.Option(help="Ask for differential privacy, of at most this epsilon at 1e-5.")
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Allow evaluation by leaving out single rows.")
    ] = False,
    honest_majority: Annotated[
        bool, typer.Option("--honest-majority", help="Allow three-party computation, which two could open.")
    ] = False,
    show_scores: Annotated[
        bool, typer.Option("--show-scores", help="Allow as many models to score a file as it has features.")
    ] = False,
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
        programs=frozenset(program or ()),
        executors=frozenset(executor) if executor else None,
        max_leverage=max_leverage,
        min_difference=min_difference,
        max_epsilon=max_epsilon,
        leave_one_out=leave_one_out,
        honest_majority=honest_majority,
        show_scores=show_scores,
    )
    with opened(home) as network:
        owner = network.data_owner(name, policy, manual=manual)
        answers = "by hand" if manual else "by policy"
        show_record({"name": name, "address": owner.address, "applications": answers}, as_json=json)
