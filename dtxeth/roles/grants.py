"""What an owner hands to those who may read its file: the file key and the owner's limits, wrapped together.

The limits travel with the key because both are the owner's to give: whoever can open the sample also
knows, from the owner itself and unseen by others, on how few rows and how often it may be used.
"""

from __future__ import annotations

from typing import Any

import msgpack

from dtxeth.errors import CryptoError
from dtxeth.learning.policy import Policy
from dtxeth.storage.seal import FILE_KEY_SIZE


def pack(file_key: bytes, policy: Policy) -> bytes:
    """Join a file key and the limits of a policy."""
    limits = [policy.min_rows, policy.max_leverage, policy.max_tasks, policy.leave_one_out]
    return file_key + bytes(msgpack.packb(limits))


def unpack(secret: bytes) -> tuple[bytes, Policy]:
    """Take apart what :func:`pack` joined.

    Raises:
        CryptoError: The secret is not of that form.
    """
    try:
        limits: Any = msgpack.unpackb(secret[FILE_KEY_SIZE:])
    except (ValueError, msgpack.UnpackException):
        limits = None
    match limits:
        case [min_rows, float(max_leverage), max_tasks, bool(leave_one_out)] if (
            (min_rows is None or _is_count(min_rows, 1)) and 0 < max_leverage <= 1 and _is_count(max_tasks, 0)
        ):
            policy = Policy(
                min_rows=min_rows, max_leverage=max_leverage, max_tasks=max_tasks, leave_one_out=leave_one_out
            )
            return secret[:FILE_KEY_SIZE], policy
    raise CryptoError(f"a grant of {len(secret)} bytes is malformed: ask the file's owner to approve again")


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and value >= least  # True is an int too
