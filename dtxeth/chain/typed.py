"""EIP-712 digests of flat structs, for what is signed with every request.

The general way (:meth:`~dtxeth.chain.Account.sign_typed`) reads the types of domain and message anew each time, which
takes longer than the signature. Here they are hashed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final

from eth_utils.crypto import keccak

from dtxeth.errors import InputError


@dataclass(frozen=True)
class FlatStruct:
    """A struct of ``address``, ``string``, ``bytes32``, ``uint32``, ``uint64`` and ``uint256`` only.

    Attributes:
        name: Its name.
        fields: Type and name of each field, in order.
    """

    name: str
    fields: tuple[tuple[str, str], ...]

    @cached_property
    def type_hash(self) -> bytes:
        """``typeHash``: of the struct's declaration."""
        declared = ",".join(f"{kind} {name}" for kind, name in self.fields)
        return keccak(f"{self.name}({declared})".encode())

    def hash(self, *values: Any) -> bytes:
        """``hashStruct`` of the values of all fields, in order.

        Raises:
            InputError: A value that its type has not.
        """
        words = [self.type_hash]
        for (kind, name), value in zip(self.fields, values, strict=True):
            try:
                word = _ENCODE[kind](value)
            except (ValueError, OverflowError) as error:
                raise InputError(f"{name} of {self.name} is {value!r}: expected {kind}") from error
            words.append(word)
        return keccak(b"".join(words))

    def digest(self, domain: bytes, *values: Any) -> bytes:
        """What is signed.

        Args:
            domain: From :func:`domain_separator`.
            values: See :meth:`hash`.
        """
        return keccak(b"\x19\x01" + domain + self.hash(*values))


_DOMAIN: Final = FlatStruct(
    "EIP712Domain",
    (("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract")),
)


@lru_cache(maxsize=64)
def domain_separator(name: str, chain_id: int, contract: str) -> bytes:
    """Hash the domain of a contract, in version 1."""
    return _DOMAIN.hash(name, "1", chain_id, contract)


def _address(value: str) -> bytes:
    return _exactly(20, bytes.fromhex(value.removeprefix("0x"))).rjust(32, b"\0")


def _exactly(size: int, value: bytes) -> bytes:
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes, expected {size}")
    return value


def _unsigned(bits: int) -> Callable[[int], bytes]:
    return lambda value: value.to_bytes(bits // 8, "big").rjust(32, b"\0")


_ENCODE: Final[Mapping[str, Callable[[Any], bytes]]] = MappingProxyType(
    {
        "address": _address,
        "string": lambda value: keccak(value.encode()),
        "bytes32": lambda value: _exactly(32, value),
        **{f"uint{bits}": _unsigned(bits) for bits in (32, 64, 256)},
    }
)
