"""What an owner hands to those who may read its file: the file key and the owner's floors, wrapped together.

The floors travel with the key because both are the owner's to give: whoever can open the sample also
knows, from the owner itself and unseen by others, how few rows it may be trained on.
"""

from __future__ import annotations

from typing import Any

import msgpack

from dtxeth.errors import CryptoError
from dtxeth.learning.policy import Policy
from dtxeth.storage.seal import FILE_KEY_SIZE


def pack(file_key: bytes, policy: Policy) -> bytes:
    """Join a file key and the floors of a policy."""
    return file_key + bytes(msgpack.packb([policy.min_rows, policy.max_leverage]))


def unpack(secret: bytes) -> tuple[bytes, Policy]:
    """Take apart what :func:`pack` joined.

    Raises:
        CryptoError: The secret is not of that form.
    """
    try:
        floors: Any = msgpack.unpackb(secret[FILE_KEY_SIZE:])
    except (ValueError, msgpack.UnpackException):
        floors = None
    match floors:
        case [min_rows, float(max_leverage)] if (
            min_rows is None or (type(min_rows) is int and min_rows > 0)
        ) and 0 < max_leverage <= 1:
            return secret[:FILE_KEY_SIZE], Policy(min_rows=min_rows, max_leverage=max_leverage)
    raise CryptoError(f"a grant of {len(secret)} bytes is malformed: ask the file's owner to approve again")
