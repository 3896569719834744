"""Every fault at every step of an upload: it succeeds on other nodes, or fails; on chain is all of it or nothing."""

from __future__ import annotations

import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.events import FilePublished
from dtxeth.errors import ChainUnavailableError, NotEnoughNodesError, StorageError
from tests.faults.harness import FAULTS, LONG, SHORT, WIRE, Site

STEPS = {
    "full piece": ("put_piece", 0),
    "short piece": ("put_piece", 0),
    "manifest": ("put_piece", 1),
    "status": ("status", 0),
    "acknowledge": ("acknowledge", 0),
}
HARMLESS = {  # the node does not need that for this
    ("status", "request altered"),  # there is nothing to alter
    ("status", "disk full"),
    ("status", "disk unreadable"),
    ("status", "chain away"),
    ("put_piece", "disk unreadable"),
    ("acknowledge", "disk full"),
}
MAYBE = ("status", "answer altered")  # an altered figure is a figure, too
CELLS = [(step, fault) for step in STEPS for fault in FAULTS if (STEPS[step][0], fault) not in HARMLESS]


# The table below has all cells; alike to the owner are those that are left out here.
@pytest.mark.parametrize(
    ("step", "fault"),
    [cell for cell in CELLS if cell[1] not in ("dies before", "request altered", "request truncated")],
)
def test_one_node_at_fault(site: Site, step: str, fault: str) -> None:
    data = LONG if step == "full piece" else SHORT
    before, _ = site.state()
    with site.fault(fault, *STEPS[step]) as struck:
        file = site.upload(data)
    assert struck.nodes
    assert site.state()[0] == before + 1
    site.check(file, data)


@pytest.mark.parametrize("step", ["short piece", "manifest", "status", "acknowledge"])
def test_more_nodes_at_fault_than_there_are_others(site: Site, step: str) -> None:
    before = site.state()
    for fault in FAULTS:
        if (step, fault) not in CELLS or (step, fault) == MAYBE:
            continue
        with (
            site.fault(fault, *STEPS[step], victims=2) as struck,
            pytest.raises(NotEnoughNodesError, match="needed for 2 of 3: start more nodes"),
        ):
            site.upload()
        assert len(struck.nodes) == 2, fault
        assert site.state() == before, fault
    file = site.upload()
    assert site.state()[0] == before[0] + 1
    site.check(file)
    site.settle()


@pytest.mark.parametrize("fault", [*WIRE, "hangs", "disk unreadable", "chain away"])
def test_commitments(site: Site, fault: str) -> None:
    before, _ = site.state()
    with site.fault(fault, "commitments", 0) as struck:
        file = site.upload(namespace="kzg")
    assert struck.nodes
    assert site.state()[0] == before + 1
    site.check(file)


def test_drafts_that_nobody_takes_back(site: Site) -> None:
    """One fault makes the owner give up, another one keeps the nodes from hearing of it: the drafts lapse."""
    before = site.state()
    for fault in [*WIRE, "hangs"]:
        with (
            site.fault("dies before", "acknowledge", victims=2),
            site.fault(fault, "abandon", victims=4) as deaf,
            pytest.raises(NotEnoughNodesError),
        ):
            site.upload()
        assert deaf.nodes, fault
    assert site.state() == before
    site.settle()


def test_the_owners_disk_is_full(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.state()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dtxeth.storage.uploader.spool", full)
        with pytest.raises(StorageError, match="spooled: No space left on device"):
            site.upload()
    assert site.state() == before


TRANSACTION = {  # the requests that it consists of: whether it is sent when the chain goes away there
    "eth_gasPrice": False,
    "eth_getTransactionCount": False,
    "eth_maxPriorityFeePerGas": False,
    "eth_sendRawTransaction": True,
    "eth_getTransactionReceipt": True,
}


@pytest.mark.parametrize("how", ["lost", "unheard"])
@pytest.mark.parametrize("method", TRANSACTION)
def test_the_chain_is_away_when_the_file_is_published(site: Site, method: str, how: str) -> None:
    """A transaction that may have been sent is waited for; nothing is published that the owner is not told of."""
    before = site.state()
    with site.chain_away(method, 4, how):
        if TRANSACTION[method]:
            site.check(site.upload())
        else:
            with pytest.raises(ChainUnavailableError, match=r"^no chain answers"):
                site.upload()
    after = site.state()
    assert after[0] == before[0] + TRANSACTION[method]
    assert TRANSACTION[method] or after == before


def test_the_chain_is_away_before(site: Site) -> None:
    with site.chain_away(0, 0) as asked:
        site.upload()
    before = site.state()
    for first in range(0, asked.index("eth_gasPrice") - 2, 6):
        with (
            site.chain_away(first, 4),
            pytest.raises((ChainUnavailableError, NotEnoughNodesError), match="no chain answers"),
        ):
            site.upload()
        assert site.state() == before
    site.check(site.upload())


@pytest.mark.parametrize("how", ["lost", "unheard"])
def test_the_chain_does_not_come_back(site: Site, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whether the file was published is said to be uncertain, and can be seen on the chain once it is back."""
    monkeypatch.setattr("dtxeth.chain.chain.RECEIPT_SECONDS", 0.05)
    before = site.state()
    with (
        site.chain_away("eth_sendRawTransaction", 10**6, how),
        pytest.raises(ChainUnavailableError, match=r"Transaction 0x[0-9a-f]{64} may have been sent"),
    ):
        site.upload()
    published = how == "unheard"
    assert site.state()[0] == before[0] + published
    assert published or site.state() == before
    event = site.network.index.events(FilePublished, owner=site.owner.address)[-1]
    site.check(site.owner.describe(event))
    site.check(site.upload())


def test_what_was_published_is_not_published_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends the same publication once more is refused."""
    registry, sent = site.network.contracts.file_registry, []
    publish = registry.publish

    def note(*arguments: object, **named: object) -> object:
        sent.append((arguments, named))
        return publish(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "publish", note)
    site.upload()
    before = site.state()
    (again,) = sent
    with pytest.raises(reverts.FileExists):
        publish(*again[0], **again[1])  # type: ignore[arg-type]
    assert site.state() == before
