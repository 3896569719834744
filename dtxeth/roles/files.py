"""Files as people see them: by name, owner and time."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.errors import InputError


@dataclass(frozen=True)
class StoredFile:
    """A file in the storage network.

    Attributes:
        id: 32 bytes, the file's id on chain.
        name: What its owner calls it; sealed, so only readers know.
        owner: Address of the owner.
        namespace: Name of the namespace.
        size: Bytes of the sealed file, a little more than its plaintext; public.
        rows: Data rows if it is a table, else 0.
        published_at: Chain time of publication, in seconds.
        expires_at: Chain time until which it is kept, in seconds.
    """

    id: bytes
    name: str
    owner: str
    namespace: str
    size: int
    rows: int
    published_at: int
    expires_at: int


FileRef = StoredFile | bytes | str
"""What stands for a file in calls: its handle, its id, or its id in hex."""


def file_id_of(file: FileRef) -> bytes:
    """The 32-byte id of a file.

    Raises:
        InputError: It is not an id.
    """
    if isinstance(file, StoredFile):
        return file.id
    try:
        file_id = bytes.fromhex(file.removeprefix("0x")) if isinstance(file, str) else file
    except ValueError:
        file_id = b""
    if len(file_id) != 32:
        raise InputError(
            f"{file!r} is no file id: give 32 bytes, or 64 hex digits as `dtxeth file list` shows them"
        )
    return file_id
