"""gRPC doors: what travels, and what happens to it when streams break, certificates change and processes die."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dtxeth.errors import ConfigError, InputError, PeerError, PeerRestarted, TaskError
from dtxeth.transport import Channel, Identity, Peer
from dtxeth.transport.rpc import GrpcTransport
from dtxeth.transport.session import PACKET
from tests.transport.doors import SESSION, Doors


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors("a", "b") as doors:
        yield doors


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_messages_of_all_sizes_arrive_in_order_both_ways(doors: Doors) -> None:
    a, b = doors.open("a"), doors.open("b")
    payloads = [b"", b"x", bytes(PACKET), b"y" * (3 * PACKET + 1)]
    for payload in payloads:
        a.send("b", "there", payload)
        b.send("a", "back", payload[::-1])
    for payload in payloads:
        assert b.recv("a", "there") == payload
        assert a.recv("b", "back") == payload[::-1]


def test_sessions_do_not_mix(doors: Doors) -> None:
    other = bytes(32)
    channels = {session: (doors.open("a", session), doors.open("b", session)) for session in (SESSION, other)}
    for session, (a, _) in channels.items():
        a.send("b", "id", session)
    for session, (_, b) in channels.items():
        assert b.recv("a", "id") == session


def test_broken_streams_are_not_noticed(doors: Doors) -> None:
    a, b = doors.open("a"), doors.open("b")

    def talk(me: Channel, peer: str) -> list[bytes]:
        heard = []
        for number in range(60):
            me.send(peer, "number", number.to_bytes(2) * 9000)
            heard.append(me.recv(peer, "number")[:2])
            if number % 15 == 7:
                doors[me.name].rotate(doors.identities[me.name])
        return heard

    with ThreadPoolExecutor(2) as pool:
        heard = [pool.submit(talk, a, "b"), pool.submit(talk, b, "a")]
        assert all(future.result() == [number.to_bytes(2) for number in range(60)] for future in heard)


def test_a_certificate_is_replaced_in_mid_session(doors: Doors) -> None:
    a, b = doors.open("a"), doors.open("b")
    a.send("b", "old", b"1")
    assert b.recv("a", "old") == b"1"
    fresh = Identity.create()
    doors.published["a"] = Peer(doors["a"].endpoint, fresh.fingerprint)
    doors["a"].rotate(fresh)
    a.send("b", "new", b"2")
    b.send("a", "new", b"3")
    assert b.recv("a", "new") == b"2"
    assert a.recv("b", "new") == b"3"
    assert doors["a"].fingerprint == fresh.fingerprint


def test_what_was_said_before_closing_still_arrives(doors: Doors) -> None:
    a = doors.open("a")
    a.send("b", "last words", b"!")
    a.close()
    b = doors.open("b")
    assert b.recv("a", "last words") == b"!"
    eventually(lambda: not doors["a"]._entries[SESSION].session.owes)


def test_giving_up_reaches_the_peer(doors: Doors) -> None:
    doors.open("a").abort("DataError")
    with pytest.raises(PeerError, match="peer a: gave up: DataError"):
        doors.open("b").recv("a", "hello")


def test_a_silent_peer_is_named(doors: Doors) -> None:
    a = doors.open("a", timeout=0.05)
    with pytest.raises(PeerError, match=r"peer b: sent no 'x' within 0.05 s"):
        a.recv("b", "x")


def test_a_peer_that_restarts_is_met_in_the_next_epoch(doors: Doors) -> None:
    a, b = doors.open("a"), doors.open("b")
    b.send("a", "first", b"")
    a.recv("b", "first")
    assert not doors["a"].wanted(SESSION)
    doors.kill("b")
    doors.revive("b")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(a.recv, "b", "second")
        b = doors.open("b")
        with pytest.raises(PeerRestarted, match="peer b: began the session anew"):
            waiting.result()
    assert doors["a"].wanted(SESSION)
    with pytest.raises(PeerRestarted):
        a.send("b", "more", b"")
    a.abort("PeerRestarted")  # nobody must hear this
    a = doors.open("a")
    a.send("b", "again", b"1")
    with pytest.raises(PeerRestarted):  # b follows to the epoch of a
        b.recv("a", "again")
    b = doors.open("b")
    assert b.recv("a", "again") == b"1"


def run_to_the_end(doors: Doors, name: str, rounds: int, progress: list[str]) -> int:
    """A party that begins again whenever a peer did; returns how often."""
    for attempt in range(20):
        channel = doors.open(name)
        try:
            for number in range(rounds):
                progress.append(name)
                for peer in channel.peers:
                    channel.send(peer, str(number), name.encode())
                for peer in channel.peers:
                    assert channel.recv(peer, str(number)) == peer.encode()
            channel.close()
            return attempt
        except PeerRestarted:
            channel.abort("PeerRestarted")
        except TaskError:
            return -1  # this one was killed
    raise AssertionError("no end of restarts")


def test_three_parties_settle_after_a_crash() -> None:
    progress: list[str] = []
    with Doors("a", "b", "c") as doors, ThreadPoolExecutor(4) as pool:
        runs = {name: pool.submit(run_to_the_end, doors, name, 200, progress) for name in doors.doors}
        eventually(lambda: progress.count("b") > 20)
        doors.kill("b")
        assert runs["b"].result() == -1
        doors.revive("b")
        again = pool.submit(run_to_the_end, doors, "b", 5, progress)
        runs["a"].cancel()
        assert again.result() in (0, 1)
        doors["a"].forget(SESSION)
        doors["c"].forget(SESSION)
        assert {runs["a"].result(), runs["c"].result()} == {-1}


def test_one_that_stands_by_is_woken_only_by_who_needs_it(doors: Doors) -> None:
    doors["a"].stand_by(SESSION, "a", doors.peers_of("a"))
    doors["b"].stand_by(SESSION, "b", doors.peers_of("b"))
    assert not doors["a"].wanted(SESSION)
    b = doors.open("b")
    b.send("a", "help", b"?")
    eventually(lambda: doors["a"].wanted(SESSION))
    assert doors.open("a").recv("b", "help") == b"?"


def test_a_finished_session_is_woken_by_a_peer_that_restarted(doors: Doors) -> None:
    a, b = doors.open("a"), doors.open("b")
    a.send("b", "result", b"1")
    assert b.recv("a", "result") == b"1"
    a.close()
    doors.kill("b")
    doors.revive("b")
    b = doors.open("b")
    eventually(lambda: doors["a"].wanted(SESSION))
    doors.open("a").send("b", "result", b"1")
    with pytest.raises(PeerRestarted):
        b.recv("a", "result")
    assert doors.open("b").recv("a", "result") == b"1"


def test_forgetting_ends_who_waits(doors: Doors) -> None:
    a = doors.open("a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(a.recv, "b", "x")
        doors["a"].forget(SESSION)
        with pytest.raises(TaskError, match="the task has ended: see its status"):
            waiting.result()
    assert not doors["a"].wanted(SESSION)


def test_a_session_is_opened_once(doors: Doors) -> None:
    doors.open("a")
    with pytest.raises(InputError, match="is open already: close its channel first"):
        doors.open("a")
    with pytest.raises(InputError, match="a session's id has 32 bytes, got 3"):
        doors.open("a", b"abc")


def test_addresses_are_checked(doors: Doors) -> None:
    taken = doors["a"].endpoint.removeprefix("grpcs://")
    with pytest.raises(ConfigError, match=f"cannot listen at {taken}"):
        GrpcTransport(Identity.create(), taken)
    for listen in ("7100", "host", "host:70000", "host:-1"):
        with pytest.raises(ConfigError, match="should be host:port"):
            GrpcTransport(Identity.create(), listen)
    for endpoint in ("https://host:1", "grpcs://host", "host:1", "grpcs://host:99999", "grpcs://host:1/path"):
        with pytest.raises(InputError, match="no endpoint of an executor"):
            GrpcTransport(Identity.create(), endpoint=endpoint)
    with GrpcTransport(Identity.create(), endpoint="grpcs://far.example:7100") as door:
        assert door.endpoint == "grpcs://far.example:7100"


def test_closing_leaves_no_threads() -> None:
    before = set(threading.enumerate())
    with Doors("a", "b") as doors:
        a, b = doors.open("a"), doors.open("b")
        a.send("b", "x", b"")
        b.recv("a", "x")
    eventually(lambda: set(threading.enumerate()) <= before)
