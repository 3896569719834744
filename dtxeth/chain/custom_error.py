"""The base of all exceptions that stand for a custom error of a contract."""

from __future__ import annotations

import enum
import functools
import re
from types import MappingProxyType
from typing import Any, ClassVar, get_type_hints

from eth_utils import keccak

from dtxeth.chain.abi import build, decode
from dtxeth.errors import ContractRevert


class CustomError(ContractRevert):
    """A contract refused, and said why; the arguments of its error are attributes.

    Attributes:
        kinds: ABI type of each argument.
        notice: What the contract's documentation says about the error, arguments in braces.
    """

    kinds: ClassVar[MappingProxyType[str, str]]
    notice: ClassVar[str]

    def __init__(self, *values: Any) -> None:
        self.arguments = dict(zip(self.kinds, values, strict=True))
        vars(self).update(self.arguments)
        told = re.sub(r"\{(\w+)\}", lambda match: _show(self.arguments[match[1]]), self.notice)
        untold = [
            f"{name} {_show(value)}"
            for name, value in self.arguments.items()
            if f"{{{name}}}" not in self.notice
        ]
        super().__init__(f"{told} ({', '.join(untold)})" if untold else told)

    @classmethod
    @functools.cache
    def selector(cls) -> bytes:
        """Return the first four bytes of the error's data."""
        return bytes(keccak(text=f"{cls.__name__}({','.join(cls.kinds.values())})")[:4])

    @classmethod
    def from_data(cls, data: bytes) -> CustomError:
        """Decode what stands after the selector."""
        hints = get_type_hints(cls)
        values = decode(list(cls.kinds.values()), data)
        return cls(*(build(hints[name], value) for name, value in zip(cls.kinds, values, strict=True)))


def _show(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.name if isinstance(value, enum.Enum) else str(value)
