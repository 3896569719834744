"""The manifest: what a file is and where its pieces are, sealed under the file key.

Encoded as msgpack, one spelling a value (decoding refuses any other), sealed by AES-256-GCM, and stored on
every node of the file as the last piece of its holding. The SHA-256 of the sealed manifest is on chain. For
each node it lists the pieces in the order of its holding, in columns, 53 bytes a piece. One manifest fits one
piece, that is some 19,000 pieces: this bounds a file to 9.0 GiB with 2 copies, 6.0 GiB with 3, and 12.0 GiB
with 4 of 6.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

import msgpack
from eth_utils.address import to_canonical_address, to_checksum_address
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtxeth.errors import InputError, IntegrityError
from dtxeth.storage.coding import MAX_NODES, Layout, Redundancy
from dtxeth.storage.pieces import PIECE_ID_SIZE, SLICE_SIZE
from dtxeth.storage.seal import NONCE_SIZE, PREFIX_SIZE, TAG_SIZE, seal_bytes, sealed_size, unseal_bytes

_DIGEST_SIZE = 32
_NODE_SIZE = 20
_PIECE_SIZE = 4 + 1 + PIECE_ID_SIZE + _DIGEST_SIZE
_PURPOSE = b"manifest"


@dataclass(frozen=True)
class Piece:
    """One shard as one node stores it.

    Attributes:
        stripe: Of which stripe, from 0.
        shard: Which of its shards, 0 to 63; below k, it is a slice of the file. At first they are those below n;
            when n changes, those that stay keep their numbers.
        piece_id: 16 random bytes that its key is derived from.
        digest: SHA-256 of the stored bytes, the digest of their CID.
    """

    stripe: int
    shard: int
    piece_id: bytes
    digest: bytes


@dataclass(frozen=True)
class NodePieces:
    """What one node stores, besides the manifest.

    Attributes:
        node: Its address.
        pieces: In the order of the holding.
    """

    node: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Manifest:
    """A file's manifest.

    Some shards may be missing, when a repair found no node for them; never so many that a stripe were lost.

    Attributes:
        name: File name, without directories.
        size: Plaintext bytes.
        sha256: SHA-256 of the plaintext.
        prefix: Nonce prefix of the sealed stream.
        redundancy: k of n.
        generation: How often the file was coded anew with another k, from 0; the pieces are encrypted for it.
        nodes: Who stores what.
    """

    name: str
    size: int
    sha256: bytes
    prefix: bytes
    redundancy: Redundancy
    generation: int
    nodes: tuple[NodePieces, ...]

    @property
    def layout(self) -> Layout:
        """How the sealed file is cut."""
        return Layout(self.redundancy, sealed_size(self.size))

    def shards(self) -> list[dict[int, tuple[str, Piece]]]:
        """For every stripe its shards by number, each with the node that stores it."""
        found: list[dict[int, tuple[str, Piece]]] = [{} for _ in range(self.layout.stripes)]
        for held in self.nodes:
            for piece in held.pieces:
                found[piece.stripe][piece.shard] = held.node, piece
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


def manifest_bound(name: str, pieces: int, nodes: int = MAX_NODES) -> int:
    """Most bytes that the sealed manifest of a file with so many pieces on so many nodes has.

    Raises:
        InputError: It would not fit one piece: the file is too large for its redundancy.
    """
    header = 128 + len(name.encode())  # 91 bytes of keys and digests, integers of at most 9 bytes each
    size = NONCE_SIZE + TAG_SIZE + header + nodes * (_NODE_SIZE + 64) + pieces * _PIECE_SIZE
    if size > SLICE_SIZE:
        raise InputError(
            f"the manifest of a file of {pieces} pieces has about {size} bytes, at most {SLICE_SIZE} fit a piece: "
            "store the file in parts, or with less redundancy"
        )
    return size


def seal_manifest(manifest: Manifest, file_key: bytes) -> bytes:
    """Encode and seal a manifest.

    Raises:
        InputError: It does not fit one piece: the file is too large, or on too many nodes.
    """
    sealed = seal_bytes(file_key, _PURPOSE, _encode(manifest))
    if len(sealed) > SLICE_SIZE:
        raise InputError(
            f"a manifest of {len(sealed)} bytes, at most {SLICE_SIZE} fit a piece: "
            "store the file in parts, or with less redundancy"
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

    node: Annotated[bytes, Field(min_length=_NODE_SIZE, max_length=_NODE_SIZE)]
    stripes: bytes
    shards: bytes
    piece_ids: bytes
    digests: bytes


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: Literal[2]
    name: str
    size: Annotated[int, Field(ge=0, lt=1 << 63)]
    sha256: Annotated[bytes, Field(min_length=_DIGEST_SIZE, max_length=_DIGEST_SIZE)]
    prefix: Annotated[bytes, Field(min_length=PREFIX_SIZE, max_length=PREFIX_SIZE)]
    slice_size: Literal[1_015_808]
    needed: int
    total: int
    generation: Annotated[int, Field(ge=0, lt=1 << 32)]
    nodes: Annotated[list[_Columns], Field(min_length=1, max_length=MAX_NODES)]


def _encode(manifest: Manifest) -> bytes:
    document = {
        "version": 2,
        "name": manifest.name,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "prefix": manifest.prefix,
        "slice_size": SLICE_SIZE,
        "needed": manifest.redundancy.needed,
        "total": manifest.redundancy.total,
        "generation": manifest.generation,
        "nodes": [
            {
                "node": to_canonical_address(held.node),
                "stripes": b"".join(piece.stripe.to_bytes(4, "big") for piece in held.pieces),
                "shards": bytes(piece.shard for piece in held.pieces),
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
            redundancy=Redundancy(document.needed, document.total),
            generation=document.generation,
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
        _cut(columns.stripes, 4),
        columns.shards,
        _cut(columns.piece_ids, PIECE_ID_SIZE),
        _cut(columns.digests, _DIGEST_SIZE),
        strict=True,
    )
    pieces = tuple(
        Piece(int.from_bytes(stripe, "big"), shard, piece_id, digest)
        for stripe, shard, piece_id, digest in cells
    )
    return NodePieces(to_checksum_address(columns.node), pieces)


def _cut(column: bytes, width: int) -> list[bytes]:
    if len(column) % width:
        raise ValueError(f"a column of {len(column)} bytes in cells of {width}")
    return [column[start : start + width] for start in range(0, len(column), width)]


def _check_pieces(manifest: Manifest) -> None:
    """Every stripe can be given back, by shards on nodes of their own, and holdings end with the short piece."""
    redundancy, layout = manifest.redundancy, manifest.layout
    if len({held.node for held in manifest.nodes}) != len(manifest.nodes):
        raise IntegrityError("the manifest lists a node twice")
    everything = [piece for held in manifest.nodes for piece in held.pieces]
    # Counts first: a forged size must not make us build a list of that many stripes.
    if len(everything) < redundancy.needed * layout.stripes:
        raise IntegrityError(
            f"the manifest has {len(everything)} pieces, fewer than {redundancy.needed} of each of the file's "
            f"{layout.stripes} stripes"
        )
    if any(piece.stripe >= layout.stripes or piece.shard >= MAX_NODES for piece in everything):
        raise IntegrityError(
            f"the manifest has a piece beyond {layout.stripes} stripes of {MAX_NODES} shards"
        )
    if len({(piece.stripe, piece.shard) for piece in everything}) != len(everything):
        raise IntegrityError("the manifest lists a shard twice")
    if len({piece.piece_id for piece in everything}) != len(everything):
        raise IntegrityError("the manifest has two pieces with one id")
    for held in manifest.nodes:
        stripes = [piece.stripe for piece in held.pieces]
        if not stripes or len(set(stripes)) != len(stripes):
            raise IntegrityError(f"the manifest lists no stripe, or one twice, on node {held.node}")
        if any(map(layout.is_short, stripes[:-1])):
            raise IntegrityError(f"the manifest lists a short piece before others on node {held.node}")
    counts = Counter(piece.stripe for piece in everything)
    if (
        len(counts) < layout.stripes
        or not redundancy.needed <= min(counts.values()) <= max(counts.values()) <= redundancy.total
    ):
        raise IntegrityError(
            f"the manifest has another number of shards of a stripe than {redundancy} allows"
        )
