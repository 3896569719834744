"""Why a contract refused, as a typed exception.

There is one class per custom error of the contracts, a subclass of :class:`dtxeth.errors.ContractRevert`: the
error's arguments are its attributes, its message is the contract's own documentation with the values in it.
"""

from __future__ import annotations

from dtxeth.chain.abi import decode
from dtxeth.chain.bindings import errors
from dtxeth.chain.bindings.errors import *  # noqa: F403
from dtxeth.chain.custom_error import CustomError
from dtxeth.errors import ChainError, ContractRevert

_CUSTOM_ERRORS: dict[bytes, type[CustomError]] = {
    kind.selector(): kind for kind in (getattr(errors, name) for name in errors.__all__)
}
_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_PANICS = {
    0x01: "an assertion failed",
    0x11: "an arithmetic operation overflowed",
    0x12: "a division by zero",
    0x21: "a value that is none of the enum's",
    0x22: "a storage byte array that is broken",
    0x31: "pop of an empty array",
    0x32: "an array index out of bounds",
    0x41: "too much memory",
    0x51: "a call of an uninitialised function",
}


def decode_revert(data: bytes) -> ContractRevert:
    """Return the exception that says what a contract returned when it reverted."""
    selector, rest = data[:4], data[4:]
    kind = _CUSTOM_ERRORS.get(selector)
    try:
        if kind is not None:
            return kind.from_data(rest)
        if selector == _ERROR_STRING:
            return ContractRevert(f"the contract refused: {decode(['string'], rest)[0]}")
        if selector == _PANIC:
            (code,) = decode(["uint256"], rest)
            return ContractRevert(f"the contract panicked: {_PANICS.get(code, f'code {code:#x}')}")
    except ChainError:
        return ContractRevert(f"the contract refused with data that does not fit its error: 0x{data.hex()}")
    if not data:
        return ContractRevert("the contract refused and gave no reason")
    return ContractRevert(
        f"the contract refused with an error that this version does not know: 0x{data.hex()}"
    )
