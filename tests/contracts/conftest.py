"""One in-process chain for all contract tests; each test starts from the same block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtxeth.chain.chain import open_chain
from dtxeth.chain.compile import compile_contracts
from tests.contracts.world import Held, World


@pytest.fixture(scope="session")
def _deployed() -> Iterator[World]:
    with open_chain() as chain:
        yield World(chain)


@pytest.fixture
def world(_deployed: World) -> Iterator[World]:
    """Contracts just deployed, nodes registered, accounts with money."""
    mark = _deployed.chain.snapshot()
    yield _deployed
    _deployed.chain.rollback(mark)


@pytest.fixture
def files(world: World) -> list[Held]:
    """One file of each of two owners."""
    return [world.publish("owner-1"), world.publish("owner-2")]


@pytest.fixture(scope="session")
def test_artifacts(toolchain: Path) -> dict[str, Any]:
    """The contracts of contracts/test, which nothing ships."""
    return compile_contracts(folder="contracts/test")
