"""The manifest: what a file is and where its pieces are, sealed under the file key.

Encoded as msgpack, one spelling a value (decoding refuses any other), sealed by AES-256-GCM, and stored on
every node of the file as the last piece of its holding. The SHA-256 of the sealed manifest is on chain. For
each node it lists the pieces in the order of its holding, in columns, 52 bytes a piece; one manifest fits one
piece, which bounds a file with 2 replicas to about 9 GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgpack
from eth_utils.address import to_canonical_address, to_checksum_address
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtxeth.errors import InputError, IntegrityError
from dtxeth.storage.pieces import PIECE_ID_SIZE, SLICE_SIZE, slice_count
from dtxeth.storage.seal import PREFIX_SIZE, seal_bytes, sealed_size, unseal_bytes

MAX_NODES = 64
_DIGEST_SIZE = 32
_PURPOSE = b"manifest"


@dataclass(frozen=True)
class Piece:
    """One slice as one node stores it.

    Attributes:
        slice: Which slice, from 0.
        piece_id: 16 random bytes that its key is derived from.
        digest: SHA-256 of the stored bytes, the digest of their CID.
    """

    slice: int
    piece_id: bytes
    digest: bytes


@dataclass(frozen=True)
class NodePieces:
    """What one node stores, besides the manifest.

    Attributes:
        node: Its address.
        generation: Generation of the redundancy that the pieces are encrypted for.
        pieces: In the order of the holding.
    """

    node: str
    generation: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Manifest:
    """A file's manifest.

    Attributes:
        name: File name, without directories.
        size: Plaintext bytes.
        sha256: SHA-256 of the plaintext.
        prefix: Nonce prefix of the sealed stream.
        nodes: Who stores what.
    """

    name: str
    size: int
    sha256: bytes
    prefix: bytes
    nodes: tuple[NodePieces, ...]

    @property
    def slices(self) -> int:
        """Number of slices of the sealed file."""
        return slice_count(sealed_size(self.size))

    def replicas(self) -> list[list[tuple[NodePieces, Piece]]]:
        """For every slice, its pieces with their nodes."""
        found: list[list[tuple[NodePieces, Piece]]] = [[] for _ in range(self.slices)]
        for node in self.nodes:
            for piece in node.pieces:
                found[piece.slice].append((node, piece))
        return found


def check_name(name: str) -> str:
    """Return a file name that is safe to use on disk.

    Raises:
        InputError: It is empty, longer than 255 bytes, or has directories or control characters in it.
    """
    if not name.isprintable() or set(name) & set("/\\") or name in ("", ".", ".."):
        raise InputError(f"file name {name!r}: expected a plain name without directories")
    if len(name.encode()) > 255:
        raise InputError(f"file name of {len(name.encode())} bytes: at most 255")
    return name


def seal_manifest(manifest: Manifest, file_key: bytes) -> bytes:
    """Encode and seal a manifest.

    Raises:
        InputError: It does not fit one piece: the file is too large, or on too many nodes.
    """
    sealed = seal_bytes(file_key, _PURPOSE, _encode(manifest))
    if len(sealed) > SLICE_SIZE:
        raise InputError(
            f"a manifest of {len(sealed)} bytes, at most {SLICE_SIZE} fit a piece: "
            "publish the file in parts, or with fewer replicas"
        )
    return sealed


def unseal_manifest(sealed: bytes, file_key: bytes) -> Manifest:
    """Open and decode a sealed manifest.

    Raises:
        CryptoError: It does not open under this key.
        IntegrityError: What it opens to is not a well-formed manifest.
    """
    return _decode(unseal_bytes(file_key, _PURPOSE, sealed))


class _Columns(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    node: Annotated[bytes, Field(min_length=20, max_length=20)]
    generation: Annotated[int, Field(ge=0, lt=1 << 32)]
    slices: bytes
    piece_ids: bytes
    digests: bytes


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: Literal[1]
    name: str
    size: Annotated[int, Field(ge=0, lt=1 << 63)]
    sha256: Annotated[bytes, Field(min_length=_DIGEST_SIZE, max_length=_DIGEST_SIZE)]
    prefix: Annotated[bytes, Field(min_length=PREFIX_SIZE, max_length=PREFIX_SIZE)]
    slice_size: Literal[1_015_808]
    nodes: Annotated[list[_Columns], Field(min_length=1, max_length=MAX_NODES)]


def _encode(manifest: Manifest) -> bytes:
    document = {
        "version": 1,
        "name": manifest.name,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "prefix": manifest.prefix,
        "slice_size": SLICE_SIZE,
        "nodes": [
            {
                "node": to_canonical_address(held.node),
                "generation": held.generation,
                "slices": b"".join(piece.slice.to_bytes(4, "big") for piece in held.pieces),
                "piece_ids": b"".join(piece.piece_id for piece in held.pieces),
                "digests": b"".join(piece.digest for piece in held.pieces),
            }
            for held in manifest.nodes
        ],
    }
    return bytes(msgpack.packb(document))


def _decode(data: bytes) -> Manifest:
    try:
        document = _Document.model_validate(msgpack.unpackb(data))
        manifest = Manifest(
            name=check_name(document.name),
            size=document.size,
            sha256=document.sha256,
            prefix=document.prefix,
            nodes=tuple(_node_pieces(columns) for columns in document.nodes),
        )
    except (ValidationError, InputError, ValueError, TypeError, msgpack.UnpackException) as error:
        raise IntegrityError(f"malformed manifest of {len(data)} bytes ({type(error).__name__})") from error
    if _encode(manifest) != data:
        raise IntegrityError(f"manifest of {len(data)} bytes is not in canonical form")
    _check_pieces(manifest)
    return manifest


def _node_pieces(columns: _Columns) -> NodePieces:
    cells = zip(
        _cut(columns.slices, 4),
        _cut(columns.piece_ids, PIECE_ID_SIZE),
        _cut(columns.digests, _DIGEST_SIZE),
        strict=True,
    )
    pieces = tuple(
        Piece(int.from_bytes(number, "big"), piece_id, digest) for number, piece_id, digest in cells
    )
    return NodePieces(to_checksum_address(columns.node), columns.generation, pieces)


def _cut(column: bytes, width: int) -> list[bytes]:
    if len(column) % width:
        raise ValueError(f"a column of {len(column)} bytes in cells of {width}")
    return [column[start : start + width] for start in range(0, len(column), width)]


def _check_pieces(manifest: Manifest) -> None:
    """Every slice has a piece, no node or slice on it appears twice."""
    if len({held.node for held in manifest.nodes}) != len(manifest.nodes):
        raise IntegrityError("the manifest lists a node twice")
    covered = set()
    for held in manifest.nodes:
        numbers = {piece.slice for piece in held.pieces}
        if len(numbers) != len(held.pieces):
            raise IntegrityError(f"the manifest lists a slice twice on node {held.node}")
        covered |= numbers
    # Compare sizes first: a forged size must not make us build a set of that many slices.
    if len(covered) != manifest.slices or max(covered) != manifest.slices - 1:
        raise IntegrityError(
            f"the manifest has pieces of {len(covered)} slices, the file has {manifest.slices}"
        )
