"""The client of an owner node's HTTP API."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import urlencode

from dtxeth.chain import Account
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.errors import InputError, StorageError
from dtxeth.roles.files import FileRef, file_id_of
from dtxeth.storage import RequestSigner, wire
from dtxeth.storage.http import Connection
from dtxeth.storage.requests import OWNER_NODE
from dtxeth.web import owner_api as api

_CHUNK: Final = 2**20
_MAX_ANSWER: Final = 4 * 2**20
_EMPTY: Final = hashlib.sha256().digest()


class OwnerClient:
    """An owner node, as a client of the owner's organisation sees it.

    Thread-safe. Refusals are raised as :mod:`dtxeth.storage.wire` lists them, ``OSError`` if the node cannot be
    reached or breaks off, ``IntegrityError`` if it answers what the protocol does not allow.

    Args:
        url: Where it is: ``https://host:port``. What is uploaded and read passes here in clear: over a network that
            is not trusted, it has to be HTTPS.
        owner: Address of the owner; what is signed is good for no other.
        account: Who asks: one of the owner's ``clients``.
        file_registry: Fixes chain and domain, and tells the time.
        timeout: Seconds that one step may take; storing a file takes as many as the storage nodes need for it.

    Raises:
        InputError: That is no such URL.
    """

    def __init__(
        self, url: str, owner: str, account: Account, file_registry: FileRegistry, *, timeout: float = 600.0
    ) -> None:
        self._connection = Connection(url, timeout=timeout)
        self._owner, self._signer = owner, RequestSigner(account, file_registry, OWNER_NODE)

    def status(self) -> dict[str, Any]:
        """Who the node says that it is."""
        return self._document(self._connection.request("GET", "/status", {}, limit=_MAX_ANSWER))

    def upload(self, path: Path | str, namespace: str, *, name: str = "", days: int = 365) -> dict[str, Any]:
        """Store a file; returns its record, with its id under ``file``.

        Args:
            path: The file.
            namespace: One of the owner's namespaces.
            name: What to call it; by default as it is.
            days: How long to keep it.

        Raises:
            InputError: The file cannot be read.
        """
        path = Path(path)
        try:
            with path.open("rb") as reader:
                digest, size = hashlib.file_digest(reader, "sha256").digest(), reader.tell()
                reader.seek(0)
                resource = _resource(api.FILES, name=name or path.name, namespace=namespace, days=days)
                headers = self._signed("POST", resource, digest) | {wire.BODY_HASH: digest.hex()}
                chunks = iter(lambda: reader.read(_CHUNK), b"")
                with self._connection.stream("POST", resource, headers, chunks, size) as answer:
                    return self._document(b"".join(answer))
        except FileNotFoundError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None

    def download(self, file: FileRef, destination: Path | str) -> int:
        """Read a file into one that appears only when it is complete; returns its bytes.

        Raises:
            StorageError: The destination cannot be written.
        """
        target = Path(destination)
        temporary, size = target.with_name(f".{secrets.token_hex(8)}.part"), 0
        try:
            writer = temporary.open("xb")
        except OSError as error:
            raise StorageError(f"{target} cannot be written: {error.strerror}") from None
        try:
            with writer:
                for chunk in self.read(file):
                    size += _write(writer, chunk, target)
                os.fsync(writer.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return size

    def read(self, file: FileRef) -> Iterator[bytes]:
        """Yield a file's plaintext; use it only when the iterator has ended."""
        resource = api.CONTENT.format(file=file_id_of(file).hex())
        with self._connection.stream("GET", resource, self._signed("GET", resource)) as chunks:
            yield from chunks

    def files(
        self, *, namespace: str | None = None, name: str | None = None, offset: int = 0, limit: int = api.PAGE
    ) -> list[dict[str, Any]]:
        """A page of the owner's files: of one namespace, or with something in their names, or all."""
        return self._page(api.FILES, namespace=namespace, name=name, offset=offset, limit=limit)

    def file(self, file: FileRef) -> dict[str, Any]:
        """The record of one file."""
        return self._ask("GET", api.FILE.format(file=file_id_of(file).hex()))

    def health(self, file: FileRef) -> dict[str, Any]:
        """How healthy a file is."""
        return self._ask("GET", api.HEALTH.format(file=file_id_of(file).hex()))

    def renew(self, file: FileRef, *, days: int) -> None:
        """Keep a file for some days from now."""
        self._ask("POST", _resource(api.RENEWAL.format(file=file_id_of(file).hex()), days=days))

    def delete(self, file: FileRef) -> None:
        """Delete a file."""
        self._ask("DELETE", api.FILE.format(file=file_id_of(file).hex()))

    def namespaces(self, *, offset: int = 0, limit: int = api.PAGE) -> list[dict[str, Any]]:
        """A page of the owner's namespaces."""
        return self._page(api.NAMESPACES, offset=offset, limit=limit)

    def add_namespace(
        self,
        name: str,
        replicas: int | None = None,
        *,
        erasure: Sequence[int] | None = None,
        possession: str = "merkle",
    ) -> None:
        """Add a namespace; see :meth:`dtxeth.roles.DataOwner.add_namespace`."""
        redundancy = {"replicas": replicas} if erasure is None else {"erasure": list(erasure)}
        body = json.dumps({"name": name, **redundancy, "possession": possession})
        self._ask("POST", api.NAMESPACES, body.encode())

    def authorizations(
        self, *, status: str | None = None, offset: int = 0, limit: int = api.PAGE
    ) -> list[dict[str, Any]]:
        """A page of the applications for the owner's files, and what became of them."""
        return self._page(api.AUTHORIZATIONS, status=status, offset=offset, limit=limit)

    def approve(self, authorization_id: int) -> None:
        """Approve an application."""
        self._ask("POST", api.APPROVAL.format(authorization=authorization_id))

    def reject(self, authorization_id: int, reason: str) -> None:
        """Reject an application; the reason is public."""
        self._ask("POST", api.REJECTION.format(authorization=authorization_id), reason.encode())

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _page(self, path: str, **query: Any) -> list[dict[str, Any]]:
        match self._ask("GET", _resource(path, **query)):
            case {"items": [*rows]} if all(isinstance(row, dict) for row in rows):
                return rows
        raise self._connection.liar("a list that is none")

    def _ask(self, method: str, resource: str, body: bytes = b"") -> dict[str, Any]:
        headers = self._signed(method, resource, hashlib.sha256(body).digest())
        answer = self._connection.request(method, resource, headers, body, limit=_MAX_ANSWER)
        return self._document(answer) if answer else {}

    def _document(self, answer: bytes) -> dict[str, Any]:
        try:
            document: Any = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._connection.liar("what is no JSON object")
        return document

    def _signed(self, method: str, resource: str, body_hash: bytes = _EMPTY) -> dict[str, str]:
        return wire.to_headers(self._signer.sign(self._owner, method, resource, body_hash))


def _resource(path: str, **query: Any) -> str:
    given: Mapping[str, Any] = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _write(writer: BinaryIO, chunk: bytes, target: Path) -> int:
    try:
        return writer.write(chunk)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from None
