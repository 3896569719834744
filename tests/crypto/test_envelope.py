from __future__ import annotations

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from published import vectors

from dtxeth.crypto import envelope
from dtxeth.errors import CryptoError

PRIVATE = X25519PrivateKey.generate()
PRIVATE_BYTES = PRIVATE.private_bytes_raw()
PUBLIC_BYTES = PRIVATE.public_key().public_bytes_raw()


def test_the_suite_is_that_of_the_rfc() -> None:
    # The vector has associated data, which the public one-shot interface of cryptography does not take.
    vector = {
        name: bytes.fromhex(text) for name, text in vectors("rfc9180_a2_base").items() if name != "source"
    }
    key = X25519PrivateKey.from_private_bytes(vector["private_key"])
    opened = openssl.hpke._decrypt_with_aad(
        envelope._SUITE, vector["enc"] + vector["ciphertext"], key, vector["info"], vector["aad"]
    )
    assert opened == vector["plaintext"]


@given(secret=st.binary(max_size=200), context=st.binary(max_size=200))
def test_what_is_wrapped_opens_in_its_context_only(secret: bytes, context: bytes) -> None:
    wrapped = envelope.wrap(PUBLIC_BYTES, secret, context)
    assert len(wrapped) == len(secret) + envelope.OVERHEAD
    assert envelope.unwrap(PRIVATE_BYTES, wrapped, context) == secret
    with pytest.raises(CryptoError, match="does not open"):
        envelope.unwrap(PRIVATE_BYTES, wrapped, context + b"\0")


def test_every_wrapping_is_fresh() -> None:
    assert envelope.wrap(PUBLIC_BYTES, b"secret", b"") != envelope.wrap(PUBLIC_BYTES, b"secret", b"")


def test_another_key_does_not_open_it() -> None:
    other = X25519PrivateKey.generate().private_bytes_raw()
    with pytest.raises(CryptoError, match="a wrapped secret of 54 bytes does not open"):
        envelope.unwrap(other, envelope.wrap(PUBLIC_BYTES, b"secret", b""), b"")


@given(at=st.integers(0, 8 * (32 + 6 + 16) - 1))
def test_no_bit_can_be_altered(at: int) -> None:
    wrapped = bytearray(envelope.wrap(PUBLIC_BYTES, b"secret", b"context"))
    wrapped[at // 8] ^= 1 << at % 8
    with pytest.raises(CryptoError, match="does not open"):
        envelope.unwrap(PRIVATE_BYTES, bytes(wrapped), b"context")


@pytest.mark.parametrize("length", [0, 31, 32, 47, 48, 53])
def test_a_truncated_wrapping_does_not_open(length: int) -> None:
    wrapped = envelope.wrap(PUBLIC_BYTES, b"secret", b"context")
    with pytest.raises(CryptoError, match=f"a wrapped secret of {length} bytes does not open"):
        envelope.unwrap(PRIVATE_BYTES, wrapped[:length], b"context")


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31)])
def test_unusable_public_keys_are_refused(key: bytes) -> None:
    with pytest.raises(CryptoError, match="cannot wrap for the X25519 key"):
        envelope.wrap(key, b"secret", b"")


def test_a_point_of_small_order_in_the_wrapping_is_refused() -> None:
    wrapped = envelope.wrap(PUBLIC_BYTES, b"secret", b"")
    with pytest.raises(CryptoError, match="does not open"):
        envelope.unwrap(PRIVATE_BYTES, bytes(32) + wrapped[32:], b"")


def test_unusable_private_keys_are_refused() -> None:
    with pytest.raises(CryptoError, match="an X25519 private key of 31 bytes"):
        envelope.unwrap(bytes(31), envelope.wrap(PUBLIC_BYTES, b"secret", b""), b"")
