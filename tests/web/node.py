"""A storage node for the tests of its HTTP face: every request is admitted as by the real one, pieces are in memory."""

from __future__ import annotations

import hashlib
import sqlite3
import threading

from dtxeth.chain import Account
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.errors import InputError, IntegrityError, UnknownNameError
from dtxeth.storage import NodeStatus, api
from dtxeth.storage.acknowledgements import sign_acknowledgement
from dtxeth.storage.api import Claim
from dtxeth.storage.requests import Credentials, RequestGate


class MemoryNode:
    """Implements StorageNodeApi; notes who asked for what."""

    def __init__(self, account: Account, file_registry: FileRegistry) -> None:
        self.account, self.registry = account, file_registry
        database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.gate = RequestGate(account.address, file_registry, database, threading.RLock())
        self.pieces: dict[bytes, bytes] = {}
        self.drafts: dict[bytes, list[bytes]] = {}
        self.asked: list[str] = []

    def status(self) -> NodeStatus:
        return NodeStatus(1 << 30, sum(map(len, self.pieces.values())))

    def put_piece(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, piece: bytes
    ) -> None:
        self.admit(credentials, "PUT", api.piece_at(file_id, draft, position), piece)
        staged = self.drafts.setdefault(draft, [])
        if position != len(staged):
            raise InputError(f"piece at position {position}: {len(staged)} is next")
        digest = hashlib.sha256(piece).digest()
        self.pieces[digest] = piece
        staged.append(digest)

    def keep_pieces(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, digests: list[bytes]
    ) -> None:
        self.admit(credentials, "PUT", api.kept_at(file_id, draft, position), b"".join(digests))
        if unknown := set(digests) - set(self.pieces):
            raise UnknownNameError(f"{len(unknown)} pieces are not held here")
        self.drafts.setdefault(draft, []).extend(digests)

    def commitments(self, credentials: Credentials, file_id: bytes, draft: bytes) -> bytes:
        self.admit(credentials, "GET", api.commitments_of(file_id, draft))
        return b"".join(hashlib.sha384(digest).digest() for digest in self.drafts.get(draft, []))

    def acknowledge(
        self, credentials: Credentials, file_id: bytes, draft: bytes, claim: Claim
    ) -> Acknowledgement:
        owner = self.admit(credentials, "PUT", api.draft_of(file_id, draft), claim.to_bytes())
        if claim.size != sum(len(self.pieces[digest]) for digest in self.drafts.get(draft, [])):
            raise IntegrityError("the pieces have another size than is claimed")
        return sign_acknowledgement(self.account, self.registry, file_id, owner, claim, 2**40)

    def abandon(self, credentials: Credentials, file_id: bytes, draft: bytes) -> None:
        self.admit(credentials, "DELETE", api.draft_of(file_id, draft))
        self.drafts.pop(draft, None)

    def outline(self, credentials: Credentials, file_id: bytes) -> bytes:
        self.admit(credentials, "GET", api.outline_of(file_id))
        return b"".join(self.pieces)

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        self.admit(credentials, "GET", api.piece_named(file_id, digest, authorization_id))
        return self._held(digest)

    def get_manifest(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        self.admit(credentials, "GET", api.manifest_of(file_id, digest, authorization_id))
        return self._held(digest)

    def admit(self, credentials: Credentials, method: str, resource: str, body: bytes = b"") -> str:
        sender = self.gate.admit(credentials, method, resource, body)
        self.asked.append(f"{method} {resource}")
        return sender

    def _held(self, digest: bytes) -> bytes:
        if digest not in self.pieces:
            raise UnknownNameError(f"no piece 0x{digest.hex()} is held here")
        return self.pieces[digest]
