"""The sealed info of a file: what its owner's listings show, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack

from dtxeth.errors import IntegrityError
from dtxeth.storage.seal import seal_bytes, unseal_bytes

_PURPOSE = b"info"


@dataclass(frozen=True)
class FileInfo:
    """Name and columns of a file.

    Attributes:
        name: File name.
        columns: Names of the table's columns; empty if it is no table.
    """

    name: str
    columns: tuple[str, ...] = ()


def seal_info(info: FileInfo, file_key: bytes) -> bytes:
    """Seal the info for the ``sealedInfo`` of the publication."""
    return seal_bytes(file_key, _PURPOSE, bytes(msgpack.packb([1, info.name, list(info.columns)])))


def unseal_info(sealed: bytes, file_key: bytes) -> FileInfo:
    """Open sealed info from a ``FilePublished`` event.

    Raises:
        CryptoError: It does not open under this key.
        IntegrityError: What it opens to is not well-formed.
    """
    data = unseal_bytes(file_key, _PURPOSE, sealed)
    try:
        document: Any = msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.UnpackException):
        document = None
    match document:
        case [1, str(name), [*columns]] if all(isinstance(column, str) for column in columns):
            return FileInfo(name, tuple(columns))
    raise IntegrityError(f"malformed file info of {len(data)} bytes")
