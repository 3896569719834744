"""``dtxeth part``: an executor's share of a model: coefficients of its own columns, export, import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, Home, Json, opened
from dtxeth.cli.output import require_folder, show_record, show_rows
from dtxeth.errors import InputError, UnknownNameError
from dtxeth.learning import ModelPart
from dtxeth.roles import Executor, MemberNetwork

app = typer.Typer(
    name="part", no_args_is_help=True, help="An executor's share of a model: coefficients, export, import."
)

Number = Annotated[int, typer.Argument(help="Number of the training task.")]
Whose = Annotated[str, typer.Option("--executor", help="Name of the executor that holds the part.")]


@app.command()
def coefficients(number: Number, executor: Whose, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show the model's coefficients of the columns that this executor trained on, in their own units."""
    with opened(home) as network:
        part = _executor(network, executor).part(number)
    if not isinstance(part, ModelPart):
        raise InputError(f"the model of task {number} is a network, whose weights nobody knows")
    rows = [{"feature": name, "coefficient": value} for name, value in part.coefficients().items()]
    show_rows(rows, as_json=json, empty="")


@app.command("export")
def export_(
    number: Number,
    executor: Whose,
    out: Annotated[Path, typer.Option(help="Write the part to this new file, which must be kept secret.")],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Write a part in the clear to a file that only its owner may read."""
    require_folder(out)
    with opened(home) as network:
        part = _executor(network, executor).part(number)
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(part.to_bytes())
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): name a new file") from None
    show_record({"task": number, "features": len(part.features), "path": str(out)}, as_json=json)


@app.command("import")
def import_(
    number: Number,
    executor: Whose,
    file: Annotated[Path, typer.Option("--file", help="What `part export` wrote.")],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Give an executor a part that was exported, if the chain has a commitment to it."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): check the path") from None
    with opened(home) as network:
        part = _executor(network, executor).import_part(number, data)
    show_record({"task": number, "features": len(part.features)}, as_json=json)


def _executor(network: MemberNetwork, name: str) -> Executor:
    for one in network.executors:
        if one.name == name:
            return one
    raise UnknownNameError(f"no executor {name!r} runs here: `dtxeth node list --role executor` shows them")
