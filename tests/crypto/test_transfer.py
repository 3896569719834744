from __future__ import annotations

from collections.abc import Callable

import pytest
import rbcl
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.crypto import transfer
from dtxeth.crypto.transfer import REQUEST_BYTES, Receiver
from dtxeth.errors import CryptoError

MESSAGES = (b"the left one....", b"the right one...")


@given(st.sampled_from([0, 1]), st.integers(0, 100), st.binary(max_size=20))
def test_the_receiver_gets_what_it_chose(choice: int, size: int, context: bytes) -> None:
    messages = (b"l" * size, b"r" * size)
    receiver = Receiver(choice, context)
    assert receiver.open(transfer.send(receiver.request, messages, context)) == messages[choice]


@pytest.mark.parametrize("choice", [0, 1])
def test_the_other_message_stays_closed(choice: int) -> None:
    receiver = Receiver(choice, b"c")
    reply = transfer.send(receiver.request, MESSAGES, b"c")
    receiver._choice = 1 - choice  # a receiver that wants the other one after all
    with pytest.raises(CryptoError, match="does not open"):
        receiver.open(reply)


def test_the_request_does_not_tell_the_choice() -> None:
    """Both halves are points, of which either could be the chosen one; nothing repeats."""
    requests = [Receiver(choice, b"c").request for choice in (0, 1) for _ in range(50)]
    halves = [request[at : at + 32] for request in requests for at in (0, 32)]
    assert all(rbcl.crypto_core_ristretto255_is_valid_point(half) for half in halves)
    assert len(set(halves)) == len(halves)


def test_every_altered_byte_of_a_reply_is_noticed() -> None:
    receiver = Receiver(1, b"c")
    reply = transfer.send(receiver.request, MESSAGES, b"c")
    mine = len(reply) - (len(reply) - 32) // 2
    for position in (*range(32), *range(mine, len(reply))):
        altered = bytearray(reply)
        altered[position] ^= 1
        with pytest.raises(CryptoError):
            receiver.open(bytes(altered))


@pytest.mark.parametrize("context", [b"", b"d"])
def test_a_reply_belongs_to_its_context(context: bytes) -> None:
    receiver = Receiver(0, b"c")
    with pytest.raises(CryptoError):
        receiver.open(transfer.send(receiver.request, MESSAGES, context))


def test_a_reply_belongs_to_its_request() -> None:
    reply = transfer.send(Receiver(0, b"c").request, MESSAGES, b"c")
    with pytest.raises(CryptoError):
        Receiver(0, b"c").open(reply)


@pytest.mark.parametrize(
    "spoil",
    [lambda _: b"", lambda _: bytes(REQUEST_BYTES), lambda _: b"\xff" * REQUEST_BYTES,
     lambda request: request[:-1], lambda request: request[:32] * 2],
    ids=["nothing", "identities", "no points", "too short", "one point twice"],
)  # fmt: skip
def test_what_is_no_request_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CryptoError):
        transfer.send(spoil(Receiver(0, b"").request), MESSAGES, b"")


def test_a_request_for_the_identity_is_refused() -> None:
    """Rᵢ = −H(i, R₁₋ᵢ) makes the sender's point the identity, whose multiple everybody knows."""
    other = rbcl.crypto_core_ristretto255_random()
    identity = rbcl.crypto_core_ristretto255_sub(other, other)
    crafted = rbcl.crypto_core_ristretto255_sub(identity, transfer._oracle(b"", 0, other))
    with pytest.raises(CryptoError, match="identity"):
        transfer.send(crafted + other, MESSAGES, b"")


@pytest.mark.parametrize("reply", [b"", bytes(32), bytes(32 + 64), bytes(32 + 63)])
def test_what_is_no_reply_is_refused(reply: bytes) -> None:
    with pytest.raises(CryptoError):
        Receiver(0, b"").open(reply)


def test_messages_of_two_lengths_are_refused() -> None:
    with pytest.raises(CryptoError, match="one length"):
        transfer.send(Receiver(0, b"").request, (b"short", b"longer"), b"")


@pytest.mark.parametrize("choice", [2, -1])
def test_there_are_two_choices(choice: int) -> None:
    with pytest.raises(CryptoError, match="0 or 1"):
        Receiver(choice, b"")
