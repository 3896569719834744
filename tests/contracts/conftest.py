"""One in-process chain for all contract tests; each test starts from the same block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dtxeth.chain.chain import open_chain
from dtxeth.chain.compile import compile_contracts
from tests.contracts.world import World


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


@pytest.fixture(scope="session")
def test_artifacts() -> dict[str, Any]:
    """The contracts of contracts/test, which nothing ships."""
    return compile_contracts(folder="contracts/test")
