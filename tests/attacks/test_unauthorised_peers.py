"""Peers that have no business in a session: refused, logged, and without effect on those who have.

A naive server would let in whoever holds any certificate that it trusts, believe the name that a caller gives, and
read whatever it is sent. Each attack here is made with gRPC itself, by a client that keeps to no rule of ours.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import msgpack
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from dtxeth.errors import CryptoError, PeerError
from dtxeth.transport import Channel, Identity, Peer, rpc
from dtxeth.transport import session as session_module
from dtxeth.transport.identity import TLS_NAME, check_shape, fetch_certificate, host_and_port
from dtxeth.transport.session import PACKET
from tests.transport.doors import SESSION, Doors

NONCE = b"n" * 16
OTHER_SESSION = b"session of another task" + bytes(9)
LAWLESS = b"session without rules" + bytes(11)
STATUS = grpc.StatusCode


@pytest.fixture
def doors() -> Iterator[Doors]:
    """Alice and Bob have a session; Mallory has one with Alice, in another task."""
    with Doors("alice", "bob", "mallory") as doors:
        yield doors


@pytest.fixture
def talk(doors: Doors) -> Iterator[tuple[Channel, Channel]]:
    """The session of Alice and Bob, which goes on when everything is over."""
    parties = ["alice", "bob"]
    a, b = (doors[name].open(SESSION, name, doors.peers_of(name, parties), timeout=20.0) for name in parties)
    others = ["alice", "mallory"]
    for name in others:
        doors[name].open(OTHER_SESSION, name, doors.peers_of(name, others), timeout=20.0).send(
            "mallory" if name == "alice" else "alice", "hello", b""
        )
    a.send("bob", "before", b"1")
    assert b.recv("alice", "before") == b"1"
    eventually_known(doors, "mallory")
    yield a, b
    a.send("bob", "after", b"2")
    b.send("alice", "after", b"3")
    assert b.recv("alice", "after") == b"2"
    assert a.recv("bob", "after") == b"3"


def eventually_known(doors: Doors, name: str, session: bytes = OTHER_SESSION) -> None:
    """Wait until Alice's TLS would let ``name`` in."""
    entry = doors["alice"]._entries[session]
    end = time.monotonic() + 20
    while name not in entry.certificates:
        assert time.monotonic() < end
        time.sleep(0.01)


def about(session: bytes, name: str, epoch: int = 1, nonce: bytes = NONCE) -> bytes:
    return bytes(msgpack.packb([session, name, epoch, nonce]))


def attack(
    doors: Doors, identity: Identity, said: bytes, packets: Iterable[bytes] = ()
) -> tuple[grpc.StatusCode, list[bytes]]:
    """Call Alice with any certificate, any introduction and any packets; returns how it ended and what came back."""
    host, port = host_and_port(doors["alice"].endpoint)
    credentials = grpc.ssl_channel_credentials(
        doors.identities["alice"].certificate, identity.key, identity.certificate
    )
    options = [("grpc.ssl_target_name_override", TLS_NAME), ("grpc.max_send_message_length", -1)]
    answers = []
    with grpc.secure_channel(f"{host}:{port}", credentials, options) as channel:
        call = channel.stream_stream("/dtxeth.Session/Carry")(
            iter(packets), metadata=(("about-bin", said),), timeout=20
        )
        try:
            answers.extend(call)
        except grpc.RpcError as error:
            return error.code(), answers
    return STATUS.OK, answers


def reasons(logs: list[Any]) -> list[str]:
    return [entry["reason"] for entry in logs if entry["log_level"] == "warning"]


def test_the_attack_is_honest_work_for_who_is_admitted(doors: Doors) -> None:
    """The control: the same client, with Bob's certificate and session, before Bob comes."""
    parties = ["alice", "bob"]
    alice = doors["alice"].open(SESSION, "alice", doors.peers_of("alice", parties))
    doors["bob"].open(OTHER_SESSION, "bob", doors.peers_of("bob", parties))
    frame = msgpack.packb([0, "hello", b"!"])
    eventually_known(doors, "bob", SESSION)
    status, answers = attack(
        doors, doors.identities["bob"], about(SESSION, "bob"), [bytes(8) + b"\1" + frame]
    )
    assert (status, answers[1]) == (STATUS.OK, (1).to_bytes(8))
    assert alice.recv("bob", "hello") == b"!"


