"""The ABI in Python values: how calls are encoded, and results, logs and structs decoded.

``bytesN`` are ``bytes`` of exactly that length, addresses checksummed ``str``, arrays tuples, structs frozen
dataclasses with the fields in the ABI's order, enums ``IntEnum``.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypeVar, get_args, get_origin, get_type_hints

from eth_abi.codec import ABICodec
from eth_abi.decoding import AddressDecoder, StringDecoder
from eth_abi.encoding import AddressEncoder, TextStringEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_utils import keccak, to_checksum_address
from web3._utils.abi import build_strict_registry

from dtxeth.errors import ChainError, InputError

T = TypeVar("T")


class _ChecksumAddressDecoder(AddressDecoder):
    decoder_fn = staticmethod(to_checksum_address)


class _LenientStringDecoder(StringDecoder):
    """Solidity's strings are any bytes: what is no UTF-8 is shown as escapes, so that nobody's name breaks a list."""

    def __init__(self) -> None:
        super().__init__(handle_string_errors="backslashreplace")  # type: ignore[no-untyped-call]


def _codec() -> ABICodec:
    registry = build_strict_registry()  # the lax one pads short bytes
    registry.unregister("address")  # web3's would look up names
    registry.register(
        BaseEquals("address"),  # type: ignore[no-untyped-call]
        AddressEncoder,
        _ChecksumAddressDecoder,
        label="address",
    )
    registry.unregister("string")
    registry.register(
        BaseEquals("string"),  # type: ignore[no-untyped-call]
        TextStringEncoder,
        _LenientStringDecoder,
        label="string",
    )
    return ABICodec(registry)


_CODEC = _codec()


def encode(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """Encode values of ABI types; structs may be dataclasses.

    Raises:
        InputError: If a value does not fit its type.
    """
    try:
        return _CODEC.encode(kinds, [_plain(value) for value in values])
    except (EncodingError, TypeError, ValueError) as error:
        raise InputError(f"({', '.join(kinds)}) cannot hold the values given: {error}") from error


def decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decode values of ABI types.

    Raises:
        ChainError: If the data is no encoding of such values.
    """
    try:
        return _CODEC.decode(kinds, data)
    except (DecodingError, ValueError, OverflowError) as error:
        raise ChainError(f"the chain returned {len(data)} bytes that are not ({', '.join(kinds)})") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return tuple(_plain(getattr(value, field.name)) for field in dataclasses.fields(value))
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def canonical(item: dict[str, Any]) -> str:
    """Return the canonical type of an entry of an ABI, structs as tuples."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(canonical(part) for part in item['components'])}){kind.removeprefix('tuple')}"


def snake(name: str) -> str:
    """Turn a name in camel case into the Python way."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def build(kind: type[T], value: Any) -> T:
    """Give a decoded value its Python type: a struct, an enum, or a tuple of them.

    Raises:
        ChainError: If it is no member of its enum.
    """
    try:
        made: T = _builder(kind)(value)  # type: ignore[arg-type]  # mypy doubts that types hash
    except ValueError as error:
        raise ChainError(f"the chain returned what this version does not know: {error}") from error
    return made


@functools.cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        parts = [_builder(hints[field.name]) for field in dataclasses.fields(kind)]
        return lambda values: kind(*(part(value) for part, value in zip(parts, values, strict=True)))  # type: ignore[operator]
    if get_origin(kind) is tuple:
        item = _builder(get_args(kind)[0])
        return lambda values: tuple(item(value) for value in values)
    return kind if isinstance(kind, type) and issubclass(kind, enum.IntEnum) else lambda value: value


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of a contract."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    @functools.cached_property
    def selector(self) -> bytes:
        """The first four bytes of a call of it."""
        return bytes(keccak(text=f"{self.name}({','.join(self.inputs)})")[:4])


@dataclasses.dataclass(frozen=True)
class Call:
    """A function with its arguments, ready for :meth:`Chain.call` or :meth:`Chain.transact`.

    Attributes:
        to: The contract; None creates one.
        data: Selector and encoded arguments; or creation code.
        outputs: ABI types of what it returns.
    """

    to: str | None
    data: bytes = dataclasses.field(repr=False)
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, to: str, function: Function, *arguments: Any) -> Self:
        """Encode a call of a function.

        Raises:
            InputError: If an argument does not fit its type.
        """
        return cls(to, function.selector + encode(function.inputs, arguments), function.outputs)


@dataclasses.dataclass(frozen=True)
class Log:
    """What a contract wrote into the chain's record, and where it stands there."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes = dataclasses.field(repr=False)
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    index: int

    @classmethod
    def from_json(cls, log: dict[str, Any]) -> Self:
        """Read a log as JSON-RPC gives it."""
        return cls(
            address=to_checksum_address(log["address"]),
            topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            data=bytes.fromhex(log["data"][2:]),
            block_number=int(log["blockNumber"], 16),
            block_hash=bytes.fromhex(log["blockHash"][2:]),
            transaction_hash=bytes.fromhex(log["transactionHash"][2:]),
            index=int(log["logIndex"], 16),
        )


@dataclasses.dataclass(frozen=True)
class Event:
    """Base of the events of our contracts: one frozen dataclass each, with the arguments as attributes.

    Attributes:
        kinds: ABI type of each argument.
        indexed: Names of the arguments that are topics.
        topic: What the log of this event starts with.
        log: Where it was found: block, transaction, index.
    """

    kinds: ClassVar[types.MappingProxyType[str, str]]
    indexed: ClassVar[tuple[str, ...]]
    topic: ClassVar[bytes]

    log: Log = dataclasses.field(kw_only=True, repr=False, compare=False)

    def __init_subclass__(cls) -> None:
        cls.topic = bytes(keccak(text=f"{cls.__name__}({','.join(cls.kinds.values())})"))

    @classmethod
    def from_log(cls, log: Log) -> Self:
        """Decode a log of this event.

        Raises:
            ChainError: If it is not one.
        """
        if log.topics[:1] != (cls.topic,) or len(log.topics) != 1 + len(cls.indexed):
            raise ChainError(f"log {log.index} of block {log.block_number} is no {cls.__name__}")
        plain = [name for name in cls.kinds if name not in cls.indexed]
        values = dict(zip(plain, decode([cls.kinds[name] for name in plain], log.data), strict=True))
        for name, topic in zip(cls.indexed, log.topics[1:], strict=True):
            (values[name],) = decode([cls.kinds[name]], topic)
        hints = cls._hints()
        return cls(**{name: build(hints[name], values[name]) for name in cls.kinds}, log=log)

    @classmethod
    @functools.cache
    def _hints(cls) -> dict[str, Any]:
        """Types of the arguments; finding them out takes longer than all the decoding."""
        return get_type_hints(cls)

    @classmethod
    def topic_of(cls, name: str, value: Any) -> bytes:
        """Return the topic that an indexed argument of this value has.

        Raises:
            InputError: If the event has no such indexed argument, or the value does not fit it.
        """
        if name not in cls.indexed:
            possible = ", ".join(cls.indexed) or "nothing"
            raise InputError(f"{cls.__name__} cannot be filtered by {name!r}; filter by {possible}")
        return encode([cls.kinds[name]], [value])
