"""A storage node as owners and executors see it: requests are signed, answers verified, failures named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.crypto.kzg import POINT_SIZE
from dtxeth.errors import DtxethError, NodeError
from dtxeth.storage import api
from dtxeth.storage.acknowledgements import acknowledges
from dtxeth.storage.api import Claim, NodeStatus, StorageNodeApi
from dtxeth.storage.pieces import encrypt_piece, manifest_piece_id
from dtxeth.storage.requests import EMPTY, Credentials, RequestSigner

T = TypeVar("T")


class NodeClient:
    """One storage node. Every method raises NodeError when the node is down, refuses, or lies.

    Args:
        address: Address of the node's account.
        node: How to reach it.
        signer: Signs the requests.
    """

    def __init__(self, address: str, node: StorageNodeApi, signer: RequestSigner) -> None:
        self.address = address
        self._node, self._signer = node, signer

    def status(self) -> NodeStatus:
        """Ask for capacity and use."""
        return self._ask(self._node.status)

    def put_piece(self, file_id: bytes, draft: bytes, position: int, piece: bytes, digest: bytes) -> None:
        """Send the next piece of a draft; ``digest`` is its SHA-256."""
        credentials = self._sign("PUT", api.piece_at(file_id, draft, position), digest)
        self._ask(lambda: self._node.put_piece(credentials, file_id, draft, position, piece))

    def keep_pieces(self, file_id: bytes, draft: bytes, position: int, digests: list[bytes]) -> None:
        """Make pieces that the node has of this file the next ones of a draft."""
        body_hash = hashlib.sha256(b"".join(digests)).digest()
        credentials = self._sign("PUT", api.kept_at(file_id, draft, position), body_hash)
        self._ask(lambda: self._node.keep_pieces(credentials, file_id, draft, position, digests))

    def commitments(self, file_id: bytes, draft: bytes, blobs: int) -> list[bytes]:
        """Have the node commit to what it has of a draft.

        They are what the node says: compare them with one's own bytes (:mod:`dtxeth.crypto.commitment_check`).
        The node computes them as pieces arrive if it has been asked once before.

        Args:
            file_id: The file.
            draft: The draft.
            blobs: How many blobs its pieces have.

        Returns:
            48 bytes a blob, in order.
        """
        credentials = self._sign("GET", api.commitments_of(file_id, draft))
        given = self._ask(lambda: self._node.commitments(credentials, file_id, draft))
        if len(given) != blobs * POINT_SIZE:
            raise NodeError(
                self.address, f"gave {len(given)} bytes of commitments for {blobs} blobs; use another node"
            )
        return [given[start : start + POINT_SIZE] for start in range(0, len(given), POINT_SIZE)]

    def acknowledge(self, file_id: bytes, draft: bytes, claim: Claim) -> Acknowledgement:
        """Have the node sign for a draft; the signature is checked here as it will be on chain."""
        body_hash = hashlib.sha256(claim.to_bytes()).digest()
        credentials = self._sign("PUT", api.draft_of(file_id, draft), body_hash)
        given = self._ask(lambda: self._node.acknowledge(credentials, file_id, draft, claim))
        owner = self._signer.account.address
        if not self._ask(
            lambda: acknowledges(given, self._signer.file_registry, file_id, owner, self.address, claim)
        ):
            raise NodeError(
                self.address, "acknowledged something else than the pieces it was sent; use another node"
            )
        return given

    def abandon(self, file_id: bytes, draft: bytes) -> None:
        """Have the node drop a draft."""
        credentials = self._sign("DELETE", api.draft_of(file_id, draft))
        self._ask(lambda: self._node.abandon(credentials, file_id, draft))

    def outline(self, file_id: bytes) -> bytes:
        """Fetch the outline of the node's holding; the caller checks it against the chain."""
        credentials = self._sign("GET", api.outline_of(file_id))
        return self._ask(lambda: self._node.outline(credentials, file_id))

    def get_piece(self, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        """Fetch a piece and check it against its SHA-256."""
        credentials = self._sign("GET", api.piece_named(file_id, digest, authorization_id))
        piece = self._ask(lambda: self._node.get_piece(credentials, file_id, digest, authorization_id))
        if hashlib.sha256(piece).digest() != digest:
            raise NodeError(
                self.address, f"returned other bytes for piece 0x{digest.hex()}; use another node"
            )
        return piece

    def get_manifest(self, file_id: bytes, file_key: bytes, digest: bytes, authorization_id: int) -> bytes:
        """Fetch the sealed manifest and check it against the SHA-256 on chain."""
        credentials = self._sign("GET", api.manifest_of(file_id, digest, authorization_id))
        piece = self._ask(lambda: self._node.get_manifest(credentials, file_id, digest, authorization_id))
        sealed = encrypt_piece(file_key, manifest_piece_id(digest), self.address, 0, piece)
        if hashlib.sha256(sealed).digest() != digest:
            raise NodeError(
                self.address, f"returned another manifest for file 0x{file_id.hex()}; use another node"
            )
        return sealed

    def _sign(self, method: str, resource: str, body_hash: bytes = EMPTY) -> Credentials:
        return self._signer.sign(self.address, method, resource, body_hash)

    def _ask(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except NodeError:
            raise
        except (DtxethError, OSError) as error:
            raise NodeError(self.address, str(error)) from error
