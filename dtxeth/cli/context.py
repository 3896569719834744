"""What the commands share: the network they work on, and their common options."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dtxeth.chain import Account, create_keystore, list_keystores, load_keystore
from dtxeth.cli.passwords import read_password
from dtxeth.config import ClientConfig
from dtxeth.errors import ConfigError
from dtxeth.roles import LocalNetwork, MemberNetwork
from dtxeth.roles.local import ALLOWANCE, LIGHT_SCRYPT
from dtxeth.roles.remote import RemoteNetwork, connect_network

Home = Annotated[
    Path,
    typer.Option("--home", envvar="DTXETH_HOME", help="Folder of the network (see `dtxeth local init`)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
As = Annotated[
    str, typer.Option("--as", help="Name of the actor that does it; a new name joins the network.")
]

DEFAULT_HOME = Path("dtxeth-network")

CLIENT = "client.toml"
"""File of a home whose network is other processes."""


@contextmanager
def opened(home: Path) -> Iterator[MemberNetwork]:
    """The network in a folder, closed at the end.

    Raises:
        ConfigError: There is none.
    """
    if (home / CLIENT).exists():
        with opened_remote(home) as remote:
            yield remote
        return
    with opened_local(home) as network:
        yield network


@contextmanager
def opened_remote(home: Path) -> Iterator[RemoteNetwork]:
    """The network of other processes that a folder's ``client.toml`` names, closed at the end.

    Its members are whoever has a keystore there, in ``keys/ROLE/NAME.json``. Only requesters work while a command
    waits; everybody else has a daemon.

    Raises:
        ConfigError: The file is not valid.
    """
    config = ClientConfig.load(home / CLIENT)
    file = None if config.password_file is None else home / config.password_file
    password = functools.cache(lambda: read_password(file))
    keys = home / "keys"

    def account(role: str, name: str) -> Account:
        if config.faucet and not (keys / role / f"{name}.json").exists():
            made = create_keystore(keys / role, password(), name, scrypt_n=LIGHT_SCRYPT)
            network.chain.faucet(made.address, ALLOWANCE)
        return load_keystore(keys / role / f"{name}.json", password())

    with connect_network(
        config.chain, home / config.deployment, home, account, drives=("requester",)
    ) as network:
        for role, come_back in (("owner", network.data_owner), ("requester", network.requester)):
            for keystore in list_keystores(keys / role):
                come_back(keystore.name)
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
