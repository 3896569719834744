"""Links between SPU processes: only under the certificates that the parties exchanged."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from dtxeth.errors import ConfigError, PeerError, TaskError
from dtxeth.learning.mpc import link
from dtxeth.learning.mpc.engine import Engine
from dtxeth.transport import Channel, memory_channels
from tests.mpc.trio import PARTIES, run_all


def greet(channel: Channel, progress: object = None) -> list[str]:
    with link.linked(channel, PARTIES, link.LOOPBACK) as context:
        heard: list[str] = context.all_gather(channel.name)
        return heard


def knock(channel: Channel, progress: object = None) -> str:
    """As alice, open her door from outside without a certificate."""
    with link.linked(channel, PARTIES, link.LOOPBACK):
        outcome = ""
        if channel.name == "alice":
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            port = int(channel.recv("bob", "port"))
            try:
                with socket.create_connection(("127.0.0.1", port)) as raw, tls.wrap_socket(raw) as door:
                    door.settimeout(20)
                    door.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    outcome = door.recv(100).decode() or "closed"
            except OSError as error:
                outcome = type(error).__name__
            channel.send("bob", "done", b"")
        elif channel.name == "bob":
            listening = own_port()
            channel.send("alice", "port", str(listening).encode())
            channel.recv("alice", "done")
        return outcome


def own_port() -> int:
    """The port at which this process listens."""
    import psutil

    (port,) = {c.laddr.port for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN"}
    return int(port)


def distrust(channel: Channel, progress: object = None) -> str:
    """Link up, but carol makes a certificate that is not the one she sends."""
    link.CONNECT_ATTEMPTS = 1
    if channel.name == "carol":
        true = link.exchange_addresses

        def lie(channel: Channel, mine: link.Address) -> dict[str, link.Address]:
            _, other = link._make_certificate()
            shown = mine.model_copy(update={"certificate": other.public_bytes(Encoding.DER)})
            return true(channel, shown) | {channel.name: mine}

        link.exchange_addresses = lie
    try:
        return ",".join(greet(channel))
    except TaskError as error:
        return str(error)


def test_three_processes_are_linked() -> None:
    assert run_all(greet, {party: [] for party in PARTIES}) == {party: list(PARTIES) for party in PARTIES}


def test_nobody_enters_without_a_certificate() -> None:
    outcome = run_all(knock, {party: [] for party in PARTIES})["alice"]
    assert outcome in ("closed", "SSLError", "ConnectionResetError", "SSLEOFError", "BrokenPipeError")


def test_a_certificate_that_was_not_announced_is_refused() -> None:
    outcome = run_all(distrust, {party: [] for party in PARTIES})
    assert all("could not be linked" in said for said in outcome.values()), outcome


@pytest.mark.parametrize("certificate", [b"", b"\x30\x00", b"x" * 400])
def test_what_is_no_certificate_is_refused(certificate: bytes) -> None:
    _, own = link._make_certificate()
    channels = memory_channels(("alice", "bob"), timeout=10)
    address = link.Address(host="127.0.0.1", port=2000, certificate=own.public_bytes(Encoding.DER))
    bad = address.model_copy(update={"certificate": certificate})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(channels["bob"].send, "alice", "address", bad.to_bytes())
        with pytest.raises(PeerError, match="no certificate"):
            link.exchange_addresses(channels["alice"], address)


def test_our_own_certificate_from_a_peer_is_refused() -> None:
    _, own = link._make_certificate()
    channels = memory_channels(("alice", "bob"), timeout=10)
    address = link.Address(host="127.0.0.1", port=2000, certificate=own.public_bytes(Encoding.DER))
    channels["bob"].send("alice", "address", address.to_bytes())
    with pytest.raises(PeerError, match="another party's certificate"):
        link.exchange_addresses(channels["alice"], address)


def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        link._free_port("192.0.2.1")


def share_wrongly(channel: Channel, progress: object = None) -> str:
    """Alice's share for bob is a byte short."""
    import numpy as np

    with link.linked(channel, PARTIES, link.LOOPBACK) as context:
        engine = Engine(channel, PARTIES, context)
        if channel.name == "alice":
            channel.send("bob", "share x", __import__("msgpack").packb({"data": bytes(95)}))
            channel.send("carol", "share x", __import__("msgpack").packb({"data": bytes(96)}))
            return "sent"
        try:
            engine.share("x", "alice", (3, 1), None)
        except PeerError as error:
            return str(error)
        assert np.shape(engine.save(["x"])) == ()
        return "taken"


def test_a_share_of_another_size_is_refused() -> None:
    outcome = run_all(share_wrongly, {party: [] for party in PARTIES})
    assert outcome["carol"] == "taken"
    assert "a share of 95 bytes, 96 were due" in outcome["bob"]
