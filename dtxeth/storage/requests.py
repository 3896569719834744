"""Requests to storage nodes and owner nodes, signed by Ethereum accounts (EIP-712).

A signature covers the kind of node, the node, the method, the resource, the SHA-256 of the body, a nonce and
a deadline, in a domain of the chain and its file registry: it is good for one request to one node, once, for
a minute of chain time.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from typing import Final

from dtxeth.chain.accounts import Account, recover_digest
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.recent import Recent
from dtxeth.chain.typed import FlatStruct, domain_separator
from dtxeth.errors import PolicyError, StorageError
from dtxeth.storage.limits import RateLimiter, Rates

STORAGE_NODE: Final = "dtxeth storage node"
"""Domain name of requests to storage nodes."""
OWNER_NODE: Final = "dtxeth owner node"
"""Domain name of requests to owner nodes: what was signed for the one is nothing to the other."""

EMPTY: Final = hashlib.sha256().digest()
"""SHA-256 of no body."""
LIFETIME = 60
"""Seconds of chain time for which a request is good."""
_FARTHEST = 2 * LIFETIME  # the node may see the chain's latest blocks later than the sender does

_REQUEST: Final = FlatStruct(
    "Request",
    (
        ("address", "node"),
        ("string", "method"),
        ("string", "resource"),
        ("bytes32", "bodyHash"),
        ("bytes32", "nonce"),
        ("uint64", "deadline"),
    ),
)


@dataclass(frozen=True)
class Credentials:
    """What accompanies a request; the node recomputes everything else that was signed.

    Attributes:
        sender: Account that signed.
        nonce: 32 random bytes.
        deadline: Last second of chain time at which the request is good.
        signature: 65 bytes r, s, v.
    """

    sender: str
    nonce: bytes
    deadline: int
    signature: bytes


class RequestSigner:
    """Signs an account's requests.

    Args:
        account: Who asks.
        file_registry: Fixes chain and domain, and tells the time.
        service: Kind of node that is asked: ``STORAGE_NODE`` or ``OWNER_NODE``.
    """

    def __init__(self, account: Account, file_registry: FileRegistry, service: str = STORAGE_NODE) -> None:
        self.account = account
        self.file_registry = file_registry
        self.service = service
        self._recent = Recent(file_registry.chain)

    def sign(self, node: str, method: str, resource: str, body_hash: bytes = EMPTY) -> Credentials:
        """Sign one request.

        Args:
            node: Address of the node that is to serve it.
            method: ``GET``, ``PUT``, ``POST`` or ``DELETE``.
            resource: Path of what is asked for.
            body_hash: SHA-256 of the body.
        """
        nonce, deadline = secrets.token_bytes(32), self._recent.now() + LIFETIME
        domain = _domain(self.service, self.file_registry)
        digest = _REQUEST.digest(domain, node, method, resource, body_hash, nonce, deadline)
        return Credentials(self.account.address, nonce, deadline, self.account.sign_digest(digest))


class RequestGate:
    """Lets each properly signed request through once.

    Nonces are kept until their deadline, in the node's database: a restart opens no gap for replays.

    Args:
        node: Address of the node that stands behind it.
        file_registry: Fixes chain and domain, and tells the time.
        database: Connection that may be used under ``lock``.
        lock: Guards the connection.
        service: Kind of node: ``STORAGE_NODE`` or ``OWNER_NODE``.
        rates: How often it may be asked.
    """

    def __init__(
        self,
        node: str,
        file_registry: FileRegistry,
        database: sqlite3.Connection,
        lock: threading.RLock,
        service: str = STORAGE_NODE,
        rates: Rates | None = None,
    ) -> None:
        self._node, self._registry, self._database, self._lock = node, file_registry, database, lock
        self._service, self._rates = service, RateLimiter(rates or Rates())
        self._recent = Recent(file_registry.chain)
        self._swept = -1  # the time at which lapsed nonces were last forgotten
        with lock:
            database.execute(
                "CREATE TABLE IF NOT EXISTS request (nonce BLOB PRIMARY KEY, deadline INTEGER NOT NULL)"
            )
            database.execute("CREATE INDEX IF NOT EXISTS request_by_deadline ON request (deadline)")

    def admit(self, credentials: Credentials, method: str, resource: str, body: bytes = b"") -> str:
        """Check a request and return who sent it; see :meth:`admit_digest`."""
        return self.admit_digest(credentials, method, resource, hashlib.sha256(body).digest())

    def admit_digest(self, credentials: Credentials, method: str, resource: str, body_hash: bytes) -> str:
        """Check a request whose body is still to come, and return who sent it.

        The body has to be compared with ``body_hash`` before anything is done with it.

        Raises:
            PolicyError: It lapsed, lies too far ahead, was made for something else, or was seen before.
            CryptoError: The signature is not one.
            BusyError: The sender, or all together, asked too often; the request may be sent again as it is.
        """
        now = self._recent.now()
        if credentials.deadline < now:
            raise self._untimely(credentials, now)
        if len(credentials.nonce) != 32:
            raise PolicyError(f"nonce of {len(credentials.nonce)} bytes: sign with a fresh one of 32")
        domain = _domain(self._service, self._registry)
        given = method, resource, body_hash, credentials.nonce, credentials.deadline
        signer = recover_digest(_REQUEST.digest(domain, self._node, *given), credentials.signature)
        if signer != credentials.sender:
            raise PolicyError(
                f"{method} {resource} is not what {credentials.sender} signed: sign this very request"
            )
        self._rates.take(signer)  # of a sender who is proved: nobody uses up another's allowance
        if credentials.deadline > now + _FARTHEST:
            # A chain that makes blocks on demand may have jumped since we asked it.
            now = self._registry.chain.now()
            if not now <= credentials.deadline <= now + _FARTHEST:
                raise self._untimely(credentials, now)
        self._spend(credentials.nonce, credentials.deadline, now)
        return signer

    @staticmethod
    def _untimely(credentials: Credentials, now: int) -> PolicyError:
        return PolicyError(
            f"request with deadline {credentials.deadline} at time {now}: "
            f"sign it anew, for at most {_FARTHEST} seconds"
        )

    def _spend(self, nonce: bytes, deadline: int, now: int) -> None:
        with self._lock:
            try:
                if now != self._swept:
                    self._database.execute("DELETE FROM request WHERE deadline < ?", (now,))
                    self._swept = now
                self._database.execute("INSERT INTO request VALUES (?, ?)", (nonce, deadline))
            except sqlite3.IntegrityError:
                raise PolicyError("request seen before: sign each one with a fresh nonce") from None
            except sqlite3.Error as error:
                raise StorageError(
                    f"the node's records cannot be used: {error}; make room for them"
                ) from error


def _domain(service: str, file_registry: FileRegistry) -> bytes:
    return domain_separator(service, file_registry.chain.chain_id, file_registry.address)
