"""Where passwords come from: a file, the environment, or whoever sits there; never the command line."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from dtxeth.errors import KeystoreError
from dtxeth.roles.connection import PASSWORD_VARIABLE


def read_password(file: Path | None, *, confirm: bool = False) -> str:
    """Find the password of keystores.

    Args:
        file: File with the password; without it the environment has it, or it is asked for.
        confirm: Ask twice.

    Raises:
        KeystoreError: The file cannot be read.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise KeystoreError(
                f"password file {file} cannot be read: {error.strerror}; check the path"
            ) from None
    if password := os.environ.get(PASSWORD_VARIABLE):
        return password
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    return answer
