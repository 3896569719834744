"""The HTTP API of an owner node: an owner's files, for clients of its organisation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from dtxeth.chain.rows import AuthorizationRow, NamespaceRow, Row
from dtxeth.errors import InputError
from dtxeth.roles import DataOwner
from dtxeth.roles.health import FileHealth
from dtxeth.storage import wire
from dtxeth.storage.manifest import check_name
from dtxeth.web import owner_api as api
from dtxeth.web.app import OCTETS, new_app
from dtxeth.web.limits import Limits
from dtxeth.web.owner_requests import (
    AUTHORIZATION,
    BODY_HASH,
    DOCUMENT,
    PAGING,
    Door,
    admitted_body,
    answer,
    namespace_in,
    row_of,
    says,
    segments,
    span_of,
    spooled,
    text_in,
)
from dtxeth.web.request import (
    FILE,
    Threads,
    bytes_in,
    number_in,
    octets,
    parameter,
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
    threads, door = Threads(limits), Door(owner, clients, records)
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
        openapi_extra=says(
            parameter("query", "name", "Name of the file; sealed.", ".{1,255}"),
            parameter("query", "namespace", "Namespace of the owner's.", ".+"),
            parameter("query", "days", "How long to keep it; by default 365.", "[0-9]+", required=False),
            BODY_HASH,
        )
        | octets("The plaintext."),
    )
    async def add_file(request: Request) -> Response:
        digest = bytes.fromhex(wire.header(request.headers, wire.BODY_HASH))
        await threads.do(door.admit, request, digest)
        name, namespace = check_name(text_in(request, "name")), text_in(request, "namespace")
        days = number_in(request.query_params, "days", 365)
        async with spooled(request, name, digest) as path:
            stored = await changes.do(lambda: owner.upload(path, namespace, days=days))
        return answer(row_of(stored), 201)

    @app.get(
        api.FILES,
        tags=["files"],
        summary="List the files",
        openapi_extra=says(
            parameter("query", "namespace", "Only of this namespace.", ".*", required=False),
            parameter("query", "name", "Only with this in their names.", ".*", required=False),
            *PAGING,
        ),
    )
    async def list_files(request: Request) -> Response:
        await threads.do(door.admit, request)
        namespace, name = request.query_params.get("namespace"), request.query_params.get("name", "")
        rows = [
            row_of(file)
            for file in await threads.do(owner.files)
            if namespace in (None, file.namespace) and name in file.name
        ]
        offset, limit = span_of(dict(request.query_params))
        return answer({"items": rows[offset : offset + limit], "total": len(rows)})

    @app.get(api.FILE, tags=["files"], summary="Describe a file", openapi_extra=says(FILE))
    async def describe(request: Request) -> Response:
        await threads.do(door.admit, request)
        return answer(row_of(await threads.do(owner.file, bytes_in(request, "file", 32))))

    @app.get(
        api.CONTENT,
        tags=["files"],
        summary="Read a file",
        description="The answer breaks off if the file turns out to be damaged: use it only when it is complete.",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=says(FILE),
    )
    async def read(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(owner.file, file_id)
        remote, _ = await threads.do(owner.open_file, file_id)
        stream = remote.stream()
        first = await threads.do(next, stream, b"")  # what fails at once is told as a refusal
        name = quote(remote.manifest.name, safe="")
        return StreamingResponse(
            segments(first, stream, threads),
            media_type="application/octet-stream",
            headers={
                "Content-Length": str(remote.manifest.size),
                "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            },
        )

    @app.get(api.HEALTH, tags=["files"], summary="Tell how healthy a file is", openapi_extra=says(FILE))
    async def health(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(owner.file, file_id)
        found = cast(FileHealth, await threads.do(owner.health, file_id))  # of an id, not of a name
        return answer(
            {"file": file_id, "level": found.level.name.lower(), "needed": found.needed, "total": found.total}
        )

    @app.post(
        api.RENEWAL,
        tags=["files"],
        summary="Keep a file longer",
        status_code=204,
        openapi_extra=says(FILE, parameter("query", "days", "For how many days from now.", "[0-9]+")),
    )
    async def renew(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id, days = bytes_in(request, "file", 32), number_in(request.query_params, "days")
        await threads.do(owner.file, file_id)
        await changes.do(lambda: owner.renew(file_id, days=days))
        return Response(status_code=204)

    @app.delete(api.FILE, tags=["files"], summary="Delete a file", status_code=204, openapi_extra=says(FILE))
    async def delete(request: Request) -> Response:
        await threads.do(door.admit, request)
        file_id = bytes_in(request, "file", 32)
        await threads.do(owner.file, file_id)
        await changes.do(owner.delete, file_id)
        return Response(status_code=204)

    @app.get(
        api.NAMESPACES,
        tags=["namespaces"],
        summary="List the namespaces",
        openapi_extra=says(
            parameter("query", "name", "Only of this name.", ".*", required=False),
            parameter("query", "possession", "Only with this proof.", "merkle|kzg|both", required=False),
            *PAGING,
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
        openapi_extra=says() | DOCUMENT,
    )
    async def add_namespace(request: Request) -> Response:
        name, words = namespace_in(await admitted_body(request, door, threads))
        await changes.do(lambda: owner.add_namespace(name, **words))
        return answer({"name": name}, 201)

    @app.get(
        api.AUTHORIZATIONS,
        tags=["authorizations"],
        summary="List applications for files, and what became of them",
        openapi_extra=says(
            parameter("query", "status", "Only with this status.", "[a-z]+", required=False),
            parameter("query", "file", "Only for this file.", "[0-9a-f]{64}", required=False),
            parameter("query", "applier", "Only of this account.", wire.FORMS[wire.SENDER], required=False),
            *PAGING,
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
        openapi_extra=says(AUTHORIZATION),
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
        openapi_extra=says(AUTHORIZATION) | octets("The reason, in UTF-8."),
    )
    async def reject(request: Request) -> Response:
        try:
            reason = (await admitted_body(request, door, threads)).decode()
        except UnicodeDecodeError:
            raise InputError("the reason is not UTF-8: write it so") from None
        await changes.do(owner.reject, number_in(request.path_params, "authorization"), reason)
        return Response(status_code=204)

    def listed(kind: type[Row], request: Request) -> Response:
        filters: dict[str, Any] = dict(request.query_params)
        offset, limit = span_of(filters)
        if unknown := filters.keys() - kind.filters.keys():
            raise InputError(
                f"no such filter: {', '.join(sorted(unknown))}; there are {', '.join(kind.filters)}"
            )
        owner.network.index.sync()
        page = owner.network.index.page(
            kind, offset=offset, limit=limit, **filters | {"owner": owner.address}
        )
        return answer({"items": [asdict(row) for row in page], "total": page.total})

    return app
