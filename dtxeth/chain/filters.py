"""How lists are narrowed: filters are SQL written here, never by the caller; only values come from outside."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from eth_utils import is_address, to_checksum_address

from dtxeth.chain.event_tables import stored
from dtxeth.errors import InputError


@dataclass(frozen=True)
class Kind:
    """What values a filter takes.

    Attributes:
        expects: What they are, for people.
        accept: Gives a value the form that it has in the tables; raises ValueError or TypeError if it is none.
    """

    expects: str
    accept: Callable[[Any], Any]


@dataclass(frozen=True)
class Filter:
    """One way to narrow a list.

    Attributes:
        condition: SQL with one placeholder.
        kind: What values it takes.
    """

    condition: str
    kind: Kind


Filters = Mapping[str, Filter]


def _address(value: Any) -> str:
    if not is_address(value):
        raise ValueError
    return to_checksum_address(value)


def _digest(value: Any) -> bytes:
    digest = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else value
    if not isinstance(digest, bytes) or len(digest) != 32:
        raise ValueError
    return digest


def _hex(value: Any) -> str:
    digits = str(value).removeprefix("0x").upper()
    if not digits or set(digits) - set("0123456789ABCDEF"):
        raise ValueError
    return digits


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 256:
        raise ValueError
    return stored(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value.encode().decode()  # lone surrogates are no text


def _time(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError
        value = int(value.timestamp())
    return _number(value)


ADDRESS = Kind("an address", _address)
DIGEST = Kind("an id of 32 bytes", _digest)
HEX = Kind("hex digits", _hex)
NUMBER = Kind("a number, 0 or more", _number)
FLAG = Kind("true or false", _flag)
TEXT = Kind("a text", _text)
TIME = Kind("seconds, or a datetime with a time zone", _time)


def words(*known: str | type[enum.IntEnum]) -> Kind:
    """Values that are one of these words, or members of these enums, by name or value."""
    choices: list[str] = []
    for item in known:
        choices += [item] if isinstance(item, str) else [member.name.lower() for member in item]

    def accept(value: Any) -> str:
        word = value.name.lower() if isinstance(value, enum.Enum) else value
        if word not in choices:
            raise ValueError
        return str(word)

    return Kind(f"one of {', '.join(choices)}", accept)


def known_filters(times: tuple[str, ...] = (), **columns: Kind | Filter) -> Filters:
    """Build filters.

    Args:
        times: X for each column ``X_at``: gives the half-open range ``X_since``, ``X_before``.
        **columns: Columns that must equal the value, or filters of any other form.
    """
    found = {
        name: kind if isinstance(kind, Filter) else Filter(f"{name} = ?", kind)
        for name, kind in columns.items()
    }
    for time in times:
        found[f"{time}_since"] = Filter(f"{time}_at >= ?", TIME)
        found[f"{time}_before"] = Filter(f"{time}_at < ?", TIME)
    return MappingProxyType(found)


def condition(known: Filters, name: str, value: Any, what: str) -> tuple[str, Any]:
    """Return the SQL of a filter and the value for its placeholder.

    Args:
        known: The filters of a list.
        name: Which of them.
        value: What it is to be.
        what: What the list has, for the error.

    Raises:
        InputError: There is no such filter, or the value does not fit it.
    """
    if name not in known:
        raise InputError(f"{what} cannot be filtered by {name!r}; filter by {', '.join(known)}")
    try:
        return known[name].condition, known[name].kind.accept(value)
    except (ValueError, TypeError):
        raise InputError(
            f"{name} of {what} cannot be {value!r:.80}: give {known[name].kind.expects}"
        ) from None
