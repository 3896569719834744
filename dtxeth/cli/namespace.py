"""``dtxeth namespace``: groups of a data owner's files, and how much may be lost of them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from dtxeth.chain.rows import NamespaceRow
from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import show_record
from dtxeth.cli.tables import OfOwner, Paging, namer, paged, redundancy, show_page
from dtxeth.errors import InputError
from dtxeth.roles import DataOwner, MemberNetwork
from dtxeth.roles.file_keeper import redundancy_of

app = typer.Typer(
    name="namespace", no_args_is_help=True, help="Namespaces: groups of files with one redundancy."
)

Name = Annotated[str, typer.Argument(help="Name, unique among the owner's.")]
Replicas = Annotated[int | None, typer.Option(help="Keep whole copies on so many storage nodes.")]
Erasure = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="Code files for N nodes, any K of which give them back: 4/6."),
]


@app.command()
def add(
    name: Name,
    owner: As,
    replicas: Replicas = None,
    erasure: Erasure = None,
    possession: Annotated[
        Literal["merkle", "kzg", "both"],
        typer.Option(help="How nodes prove that they still hold the files; for good."),
    ] = "merkle",
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Add a namespace: 2 copies of each file, unless --replicas or --erasure says otherwise.

    Merkle proofs find scattered losses and are cheap to prepare; kzg proofs find a single altered byte of every
    blob that is drawn.
    """
    coded = _erasure(replicas, erasure)
    with opened(home) as network:
        network.data_owner(owner).add_namespace(name, replicas, erasure=coded, possession=possession)
        _show(network, network.data_owner(owner), name, json)


@app.command("set")
def set_(
    name: Name,
    owner: As,
    replicas: Replicas = None,
    erasure: Erasure = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Change a namespace's redundancy; the owner's worker re-encodes its files in the background."""
    coded = _erasure(replicas, erasure)
    if replicas is None and coded is None:
        raise InputError("say how the files are to be kept: give --replicas R or --erasure K/N")
    with opened(home) as network:
        network.data_owner(owner).set_redundancy(name, replicas, erasure=coded)
        _show(network, network.data_owner(owner), name, json)


@app.command("list")
@paged
def list_(
    page: Paging,
    owner: OfOwner = None,
    possession: Annotated[str | None, typer.Option(help="Only merkle, kzg or both.")] = None,
) -> None:
    """List namespaces."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            NamespaceRow,
            {
                "name": "name",
                "owner": lambda row: named(row.owner),
                "kept as": redundancy,
                "possession": "possession",
                "files": "files",
                "added_at": "added_at",
            },
            empty="no namespaces: add one with `dtxeth namespace add NAME --as OWNER`",
            owner=owner,
            possession=possession,
        )


def _erasure(replicas: int | None, text: str | None) -> tuple[int, int] | None:
    """Read and check a redundancy before anybody joins or anything changes."""
    if text is None:
        if replicas is not None:
            redundancy_of(replicas, None)
        return None
    if replicas is not None:
        raise InputError("a namespace has copies or is coded: give --replicas or --erasure, not both")
    parts = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text, re.ASCII)
    if parts is None:
        raise InputError(f"erasure {text!r} is not K/N, such as 4/6 for any 4 of 6 nodes")
    return redundancy_of(None, (int(parts[1]), int(parts[2])))


def _show(network: MemberNetwork, owner: DataOwner, name: str, as_json: bool) -> None:
    row = network.find(NamespaceRow, owner=owner.address, name=name)[0]
    show_record(
        {
            "name": row.name,
            "owner": owner.name,
            "kept_as": redundancy(row),
            "needed": row.needed,
            "total": row.total,
            "possession": row.possession,
        },
        as_json=as_json,
    )
