"""``dtxeth file``: a data owner's files in the storage network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import require_folder, show_record, show_rows
from dtxeth.cli.progress import progress_bar
from dtxeth.roles import listing
from dtxeth.roles.files import file_id_of

app = typer.Typer(name="file", no_args_is_help=True, help="Files: upload, list, show, download.")

FileId = Annotated[str, typer.Argument(help="File id, 64 hex digits, as `dtxeth file list` shows it.")]


@app.command()
def upload(
    path: Annotated[Path, typer.Argument(help="What to store.")],
    owner: As,
    namespace: Annotated[str, typer.Option(help="One of the owner's namespaces.")],
    days: Annotated[int, typer.Option(help="How long to keep it.")] = 365,
    id: Annotated[
        str | None, typer.Option(help="Column of row ids: check the table before anything is sent.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Label column, checked with --id.")] = None,
    binary: Annotated[
        bool, typer.Option("--binary", help="Check that the label has two values, as logistic needs.")
    ] = False,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Encrypt a file, spread it over storage nodes and publish it."""
    with opened(home) as network, progress_bar() as progress:
        bar = progress.add_task("upload", total=None)
        storing = network.data_owner(owner)
        storing.default_replicas = None  # here an unknown namespace is a slip of the keyboard
        stored = storing.upload(
            path,
            namespace=namespace,
            days=days,
            id=id,
            label=label,
            binary=binary,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        show_record(asdict(stored), as_json=json)


@app.command("list")
def list_(owner: As, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """List an owner's files."""
    with opened(home) as network:
        rows = [asdict(stored) for stored in network.data_owner(owner).files()]
        show_rows(rows, as_json=json, empty=f"{owner} has no files: store one with `dtxeth file upload`")


@app.command()
def show(file: FileId, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show which nodes hold a file."""
    with opened(home) as network:
        show_rows(listing.holdings(network, file_id_of(file)), as_json=json, empty="no node holds it")


@app.command()
def download(
    file: FileId,
    destination: Annotated[Path, typer.Argument(help="Where to write it.")],
    owner: As,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Fetch, verify and decrypt one of the owner's files."""
    require_folder(destination)
    with opened(home) as network, progress_bar() as progress:
        bar = progress.add_task("download", total=None)
        size = network.data_owner(owner).download(
            file, destination, progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )
        show_record({"path": str(destination), "bytes": size}, as_json=json)
