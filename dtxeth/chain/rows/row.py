"""What all rows have in common: the view that they are of, and how its values become Python's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, get_args, get_type_hints

from dtxeth.chain.filters import Filters


@dataclass(frozen=True)
class Row:
    """Base of the rows.

    Attributes:
        view: View that it is a row of.
        filters: The filters that its list knows, by name.
    """

    view: ClassVar[str]
    filters: ClassVar[Filters]

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """The view's columns that make a row, in order."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_values(cls, values: tuple[Any, ...]) -> Self:
        """Give the values of a row their Python types."""
        return cls(*(take(value) for take, value in zip(_takers(cls), values, strict=True)))


R = TypeVar("R", bound=Row)
_TAKERS: dict[type[Row], list[Callable[[Any], Any]]] = {}


def _takers(kind: type[Row]) -> list[Callable[[Any], Any]]:
    if kind not in _TAKERS:
        hints = get_type_hints(kind)
        _TAKERS[kind] = [_taker(hints[name]) for name in kind.columns()]
    return _TAKERS[kind]


def _taker(hint: Any) -> Callable[[Any], Any]:
    parts = get_args(hint)
    if bool in (hint, *parts):
        return lambda value: None if value is None else bool(value)
    if int in (hint, *parts):
        return lambda value: int.from_bytes(value, "big") if isinstance(value, bytes) else value
    if Ellipsis in parts:
        return lambda value: tuple(json.loads(value))
    return lambda value: value
