"""1-of-2 oblivious transfer: the receiver gets one of two messages, the sender does not learn which.

One message each way, on ristretto255, secure against parties that do not keep to it, in the random oracle
model: the *endemic* transfer of Masny and Rindal ("Endemic Oblivious Transfer", ACM CCS 2019, figure 8), whose
keys then encrypt the sender's own messages::

    receiver = Receiver(choice=1, context)                 # → receiver.request
    reply = send(receiver.request, (message0, message1), context)
    receiver.open(reply)                                   # message1

With R₀, R₁ on the wire, the sender's points are Pᵢ = Rᵢ + H(i, R₁₋ᵢ). The receiver knows the logarithm of the
one it chose; H being a random oracle, it cannot know both.
"""

from __future__ import annotations

import hashlib

import rbcl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dtxeth.crypto.psi import POINT_BYTES, parse_points
from dtxeth.errors import CryptoError

REQUEST_BYTES = 2 * POINT_BYTES
_TAG_BYTES = 16
_NONCE = bytes(12)  # every key encrypts one message


class Receiver:
    """Who chooses.

    Args:
        choice: 0 or 1: which message to get.
        context: Names the transfer; both sides give the same, and never twice.

    Attributes:
        request: 64 bytes for the sender; its distribution does not depend on the choice.

    Raises:
        CryptoError: Another choice.
    """

    def __init__(self, choice: int, context: bytes) -> None:
        if choice not in (0, 1):
            raise CryptoError(f"choice {choice!r} in a 1-of-2 transfer: expected 0 or 1")
        self._choice, self._context = choice, context
        self._scalar = rbcl.crypto_core_ristretto255_scalar_random()
        other = rbcl.crypto_core_ristretto255_random()
        chosen = rbcl.crypto_core_ristretto255_sub(
            rbcl.crypto_scalarmult_ristretto255_base(self._scalar), _oracle(context, choice, other)
        )
        self.request: bytes = chosen + other if choice == 0 else other + chosen

    def open(self, reply: bytes) -> bytes:
        """Get the chosen message out of the sender's reply.

        Raises:
            CryptoError: The reply is malformed, altered, or of another transfer.
        """
        sealed = len(reply) - POINT_BYTES
        if sealed < 2 * _TAG_BYTES or sealed % 2:
            raise CryptoError(
                f"a transfer's reply of {len(reply)} bytes: expected a point and two equal ciphertexts"
            )
        (point,) = parse_points(reply[:POINT_BYTES], 1)
        half = sealed // 2
        start = POINT_BYTES + self._choice * half
        secret = rbcl.crypto_scalarmult_ristretto255(self._scalar, point)
        key = _key(self._context, self._choice, self.request, point, secret)
        try:
            return ChaCha20Poly1305(key).decrypt(_NONCE, reply[start : start + half], None)
        except InvalidTag:
            raise CryptoError("a transfer's reply does not open: altered, or of another transfer") from None


def send(request: bytes, messages: tuple[bytes, bytes], context: bytes) -> bytes:
    """Answer a receiver's request.

    Args:
        request: What the receiver sent.
        messages: The two messages, of one length (lengths would tell them apart).
        context: As the receiver has it.

    Returns:
        A point and both messages, each encrypted so that the receiver opens the one that it chose.

    Raises:
        CryptoError: The request is not two points, or the messages differ in length.
    """
    if len(messages[0]) != len(messages[1]):
        raise CryptoError(
            f"messages of {len(messages[0])} and {len(messages[1])} bytes: pad them to one length"
        )
    wire = parse_points(request, 2)
    scalar = rbcl.crypto_core_ristretto255_scalar_random()
    point = rbcl.crypto_scalarmult_ristretto255_base(scalar)
    sealed = []
    for i, message in enumerate(messages):
        theirs = rbcl.crypto_core_ristretto255_add(wire[i], _oracle(context, i, wire[1 - i]))
        if not any(theirs):
            raise CryptoError(
                "a transfer's request hides the identity: the receiver does not keep to the protocol"
            )
        secret = rbcl.crypto_scalarmult_ristretto255(scalar, theirs)
        key = _key(context, i, request, point, secret)
        sealed.append(ChaCha20Poly1305(key).encrypt(_NONCE, message, None))
    return bytes(point + sealed[0] + sealed[1])


def _oracle(context: bytes, position: int, point: bytes) -> bytes:
    """Hash a point of the wire to another point."""
    digest = hashlib.sha512(
        b"dtxeth-transfer-point" + hashlib.sha256(context).digest() + bytes([position]) + point
    )
    return bytes(rbcl.crypto_core_ristretto255_from_hash(digest.digest()))


def _key(context: bytes, position: int, request: bytes, point: bytes, secret: bytes) -> bytes:
    parts = (hashlib.sha256(context).digest(), bytes([position]), request, point, secret)
    return hashlib.sha256(b"dtxeth-transfer-key" + b"".join(parts)).digest()
