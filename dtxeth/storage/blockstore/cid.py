"""Content identifiers of raw blocks: CIDv1, codec raw, SHA2-256, in base32 — what Kubo calls them.

``b`` ‖ base32-lower-nopad(0x01 ‖ 0x55 ‖ 0x12 ‖ 0x20 ‖ digest): multibase prefix, CID version, multicodec
``raw``, and the multihash's function code and length (https://github.com/multiformats/cid).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from dtxeth.errors import InputError

_HEADER = bytes([0x01, 0x55, 0x12, 0x20])
_LENGTH = 59  # 1 + ⌈36 · 8 / 5⌉ characters


def cid_of(data: bytes) -> str:
    """CID of a raw block."""
    return cid_of_digest(hashlib.sha256(data).digest())


def cid_of_digest(digest: bytes) -> str:
    """CID of the raw block with this SHA-256 digest.

    Raises:
        InputError: The digest is not 32 bytes.
    """
    if len(digest) != 32:
        raise InputError(f"SHA-256 digest of {len(digest)} bytes: expected 32")
    return "b" + base64.b32encode(_HEADER + digest).decode().rstrip("=").lower()


def digest_of_cid(cid: str) -> bytes:
    """SHA-256 digest in a CID.

    Raises:
        InputError: Anything but the canonical base32 CIDv1 of a raw SHA2-256 block.
    """
    try:
        decoded = base64.b32decode(cid[1:].upper() + "======") if len(cid) == _LENGTH else b""
    except (binascii.Error, ValueError):
        decoded = b""
    # Encoding it again refuses the other spellings: upper case, set padding bits, another multibase.
    if decoded[:4] != _HEADER or cid_of_digest(decoded[4:]) != cid:
        raise InputError(f"{cid[:80]!r} is not the CID of a raw SHA2-256 block: expected bafkrei…")
    return decoded[4:]
