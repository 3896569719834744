"""What the commands share: the network they work on, and their common options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dtxeth.errors import ConfigError
from dtxeth.roles import LocalNetwork, MemberNetwork

Home = Annotated[
    Path,
    typer.Option("--home", envvar="DTXETH_HOME", help="Folder of the network (see `dtxeth local init`)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
As = Annotated[
    str, typer.Option("--as", help="Name of the actor that does it; a new name joins the network.")
]

DEFAULT_HOME = Path("dtxeth-network")


@contextmanager
def opened(home: Path) -> Iterator[MemberNetwork]:
    """The network in a folder, closed at the end.

    Raises:
        ConfigError: There is none.
    """
    with opened_local(home) as network:
        yield network


@contextmanager
def opened_local(home: Path) -> Iterator[LocalNetwork]:
    """The network of one process in a folder, closed at the end.

    Raises:
        ConfigError: There is none.
    """
    if not (home / "network.toml").exists():
        raise ConfigError(f"{home} has no network: create one with `dtxeth local init --home {home}`")
    with LocalNetwork.open(home) as network:
        yield network
