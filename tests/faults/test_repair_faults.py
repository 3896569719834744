"""Every fault at every step of a repair: it is done, or put off; the file stays readable, and is moved in the end."""

from __future__ import annotations

import os

import pytest

from dtxeth.errors import ChainUnavailableError
from dtxeth.roles.care import Care
from dtxeth.roles.repair import FIRST_REST, Repairer
from tests.faults.harness import Site

STEPS = {
    "status": ("status", None),
    "get_manifest": ("get_manifest", None),
    "get_piece": ("get_piece", 0),
    "first piece": ("put_piece", 0),
    "keep_pieces": ("keep_pieces", 0),
    "outline": ("outline", 0),
    "acknowledge": ("acknowledge", 0),
}
EVERYWHERE = ["dies after", "answer altered", "hangs"]
ELSEWHERE = [
    *(
        ("first piece", fault)
        for fault in ("dies before", "request altered", "request truncated", "disk full")
    ),
    *((step, "disk unreadable") for step in ("get_manifest", "get_piece", "keep_pieces", "acknowledge")),
    *((step, "chain away") for step in ("get_manifest", "first piece", "keep_pieces", "acknowledge")),
    *(("get_manifest", fault) for fault in ("answer truncated", "another answer")),
]
"""What is not here is in tests/roles/test_repair.py, or alike to what is."""
CELLS = [*((step, fault) for step in STEPS for fault in EVERYWHERE), *ELSEWHERE]


class Ward:
    """A file of which one node drains at a time."""

    def __init__(self, site: Site) -> None:
        self.site, self.file = site, site.upload()
        self.registry = site.network.contracts.file_registry
        site.owner.candidates = site.look_up  # type: ignore[method-assign]
        site.owner.care = Care(challenges_per_day=0)

    def holders(self) -> list[str]:
        return [self.registry.holding(number).node for number in self.registry.holdings_of(self.file.id)]

    def mend(self) -> None:
        """Let the owner's worker, begun anew, do what it can."""
        site = self.site
        site.owner.repairer = Repairer(site.owner)
        site.network.index.sync()
        while site.owner.repairer.step():
            site.network.index.sync()


@pytest.fixture(scope="module")
def ward(site: Site) -> Ward:
    return Ward(site)


@pytest.mark.parametrize(("step", "fault"), CELLS)
def test_a_node_at_fault(ward: Ward, step: str, fault: str) -> None:
    site, before = ward.site, ward.registry.file_of(ward.file.id).version
    leaving = ward.holders()[0]
    site.nodes[leaving].drain()
    with site.fault(fault, *STEPS[step]) as struck:
        ward.mend()
    assert struck.nodes
    version = ward.registry.file_of(ward.file.id).version
    assert (version > before) == (leaving not in ward.holders())
    assert len(ward.holders()) == 3
    site.check(ward.file)
    if version == before:
        site.network.chain.advance(FIRST_REST + 1)
        ward.mend()
        assert leaving not in ward.holders()
        assert len(ward.holders()) == 3
    site.nodes[leaving].drain(False)


def test_the_owners_disk_is_full(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    site, leaving = ward.site, ward.holders()[0]
    site.nodes[leaving].drain()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        ward.mend()
    (waiting,) = site.owner.repairs()
    assert "No space left on device" in str(waiting.problem)
    assert leaving in ward.holders()
    site.check(ward.file)
    site.network.chain.advance(FIRST_REST + 1)
    ward.mend()
    assert leaving not in ward.holders()
    site.nodes[leaving].drain(False)


@pytest.mark.long
def test_the_chain_is_away_for_the_owner_when_it_revises(ward: Ward) -> None:
    """Whatever request it goes away at: the revision comes once, or not at all."""
    site = ward.site
    for method in ("eth_gasPrice", "eth_sendRawTransaction", "eth_getTransactionReceipt"):
        for how in ("lost", "unheard"):
            before, leaving = ward.registry.file_of(ward.file.id).version, ward.holders()[0]
            site.nodes[leaving].drain()
            with site.chain_away(method, 4, how):
                if method == "eth_gasPrice":
                    with pytest.raises(ChainUnavailableError):
                        ward.mend()
                else:
                    ward.mend()
            revised = method != "eth_gasPrice"
            assert ward.registry.file_of(ward.file.id).version == before + revised
            site.check(ward.file)
            ward.mend()
            assert leaving not in ward.holders()
            assert ward.registry.file_of(ward.file.id).version == before + 1
            site.nodes[leaving].drain(False)


def test_nothing_is_left_behind(ward: Ward) -> None:
    ward.site.check(ward.file)
    ward.site.settle()
