"""What a storage node offers to owners and executors, as a protocol: in-process, or behind a network.

Every request but ``status`` is signed; see :mod:`dtxeth.storage.requests`. The functions here name the
resources, so that both sides sign and check the same paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, Self

from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.errors import InputError
from dtxeth.storage.requests import Credentials

VERSION: Final = 1
"""Of this API; it counts up with every change that the other side has to know of."""

CLAIM_SIZE: Final = 92
"""Bytes of an encoded claim."""


@dataclass(frozen=True)
class NodeStatus:
    """What a node says about itself.

    Attributes:
        capacity: Bytes it offers.
        used: Bytes it holds or has staged.
        version: Of the API that it speaks.
    """

    capacity: int
    used: int
    version: int = VERSION

    @property
    def free(self) -> int:
        """Bytes left."""
        return max(0, self.capacity - self.used)


@dataclass(frozen=True)
class Claim:
    """What an owner says that a node's draft comes to; the node acknowledges it only if it is so.

    Attributes:
        version: Version of the file that the holding comes with: 1 to publish it, one more than on chain to revise it.
        root: Merkle root over the leaves of all pieces, in order; 32 zero bytes if the namespace does not ask for it.
        leaf_count: Number of these leaves, or 0.
        commitments_root: Merkle root over the KZG commitments of all blobs, in order; or 32 zero bytes.
        blob_count: Number of these blobs, or 0.
        size: Bytes of all pieces.
        expires_at: Until when the file is to be kept.
    """

    version: int
    root: bytes
    leaf_count: int
    commitments_root: bytes
    blob_count: int
    size: int
    expires_at: int

    def to_bytes(self) -> bytes:
        """Encode it as a request's body: fields in order, roots of 32 bytes, sizes and times of 8, others of 4."""
        return b"".join(
            [
                self.version.to_bytes(4, "big"),
                self.root,
                self.leaf_count.to_bytes(4, "big"),
                self.commitments_root,
                self.blob_count.to_bytes(4, "big"),
                self.size.to_bytes(8, "big"),
                self.expires_at.to_bytes(8, "big"),
            ]
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Decode what :meth:`to_bytes` made.

        Raises:
            InputError: It has another length.
        """
        if len(body) != CLAIM_SIZE:
            raise InputError(f"claim of {len(body)} bytes: expected {CLAIM_SIZE}")
        number = int.from_bytes
        return cls(
            version=number(body[:4], "big"),
            root=body[4:36],
            leaf_count=number(body[36:40], "big"),
            commitments_root=body[40:72],
            blob_count=number(body[72:76], "big"),
            size=number(body[76:84], "big"),
            expires_at=number(body[84:], "big"),
        )


class StorageNodeApi(Protocol):
    """A storage node as its clients reach it.

    An owner gathers a *draft* on a node, piece by piece, and has the node acknowledge it; the draft becomes a
    holding when the acknowledgement is published. A draft is named by 16 random bytes.

    Refusals are :class:`~dtxeth.errors.DtxethError`; an implementation over a network raises
    :class:`~dtxeth.errors.NodeError` or ``OSError`` when the node cannot be reached.
    """

    def status(self) -> NodeStatus:
        """Tell capacity and use; signed by nobody."""
        ...

    def put_piece(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, piece: bytes
    ) -> None:
        """Stage the next piece of a draft; ``PUT`` of :func:`piece_at`, body the piece."""
        ...

    def keep_pieces(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, digests: list[bytes]
    ) -> None:
        """Stage pieces that the node holds of this file already as the next of a draft; ``PUT`` of :func:`kept_at`.

        The body is their SHA-256 digests, one after the other.
        """
        ...

    def commitments(self, credentials: Credentials, file_id: bytes, draft: bytes) -> bytes:
        """KZG commitments of all blobs of a draft, 48 bytes each; ``GET`` of :func:`commitments_of`."""
        ...

    def acknowledge(
        self, credentials: Credentials, file_id: bytes, draft: bytes, claim: Claim
    ) -> Acknowledgement:
        """Sign for a draft; ``PUT`` of :func:`draft_of`, body the claim."""
        ...

    def abandon(self, credentials: Credentials, file_id: bytes, draft: bytes) -> None:
        """Drop a draft; ``DELETE`` of :func:`draft_of`."""
        ...

    def outline(self, credentials: Credentials, file_id: bytes) -> bytes:
        """Outline of the node's published holding, for its owner; ``GET`` of :func:`outline_of`.

        The roots of the Merkle tree's subtrees of 4096 leaves, 32 bytes each, then the KZG commitments of all blobs, 48
        bytes each; of each kind what the namespace asks for. The chain has the roots over both, so the owner can check
        them, and extend the holding without having its bytes.
        """
        ...

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """Serve a piece by its SHA-256; ``GET`` of :func:`piece_named`."""
        ...

    def get_manifest(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """Serve the node's encryption of the sealed manifest with a digest; ``GET`` of :func:`manifest_of`."""
        ...


HOLDING: Final = "/files/{file}"
"""Template of :func:`holding_of`; these templates are the routes of a server, too."""
DRAFT: Final = HOLDING + "/drafts/{draft}"
"""Template of :func:`draft_of`."""
PIECE: Final = DRAFT + "/pieces/{position}"
"""Template of :func:`piece_at`."""
KEPT: Final = DRAFT + "/kept/{position}"
"""Template of :func:`kept_at`."""
COMMITMENTS: Final = DRAFT + "/commitments"
"""Template of :func:`commitments_of`."""
OUTLINE: Final = HOLDING + "/outline"
"""Template of :func:`outline_of`."""
BLOCK: Final = HOLDING + "/blocks/{digest}"
"""Template of :func:`piece_named`, without its query."""
MANIFEST: Final = HOLDING + "/manifests/{digest}"
"""Template of :func:`manifest_of`, without its query."""
AUTHORIZATION: Final = "?authorization={authorization}"
"""Template of the query of what is read."""


def holding_of(file_id: bytes) -> str:
    """Resource: what the node holds of a file."""
    return HOLDING.format(file=file_id.hex())


def draft_of(file_id: bytes, draft: bytes) -> str:
    """Resource: a draft."""
    return DRAFT.format(file=file_id.hex(), draft=draft.hex())


def piece_at(file_id: bytes, draft: bytes, position: int) -> str:
    """Resource: the piece at a position of a draft."""
    return PIECE.format(file=file_id.hex(), draft=draft.hex(), position=position)


def kept_at(file_id: bytes, draft: bytes, position: int) -> str:
    """Resource: pieces that the node holds already, from a position of a draft on."""
    return KEPT.format(file=file_id.hex(), draft=draft.hex(), position=position)


def commitments_of(file_id: bytes, draft: bytes) -> str:
    """Resource: the KZG commitments of a draft."""
    return COMMITMENTS.format(file=file_id.hex(), draft=draft.hex())


def outline_of(file_id: bytes) -> str:
    """Resource: the outline of the holding."""
    return OUTLINE.format(file=file_id.hex())


def piece_named(file_id: bytes, digest: bytes, authorization_id: int) -> str:
    """Resource: the piece with a digest, read by an authorization (0: as owner)."""
    path = BLOCK.format(file=file_id.hex(), digest=digest.hex())
    return path + AUTHORIZATION.format(authorization=authorization_id)


def manifest_of(file_id: bytes, digest: bytes, authorization_id: int) -> str:
    """Resource: the manifest with a digest, read by an authorization (0: as owner)."""
    path = MANIFEST.format(file=file_id.hex(), digest=digest.hex())
    return path + AUTHORIZATION.format(authorization=authorization_id)
