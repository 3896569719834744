"""What an owner hands to those who may read its file: the file key and the owner's limits, wrapped together.

The limits travel with the key because both are the owner's to give: whoever can open the sample also
knows, from the owner itself and unseen by others, on how few rows and how often it may be used.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgpack
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtxeth.errors import CryptoError
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.policy import Policy
from dtxeth.learning.rowsets import KEY_BYTES, LEAST_DIFFERENCE
from dtxeth.storage.seal import FILE_KEY_SIZE


class _Limits(BaseModel):
    """What of a policy the executor enforces; in the order in which it travels."""

    model_config = ConfigDict(strict=True, frozen=True)

    min_rows: Annotated[int, Field(ge=1)] | None
    max_leverage: Annotated[float, Field(gt=0, le=1)]
    max_tasks: Annotated[int, Field(ge=0)]
    leave_one_out: bool
    min_difference: Annotated[int, Field(ge=0, le=LEAST_DIFFERENCE)]
    max_epsilon: Annotated[float, Field(gt=0)] | None
    honest_majority: bool
    show_scores: bool
    row_key: Annotated[bytes, Field(min_length=KEY_BYTES, max_length=KEY_BYTES)] | None
    program: Annotated[bytes, Field(min_length=32, max_length=32)] | None


_NAMES: Final = tuple(_Limits.model_fields)


def pack(file_key: bytes, policy: Policy, network: Network | None = None) -> bytes:
    """Join a file key, the limits of a policy, and the program of the task's network, which the owner approves.

    All programs that the owner approves would not fit the contract, and only one is run.
    """
    named = None if network is None or network.program is None else bytes.fromhex(network.program)
    limits = [named if name == "program" else getattr(policy, name) for name in _NAMES]
    return file_key + bytes(msgpack.packb(limits))


def unpack(secret: bytes) -> tuple[bytes, Policy]:
    """Take apart what :func:`pack` joined.

    Raises:
        CryptoError: The secret is not of that form.
    """
    try:
        values = msgpack.unpackb(secret[FILE_KEY_SIZE:])
        limits = _Limits(**dict(zip(_NAMES, values, strict=True)))
    except (ValueError, TypeError, msgpack.UnpackException, ValidationError):
        raise CryptoError(
            f"a grant of {len(secret)} bytes is malformed: ask the file's owner to approve again"
        ) from None
    programs = frozenset() if limits.program is None else frozenset({limits.program.hex()})
    return secret[:FILE_KEY_SIZE], Policy(**limits.model_dump(exclude={"program"}), programs=programs)
