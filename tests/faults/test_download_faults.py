"""Every fault at every step of a download: the exact bytes, or a clear error and no file."""

from __future__ import annotations

import os

import pytest

from dtxeth.errors import ChainUnavailableError, NotEnoughNodesError, StorageError
from dtxeth.roles import StoredFile
from tests.faults.harness import LONG, SHORT, WIRE, Site

FAULTS = [
    *(name for name in WIRE if not name.startswith("request")),
    "hangs",
    "disk unreadable",
    "chain away",
]


@pytest.fixture(scope="module")
def file(site: Site) -> StoredFile:
    return site.upload()


@pytest.fixture(scope="module")
def long_file(site: Site) -> StoredFile:
    return site.upload(LONG)


def holders(site: Site, file: StoredFile) -> list[str]:
    registry = site.network.contracts.file_registry
    return [registry.holding(number).node for number in registry.holdings_of(file.id)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("route", "spared"), [("get_manifest", 2), ("get_piece", 1)])
def test_some_nodes_at_fault(site: Site, file: StoredFile, route: str, spared: int, fault: str) -> None:
    """At the manifest all holders but one, at the pieces n - k of them: whoever is asked first is one."""
    with site.fault(fault, route, victims=spared) as struck:
        site.check(file)
    assert struck.nodes


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("route", "most"), [("get_manifest", 3), ("get_piece", 2)])
def test_one_node_more_at_fault(site: Site, file: StoredFile, route: str, most: int, fault: str) -> None:
    target = site.folder / "never"
    before = set(site.folder.iterdir())
    with (
        site.fault(fault, route, among=set(holders(site, file)[:most]), victims=most) as struck,
        pytest.raises(NotEnoughNodesError, match=r"cannot be read: [01] of the [12] answers") as caught,
    ):
        site.owner.download(file, target)
    assert len(struck.nodes) == most
    assert all(node in str(caught.value) for node in struck.nodes)
    assert set(site.folder.iterdir()) == before
    site.check(file)


@pytest.mark.parametrize("fault", ["dies after", "answer altered", "answer truncated", "hangs"])
def test_in_the_middle(site: Site, long_file: StoredFile, fault: str) -> None:
    """The first stripe is written already when two nodes fail at the second one; an older file stays as it is."""
    target = site.folder / "before"
    target.write_bytes(SHORT)
    before = set(site.folder.iterdir())
    with site.fault(fault, "get_piece", nth=1, victims=1) as struck:
        site.check(long_file, LONG)
    assert struck.nodes
    with (
        site.fault(fault, "get_piece", among=set(holders(site, long_file)), victims=2),
        pytest.raises(NotEnoughNodesError, match="stripe"),
    ):
        site.owner.download(long_file, target)
    assert target.read_bytes() == SHORT
    assert set(site.folder.iterdir()) == before
    target.unlink()


def test_the_disk_is_full(site: Site, file: StoredFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = set(site.folder.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            site.owner.download(file, site.folder / "never")
    assert set(site.folder.iterdir()) == before


def test_the_chain_is_away_for_the_owner(site: Site, file: StoredFile) -> None:
    with site.chain_away(0, 0) as asked:
        site.check(file)
    before = set(site.folder.iterdir())
    for first in range(len(asked)):
        with site.chain_away(first, 3):
            try:
                site.owner.download(file, site.folder / "never")
            except ChainUnavailableError as error:
                said = str(error)
            else:  # times that are remembered for a second made it ask less often than before
                said = "no chain answers"
                (site.folder / "never").unlink()
        assert "no chain answers" in said
        assert set(site.folder.iterdir()) == before
    site.check(file)
