"""A draft from the owner's side: sends a node its pieces, and works out what the node must acknowledge."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dtxeth.chain.bindings.types import Acknowledgement, Holding, Possession
from dtxeth.crypto import kzg, merkle
from dtxeth.crypto.commitment_check import CommitmentCheck
from dtxeth.errors import CryptoError, NodeError
from dtxeth.storage.api import Claim
from dtxeth.storage.client import NodeClient
from dtxeth.storage.coding import Layout
from dtxeth.storage.manifest import NodePieces, Piece
from dtxeth.storage.pieces import (
    FULL_LEAVES,
    PIECE_ID_SIZE,
    SLICE_SIZE,
    encrypt_piece,
    holding_root,
    leaf_count,
    manifest_piece_id,
    subtree_roots,
)

DRAFT_ID_SIZE = 16
_HASH_SIZE = 32


@dataclass(frozen=True)
class FileKeys:
    """What the pieces of a file are encrypted by.

    Attributes:
        file_id: The file.
        generation: Its generation, as the manifest has it.
        file_key: Its key.
    """

    file_id: bytes
    generation: int
    file_key: bytes = field(repr=False)


class Draft:
    """A draft on one node: pieces that it is sent, pieces that it has already, and the manifest at the end.

    Args:
        client: The node.
        keys: Of the file.
        possession: How the namespace has possession proved.

    Attributes:
        pieces: What was staged so far, in order, without the manifest.
    """

    def __init__(self, client: NodeClient, keys: FileKeys, possession: Possession) -> None:
        self.client = client
        self.pieces: list[Piece] = []
        self._keys, self._id = keys, secrets.token_bytes(DRAFT_ID_SIZE)
        self._merkle, self._kzg = bool(possession & Possession.MERKLE), bool(possession & Possession.KZG)
        self._sizes: list[int] = []
        self._full_roots: list[bytes] = []
        self._short: list[bytes] = []
        self._kept: dict[int, bytes] = {}  # blob -> its commitment, checked against the chain
        self._check = CommitmentCheck() if self._kzg else None
        self._blobs = 0
        self._keeping = False
        self._last: tuple[list[Piece], Layout, Outline] | None = None  # a kept short piece, staged at the end

    @property
    def held(self) -> NodePieces:
        """What the manifest says of this node."""
        last = self._last[0] if self._last else []
        return NodePieces(self.client.address, (*self.pieces, *last))

    @property
    def keeps(self) -> bool:
        """Whether pieces that the node had before are in it."""
        return self._keeping

    def put(self, stripe: int, shard: int, data: bytes) -> None:
        """Encrypt a shard for the node and send it.

        Raises:
            NodeError: The node does not take it.
        """
        piece_id = secrets.token_bytes(PIECE_ID_SIZE)
        digest = self._put(piece_id, self._keys.generation, data)
        self.pieces.append(Piece(stripe, shard, piece_id, digest))

    def put_manifest(self, sealed: bytes) -> None:
        """Send the sealed manifest, the last piece of every holding.

        Raises:
            NodeError: The node does not take it, or has lost a piece that it was to keep.
        """
        if self._last:
            pieces, layout, outline = self._last
            self._last = None
            self._keep(pieces, layout, outline)
        self._put(manifest_piece_id(hashlib.sha256(sealed).digest()), 0, sealed)

    def keep(self, pieces: Sequence[Piece], layout: Layout, outline: Outline) -> None:
        """Have the node take over pieces of its present holding.

        Args:
            pieces: The pieces, in the order of that holding; a short one stays behind whatever is put.
            layout: How the file is cut.
            outline: Of the present holding, checked.

        Raises:
            NodeError: The node does not have them any more.
        """
        self._keeping = True
        short = [piece for piece in pieces if layout.is_short(piece.stripe)]
        if short:
            self._last = short, layout, outline
        self._keep([piece for piece in pieces if not layout.is_short(piece.stripe)], layout, outline)

    def _keep(self, pieces: list[Piece], layout: Layout, outline: Outline) -> None:
        if not pieces:
            return
        client, file_id = self.client, self._keys.file_id
        client.keep_pieces(file_id, self._id, len(self._sizes), [piece.digest for piece in pieces])
        for piece in pieces:
            size, position = layout.shard_size(piece.stripe), outline.positions[piece.digest]
            if self._merkle and size == SLICE_SIZE:
                self._full_roots.append(outline.subtrees[position])
            elif self._merkle:
                self._short.append(client.get_piece(file_id, piece.digest, 0))
            if self._kzg:
                own = position * kzg.blob_count(SLICE_SIZE)
                for number in range(kzg.blob_count(size)):
                    self._kept[self._blobs + number] = outline.commitments[own + number]
            self._count(size)
            self.pieces.append(piece)

    def acknowledge(self, version: int, expires_at: int) -> Acknowledgement:
        """Have the node sign for all of it.

        Args:
            version: Version of the file that the holding comes with.
            expires_at: Until when it is to be kept.

        Raises:
            NodeError: The node refuses, or its commitments are not those of the bytes.
        """
        root, leaves = bytes(_HASH_SIZE), 0
        if self._merkle:
            root, leaves = (
                holding_root(subtree_roots(self._full_roots, self._short)),
                sum(map(leaf_count, self._sizes)),
            )
        commitments_root, blobs = bytes(_HASH_SIZE), 0
        if self._kzg:
            commitments = self._checked_commitments()
            commitments_root, blobs = kzg.commitments_root(commitments), len(commitments)
        claim = Claim(version, root, leaves, commitments_root, blobs, sum(self._sizes), expires_at)
        return self.client.acknowledge(self._keys.file_id, self._id, claim)

    def abandon(self) -> None:
        """Free what was staged; a node that cannot be asked forgets it by itself."""
        with suppress(NodeError):
            self.client.abandon(self._keys.file_id, self._id)

    def _put(self, piece_id: bytes, generation: int, data: bytes) -> bytes:
        piece = encrypt_piece(self._keys.file_key, piece_id, self.client.address, generation, data)
        digest = hashlib.sha256(piece).digest()
        self.client.put_piece(self._keys.file_id, self._id, len(self._sizes), piece, digest)
        # A manifest may be of full size too: behind a short piece its leaves begin no subtree.
        if self._merkle and len(piece) == SLICE_SIZE and not self._short:
            self._full_roots.append(merkle.piece_root(piece))
        elif self._merkle:
            self._short.append(piece)
        if self._check is not None:
            self._check.add(piece)
        self._count(len(piece))
        return digest

    def _count(self, size: int) -> None:
        self._sizes.append(size)
        self._blobs += kzg.blob_count(size)

    def _checked_commitments(self) -> list[bytes]:
        """Ask for the commitments; those of kept blobs must be as before, the others those of our bytes."""
        assert self._check is not None
        given = self.client.commitments(self._keys.file_id, self._id, self._blobs)
        if any(given[blob] != commitment for blob, commitment in self._kept.items()):
            raise NodeError(
                self.client.address, "committed to other bytes than it has signed for; use another node"
            )
        try:
            self._check.finish(
                [commitment for blob, commitment in enumerate(given) if blob not in self._kept]
            )
        except CryptoError as error:
            raise NodeError(self.client.address, f"{error}") from error
        return given


@dataclass(frozen=True)
class Outline:
    """What a node's present holding consists of, as far as its roots on chain bind it.

    Attributes:
        positions: Where in the holding each piece is, by its digest.
        subtrees: Roots of the Merkle tree's subtrees: those of the full pieces first.
        commitments: KZG commitments of the blobs.
    """

    positions: dict[bytes, int]
    subtrees: list[bytes]
    commitments: list[bytes]


def fetch_outline(client: NodeClient, holding: Holding, held: NodePieces) -> Outline:
    """Ask a node for the outline of its holding and check it against the roots on chain.

    Args:
        client: The node.
        holding: Its live holding.
        held: What the manifest says of it: the pieces in the order of the holding.

    Raises:
        NodeError: The node does not answer, or with something else than the chain has the roots of.
    """
    data = client.outline(holding.file_id)
    split = -(-holding.leaf_count // FULL_LEAVES) * _HASH_SIZE
    subtrees, commitments = _cut(data[:split], _HASH_SIZE), _cut(data[split:], kzg.POINT_SIZE)
    whole = len(data) == split + holding.blob_count * kzg.POINT_SIZE
    if (
        not whole
        or (subtrees and holding_root(subtrees) != holding.root)
        or (commitments and kzg.commitments_root(commitments) != holding.commitments_root)
    ):
        raise NodeError(
            client.address, f"sent another outline than of its holding of file 0x{holding.file_id.hex()}"
        )
    return Outline({piece.digest: number for number, piece in enumerate(held.pieces)}, subtrees, commitments)


def _cut(data: bytes, width: int) -> list[bytes]:
    return [data[start : start + width] for start in range(0, len(data), width)]
