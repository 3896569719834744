"""A store that fails, a process that dies, a disk that fills up, at every step: records and store stay in step."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtxeth.errors import DtxethError, InputError, IntegrityError, StorageError
from dtxeth.storage import StorageNode
from dtxeth.storage.blockstore import EmbeddedBlockStore, cid_of
from dtxeth.storage.records import Stage
from tests.storage.sender import Sender, sha256
from tests.storage.world import World

STEPS = ["block_put", "sync", "pin_ls", "pin_rm", "block_rm", "block_get"]


class Killed(BaseException):
    """The process died."""


class FaultyStore(EmbeddedBlockStore):
    """Fails at one step: the ``nth`` call of a method, before or after it has done its work."""

    def __init__(self, directory: Path, step: str = "", nth: int = 0, *, after: bool = False) -> None:
        super().__init__(directory, reserve=0)
        self.step, self.nth, self.after = step, nth, after
        self.failure: Callable[[], BaseException] = lambda: StorageError("the disk is gone; mend it")
        self.dead = False
        self.written: list[str] = []  # durably

    def _at(self, step: str, work: Callable[[], Any]) -> Any:
        if self.dead:
            raise Killed
        hit = step == self.step and self.nth == 0
        if step == self.step:
            self.nth -= 1
        if hit and not self.after:
            raise self.failure()
        done = work()
        if hit:
            raise self.failure()
        return done

    def block_put(
        self, data: bytes, *, pin: bool = False, cid: str | None = None, durably: bool = True
    ) -> str:
        put = super().block_put
        if durably:
            self.written.append(cid or cid_of(data))
        return str(self._at("block_put", lambda: put(data, pin=pin, cid=cid, durably=durably)))

    def sync(self, cids: Iterable[str]) -> None:
        sync = super().sync
        self._at("sync", lambda: sync(cids))

    def block_get(self, cid: str) -> bytes:
        get = super().block_get
        return bytes(self._at("block_get", lambda: get(cid)))

    def block_rm(self, cid: str) -> None:
        remove = super().block_rm
        self._at("block_rm", lambda: remove(cid))

    def pin_rm(self, cid: str) -> None:
        unpin = super().pin_rm
        self._at("pin_rm", lambda: unpin(cid))

    def pin_ls(self, cids: Iterable[str] | None = None) -> set[str]:
        listed = super().pin_ls
        return set(self._at("pin_ls", lambda: listed(cids)))


class Rig:
    """A node on a store that fails, and a sender to it."""

    def __init__(self, world: World) -> None:
        self.world, self.account = world, world.accounts[7]
        self.directory = world.directory / secrets.token_hex(4)
        self.start()

    def start(self, store: FaultyStore | None = None) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = store or FaultyStore(self.directory)
        self.node: StorageNode = self.world.node(self.account, self.directory, self.store)

    def fail_at(self, step: str, nth: int, *, after: bool, kill: bool) -> None:
        self.store.step, self.store.nth, self.store.after = step, nth, after
        if kill:
            self.store.failure = self._die

    def _die(self) -> BaseException:
        self.store.dead = True
        self.node._records.close()  # what it would still do, it does no more
        return Killed()

    def restart(self) -> None:
        self.node.close()
        self.start()

    def recover(self) -> None:
        """Start again if it died; else let the store work again."""
        if self.store.dead:
            self.restart()
        self.store.step, self.store.nth = "", 0
        self.node.sweep()

    def sender(self, draft: bytes, salt: bytes = bytes(32)) -> Sender:
        return Sender(self.world, self.node, self.world.owner, salt, draft)

    def check(self) -> None:
        """Nothing is lost, nothing is leaked, and the figures are right."""
        records, store = self.node._records, EmbeddedBlockStore(self.directory)
        pieces = {piece.cid: piece.size for held in self.node.holdings() for piece in records.pieces(held)}
        assert records.cids() == set(pieces)
        assert store.pin_ls() == set(pieces)
        assert store.repo_stat().blocks == len(pieces)
        assert self.node.status().used == sum(pieces.values()) == records.used()
        for cid in pieces:
            assert cid_of(store.block_get(cid)) == cid
        for held in self.node.holdings():
            assert held.size == sum(piece.size for piece in records.pieces(held))


def live(rig: Rig, attempt: Callable[[Callable[[], object]], None]) -> None:
    """All that clients do with drafts; each request anew with the node of the moment."""
    one, two = bytes(16), bytes([1] * 16)
    pieces = b"short", b"manifest"
    attempt(lambda: rig.sender(one).put(pieces[0]))
    attempt(lambda: rig.sender(one).put(pieces[1], first=1))
    attempt(lambda: rig.sender(two).keep(0, pieces[0]))
    attempt(lambda: rig.sender(two).put(b"other manifest", first=1))
    attempt(lambda: rig.sender(two).acknowledge(rig.sender(two).claim(pieces[0], b"other manifest")))
    attempt(lambda: rig.sender(one).abandon())


@pytest.mark.parametrize("kill", [False, True], ids=["fails", "dies"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_every_step_may_fail_once(world: World, *, after: bool, kill: bool) -> None:
    """Whatever fails, the client is told, or need not know; asking again brings it to the same end."""
    for step in STEPS:
        for nth in range(9):
            rig = Rig(world)
            rig.fail_at(step, nth, after=after, kill=kill)

            def attempt(ask: Callable[[], object], rig: Rig = rig) -> None:
                failed = False
                try:
                    ask()
                except (Killed, StorageError):
                    failed = True
                if rig.store.nth < 0:  # it has happened, whether the client was told or not
                    rig.recover()
                    rig.check()
                if failed:
                    with suppress(InputError):  # it was done after all
                        ask()

            live(rig, attempt)
            happened = not rig.store.step
            rig.recover()
            rig.check()
            (kept,) = rig.node.holdings()
            assert (kept.stage, kept.size) == (Stage.ACKNOWLEDGED, 19), (step, nth)
            rig.node.close()
            if not happened:
                break  # it does not come so often


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_lives(world: World, data: st.DataObject) -> None:
    """Random requests with random faults: after each recovery, store and records agree."""
    rig = Rig(world)
    contents = [b"a", b"bb", b"ccc", b"dddd"]
    for _ in range(data.draw(st.integers(1, 12))):
        sender = rig.sender(
            bytes([data.draw(st.integers(0, 2))] * 16), bytes([data.draw(st.integers(0, 1))] * 32)
        )
        piece, position = data.draw(st.sampled_from(contents)), data.draw(st.integers(0, 2))
        asks: dict[str, Callable[[], object]] = {
            "put": lambda s=sender, p=piece, n=position: s.put(p, first=n),
            "keep": lambda s=sender, p=piece, n=position: s.keep(n, p),
            "acknowledge": lambda s=sender, p=piece: s.acknowledge(s.claim(p)),
            "abandon": lambda s=sender: s.abandon(),
            "sweep": lambda: rig.node.sweep(),
            "restart": lambda: rig.restart(),
            "time": lambda: world.chain.advance(400),
        }
        ask = asks[data.draw(st.sampled_from([*asks, "put", "put", "put"]))]
        if data.draw(st.booleans()):
            step, nth = data.draw(st.sampled_from(STEPS)), data.draw(st.integers(0, 2))
            rig.fail_at(step, nth, after=data.draw(st.booleans()), kill=data.draw(st.booleans()))
        with suppress(DtxethError, Killed):
            ask()
        rig.recover()
        rig.check()
    rig.node.close()


def test_records_on_a_full_disk(world: World) -> None:
    rig = Rig(world)
    database = rig.node._records.database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    rig.sender(bytes(16)).put(b"first")
    database.execute(f"PRAGMA max_page_count = {pages}")
    refused = []
    for number in range(60):
        try:
            rig.sender(number.to_bytes(16, "big"), secrets.token_bytes(32)).put(secrets.token_bytes(900))
        except StorageError as error:
            refused.append(str(error))
    assert "full" in refused[-1]
    database.execute("PRAGMA max_page_count = 1000000")
    rig.node.sweep()
    rig.check()
    rig.sender(bytes(16)).put(b"second", first=1)
    rig.restart()
    rig.check()
    rig.node.close()


def test_a_full_disk_leaves_room_for_the_records(world: World) -> None:
    directory = world.directory / "full"
    node = world.node(world.accounts[7], directory, EmbeddedBlockStore(directory, reserve=1 << 62))
    sender = Sender(world, node, world.owner)
    with pytest.raises(StorageError, match="No space left"):
        sender.put(b"piece")
    assert (node.status().used, node.holdings()) == (0, [])
    node.close()


def test_collects_what_a_dead_process_left(world: World) -> None:
    """Also after a failure of the machine that took the records' last words: pinned blocks that they do not know."""
    rig = Rig(world)
    rig.sender(bytes(16)).put(b"kept")
    rig.store.block_put(b"forgotten", pin=True)
    rig.store.block_put(b"not even pinned")
    rig.restart()
    rig.check()
    assert rig.store.pin_ls() == {cid_of(b"kept")}
    rig.node.close()
    (rig.directory / "records.sqlite").unlink()
    rig.start()
    assert rig.store.pin_ls() == {cid_of(b"kept")}  # the wrong records: nothing goes
    rig.node.close()


