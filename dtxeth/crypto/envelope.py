"""Secrets wrapped for the holder of an X25519 key: HPKE in base mode.

The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305. A wrapped secret opens only in the
context that it was wrapped for (chain, contract, file, applier, task), which enters the key schedule as
``info``. Base mode does not say who wrapped it; that is for the transaction or the signature around it.

Source: RFC 9180.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from dtxeth.errors import CryptoError

KEY_BYTES = 32
OVERHEAD = 32 + 16

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def wrap(public_key: bytes, secret: bytes, context: bytes) -> bytes:
    """Encrypt ``secret`` so that only the holder of ``public_key`` opens it, and only in ``context``.

    Args:
        public_key: 32 bytes, X25519.
        secret: What to wrap.
        context: Any bytes; :func:`unwrap` needs the same.

    Returns:
        48 bytes more than ``secret`` has: ephemeral key, ciphertext, tag.

    Raises:
        CryptoError: The key has another length, or is a point of small order.
    """
    try:
        return _SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(public_key), info=context)
    except ValueError:
        raise CryptoError(
            f"cannot wrap for the X25519 key {public_key.hex()}: not {KEY_BYTES} bytes, or of small order"
        ) from None


def unwrap(private_key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Open what :func:`wrap` made.

    Raises:
        CryptoError: Another key or context, or altered bytes; which of them, nobody can tell.
    """
    if len(private_key) != KEY_BYTES:
        raise CryptoError(f"an X25519 private key of {len(private_key)} bytes: expected {KEY_BYTES}")
    try:
        return _SUITE.decrypt(wrapped, X25519PrivateKey.from_private_bytes(private_key), info=context)
    except (InvalidTag, ValueError):
        raise CryptoError(
            f"a wrapped secret of {len(wrapped)} bytes does not open: for another key or context, or altered"
        ) from None
