"""What both ends of the HTTP APIs agree on: headers of signed requests, and how refusals are told.

A refusal is a JSON object ``{"error": "PolicyError", "message": "…"}``. The name is one of ``REFUSALS``: what
a hostile server writes there can raise nothing else in a client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from dtxeth.errors import (
    BusyError,
    CryptoError,
    DtxethError,
    InputError,
    IntegrityError,
    NotEnoughNodesError,
    PolicyError,
    StorageError,
    UnknownNameError,
)
from dtxeth.storage.requests import Credentials

SENDER: Final = "Dtxeth-Sender"
"""Header: address of the account that signed, with its checksum (EIP-55)."""
NONCE: Final = "Dtxeth-Nonce"
"""Header: 32 random bytes in hex."""
DEADLINE: Final = "Dtxeth-Deadline"
"""Header: last second of chain time at which the request is good, in decimal."""
SIGNATURE: Final = "Dtxeth-Signature"
"""Header: 65 bytes r, s, v in hex."""
BODY_HASH: Final = "Dtxeth-Body-Sha256"
"""Header: SHA-256 of a body that is streamed, in hex."""

FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        SENDER: "0x[0-9a-fA-F]{40}",
        NONCE: "[0-9a-f]{64}",
        DEADLINE: "0|[1-9][0-9]{0,18}",
        SIGNATURE: "[0-9a-f]{130}",
        BODY_HASH: "[0-9a-f]{64}",
    }
)
"""Regular expression that the whole of each header matches."""

MAX_REFUSAL: Final = 64 * 1024
"""Bytes of a refusal that a client reads."""
MAX_MESSAGE: Final = 1000
"""Characters of its message."""

REFUSALS: Final[Mapping[str, type[DtxethError]]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            InputError,
            UnknownNameError,
            CryptoError,
            PolicyError,
            IntegrityError,
            BusyError,
            NotEnoughNodesError,
            StorageError,
        )
    }
)
"""What a client raises for the name in a refusal."""


def to_headers(credentials: Credentials) -> dict[str, str]:
    """Write credentials as headers."""
    return {
        SENDER: credentials.sender,
        NONCE: credentials.nonce.hex(),
        DEADLINE: str(credentials.deadline),
        SIGNATURE: credentials.signature.hex(),
    }


def from_headers(headers: Mapping[str, str]) -> Credentials:
    """Read credentials from headers.

    Raises:
        CryptoError: One is missing or malformed.
    """
    given = {name: header(headers, name) for name in (SENDER, NONCE, DEADLINE, SIGNATURE)}
    return Credentials(
        given[SENDER],
        bytes.fromhex(given[NONCE]),
        int(given[DEADLINE]),
        bytes.fromhex(given[SIGNATURE]),
    )


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header of a signed request.

    Raises:
        CryptoError: It is missing or malformed.
    """
    value = headers.get(name, "")
    if not re.fullmatch(FORMS[name], value, re.ASCII):
        raise CryptoError(
            f"header {name} is {'malformed' if value else 'missing'}: expected {FORMS[name]}; sign the request"
        )
    return value


def refusal(error: str, message: str) -> bytes:
    """Write a refusal."""
    return json.dumps({"error": error, "message": printable(message)}).encode()


def refused(body: bytes) -> DtxethError | None:
    """Read a refusal; None if it is not one."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"error": str(name), "message": str(message)} if name in REFUSALS:
            return REFUSALS[name](printable(message))
    return None


def printable(message: str) -> str:
    """Cut a foreign message to size, and replace what could play tricks on a terminal or a log."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in message[:MAX_MESSAGE]
    )
