"""Write docs/errors.md from the exceptions and the artifacts; with --check, only say whether it is in step."""

from __future__ import annotations

import argparse
import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

from natspec import signature_of

from dtxeth import errors
from dtxeth.chain.deploy import NAMES, artifact

FOREIGN = "From OpenZeppelin's EIP712; our constants never cause it."
"""What is said about an error that has no documentation of ours."""

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"

HEAD = """\
# Error catalogue

Written by `scripts/gen_errors.py` from `dtxeth/errors.py` and the contracts' documentation; do not edit.

Everything that dtxeth raises on purpose is a `DtxethError`: one line that names the thing, its value and the
remedy. The command line prints that line to stderr, without a traceback, and ends with the exit status below.
The option parser refuses with status 2 too; 130 means interrupted.

## The tree

```
{tree}
```

## Exceptions

{exceptions}

## Custom errors of the contracts

A revert reaches Python as the class of the same name in `dtxeth.chain.reverts`, a `ContractRevert`. The error's
arguments are its attributes, in snake_case, and its message is the text below with the values in the braces.
"""


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page differs")
    check = parser.parse_args().check
    page = render()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"{'differs from the code' if check else 'written'}: {PAGE.name}")
    if not check:
        PAGE.write_text(page, encoding="utf-8")
    return int(check)


def render() -> str:
    """Return the whole page."""
    tree = inspect.getdoc(errors) or ""
    tree = textwrap.dedent(tree.split("::\n\n")[1].split("\n\n")[0])
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DtxethError)
    ]
    page = HEAD.format(tree=tree, exceptions="\n".join(exception_table(kinds)))
    for name in NAMES:
        page += "\n" + "\n".join(contract_table(name)) + "\n"
    return page


def exception_table(kinds: list[type[errors.DtxethError]]) -> list[str]:
    """Return the rows of the exceptions: name, exit status, why, what to do."""
    rows = ["| exception | exit status | why | what to do |", "|---|---|---|---|"]
    for kind in kinds:
        why, remedy = paragraphs(kind)
        rows.append(f"| `{kind.__name__}` | {kind.exit_status} | {why} | {remedy} |")
    return rows


def paragraphs(kind: type[errors.DtxethError]) -> tuple[str, str]:
    """Return the first paragraph of a docstring, and the one that starts with "Remedy:"."""
    told = [" ".join(text.split()).replace("``", "`") for text in (inspect.getdoc(kind) or "").split("\n\n")]
    remedies = [text.removeprefix("Remedy: ") for text in told if text.startswith("Remedy: ")]
    if len(remedies) != 1:
        raise SystemExit(
            f"{kind.__name__} has {len(remedies)} paragraphs 'Remedy: …' in its docstring: write one"
        )
    return told[0], remedies[0]


def contract_table(name: str) -> list[str]:
    """Return heading and rows of one contract's custom errors."""
    rows = [f"### {name}", "", "| error | why, and what to do |", "|---|---|"]
    notices: dict[str, Any] = artifact(name)["userdoc"].get("errors", {})
    for entry in artifact(name)["abi"]:
        if entry["type"] != "error":
            continue
        told = notices.get(signature_of(entry), [{"notice": FOREIGN}])[0]["notice"]
        arguments = ", ".join(f"{item['type']} {item['name']}" for item in entry["inputs"])
        rows.append(f"| `{entry['name']}({arguments})` | {told} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
