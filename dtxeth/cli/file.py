"""``dtxeth file``: a data owner's files in the storage network."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dtxeth.chain.rows import FileHealthRow, FileRow, HoldingRow
from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import require_folder, show_record
from dtxeth.cli.progress import progress_bar
from dtxeth.cli.tables import (
    FORMATS,
    Before,
    OfFile,
    OfNode,
    OfOwner,
    Paging,
    Since,
    day,
    namer,
    paged,
    redundancy,
    short,
    show_page,
    size,
)
from dtxeth.roles import listing

app = typer.Typer(
    name="file",
    no_args_is_help=True,
    help="Files: upload, list, show, download, renew, delete.",
)

FileId = Annotated[
    str, typer.Argument(help="File id as `dtxeth file list` shows it: 8 digits or more, 64 in all.")
]
Level = Annotated[str | None, typer.Option(help="Only of this health: green, yellow or red.")]
Status = Annotated[
    str | None,
    typer.Option(
        help="live; retained: expired, can still be renewed; lapsed: nodes may free the space; cleared: "
        "they have; deleted."
    ),
]


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
@paged
def list_(
    page: Paging,
    owner: Annotated[
        str | None, typer.Option("--owner", "--as", help="Only of this data owner: name or address.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Only of namespaces of this name.")] = None,
    status: Status = None,
    expired: Annotated[
        bool | None, typer.Option("--expired/--unexpired", help="Only those whose time is over, or not.")
    ] = None,
    node: OfNode = None,
    level: Level = None,
    since: Since = None,
    before: Before = None,
    expires_before: Annotated[
        datetime | None, typer.Option(formats=FORMATS, help="Only those that expire before this time (UTC).")
    ] = None,
) -> None:
    """List files; --since and --before ask when they were published. Only an owner sees the names of its files."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            FileRow,
            {
                "file": lambda row: short(row.file),
                "name": lambda row: listing.title(network, row) or "(sealed)",
                "owner": lambda row: named(row.owner),
                "namespace": "namespace",
                "size": lambda row: size(row.size),
                "status": "status",
                "expires": lambda row: day(row.expires_at),
            },
            extra={"name": lambda row: listing.title(network, row)},
            empty="no files: store one with `dtxeth file upload`",
            owner=owner,
            namespace=namespace,
            status=status,
            expired=expired,
            node=node,
            level=level,
            published_since=since,
            published_before=before,
            expires_before=expires_before,
        )


@app.command()
def show(file: FileId, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show everything about one file, and which nodes hold it."""
    with opened(home) as network:
        row = listing.file_named(network, file)
        named = namer(network)
        (health,) = network.find(FileHealthRow, file=row.file)
        holdings = network.find(HoldingRow, file=row.file, state="live")
        record = {
            "file": row.file,
            "name": listing.title(network, row),
            "owner": named(row.owner),
            "namespace": row.namespace,
            "kept_as": redundancy(row),
            "possession": row.possession,
            "size": row.size,
            "rows": row.rows,
            "version": row.version,
            "status": row.status,
            "health": health.level,
            "published_at": row.published_at,
            "expires_at": row.expires_at,
            "holdings": [f"{held.node_name}: {size(held.size)}, holding {held.holding}" for held in holdings],
        }
        show_record(record, as_json=json)


@app.command()
@paged
def holdings(
    page: Paging,
    file: OfFile = None,
    node: OfNode = None,
    owner: OfOwner = None,
    state: Annotated[str | None, typer.Option(help="Only live, releasing or released ones.")] = None,
    fault: Annotated[
        str | None, typer.Option(help="Only those whose node last failed so: none, wrong or missed.")
    ] = None,
) -> None:
    """List what nodes hold, or held, of files."""
    with opened(page.home) as network:
        show_page(
            network,
            page,
            HoldingRow,
            {
                "holding": "holding",
                "file": lambda row: short(row.file),
                "node": "node_name",
                "state": "state",
                "size": lambda row: size(row.size),
                "fault": "fault",
                "expires_at": "expires_at",
            },
            empty="no node holds anything",
            file=file,
            node=node,
            owner=owner,
            state=state,
            fault=fault,
        )


@app.command()
@paged
def health(
    page: Paging,
    file: Annotated[str | None, typer.Argument(help="File id; all files by default.")] = None,
    owner: OfOwner = None,
    level: Level = None,
) -> None:
    """Show how safe files are: how many of their holdings can be relied on.

    Green: all of them. Yellow: enough to read the file. Red: perhaps too few; it is being repaired, or its owner is
    away.
    """
    with opened(page.home) as network:
        show_page(
            network,
            page,
            FileHealthRow,
            {
                "file": lambda row: short(row.file),
                "namespace": "namespace",
                "status": "status",
                "kept as": redundancy,
                "holdings": "holdings",
                "unsound": "unsound",
                "health": "level",
            },
            empty="no files: store one with `dtxeth file upload`",
            file=file,
            owner=owner,
            level=level,
        )


@app.command()
def renew(
    file: FileId,
    owner: As,
    days: Annotated[
        int, typer.Option(help="So many days longer: after its expiry, or from now on if that is past.")
    ],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Keep a file longer; possible up to 7 days after its expiry."""
    with opened(home) as network:
        row = listing.file_named(network, file)
        network.data_owner(owner).renew(row.file, days)
        renewed = listing.file_named(network, row.file.hex())
        show_record({"file": row.file, "expires_at": renewed.expires_at}, as_json=json)


@app.command()
def delete(
    file: FileId,
    owner: As,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Delete a file before its expiry: nobody can read it any more, and nodes free the space."""
    with opened(home) as network:
        row = listing.file_named(network, file)
        if not yes:
            what = listing.title(network, row) or short(row.file)
            typer.confirm(f"Delete {what} for good?", abort=True, err=True)
        network.data_owner(owner).delete(row.file)
        show_record({"file": row.file, "status": "deleted"}, as_json=json)


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
        written = network.data_owner(owner).download(
            listing.file_named(network, file).file,
            destination,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        show_record({"path": str(destination), "bytes": written}, as_json=json)
