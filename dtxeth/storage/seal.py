"""Sealing: a file becomes one stream of authenticated segments.

The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (*Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance*, CRYPTO 2015, §7) over AES-256-GCM. The plaintext is cut into segments of 1
MiB; segment i is sealed under the nonce ``prefix (7 bytes) ‖ i (4 bytes, big-endian) ‖ last (1 byte)``. The
counter fixes the order, the last flag fixes the end: a stream that was reordered, cut short, extended or
spliced from two files does not open.

Every key is derived from the *file key*, 32 fresh random bytes a file, by HKDF-SHA256 with a label of its
own, so the stream, the manifest, the sealed info and the pieces never share a key.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dtxeth.errors import CryptoError, InputError

FILE_KEY_SIZE = 32
"""Bytes of a file key."""
SEGMENT_SIZE = 1 << 20
"""Plaintext bytes of every segment but the last."""
TAG_SIZE = 16
"""Bytes that sealing adds to a segment."""
PREFIX_SIZE = 7
"""Bytes of the nonce prefix, the only thing that opening a stream needs besides the key."""
NONCE_SIZE = 12
_MAX_SEGMENTS = 1 << 32


def new_file_key() -> bytes:
    """Draw a file key: 32 bytes from the operating system."""
    return secrets.token_bytes(FILE_KEY_SIZE)


def derive_key(file_key: bytes, *labels: bytes) -> bytes:
    """Derive one purpose's 32-byte key from a file key (HKDF-SHA256, RFC 5869).

    Args:
        file_key: The 32-byte file key.
        labels: What the key is for; each is length-prefixed, so two different lists never collide.

    Raises:
        InputError: The file key is not 32 bytes.
    """
    if len(file_key) != FILE_KEY_SIZE:
        raise InputError(f"file key of {len(file_key)} bytes: expected {FILE_KEY_SIZE}")
    info = b"dtxeth" + b"".join(len(label).to_bytes(2, "big") + label for label in labels)
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(file_key)


def new_prefix() -> bytes:
    """Draw the 7-byte nonce prefix of a stream.

    The key is fresh already, so nonces are unique whatever the prefix; a random one keeps them so even should
    a caller seal two files under one key (collision after about 2^28 files).
    """
    return secrets.token_bytes(PREFIX_SIZE)


def sealed_size(size: int) -> int:
    """Bytes of the sealed form of ``size`` plaintext bytes; an empty file still has its last segment."""
    return size + TAG_SIZE * max(1, -(-size // SEGMENT_SIZE))


def read_chunks(reader: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield what a reader holds in chunks of exactly ``size`` bytes, the last one shorter, none empty."""
    return rechunk(iter(lambda: reader.read(size), b""), size)


def rechunk(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cut a stream anew into chunks of exactly ``size`` bytes, the last one shorter, none empty."""
    waiting: list[bytes | memoryview] = []  # parts of the next chunk: each byte is copied once
    missing = size
    for chunk in chunks:
        if missing == size == len(chunk):
            yield chunk
            continue
        view = memoryview(chunk)
        while len(view) >= missing:
            yield b"".join([*waiting, view[:missing]])
            view, waiting, missing = view[missing:], [], size
        if view:
            waiting.append(view)
            missing -= len(view)
    if waiting:
        yield b"".join(waiting)


def seal(plaintext: Iterable[bytes], file_key: bytes, prefix: bytes) -> Iterator[bytes]:
    """Seal a stream.

    Args:
        plaintext: Chunks of any size.
        file_key: The 32-byte file key.
        prefix: The stream's nonce prefix, from :func:`new_prefix`.

    Yields:
        Sealed segments, each its plaintext and a 16-byte tag.

    Raises:
        InputError: A key or prefix of the wrong size, or a stream beyond 2^32 segments.
    """
    cipher = AESGCM(derive_key(file_key, b"stream"))
    for index, last, segment in _with_end(rechunk(plaintext, SEGMENT_SIZE)):
        yield cipher.encrypt(_nonce(prefix, index, last), segment, None)


def unseal(sealed: Iterable[bytes], file_key: bytes, prefix: bytes) -> Iterator[bytes]:
    """Open a sealed stream; nothing is yielded that was not authenticated, in its place.

    Args:
        sealed: The sealed stream in chunks of any size.
        file_key: The 32-byte file key.
        prefix: The stream's nonce prefix.

    Yields:
        Plaintext segments.

    Raises:
        CryptoError: Wrong key, or a stream that was altered, reordered, truncated or extended.
    """
    cipher = AESGCM(derive_key(file_key, b"stream"))
    for index, last, segment in _with_end(rechunk(sealed, SEGMENT_SIZE + TAG_SIZE)):
        try:
            yield cipher.decrypt(_nonce(prefix, index, last), segment, None)
        except InvalidTag as error:
            raise CryptoError(
                f"segment {index} of the sealed stream does not open: wrong key, or the stream was altered"
            ) from error


def seal_bytes(file_key: bytes, purpose: bytes, data: bytes) -> bytes:
    """Seal something small under a key of its own: random 96-bit nonce ‖ AES-256-GCM of ``data``.

    A file key seals a handful of such texts, far below the 2^32 that random nonces allow (NIST SP 800-38D,
    §8.3).
    """
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + AESGCM(derive_key(file_key, b"bytes", purpose)).encrypt(nonce, data, purpose)


def unseal_bytes(file_key: bytes, purpose: bytes, sealed: bytes) -> bytes:
    """Open what :func:`seal_bytes` sealed for the same purpose.

    Raises:
        CryptoError: Wrong key or purpose, or altered bytes.
    """
    if len(sealed) < NONCE_SIZE + TAG_SIZE:
        raise CryptoError(f"sealed {purpose.decode()} of {len(sealed)} bytes: too short to be one")
    key = derive_key(file_key, b"bytes", purpose)
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], purpose)
    except InvalidTag as error:
        raise CryptoError(f"sealed {purpose.decode()} does not open: wrong key, or it was altered") from error


def _with_end(segments: Iterator[bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """Yield every segment with its index and whether it is the last; an empty stream has one, empty."""
    index, current = 0, next(segments, b"")
    for following in segments:
        yield index, False, current
        index, current = index + 1, following
    yield index, True, current


def _nonce(prefix: bytes, index: int, last: bool) -> bytes:
    if len(prefix) != PREFIX_SIZE or index >= _MAX_SEGMENTS:
        raise InputError(
            f"nonce prefix of {len(prefix)} bytes, segment {index}: expected {PREFIX_SIZE}, below 2^32"
        )
    return prefix + index.to_bytes(4, "big") + bytes([last])
