"""What requests to an owner node hold, who may send them, and how they are answered."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Final

import anyio
from fastapi import Request
from pydantic_core import from_json
from starlette.responses import Response

from dtxeth.errors import InputError, IntegrityError, PolicyError, StorageError
from dtxeth.roles import DataOwner, StoredFile
from dtxeth.storage import wire
from dtxeth.storage.requests import OWNER_NODE, RequestGate
from dtxeth.web import owner_api as api
from dtxeth.web.request import SIGNED, Threads, credentials_of, number_in, parameter, target_of


class Door:
    """Lets the requests of clients through, each once."""

    def __init__(self, owner: DataOwner, clients: Collection[str], records: Path | None) -> None:
        self._clients = frozenset({*clients, owner.address})
        database = sqlite3.connect(records or ":memory:", check_same_thread=False, isolation_level=None)
        files = owner.network.contracts.file_registry
        weakref.finalize(self, database.close)
        self._gate = RequestGate(owner.address, files, database, threading.RLock(), OWNER_NODE)

    def admit(self, request: Request, body_hash: bytes = hashlib.sha256().digest()) -> None:
        """Refuse a request that no client signed, or that was seen before.

        Raises:
            PolicyError: The sender is no client, or the signature, deadline or nonce does not hold.
        """
        credentials = credentials_of(request)
        # before the gate: strangers leave no trace in its records
        if credentials.sender not in self._clients:
            raise PolicyError(f"{credentials.sender} is no client of this owner's: ask the owner to add it")
        self._gate.admit_digest(credentials, request.method, target_of(request), body_hash)


@asynccontextmanager
async def spooled(request: Request, name: str, digest: bytes) -> AsyncIterator[Path]:
    """Write the body of a request into a file that goes away afterwards.

    Raises:
        IntegrityError: It is not the one that was signed.
        StorageError: The disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="dtxeth-") as folder:
        path, hashed = Path(folder) / name, hashlib.sha256()
        try:
            with path.open("xb") as spool:
                async for chunk in request.stream():
                    hashed.update(chunk)
                    await anyio.to_thread.run_sync(spool.write, chunk)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}; make room") from error
        if hashed.digest() != digest:
            raise IntegrityError(
                f"the body has SHA-256 {hashed.hexdigest()}, not what was signed: send it again"
            )
        yield path


async def segments(segment: bytes, stream: Iterator[bytes], threads: Threads) -> AsyncIterator[bytes]:
    """Stream a file, and close it whatever happens."""
    close: Callable[[], None] = getattr(stream, "close", lambda: None)
    try:
        while segment:
            yield segment
            segment = await threads.do(next, stream, b"")
    finally:
        with anyio.CancelScope(shield=True):
            await threads.do(close)


async def admitted_body(request: Request, door: Door, threads: Threads) -> bytes:
    """Read a short body, and let the request through if it is the one that was signed.

    Raises:
        InputError: It is too long.
        PolicyError: The sender is no client.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > api.MAX_DOCUMENT:
            raise InputError(f"a body of more than {api.MAX_DOCUMENT} bytes: no more are taken here")
    await threads.do(door.admit, request, hashlib.sha256(body).digest())
    return body


def namespace_in(body: bytes) -> tuple[str, dict[str, Any]]:
    """Read name and settings of a new namespace.

    Raises:
        InputError: They are not what the API asks for.
    """
    try:
        # not json.loads: py-evm raises the recursion limit so far that deep nesting overflows the C stack
        document: Any = from_json(body)
    except ValueError:
        raise InputError("the body is not JSON") from None
    words: dict[str, Any] = {}
    match document:
        case {"name": str(name), "replicas": int(replicas), **rest}:
            words["replicas"] = replicas
        case {"name": str(name), "erasure": [int(needed), int(total)], **rest}:
            words["erasure"] = (needed, total)
        case _:
            raise InputError(
                'the body has to be {"name": …, "replicas": r} or {"name": …, "erasure": [k, n]}'
            )
    match rest:
        case {"possession": str(possession), **others} if not others:
            words["possession"] = possession
        case {**others} if others:
            raise InputError(f"unknown keys in the body: {', '.join(sorted(map(repr, others)))}")
    return name, words


def text_in(request: Request, name: str) -> str:
    """A value of the query that must not be empty; raises InputError."""
    text = request.query_params.get(name, "")
    if not text:
        raise InputError(f"{name} is missing in the query: add {name}=…")
    return text


def span_of(query: dict[str, Any]) -> tuple[int, int]:
    """Take offset and limit of a page out of a query."""
    offset, limit = number_in(query, "offset", 0), number_in(query, "limit", api.PAGE)
    if limit > api.MAX_PAGE:
        raise InputError(f"limit {limit}: a page has at most {api.MAX_PAGE} rows")
    query.pop("offset", None)
    query.pop("limit", None)
    return offset, limit


def row_of(file: StoredFile) -> dict[str, Any]:
    """What the API tells of a file."""
    return {
        "file": file.id,
        "name": file.name,
        "namespace": file.namespace,
        "size": file.size,
        "rows": file.rows,
        "published_at": file.published_at,
        "expires_at": file.expires_at,
    }


def answer(document: Mapping[str, Any], status: int = 200) -> Response:
    """Answer with JSON: bytes as hex, enumerations as words."""
    return Response(json.dumps(document, default=_plain), status, media_type="application/json")


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case Enum():
            return value.name.lower()
    return str(value)


def says(*parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an operation for its OpenAPI entry, beside those of every signed request."""
    return {"parameters": [*parameters, *SIGNED]}


BODY_HASH: Final = parameter(
    "header", wire.BODY_HASH, "SHA-256 of the body, which is what is signed.", wire.FORMS[wire.BODY_HASH]
)
AUTHORIZATION: Final = parameter("path", "authorization", "Number of the authorization.", "[0-9]+")
PAGING: Final = (
    parameter("query", "offset", "Rows to skip.", "[0-9]+", required=False),
    parameter("query", "limit", f"Rows to return, at most {api.MAX_PAGE}.", "[0-9]+", required=False),
)
DOCUMENT: Final = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
