"""TLS identities: a key and a certificate that nobody has signed but itself, known by its fingerprint on the chain.

There is no authority. A node's certificate is trusted because the chain names its SHA-256 fingerprint. The TLS
stack looks trusted certificates up by their subject, so two with one subject would stand in each other's way: the
subject is therefore the hash of the public key, and a certificate of any other shape is refused.
"""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dtxeth.errors import ConfigError, CryptoError, InputError

SCHEME: Final = "grpcs"
"""Scheme of an executor's endpoint: ``grpcs://host:port``."""

TLS_NAME: Final = "executor.dtxeth"
"""Name in every certificate: the fingerprint says who it is, not the host's name."""

_VALID: Final = datetime.timedelta(days=36500)  # the chain ends a certificate's life, by naming another
_CLOCK_SKEW: Final = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Peer:
    """Where a peer listens, and who it is.

    Attributes:
        endpoint: ``grpcs://host:port``.
        fingerprint: SHA-256 of its certificate (DER), 32 bytes.
    """

    endpoint: str
    fingerprint: bytes


@dataclass(frozen=True)
class Identity:
    """A node's TLS key with its certificate.

    Attributes:
        key: PEM of the private key (PKCS #8, P-256).
        certificate: PEM of the certificate.
    """

    key: bytes = field(repr=False)
    certificate: bytes

    @classmethod
    def create(cls) -> Self:
        """A new key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject_of(key.public_key())
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _VALID)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            certificate.public_bytes(serialization.Encoding.PEM),
        )

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate (DER): what stands on the chain."""
        return fingerprint_of(self.certificate)

    def to_bytes(self) -> bytes:
        """Key and certificate as one PEM text; keep it secret."""
        return self.key + self.certificate

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            CryptoError: It is not a key with its certificate.
        """
        try:
            key = serialization.load_pem_private_key(data, None)
            certificate = x509.load_pem_x509_certificate(data)
        except ValueError:
            raise CryptoError(
                "not a TLS identity: make a new one and put its fingerprint on the chain"
            ) from None
        if key.public_key() != certificate.public_key():
            raise CryptoError("the TLS key is not the one of the certificate: make a new identity")
        start = data.index(b"-----BEGIN CERTIFICATE")
        return cls(data[:start], data[start:])


def fingerprint_of(certificate: bytes) -> bytes:
    """SHA-256 of a certificate given as PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode("ascii"))).digest()


def host_and_port(endpoint: str) -> tuple[str, int]:
    """Take ``grpcs://host:port`` apart.

    Raises:
        InputError: It is another kind of endpoint.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.scheme != SCHEME or parts.path not in ("", "/"):
        raise InputError(f"{endpoint!r} is no endpoint of an executor: it should be {SCHEME}://host:port")
    return host, port


def parse_listen(address: str) -> tuple[str, int]:
    """Take ``host:port`` apart, the address to listen at; port 0 stands for any free one.

    Raises:
        ConfigError: It is not of this form.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise ConfigError(f"listen address {address!r} should be host:port, such as 0.0.0.0:7100")
    return host, int(port)


def fetch_certificate(peer: Peer, timeout: float) -> bytes:
    """Ask a peer for the certificate whose fingerprint is known.

    Args:
        peer: The peer.
        timeout: Seconds that the TLS handshake may take.

    Returns:
        The certificate as PEM, of our shape and with the right fingerprint.

    Raises:
        OSError: Nothing answers there, or not in time.
        CryptoError: It shows another certificate, or one of another shape.
    """
    # Who answers is not verified here, and need not be: only a certificate with the fingerprint is let through,
    # and using it takes the key.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    address = host_and_port(peer.endpoint)
    with socket.create_connection(address, timeout) as plain, context.wrap_socket(plain) as secure:
        der = secure.getpeercert(binary_form=True) or b""
    if hashlib.sha256(der).digest() != peer.fingerprint:
        raise CryptoError(
            f"{peer.endpoint} shows a certificate other than the one on the chain, {peer.fingerprint.hex()[:16]}…"
        )
    check_shape(der)
    return ssl.DER_cert_to_PEM_cert(der).encode()


def check_shape(der: bytes) -> None:
    """Refuse a certificate that could stand in the way of another.

    Raises:
        CryptoError: It is not self-signed with the hash of its key as subject, or may sign others.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or certificate.subject != _subject_of(key):
            raise CryptoError(
                "the subject of the certificate is not the hash of its key: make it with dtxeth"
            )
        certificate.verify_directly_issued_by(certificate)
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise CryptoError(
            f"not a certificate of ours ({type(error).__name__}): make it with dtxeth"
        ) from None
    if limits.ca:
        raise CryptoError("the certificate may sign others: make it with dtxeth")


def _subject_of(key: ec.EllipticCurvePublicKey) -> x509.Name:
    point = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hashlib.sha256(point).hexdigest())])