def test_a_wrong_certificate(
    doors: Doors, talk: tuple[Channel, Channel], capfd: pytest.CaptureFixture[str]
) -> None:
    status, answers = attack(doors, Identity.create(), about(SESSION, "bob"))
    assert (status, answers) == (STATUS.UNAVAILABLE, [])
    assert "CERTIFICATE_VERIFY_FAILED" in capfd.readouterr().err  # gRPC's own log


def test_a_right_certificate_for_another_task(doors: Doors, talk: tuple[Channel, Channel]) -> None:
    with capture_logs() as logs:
        for name in ("mallory", "bob", "alice", ""):
            status, answers = attack(doors, doors.identities["mallory"], about(SESSION, name))
            assert (status, answers) == (STATUS.PERMISSION_DENIED, [])
    assert reasons(logs) == ["not a party of an open session"] * 4


def test_a_replaced_certificate(doors: Doors, talk: tuple[Channel, Channel]) -> None:
    """Who stole a key is locked out as soon as the chain names another."""
    stolen, fresh = doors.identities["bob"], Identity.create()
    doors.published["bob"] = Peer(doors["bob"].endpoint, fresh.fingerprint)
    doors["bob"].rotate(fresh)
    status, _ = attack(doors, stolen, about(SESSION, "bob"))
    assert status in (STATUS.PERMISSION_DENIED, STATUS.UNAVAILABLE)  # by us, or by TLS already


@pytest.mark.parametrize("said", [b"", b"\xc1", msgpack.packb([SESSION, "bob"]), about(SESSION, "bob", 0)])
def test_an_introduction_that_makes_no_sense(
    doors: Doors, talk: tuple[Channel, Channel], said: bytes
) -> None:
    assert attack(doors, doors.identities["mallory"], said)[0] is STATUS.INVALID_ARGUMENT


def test_a_replayed_session(doors: Doors, talk: tuple[Channel, Channel]) -> None:
    """What Mallory said in a session opens nothing once the session is over, or in a later epoch of it."""
    said = about(OTHER_SESSION, "mallory")
    doors["alice"]._entries[OTHER_SESSION].session.leave("mallory", 2)
    doors["alice"].open(OTHER_SESSION, "alice", doors.peers_of("alice", ["alice", "mallory"]))
    eventually_known(doors, "mallory")
    assert attack(doors, doors.identities["mallory"], said)[0] is STATUS.ABORTED
    doors["alice"].forget(OTHER_SESSION)
    assert attack(doors, doors.identities["mallory"], said)[0] in (
        STATUS.PERMISSION_DENIED,
        STATUS.UNAVAILABLE,
    )


def mallory_alone(doors: Doors) -> Channel:
    """Alice's end of a session with Mallory, who keeps to no rule in it."""
    peers = doors.peers_of("alice", ["alice", "mallory"])
    channel = doors["alice"].open(LAWLESS, "alice", peers, timeout=20.0)
    eventually_known(doors, "mallory", LAWLESS)
    return channel


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([bytes(8) + b"\0" + bytes(PACKET)] * 2 + [bytes(7) + b"\1\0" + bytes(1)], "a frame of more than"),
        ([bytes(7) + b"\7\1"], "skipped to packet 7 where number 0 was due"),
        ([b"?"], "malformed packet of 1 bytes"),
    ],
)
def test_messages_that_break_the_rules(
    doors: Doors,
    talk: tuple[Channel, Channel],
    monkeypatch: pytest.MonkeyPatch,
    packets: list[bytes],
    reason: str,
) -> None:
    monkeypatch.setattr(session_module, "MAX_FRAME", PACKET)
    alice = mallory_alone(doors)
    with capture_logs() as logs:
        status, _ = attack(doors, doors.identities["mallory"], about(LAWLESS, "mallory"), packets)
    assert status is STATUS.CANCELLED
    assert any(reason in said for said in reasons(logs))
    with pytest.raises(PeerError, match=f"peer mallory: .*{reason}"):
        alice.recv("mallory", "x")


