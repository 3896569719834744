"""Links: three SPU processes connected by mutual TLS, under keys that exist for one task.

Each party makes a key and a self-signed certificate for the task and tells the others, over the task's channel,
which is authenticated already, its certificate and where its SPU listens. SPU then accepts and opens connections
only under these certificates. SPU does not check which of the two peers' certificates a connection shows, so a
peer could pass itself off as the other; the protocol is for parties that do not (see docs/protocols/dnn.md).
"""

from __future__ import annotations

import datetime
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import Field

from dtxeth.errors import ConfigError, PeerError, TaskError
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

LIFETIME: Final = datetime.timedelta(days=7)
RECEIVE_TIMEOUT: Final = 60.0
"""Seconds that SPU waits for one message of a peer."""
CONNECT_ATTEMPTS: Final = 20
"""How often SPU tries to reach a peer: for 10 seconds if nobody listens there, for 60 if TLS fails."""


@dataclass(frozen=True)
class Endpoint:
    """Where this party's SPU process listens.

    Attributes:
        listen: Address to listen at.
        port: Port to listen at; 0: any free one.
        host: Name or address under which the peers reach it; ``None``: ``listen``.
    """

    listen: str = "127.0.0.1"
    port: int = 0
    host: str | None = None


LOOPBACK: Final = Endpoint()


class Address(Message):
    """Where a party's SPU listens, and the certificate that it shows there."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$")]
    port: Annotated[int, Field(ge=1024, le=65535)]
    certificate: Annotated[bytes, Field(max_length=4096)]


@contextmanager
def linked(channel: Channel, parties: tuple[str, ...], endpoint: Endpoint) -> Iterator[Any]:
    """Connect this party's SPU with those of its peers, for as long as the context lasts.

    Args:
        channel: The task's channel.
        parties: All parties, in the order of their ranks.
        endpoint: Where to listen.

    Yields:
        SPU's link context.

    Raises:
        ConfigError: This machine does not let SPU listen there.
        PeerError: A peer was silent, gave up, or sent something malformed.
        TaskError: The peers could not be connected.
    """
    from spu import libspu

    rank = parties.index(channel.name)
    with tempfile.TemporaryDirectory(prefix="dtxeth-mpc-") as folder:
        key, certificate = _make_certificate()
        port = endpoint.port or _free_port(endpoint.listen)
        mine = Address(
            host=endpoint.host or endpoint.listen,
            port=port,
            certificate=certificate.public_bytes(Encoding.DER),
        )
        addresses = exchange_addresses(channel, mine)
        (Path(folder) / "own.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (Path(folder) / "own.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        trusted = [
            x509.load_der_x509_certificate(address.certificate).public_bytes(Encoding.PEM)
            for party, address in addresses.items()
            if party != channel.name
        ]
        (Path(folder) / "peers.crt").write_bytes(b"".join(trusted))

        description = libspu.link.Desc()
        description.enable_ssl = True
        for options in (description.server_ssl_opts, description.client_ssl_opts):
            options.cert.certificate_path = f"{folder}/own.crt"
            options.cert.private_key_path = f"{folder}/own.key"
            options.verify.ca_file_path = f"{folder}/peers.crt"
            options.verify.verify_depth = 1
        description.recv_timeout_ms = round(RECEIVE_TIMEOUT * 1000)
        description.connect_retry_interval_ms = 500
        description.connect_retry_times = CONNECT_ATTEMPTS
        for party in parties:
            address = addresses[party]
            host = endpoint.listen if party == channel.name else address.host
            description.add_party(
                party, f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
            )
        try:
            context = libspu.link.create_brpc(description, rank)
        except RuntimeError as error:
            raise TaskError(
                f"SPU at {endpoint.listen}:{port} could not be linked with its peers: {first_line(error)}"
            ) from None
        try:
            yield context
        finally:
            context.stop_link()


def exchange_addresses(channel: Channel, mine: Address) -> dict[str, Address]:
    """Exchange addresses and certificates with all peers.

    Raises:
        PeerError: A peer was silent, gave up, or sent something malformed or somebody else's.
    """
    for peer in channel.peers:
        send(channel, peer, "address", mine)
    addresses = {channel.name: mine}
    for peer in channel.peers:
        theirs = receive(channel, peer, "address", Address)
        try:
            key = x509.load_der_x509_certificate(theirs.certificate).public_key()
        except ValueError:
            key = None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise PeerError(peer, "sent something that is no certificate of an elliptic-curve key")
        if any(theirs.certificate == other.certificate for other in addresses.values()):
            raise PeerError(peer, "sent another party's certificate as its own")
        addresses[peer] = theirs
    return addresses


def first_line(error: BaseException) -> str:
    """Return what SPU says went wrong, without its stack trace."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _make_certificate() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    # a name of its own: OpenSSL finds trusted certificates by name
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dtxeth mpc {secrets.token_hex(16)}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        # a leaf that is its own anchor: it can vouch for nobody else
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _free_port(host: str) -> int:
    try:
        family = socket.getaddrinfo(host, None)[0][0]
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise ConfigError(
            f"SPU cannot listen at {host} ({error.strerror}): give an address of this machine"
        ) from None
