"""Compiles ``contracts/`` into the artifacts that the package ships.

Only who changes a contract needs this module, and py-solc-x (extra ``dev``): everybody else uses
``dtxeth/chain/artifacts``. The compiler is the real solc if py-solc-x has installed it, else npm's behind
``hardhat-free-env/solc``; both give the same bytes. Nothing in an artifact depends on where the repository
lies, on the order of files, or on AST ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import solcx
from solcx.exceptions import SolcError

from dtxeth.errors import ConfigError, InputError

SOLC_VERSION = "0.8.30"
ARTIFACTS = Path(__file__).parent / "artifacts"
REPOSITORY = Path(__file__).parents[2]
TOOLCHAIN = REPOSITORY / "hardhat-free-env"

_IMPORT = re.compile(r"""^\s*import\b[^"';]*["']([^"']+)["']""", re.MULTILINE)
_AST_ID = re.compile(r"(?<=\))\d+")
_SETTINGS = {
    "evmVersion": "prague",
    "optimizer": {"enabled": True, "runs": 200},
    "viaIR": True,  # it writes a packed slot once, not once a field: a proof costs 5,000 gas less
    "metadata": {"bytecodeHash": "none"},  # the hash covers comments and paths
    "outputSelection": {
        "*": {
            "": ["ast"],
            "*": [
                *("abi", "devdoc", "userdoc", "storageLayout"),
                *(
                    "evm.bytecode.object",
                    "evm.deployedBytecode.object",
                    "evm.deployedBytecode.immutableReferences",
                ),
            ],
        }
    },
}

Json = dict[str, Any]


def compile_contracts(repository: Path = REPOSITORY, folder: str = "contracts") -> dict[str, Json]:
    """Compile every deployable contract that a file directly in a folder defines.

    Args:
        repository: Root of the checkout; names of sources are relative to it.
        folder: Folder of the contracts, relative to it. Folders below it (interfaces, libraries) are compiled
            as imports only.

    Returns:
        The artifact of each contract by its name: ``abi``, ``bytecode``, ``deployedBytecode`` (hex),
        ``immutables`` (offsets of 32-byte words in it, by variable), ``storageLayout``, ``devdoc``,
        ``userdoc``, ``enums`` and ``structs``.

    Raises:
        InputError: If solc reports an error or a warning.
        ConfigError: If the toolchain is not installed.
    """
    names = [path.relative_to(repository).as_posix() for path in sorted((repository / folder).glob("*.sol"))]
    sources = _collect_sources(repository, names)
    request = {
        "language": "Solidity",
        "settings": _SETTINGS,
        "sources": {name: {"content": content} for name, content in sorted(sources.items())},
    }
    try:
        output = solcx.compile_standard(request, solc_binary=_compiler())
    except SolcError as error:
        raise InputError(f"solc refuses contracts: {error.message}") from error
    complaints = [
        entry["formattedMessage"] for entry in output.get("errors", []) if entry["severity"] == "warning"
    ]
    if complaints:
        raise InputError("solc warns; mend it:\n" + "\n".join(complaints))
    nodes = [node for unit in output["sources"].values() for node in _walk(unit["ast"])]
    return {
        contract: _artifact(contract, compiled, nodes)
        for name in names
        for contract, compiled in output["contracts"].get(name, {}).items()
        if compiled["evm"]["bytecode"]["object"]
    }


def serialize(artifact: Json) -> str:
    """Return the text of an artifact file: compact, keys sorted, one line."""
    return json.dumps(artifact, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _compiler() -> Path:
    if any(str(version) == SOLC_VERSION for version in solcx.get_installed_solc_versions()):
        return Path(solcx.install.get_executable(SOLC_VERSION))
    if not (TOOLCHAIN / "node_modules" / "solc").is_dir():
        raise ConfigError(f"solc {SOLC_VERSION} is not installed; run `npm ci` in {TOOLCHAIN}")
    return TOOLCHAIN / "solc"


def _collect_sources(repository: Path, names: list[str]) -> dict[str, str]:
    """Read sources and all that they import: `./x.sol` lies beside its importer, `@…` in an npm package."""
    sources: dict[str, str] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in sources:
            continue
        folder = TOOLCHAIN / "node_modules" if name.startswith("@") else repository
        try:
            sources[name] = (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read {name}: {error.strerror}; run `npm ci` in {TOOLCHAIN}") from error
        pending += [_resolve(name, target) for target in _IMPORT.findall(sources[name])]
    return sources


def _resolve(importer: str, target: str) -> str:
    if not target.startswith("."):
        return target
    parts: list[str] = []
    for part in (PurePosixPath(importer).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _artifact(name: str, compiled: Json, nodes: list[Json]) -> Json:
    deployed = compiled["evm"]["deployedBytecode"]
    names = {node["id"]: node["name"] for node in nodes if node["nodeType"] == "VariableDeclaration"}
    immutables: dict[str, list[int]] = {}
    for ast_id, references in deployed.get("immutableReferences", {}).items():
        immutables.setdefault(names[int(ast_id)], []).extend(reference["start"] for reference in references)
    types = set(_internal_types(compiled["abi"]))
    return {
        "name": name,
        "abi": compiled["abi"],
        "bytecode": compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": deployed["object"],
        "immutables": {variable: sorted(starts) for variable, starts in immutables.items()},
        "storageLayout": _storage_layout(compiled["storageLayout"]),
        "devdoc": compiled["devdoc"],
        "userdoc": compiled["userdoc"],
        "enums": {
            node["canonicalName"]: {
                "members": [member["name"] for member in node["members"]],
                "doc": _doc(node),
            }
            for node in nodes
            if node["nodeType"] == "EnumDefinition" and f"enum {node['canonicalName']}" in types
        },
        "structs": {
            node["canonicalName"]: _doc(node)
            for node in nodes
            if node["nodeType"] == "StructDefinition" and f"struct {node['canonicalName']}" in types
        },
    }


def _storage_layout(layout: Json) -> Json:
    """Where each variable lies, without AST ids: they change with any edit anywhere."""
    slots = [
        {
            "label": entry["label"],
            "slot": entry["slot"],
            "offset": entry["offset"],
            "type": _AST_ID.sub("", entry["type"]),
        }
        for entry in layout["storage"]
    ]
    return {"storage": slots}


def _internal_types(abi: Any) -> Iterator[str]:
    """Names of all structs and enums in an ABI, arrays stripped."""
    if isinstance(abi, list):
        for entry in abi:
            yield from _internal_types(entry)
    elif isinstance(abi, dict):
        yield abi.get("internalType", "").split("[")[0]
        for value in abi.values():
            yield from _internal_types(value)


def _walk(node: Any) -> Iterator[Json]:
    if isinstance(node, Mapping):
        if "nodeType" in node:
            yield dict(node)
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def _doc(node: Json) -> str:
    documentation = node.get("documentation") or ""
    text = documentation if isinstance(documentation, str) else documentation["text"]
    return "\n".join(line.strip() for line in text.splitlines()).strip()
