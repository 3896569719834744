"""What a storage node offers to owners and executors, as a protocol: in-process, or behind a network.

Every request but ``status`` is signed; see :mod:`dtxeth.storage.requests`. The functions here name the
resources, so that both sides sign and check the same paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.storage.requests import Credentials


@dataclass(frozen=True)
class NodeStatus:
    """What a node says about itself.

    Attributes:
        capacity: Bytes it offers.
        used: Bytes it holds or has staged.
    """

    capacity: int
    used: int

    @property
    def free(self) -> int:
        """Bytes left."""
        return max(0, self.capacity - self.used)


@dataclass(frozen=True)
class Claim:
    """What an owner says that a node now holds of a file; the node acknowledges it only if it is so.

    Attributes:
        root: Merkle root over the leaves of all pieces, in order.
        leaf_count: Number of these leaves.
        size: Bytes of all pieces.
        expires_at: Until when the file is to be kept.
    """

    root: bytes
    leaf_count: int
    size: int
    expires_at: int

    def to_bytes(self) -> bytes:
        """Encode it as the body of the request: root ‖ leaf count (4) ‖ size (8) ‖ expiry (8), big-endian."""
        numbers = ((self.leaf_count, 4), (self.size, 8), (self.expires_at, 8))
        return self.root + b"".join(number.to_bytes(width, "big") for number, width in numbers)


class StorageNodeApi(Protocol):
    """A storage node as its clients reach it.

    Refusals are :class:`~dtxeth.errors.DtxethError`; an implementation over a network raises
    :class:`~dtxeth.errors.NodeError` or ``OSError`` when the node cannot be reached.
    """

    def status(self) -> NodeStatus:
        """Tell capacity and use; signed by nobody."""
        ...

    def put_piece(self, credentials: Credentials, file_id: bytes, position: int, piece: bytes) -> None:
        """Stage the next piece of the sender's file; ``PUT`` of :func:`piece_at`, body the piece."""
        ...

    def acknowledge(self, credentials: Credentials, file_id: bytes, claim: Claim) -> Acknowledgement:
        """Sign for the staged pieces; ``PUT`` of :func:`holding_of`, body the claim."""
        ...

    def abandon(self, credentials: Credentials, file_id: bytes) -> None:
        """Drop the sender's staged pieces; ``DELETE`` of :func:`holding_of`."""
        ...

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """Serve a piece by its SHA-256; ``GET`` of :func:`piece_named`."""
        ...

    def get_manifest(self, credentials: Credentials, file_id: bytes, authorization_id: int) -> bytes:
        """Serve the node's encryption of the sealed manifest; ``GET`` of :func:`manifest_of`."""
        ...


def holding_of(file_id: bytes) -> str:
    """Resource: what the node holds of a file."""
    return f"/files/{file_id.hex()}"


def piece_at(file_id: bytes, position: int) -> str:
    """Resource: the piece at a position of the holding."""
    return f"{holding_of(file_id)}/pieces/{position}"


def piece_named(file_id: bytes, digest: bytes, authorization_id: int) -> str:
    """Resource: the piece with a digest, read by an authorization (0: as owner)."""
    return f"{holding_of(file_id)}/blocks/{digest.hex()}?authorization={authorization_id}"


def manifest_of(file_id: bytes, authorization_id: int) -> str:
    """Resource: the manifest, read by an authorization (0: as owner)."""
    return f"{holding_of(file_id)}/manifest?authorization={authorization_id}"
