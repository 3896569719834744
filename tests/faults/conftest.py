from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A network, shared by the tests of a module: each leaves it whole."""
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.close()
