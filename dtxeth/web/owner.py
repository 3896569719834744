"""The HTTP API of an owner node: an owner's files, for clients of its organisation."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import anyio
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from dtxeth.chain.rows import AuthorizationRow, NamespaceRow, Row
from dtxeth.errors import InputError, IntegrityError, PolicyError, StorageError, UnknownNameError
from dtxeth.roles import DataOwner, StoredFile
from dtxeth.roles.health import FileHealth
from dtxeth.storage import wire
from dtxeth.storage.manifest import check_name
from dtxeth.storage.requests import OWNER_NODE, RequestGate
from dtxeth.web import owner_api as api
from dtxeth.web.app import OCTETS, new_app
from dtxeth.web.limits import Limits
from dtxeth.web.request import (
    FILE,
    SIGNED,
    Threads,
    bytes_in,
    credentials_of,
    number_in,
    octets,
    parameter,
    target_of,
)

MAX_UPLOAD: Final = 4 * 2**30
"""Bytes of a file that an owner node takes, unless its limits say otherwise."""

_DESCRIPTION: Final = """
Stores, lists and reads the files of one owner, for the accounts that the owner has allowed.

All requests but `GET /status` and `GET /health` are signed (EIP-712); docs/http.md says how. A refusal is JSON:
`{"error": class of the error, "message": what is wrong}`.
"""


def owner_app(
    owner: DataOwner,
    clients: Collection[str] = (),
    limits: Limits | None = None,
    records: Path | None = None,
) -> FastAPI:
    """Make the ASGI application of an owner node; :func:`~dtxeth.web.server.serve` serves it.

    Args:
        owner: The owner.
        clients: Accounts that are served besides the owner's own.
        limits: What it takes, from whom, how fast; ``body`` bounds the files.
        records: SQLite file of the requests seen; None keeps them in memory, and a restart forgets them.
    """
    limits = limits or replace(Limits(), body=MAX_UPLOAD)
    app = new_app("dtxeth owner node", _DESCRIPTION, limits)
    threads, door = Threads(limits), _Door(owner, clients, records)
    changes = Threads(replace(limits, threads=1))  # transactions of one account, one at a time

    @app.get("/status", tags=["state"], summary="Tell who this is")
    async def status() -> dict[str, Any]:
        files = owner.network.contracts.file_registry
        now = await threads.do(owner.network.chain.now)
        return {
            "name": owner.name,
            "owner": owner.address,
            "chain_id": files.chain.chain_id,
            "file_registry": files.address,
            "now": now,
        }

    @app.post(
        api.FILES,
        tags=["files"],
        summary="Store a file",
        status_code=201,
        openapi_extra=_says(
            parameter("query", "name", "Name of the file; sealed.", ".{1,255}"),
            parameter("query", "namespace", "Namespace of the owner's.", ".+"),
            parameter("query", "days", "How long to keep it; by default 365.", "[0-9]+", required=False),
            _BODY_HASH,
        )
        | octets("The plaintext."),
    )
    async def add_file(request: Request) -> Response:
        digest = bytes.fromhex(wire.header(request.headers, wire.BODY_HASH))
        await threads.do(door.admit, request, digest)
        name, namespace = check_name(_text(request, "name")), _text(request, "namespace")
        days = number_in(request.query_params, "days", 365)
        async with _spooled(request, name, digest) as path:
            stored = await changes.do(lambda: owner.upload(path, namespace, days=days))
        return _json(_row(stored), 201)

    @app.get(
        api.FILES,
        tags=["files"],
        summary="List the files",
        openapi_extra=_says(
            parameter("query", "namespace", "Only of this namespace.", ".*", required=False),
            parameter("query", "name", "Only with this in their names.", ".*", required=False),
            *_PAGING,
        ),
    )
    async def list_files(request: Request) -> Response:
        await threads.do(door.admit, request)
        namespace, name = request.query_params.get("namespace"), request.query_params.get("name", "")
        rows = [
            _row(file)
            for file in await threads.do(owner.files)
            if namespace in (None, file.namespace) and name in file.name
        ]
        offset, limit = _span(dict(request.query_params))
        return _json({"items": rows[offset : offset + limit], "total": len(rows)})

    @app.get(api.FILE, tags=["files"], summary="Describe a file", openapi_extra=_says(FILE))
    async def describe(request: Request) -> Response:
        await threads.do(door.admit, request)
        return _json(_row(await threads.do(find, bytes_in(request, "file", 32))))

    @app.get(
        api.CONTENT,
        tags=["files"],
        summary="Read a file",
        description="The answer breaks off if the file turns out to be damaged: use it only when it is complete.",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=_says(FILE),
    )
    async def read(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(find, file_id)
        remote, _ = await threads.do(owner.open_file, file_id)
        stream = remote.stream()
        first = await threads.do(next, stream, b"")  # what fails at once is told as a refusal
        name = quote(remote.manifest.name, safe="")
        return StreamingResponse(
            _segments(first, stream, threads),
            media_type="application/octet-stream",
            headers={
                "Content-Length": str(remote.manifest.size),
                "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            },
        )

    @app.get(api.HEALTH, tags=["files"], summary="Tell how healthy a file is", openapi_extra=_says(FILE))
    async def health(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(find, file_id)
        found = cast(FileHealth, await threads.do(owner.health, file_id))  # of an id, not of a name
        return _json(
            {"file": file_id, "level": found.level.name.lower(), "needed": found.needed, "total": found.total}
        )

    @app.post(
        api.RENEWAL,
        tags=["files"],
        summary="Keep a file longer",
        status_code=204,
        openapi_extra=_says(FILE, parameter("query", "days", "For how many days from now.", "[0-9]+")),
    )
    async def renew(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id, days = bytes_in(request, "file", 32), number_in(request.query_params, "days")
        await threads.do(find, file_id)
        await changes.do(lambda: owner.renew(file_id, days=days))
        return Response(status_code=204)

    @app.delete(api.FILE, tags=["files"], summary="Delete a file", status_code=204, openapi_extra=_says(FILE))
    async def delete(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(find, file_id)
        await changes.do(owner.delete, file_id)
        return Response(status_code=204)

    @app.get(
        api.NAMESPACES,
        tags=["namespaces"],
        summary="List the namespaces",
        openapi_extra=_says(
            parameter("query", "name", "Only of this name.", ".*", required=False),
            parameter("query", "possession", "Only with this proof.", "merkle|kzg|both", required=False),
            *_PAGING,
        ),
    )
    async def list_namespaces(request: Request) -> Response:
        await threads.do(door.admit, request)
        return await threads.do(listed, NamespaceRow, request)

    @app.post(
        api.NAMESPACES,
        tags=["namespaces"],
        summary="Add a namespace",
        description='`{"name": …, "replicas": r}` or `{"name": …, "erasure": [k, n]}`, and `"possession"`: '
        "`merkle`, `kzg` or `both`.",
        status_code=201,
        openapi_extra=_says() | _DOCUMENT,
    )
    async def add_namespace(request: Request) -> Response:
        name, words = _namespace(await _admitted_body(request, door, threads))
        await changes.do(lambda: owner.add_namespace(name, **words))
        return _json({"name": name}, 201)

    @app.get(
        api.AUTHORIZATIONS,
        tags=["authorizations"],
        summary="List applications for files, and what became of them",
        openapi_extra=_says(
            parameter("query", "status", "Only with this status.", "[a-z]+", required=False),
            parameter("query", "file", "Only for this file.", "[0-9a-f]{64}", required=False),
            parameter("query", "applier", "Only of this account.", wire.FORMS[wire.SENDER], required=False),
            *_PAGING,
        ),
    )
    async def list_authorizations(request: Request) -> Response:
        await threads.do(door.admit, request)
        return await threads.do(listed, AuthorizationRow, request)

    @app.post(
        api.APPROVAL,
        tags=["authorizations"],
        summary="Approve an application",
        status_code=204,
        openapi_extra=_says(_AUTHORIZATION),
    )
    async def approve(request: Request) -> Response:
        await threads.do(door.admit, request)
        await changes.do(owner.approve, number_in(request.path_params, "authorization"))
        return Response(status_code=204)

    @app.post(
        api.REJECTION,
        tags=["authorizations"],
        summary="Reject an application; the reason is public",
        status_code=204,
        openapi_extra=_says(_AUTHORIZATION) | octets("The reason, in UTF-8."),
    )
    async def reject(request: Request) -> Response:
        try:
            reason = (await _admitted_body(request, door, threads)).decode()
        except UnicodeDecodeError:
            raise InputError("the reason is not UTF-8: write it so") from None
        await changes.do(owner.reject, number_in(request.path_params, "authorization"), reason)
        return Response(status_code=204)

    def listed(kind: type[Row], request: Request) -> Response:
        filters: dict[str, Any] = dict(request.query_params)
        offset, limit = _span(filters)
        if unknown := filters.keys() - kind.filters.keys():
            raise InputError(
                f"no such filter: {', '.join(sorted(unknown))}; there are {', '.join(kind.filters)}"
            )
        owner.network.index.sync()
        page = owner.network.index.page(
            kind, offset=offset, limit=limit, **filters | {"owner": owner.address}
        )
        return _json({"items": [asdict(row) for row in page], "total": page.total})

    def find(file_id: bytes) -> StoredFile:
        for file in owner.files():
            if file.id == file_id:
                return file
        raise UnknownNameError(f"{owner.name} has no file 0x{file_id.hex()}: list what there is")

    return app


class _Door:
    """Lets the requests of clients through, each once."""

    def __init__(self, owner: DataOwner, clients: Collection[str], records: Path | None) -> None:
        self._clients = frozenset({*clients, owner.address})
        database = sqlite3.connect(records or ":memory:", check_same_thread=False, isolation_level=None)
        files = owner.network.contracts.file_registry
        weakref.finalize(self, database.close)
        self._gate = RequestGate(owner.address, files, database, threading.RLock(), OWNER_NODE)

    def admit(self, request: Request, body_hash: bytes = hashlib.sha256().digest()) -> None:
        credentials = credentials_of(request)
        if (
            credentials.sender not in self._clients
        ):  # before the gate: strangers leave no trace in its records
            raise PolicyError(f"{credentials.sender} is no client of this owner's: ask the owner to add it")
        self._gate.admit_digest(credentials, request.method, target_of(request), body_hash)


@asynccontextmanager
async def _spooled(request: Request, name: str, digest: bytes) -> AsyncIterator[Path]:
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


async def _segments(segment: bytes, stream: Iterator[bytes], threads: Threads) -> AsyncIterator[bytes]:
    close: Callable[[], None] = getattr(stream, "close", lambda: None)
    try:
        while segment:
            yield segment
            segment = await threads.do(next, stream, b"")
    finally:
        with anyio.CancelScope(shield=True):
            await threads.do(close)


async def _admitted_body(request: Request, door: _Door, threads: Threads) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > api.MAX_DOCUMENT:
            raise InputError(f"a body of more than {api.MAX_DOCUMENT} bytes: no more are taken here")
    await threads.do(door.admit, request, hashlib.sha256(body).digest())
    return body


def _namespace(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
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


def _text(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if not text:
        raise InputError(f"{name} is missing in the query: add {name}=…")
    return text


def _span(query: dict[str, Any]) -> tuple[int, int]:
    """Take offset and limit of a page out of a query."""
    offset, limit = number_in(query, "offset", 0), number_in(query, "limit", api.PAGE)
    if limit > api.MAX_PAGE:
        raise InputError(f"limit {limit}: a page has at most {api.MAX_PAGE} rows")
    query.pop("offset", None)
    query.pop("limit", None)
    return offset, limit


def _row(file: StoredFile) -> dict[str, Any]:
    return {
        "file": file.id,
        "name": file.name,
        "namespace": file.namespace,
        "size": file.size,
        "rows": file.rows,
        "published_at": file.published_at,
        "expires_at": file.expires_at,
    }


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document, default=_plain), status, media_type="application/json")


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case Enum():
            return value.name.lower()
    return str(value)


def _says(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [*parameters, *SIGNED]}


_BODY_HASH: Final = parameter(
    "header", wire.BODY_HASH, "SHA-256 of the body, which is what is signed.", wire.FORMS[wire.BODY_HASH]
)
_AUTHORIZATION: Final = parameter("path", "authorization", "Number of the authorization.", "[0-9]+")
_PAGING: Final = (
    parameter("query", "offset", "Rows to skip.", "[0-9]+", required=False),
    parameter("query", "limit", f"Rows to return, at most {api.MAX_PAGE}.", "[0-9]+", required=False),
)
_DOCUMENT: Final = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
