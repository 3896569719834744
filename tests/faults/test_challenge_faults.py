"""Every fault at every step of a challenge: who is back within the window is not slashed, and challenges go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeFailed, ChallengeOpened
from dtxeth.chain.bindings.types import ChallengeStatus
from dtxeth.errors import ChainUnavailableError, StorageError
from dtxeth.roles import StorageNode
from dtxeth.roles.challenger import Challenger
from tests.faults.harness import PARAMETERS, Site

WAYS = [
    "dies before",
    "dies after",
    "chain away",
    "chain away at the transaction",
    "chain away with the answer",
]


class Killed(BaseException):
    """The process ends here."""


class Ring:
    """A node, its holding, and the owner who challenges it."""

    def __init__(self, site: Site, possession: str) -> None:
        self.site, self.challenges = site, site.network.contracts.storage_challenge
        file = site.upload(namespace=possession)
        self.holding_id = site.network.contracts.file_registry.holdings_of(file.id)[0]
        self.address = site.network.contracts.file_registry.holding(self.holding_id).node
        self.pledge = self.read_pledge()

    @property
    def node(self) -> StorageNode:
        return self.site.nodes[self.address]

    def read_pledge(self) -> Any:
        return self.site.network.contracts.node_registry.pledge_of(self.address)

    def drive(self, blocks: int = 7) -> None:
        """Let everybody work while some blocks pass, as daemons do."""
        for _ in range(blocks):
            with suppress(ChainUnavailableError):
                while self.site.network.pump():
                    pass
            self.site.away = lambda who, method: None
            self.site.network.chain.mine()

    def live(self) -> None:
        """Challenge; who dies comes back a minute later, and the chain is away for as long."""
        try:
            self.site.owner.open_challenge(self.holding_id)
        except (Killed, ChainUnavailableError) as error:
            self.come_back(error)
        if not self.opened():
            self.site.owner.open_challenge(self.holding_id)
        self.work()

    def work(self) -> None:
        for _ in range(2):
            try:
                self.drive()
            except Killed as error:
                self.come_back(error)
        self.site.network.index.sync()

    def come_back(self, error: BaseException) -> None:
        self.site.away = lambda who, method: None
        self.site.network.chain.advance(60)
        if isinstance(error, Killed) and error.args[0] == self.address:
            self.site.restart(self.address)
        owner = self.site.owner
        owner.challenger = Challenger(owner, owner.care, owner.belongings)

    def opened(self) -> list[ChallengeOpened]:
        self.site.network.index.sync()
        return self.site.network.index.events(ChallengeOpened, holding_id=self.holding_id)

    def status(self) -> ChallengeStatus:
        (opened,) = self.opened()
        return self.challenges.challenge(opened.challenge_id).status

    @contextmanager
    def strikes_at(self, step: str, way: str) -> Iterator[list[str]]:
        """Something happens the first time that somebody sends this transaction."""
        act, struck = getattr(self.challenges, step), list[str]()

        def strike(*arguments: Any, sender: Account, **named: Any) -> Any:
            if struck:
                return act(*arguments, sender=sender, **named)
            struck.append(sender.address)
            if way == "dies before":
                raise Killed(sender.address)
            if way.startswith("chain"):
                self.site.away = lost_after(way)
            done = act(*arguments, sender=sender, **named)
            if way == "dies after":
                raise Killed(sender.address)
            return done

        setattr(self.challenges, step, strike)
        try:
            yield struck
        finally:
            delattr(self.challenges, step)
            self.site.away = lambda who, method: None

    @contextmanager
    def unreadable(self, times: int) -> Iterator[None]:
        store, left = self.node.service._shelf.store, [times]
        read = store.block_get

        def fails(cid: str) -> bytes:
            left[0] -= 1
            if left[0] >= 0:
                raise StorageError("block store: input/output error")
            return read(cid)

        store.block_get = fails  # type: ignore[method-assign]
        try:
            yield
        finally:
            del store.block_get
        assert left[0] < 0


def lost_after(way: str) -> Callable[[str, str], str | None]:
    """Four requests are lost: from the first, from that which sends, or the answer to that."""
    first = None if way == "chain away" else "eth_sendRawTransaction"
    how, count = "unheard" if way.endswith("answer") else "lost", 0

    def away(who: str, method: str) -> str | None:
        nonlocal first, count
        if first not in (None, method):
            return None
        first, count = None, count + 1
        return how if count <= 4 else None

    return away


@pytest.fixture(params=["merkle", "kzg"])
def ring(site: Site, request: pytest.FixtureRequest) -> Ring:
    return Ring(site, request.param)


@pytest.fixture
def merkle(site: Site) -> Ring:
    return Ring(site, "merkle")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", ["open", "draw", "prove"])
def test_a_step_is_interrupted(merkle: Ring, step: str, way: str) -> None:
    with merkle.strikes_at(step, way) as struck:
        merkle.live()
    assert struck == [merkle.address if step == "prove" else merkle.site.owner.address]
    assert merkle.status() is ChallengeStatus.PROVED
    assert merkle.read_pledge() == merkle.pledge
    assert merkle.site.owner.challenger.due is None


@pytest.mark.parametrize("way", ["dies after", "chain away with the answer"])
def test_a_kzg_answer_is_interrupted(site: Site, way: str) -> None:
    ring = Ring(site, "kzg")
    with ring.strikes_at("prove_kzg", way) as struck:
        ring.live()
    assert struck == [ring.address]
    assert ring.status() is ChallengeStatus.PROVED
    assert ring.read_pledge() == ring.pledge


@pytest.mark.parametrize("way", WAYS)
def test_closing_is_interrupted(merkle: Ring, way: str) -> None:
    """The node is away for too long: it is slashed, once, whatever happens to the owner."""
    network = merkle.site.network
    network.remove_worker(merkle.node)
    try:
        with merkle.strikes_at("close", way) as struck:
            merkle.live()
            network.chain.advance(PARAMETERS.answer_window + 1)
            merkle.work()
    finally:
        network.add_worker(merkle.node)
    assert struck == [merkle.site.owner.address]
    assert merkle.status() is ChallengeStatus.FAILED
    assert merkle.read_pledge().stake < merkle.pledge.stake
    assert len(network.index.events(ChallengeFailed, challenge_id=merkle.opened()[0].challenge_id)) == 1
    assert merkle.site.owner.challenger.due is None


def test_the_disk_cannot_be_read_for_a_while(ring: Ring) -> None:
    with ring.unreadable(2):
        ring.live()
    assert ring.status() is ChallengeStatus.PROVED
    assert ring.read_pledge() == ring.pledge


@pytest.mark.parametrize(
    ("possession", "loss"),
    [("merkle", "altered"), ("merkle", "truncated"), ("merkle", "gone"), ("kzg", "altered")],
)
def test_bytes_are_lost_for_good(site: Site, possession: str, loss: str) -> None:
    """The node is caught; the owner goes on with others, and the node with other challenges."""
    ring = Ring(site, possession)
    bystander = Ring(ring.site, "merkle")
    blocks = {path: path.read_bytes() for path in ring.node.home.glob("blocks/blocks/*/*") if path.is_file()}
    for path, good in blocks.items():
        if loss == "gone":
            path.unlink()
        else:
            path.write_bytes(good[:-1] if loss == "truncated" else bytes(byte ^ 1 for byte in good))
    ring.live()
    assert ring.status() is ChallengeStatus.TO_PROVE
    ring.site.network.chain.advance(PARAMETERS.answer_window + 1)
    ring.drive(1)
    assert ring.status() is ChallengeStatus.FAILED
    assert ring.read_pledge().stake < ring.pledge.stake
    for path, good in blocks.items():
        path.write_bytes(good)
    bystander.pledge = bystander.read_pledge()
    bystander.live()
    assert bystander.status() is ChallengeStatus.PROVED
    assert bystander.read_pledge() == bystander.pledge
