"""``dtxeth keys``: encrypted keystore files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtxeth.chain import create_keystore, list_keystores, load_keystore
from dtxeth.cli.context import Json
from dtxeth.cli.output import show_record, show_rows
from dtxeth.cli.passwords import read_password
from dtxeth.roles.connection import PASSWORD_VARIABLE

app = typer.Typer(
    name="keys", no_args_is_help=True, help="Encrypted keystore files (Web3 Secret Storage, version 3)."
)

Directory = Annotated[Path, typer.Option("--directory", help="Folder of the keystore files.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help=f"File with the password; else ${PASSWORD_VARIABLE}, else it is asked for."),
]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call the account.")],
    directory: Directory = Path("keys"),
    password_file: PasswordFile = None,
    json: Json = False,
) -> None:
    """Make an account with a fresh key."""
    made = create_keystore(directory, read_password(password_file, confirm=True), name)
    show_record({"name": made.name, "address": made.address, "path": str(made.path)}, as_json=json)


@app.command("list")
def list_(directory: Directory = Path("keys"), json: Json = False) -> None:
    """List the accounts in a folder."""
    rows = [{"name": k.name, "address": k.address, "path": str(k.path)} for k in list_keystores(directory)]
    show_rows(rows, as_json=json, empty=f"no keystores in {directory}: make one with `dtxeth keys new NAME`")


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A keystore file.")],
    password_file: PasswordFile = None,
    json: Json = False,
) -> None:
    """Check that a password opens a keystore."""
    account = load_keystore(path, read_password(password_file, confirm=False))
    show_record({"path": str(path), "address": account.address, "opens": True}, as_json=json)