def test_what_may_not_have_reached_the_disk_is_written_anew_before_it_is_signed_for(world: World) -> None:
    """A system tells once of a failed write: syncing again would succeed without the bytes."""
    rig = Rig(world)
    sender, claim = rig.sender(bytes(16)), rig.sender(bytes(16)).claim(b"piece", b"manifest")
    sender.put(b"piece", b"manifest")
    rig.fail_at("sync", 0, after=False, kill=False)
    with pytest.raises(StorageError, match="disk is gone"):
        sender.acknowledge(claim)
    written = rig.store.written = []
    sender.acknowledge(claim)
    assert sorted(written) == sorted([cid_of(b"piece"), cid_of(b"manifest")])
    sender.acknowledge(claim)
    assert len(written) == 2  # it is signed for: durable

    other = rig.sender(bytes([1] * 16))
    other.put(b"another", b"manifest")
    rig.restart()
    path = rig.store._path(cid_of(b"another"))
    path.write_bytes(b"")  # as a failure of the machine leaves it
    with pytest.raises(IntegrityError, match="altered"):
        rig.sender(bytes([1] * 16)).acknowledge(other.claim(b"another", b"manifest"))
    path.write_bytes(b"another")
    written = rig.store.written = []
    rig.sender(bytes([1] * 16)).acknowledge(other.claim(b"another", b"manifest"))
    assert written == [cid_of(b"another")]
    rig.node.close()


def test_survives_a_restart(world: World) -> None:
    node = world.real[0]
    sender = Sender(world, node, world.owner)
    sender.publish(secrets.token_bytes(5000), b"manifest")
    staged = Sender(world, node, world.owner)
    staged.put(b"staged")
    node.close()
    again = world.node(world.accounts[2], world.directory / "0")
    world.real[0] = sender.node = staged.node = again
    assert sender.manifest(sha256(b"manifest")) == b"manifest"
    staged.put(b"manifest", first=1)
    assert again.status().used == 5000 + 8 + 6
    assert sorted(sender.stages()) == [Stage.STAGED, Stage.LIVE]
