"""What is generated is in step with what it is generated from."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtxeth.chain.compile import REPOSITORY, compile_contracts, serialize
from dtxeth.chain.deploy import artifact
from dtxeth.errors import ConfigError, InputError
from scripts.gen_bindings import generate

SOURCE = """// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;
import {IShelf} from "./interfaces/IShelf.sol";
contract Shelf is IShelf {
    uint256 public immutable SIZE;
    constructor(uint256 size) { SIZE = size; }
    /// @inheritdoc IShelf
    function put(Book calldata book) external payable returns (uint256) {
        require(book.pages > 0, EmptyBook(book.pages));
        emit BookPut(msg.sender, book.pages);
        return SIZE;
    }
}
"""
INTERFACE = """// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;
interface IShelf {
    /// @notice What a book is about.
    enum Genre { None, Crime }
    /// @notice A book. It has pages.
    /// @param pages How many.
    struct Book { uint256 pages; Genre genre; }
    /// @notice A book of {pages} pages; write some.
    error EmptyBook(uint256 pages);
    /// @notice Somebody put a book.
    event BookPut(address indexed reader, uint256 pages);
    /// @notice Put a book.
    /// @param book The book.
    function put(Book calldata book) external payable returns (uint256);
}
"""


def _write(repository: Path, source: str = SOURCE) -> Path:
    folder = repository / "contracts" / "interfaces"
    folder.mkdir(parents=True)
    (folder / "IShelf.sol").write_text(INTERFACE)
    (folder.parent / "Shelf.sol").write_text(source)
    return repository


def test_bindings_are_in_step_with_the_artifacts() -> None:
    command = [sys.executable, "scripts/gen_bindings.py", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, env={"PYTHONPATH": "."}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def shelf(toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compile_contracts(_write(tmp_path_factory.mktemp("here")))["Shelf"]


def test_artifacts_do_not_depend_on_the_place(shelf: dict[str, Any], tmp_path: Path) -> None:
    there = compile_contracts(_write(tmp_path))["Shelf"]
    assert serialize(shelf) == serialize(there)
    assert str(tmp_path) not in serialize(there)
    assert shelf["enums"]["IShelf.Genre"]["members"] == ["None", "Crime"]
    assert list(shelf["immutables"]) == ["SIZE"]


def test_natspec_becomes_docstrings(shelf: dict[str, Any]) -> None:
    modules = generate([shelf])
    assert "def put(self, book: Book, *, sender: Account, value: int = 0) -> Receipt:" in modules["shelf.py"]
    assert "book: The book." in modules["shelf.py"]
    assert '"""A book.\n\n    It has pages.' in modules["types.py"]
    assert "CRIME = 1" in modules["types.py"]
    assert "genre: Genre" in modules["types.py"]
    assert "class BookPut(Event)" in modules["events.py"]
    assert "A book of {pages} pages; write some." in modules["errors.py"]


def test_what_solc_refuses_or_warns_of_is_refused(toolchain: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="solc refuses"):
        compile_contracts(_write(tmp_path / "wrong", SOURCE.replace("book.pages > 0", "book.ink > 0")))
    with pytest.raises(InputError, match="solc warns"):
        compile_contracts(
            _write(tmp_path / "unused", SOURCE.replace("return SIZE;", "uint256 x; return SIZE;"))
        )
    with pytest.raises(ConfigError, match=r"cannot read contracts/interfaces/INone\.sol"):
        compile_contracts(_write(tmp_path / "missing", SOURCE.replace("IShelf.sol", "INone.sol")))


def test_one_name_for_two_things_is_refused() -> None:
    twin = copy.deepcopy(artifact("KeyRegistry"))
    twin["name"] = "Twin"
    generate([artifact("KeyRegistry"), twin])
    error = next(entry for entry in twin["abi"] if entry["type"] == "error")
    error["inputs"] = [{"name": "why", "type": "uint256", "internalType": "uint256"}]
    with pytest.raises(InputError, match=f"mean different things by {error['name']}"):
        generate([artifact("KeyRegistry"), twin])
