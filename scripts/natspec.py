"""Solidity's names, types and documentation in Python's words, for the generated bindings."""

from __future__ import annotations

import keyword
import re
import textwrap
from typing import Any

from dtxeth.chain.abi import canonical, snake

WIDTH = 110
RESERVED = {"self", "sender", "value", "log", "kinds", "notice", "args", "arguments"}

Json = dict[str, Any]


def python_name(item: Json, index: int = 0) -> str:
    """Return the Python name of an argument or field."""
    name = snake(item["name"]).lstrip("_") or f"argument{index}"
    return f"{name}_" if keyword.iskeyword(name) or name in RESERVED else name


def hint(item: Json, argument: bool = False) -> str:
    """Return the Python type of an ABI value."""
    internal, kind = item.get("internalType", ""), item["type"]
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")], "internalType": internal[: internal.rindex("[")]}
        return f"Sequence[{hint(inner, True)}]" if argument else f"tuple[{hint(inner)}, ...]"
    if internal.startswith(("enum ", "struct ")):
        return last_part(internal)
    if kind.startswith(("uint", "int")):
        return "int"
    return {"bool": "bool", "address": "str", "string": "str"}.get(kind, "bytes")


def kinds(entry: Json) -> dict[str, str]:
    """Return the canonical ABI type of each argument, by its Python name."""
    return {python_name(item): canonical(item) for item in entry["inputs"]}


def signature_of(entry: Json) -> str:
    """Return what selectors and NatSpec know an entry of an ABI by: name and canonical types."""
    return f"{entry['name']}({','.join(canonical(item) for item in entry['inputs'])})"


def last_part(name: str) -> str:
    """Return a type's own name: ``File`` of ``struct IFileRegistry.File``."""
    return re.split(r"[. ]", name)[-1]


def capitals(name: str) -> str:
    """Return a name in capitals."""
    return snake(name).upper()


def words(name: str) -> str:
    """Return a name in words."""
    return snake(name).replace("_", " ").capitalize()


def tag(doc: str, tag: str) -> str:
    """Return what a NatSpec comment says under a tag."""
    found = re.search(rf"@{tag} (.*?)(?=\n@|\Z)", doc, re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def docstring(notice: str, details: str = "", indent: int = 4, **sections: dict[str, str]) -> str:
    """Write a Google-style docstring; sections map names to what is said about them."""
    sentence, _, more = notice.partition(". ")
    first = sentence.strip().rstrip(".") + "."
    lines = [first[:1].upper() + first[1:]]
    for paragraph in (more, details):
        if paragraph.strip():
            lines += ["", *textwrap.wrap(paragraph, WIDTH - indent, break_on_hyphens=False)]
    for title, entries in sections.items():
        told = {name: " ".join(text.split()) for name, text in entries.items() if text}
        if told:
            lines += ["", f"{title}:"]
        for name, text in told.items():
            entry = f"{name}: {text}" if name else text
            lines += textwrap.wrap(
                entry, WIDTH - indent, initial_indent=" " * 4, subsequent_indent=" " * 8 if name else " " * 4
            )
    head = textwrap.wrap(lines[0], WIDTH - 6 - indent, break_on_hyphens=False)
    lines = head + lines[1:]
    pad = " " * indent
    body = "\n".join(f"{pad}{line}".rstrip() for line in lines).lstrip()
    return f'{pad}"""{body}"""\n' if len(lines) == 1 else f'{pad}"""{body}\n{pad}"""\n'
