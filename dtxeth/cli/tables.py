"""Lists on the command line: options that they share, and the columns that people see of their rows.

Tables shorten: a file to the digits that commands take for it, an account to its name. JSON has everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

import typer

from dtxeth.chain.rows import R
from dtxeth.cli.context import DEFAULT_HOME, Home, Json
from dtxeth.cli.output import err, show_json, show_rows
from dtxeth.errors import UnknownNameError
from dtxeth.roles import MemberNetwork, listing

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
Since = Annotated[datetime | None, typer.Option(formats=FORMATS, help="Only from this time on (UTC).")]
Before = Annotated[datetime | None, typer.Option(formats=FORMATS, help="Only before this time (UTC).")]
OfFile = Annotated[str | None, typer.Option("--file", help="Only of this file: its id, or how it begins.")]
OfNode = Annotated[str | None, typer.Option("--node", help="Only of this storage node: name or address.")]
OfOwner = Annotated[str | None, typer.Option("--owner", help="Only of this data owner: name or address.")]


@dataclass(frozen=True)
class Paging:
    """What every list can be asked: which part of it, from which network, for people or machines."""

    limit: Annotated[int | None, typer.Option(min=0, help="Show so many rows at most.")] = None
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many rows at the beginning.")] = 0
    newest: Annotated[bool, typer.Option("--newest", help="Begin with the newest.")] = False
    home: Home = DEFAULT_HOME
    json: Json = False


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`Paging`, which it takes as its first argument."""
    hints, shared = get_type_hints(command, include_extras=True), get_type_hints(Paging, include_extras=True)
    _, *own = (each.replace(annotation=hints[each.name]) for each in signature(command).parameters.values())
    own += [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=shared[each.name])
        for each in fields(Paging)
    ]

    @wraps(command)
    def run(**options: Any) -> None:
        page = Paging(**{each.name: options.pop(each.name) for each in fields(Paging)})
        command(page, **options)

    run.__signature__ = Signature(own)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {each.name: each.annotation for each in own}
    return run


DIGITS = 12
"""Digits of a file's id in tables: 48 bits, which few files have in common."""

Columns = Mapping[str, str | Callable[[Any], Any]]
"""What a table shows under each title: a field of the row, or what a function makes of the row."""


def show_page(
    network: MemberNetwork,
    page: Paging,
    kind: type[R],
    columns: Columns,
    /,
    *,
    empty: str,
    extra: Mapping[str, Callable[[R], Any]] = MappingProxyType({}),
    **filters: Any,
) -> None:
    """Print a page of a list; what is left out is said on stderr.

    Args:
        network: Where to look.
        page: Which part of the list; as JSON it has all fields.
        kind: What to list.
        columns: What the table shows.
        empty: What to say when there is nothing at all.
        extra: Further fields of the JSON.
        **filters: Those that are None do not count.
    """
    given = {name: _known(network, name, value) for name, value in filters.items() if value is not None}
    found = network.find(kind, limit=page.limit, offset=page.offset, newest=page.newest, **given)
    if page.json:
        show_json([asdict(row) | {name: make(row) for name, make in extra.items()} for row in found])
    else:
        if not found and found.total:
            empty = f"nothing at offset {page.offset}: there are {found.total} in all"
        elif given:
            empty = "nothing matches"
        rows = [{title: _cell(row, part) for title, part in columns.items()} for row in found]
        show_rows(rows, as_json=False, empty=empty)
    if found.next is not None:
        err.print(f"{page.offset + 1} to {found.next} of {found.total}: go on with --offset {found.next}")


def account_of(network: MemberNetwork, who: str) -> str:
    """The address of a member of the network, by name; an address stands for itself.

    Raises:
        UnknownNameError: Nobody here has that name.
    """
    if who.startswith("0x"):
        return who
    for actor in network.actors:
        if actor.name == who:
            return actor.address
    raise UnknownNameError(f"there is no {who!r} in this network: give a name that has joined, or an address")


def namer(network: MemberNetwork) -> Callable[[str], str]:
    """Return what shows accounts: by name if they are of this network or nodes, else shortened."""
    known = listing.names(network) | {actor.address: actor.name for actor in network.actors}
    return lambda address: known.get(address, f"{address[:8]}…{address[-4:]}")


def short(digest: bytes) -> str:
    """The digits that stand for a file."""
    return digest.hex()[:DIGITS]


def size(number: int) -> str:
    """Bytes, as people read them."""
    if number < 1 << 10:
        return f"{number} B"
    unit = min((number.bit_length() - 1) // 10, 6)
    return f"{number / (1 << 10 * unit):.1f} {'KMGTPE'[unit - 1]}iB"


def day(time: int) -> str:
    """The day of a time, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def ether(wei: int) -> str:
    """Money, as people read it."""
    return f"{wei / 10**18:.6f}".rstrip("0").rstrip(".") + " ETH" if wei >= 10**12 else f"{wei} wei"


def redundancy(row: Any) -> str:
    """How the files of a namespace, or a file, are kept."""
    return f"{row.total} copies" if row.needed == 1 else f"{row.needed} of {row.total}"


def _cell(row: Any, part: str | Callable[[Any], Any]) -> Any:
    return getattr(row, part) if isinstance(part, str) else part(row)


def _known(network: MemberNetwork, name: str, value: Any) -> Any:
    match name, value:
        case "file", str():
            return listing.file_named(network, value).file
        case (("owner" | "requester" | "applier"), str()):
            return account_of(network, value)
        case _, datetime():
            return value.replace(tzinfo=UTC)
    return value