def test_an_oversized_message(doors: Doors, talk: tuple[Channel, Channel]) -> None:
    """gRPC itself refuses what is longer than a packet, before it is read."""
    alice = mallory_alone(doors)
    status, answers = attack(
        doors, doors.identities["mallory"], about(LAWLESS, "mallory"), [bytes(3 * PACKET)]
    )
    assert status in (STATUS.RESOURCE_EXHAUSTED, STATUS.CANCELLED)
    assert len(answers) <= 1
    assert not doors["alice"]._entries[LAWLESS].session.over
    alice.send("mallory", "still here", b"")


def test_a_slow_loris(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that never finish their handshake are cut off, and meanwhile keep nobody out."""
    monkeypatch.setattr(rpc, "_SERVER_OPTIONS", (*rpc._OPTIONS, ("grpc.server_handshake_timeout_ms", 1500)))
    with Doors("alice", "bob") as doors:
        address = host_and_port(doors["alice"].endpoint)
        idle = [socket.create_connection(address, 20) for _ in range(40)]
        for client in idle[::2]:
            client.sendall(b"\x16\x03\x01")  # the first bytes of a handshake
        alice, bob = doors.open("alice"), doors.open("bob")
        bob.send("alice", "through", b"!")
        assert alice.recv("bob", "through") == b"!"
        for client in idle:
            with client, contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""  # closed by Alice, within the socket's timeout


def test_streams_that_say_nothing_take_the_place_of_each_other(
    doors: Doors, talk: tuple[Channel, Channel]
) -> None:
    """A party has one stream in a session: opening a hundred ends ninety-nine, and holds no more threads."""
    mallory_alone(doors)
    host, port = host_and_port(doors["alice"].endpoint)
    identity = doors.identities["mallory"]
    credentials = grpc.ssl_channel_credentials(
        doors.identities["alice"].certificate, identity.key, identity.certificate
    )
    with grpc.secure_channel(
        f"{host}:{port}", credentials, [("grpc.ssl_target_name_override", TLS_NAME)]
    ) as channel:
        begin = channel.stream_stream("/dtxeth.Session/Carry")

        def silent() -> Iterator[bytes]:
            time.sleep(20)
            yield b""

        said = (("about-bin", about(LAWLESS, "mallory")),)
        calls = []
        for _ in range(10):
            calls.append(begin(silent(), metadata=said))
            next(calls[-1])
        for call in calls[:-1]:
            assert call.code() is STATUS.CANCELLED
        assert calls[-1].is_active()


def test_older_tls_is_refused(doors: Doors) -> None:
    certificate = doors.identities["bob"].certificate
    for version, refused in ((b"TLSv1.2", True), (b"TLSv1.3", False)):
        context = SimpleNamespace(
            auth_context=lambda version=version: {
                "ssl_tls_version": [version],
                "x509_pem_cert": [certificate],
            },
            invocation_metadata=lambda: (("about-bin", about(SESSION, "bob")),),
        )
        with pytest.raises(rpc._Refusal, match="only TLS 1.3" if refused else "not a party"):
            doors["alice"]._admit(context)


def forged(subject: str | None = None, ca: bool = False) -> bytes:
    """A certificate of another shape than ours, DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or "forged")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_certificate_with_the_subject_of_another(doors: Doors) -> None:
    """Trusted beside Bob's, it would hide his: TLS finds certificates by their subject."""
    ours = ssl.PEM_cert_to_DER_cert(doors.identities["bob"].certificate.decode())
    check_shape(ours)
    subject = x509.load_der_x509_certificate(ours).subject.rfc4514_string().removeprefix("CN=")
    for other in (forged(subject), forged(), b"no certificate"):
        with pytest.raises(CryptoError):
            check_shape(other)


def test_a_server_with_another_certificate(doors: Doors) -> None:
    with pytest.raises(CryptoError, match="shows a certificate other than the one on the chain"):
        fetch_certificate(Peer(doors["alice"].endpoint, doors["bob"].fingerprint), 5)
