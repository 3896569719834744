"""The HTTP API of a storage node: the resources of :mod:`dtxeth.storage.api`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from dtxeth.errors import InputError
from dtxeth.storage import api
from dtxeth.storage.api import Claim, StorageNodeApi
from dtxeth.storage.requests import Credentials
from dtxeth.web.app import OCTETS, new_app
from dtxeth.web.limits import Limits
from dtxeth.web.request import (
    FILE,
    SIGNED,
    Octets,
    Threads,
    bytes_in,
    credentials_of,
    number_in,
    octets,
    parameter,
    read_body,
    require_target,
)

_DESCRIPTION: Final = """
Keeps encrypted pieces for the owners of files, serves them to whom the chain allows, and signs for them.

All requests but `GET /status` and `GET /health` are signed by an Ethereum account (EIP-712); docs/http.md says
how. Bodies are raw bytes. A refusal is JSON: `{"error": class of the error, "message": what is wrong}`.
"""


class Status(BaseModel):
    """What a node says about itself."""

    capacity: int = Field(description="Bytes that it offers.")
    used: int = Field(description="Bytes that it holds or has staged.")
    version: int = Field(description="Version of this API.")


class Signature(BaseModel):
    """A node's acknowledgement of a claim; everything else in it is as claimed."""

    node: str = Field(description="Account of the node.")
    deadline: int = Field(description="Last second of chain time at which it may be used.")
    signature: str = Field(description="65 bytes r, s, v in hex.")


def storage_node_app(service: StorageNodeApi, limits: Limits | None = None) -> FastAPI:
    """Make the ASGI application of a storage node; :func:`~dtxeth.web.server.serve` serves it.

    Args:
        service: The node.
        limits: What it takes, from whom, how fast.
    """
    limits = limits or Limits()
    app = new_app("dtxeth storage node", _DESCRIPTION, limits)
    threads = Threads(limits)

    @app.get("/status", tags=["state"], summary="Tell capacity and use")
    async def status() -> Status:
        told = await threads.do(service.status)
        return Status(capacity=told.capacity, used=told.used, version=told.version)

    @app.put(
        api.PIECE,
        tags=["drafts"],
        summary="Stage the next piece of a draft",
        status_code=204,
        openapi_extra=_says(FILE, _DRAFT, _POSITION) | octets("The piece, at most 1,015,808 bytes."),
    )
    async def put_piece(request: Request) -> Response:
        credentials, file, draft = _draft(request)
        position = number_in(request.path_params, "position")
        require_target(request, api.piece_at(file, draft, position))
        piece = await read_body(request)
        await threads.do(service.put_piece, credentials, file, draft, position, piece)
        return Response(status_code=204)

    @app.put(
        api.KEPT,
        tags=["drafts"],
        summary="Stage pieces that the node holds of the file already",
        status_code=204,
        openapi_extra=_says(FILE, _DRAFT, _POSITION) | octets("Their SHA-256 digests, one after the other."),
    )
    async def keep_pieces(request: Request) -> Response:
        credentials, file, draft = _draft(request)
        position = number_in(request.path_params, "position")
        require_target(request, api.kept_at(file, draft, position))
        body = await read_body(request)
        if not body or len(body) % 32:
            raise InputError(f"digests of {len(body)} bytes in all: expected 32 each")
        digests = [body[start : start + 32] for start in range(0, len(body), 32)]
        await threads.do(service.keep_pieces, credentials, file, draft, position, digests)
        return Response(status_code=204)

    @app.get(
        api.COMMITMENTS,
        tags=["drafts"],
        summary="KZG commitments of all blobs of a draft, 48 bytes each",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=_says(FILE, _DRAFT),
    )
    async def commitments(request: Request) -> Response:
        credentials, file, draft = _draft(request)
        require_target(request, api.commitments_of(file, draft))
        return Octets(await threads.do(service.commitments, credentials, file, draft))

    @app.put(
        api.DRAFT,
        tags=["drafts"],
        summary="Sign for a draft",
        openapi_extra=_says(FILE, _DRAFT)
        | octets(
            "The claim, 92 bytes: version (4), root (32), leaves (4), root of the commitments (32), blobs (4), "
            "bytes (8), expiry (8); numbers big-endian."
        ),
    )
    async def acknowledge(request: Request) -> Signature:
        credentials, file, draft = _draft(request)
        require_target(request, api.draft_of(file, draft))
        claim = Claim.from_bytes(await read_body(request))
        given = await threads.do(service.acknowledge, credentials, file, draft, claim)
        return Signature(node=given.node, deadline=given.deadline, signature=given.signature.hex())

    @app.delete(
        api.DRAFT, tags=["drafts"], summary="Drop a draft", status_code=204, openapi_extra=_says(FILE, _DRAFT)
    )
    async def abandon(request: Request) -> Response:
        credentials, file, draft = _draft(request)
        require_target(request, api.draft_of(file, draft))
        await threads.do(service.abandon, credentials, file, draft)
        return Response(status_code=204)

    @app.get(
        api.OUTLINE,
        tags=["files"],
        summary="Roots of subtrees and KZG commitments of the holding, for its owner",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=_says(FILE),
    )
    async def outline(request: Request) -> Response:
        credentials, file = credentials_of(request), bytes_in(request, "file", 32)
        require_target(request, api.outline_of(file))
        return Octets(await threads.do(service.outline, credentials, file))

    @app.get(
        api.BLOCK,
        tags=["files"],
        summary="Read a piece by its SHA-256",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=_says(FILE, _DIGEST, _AUTHORIZATION),
    )
    async def get_piece(request: Request) -> Response:
        credentials, file, digest, authorization = _read(request)
        require_target(request, api.piece_named(file, digest, authorization))
        return Octets(await threads.do(service.get_piece, credentials, file, digest, authorization))

    @app.get(
        api.MANIFEST,
        tags=["files"],
        summary="Read the node's encryption of the sealed manifest",
        response_class=Response,
        responses=OCTETS,
        openapi_extra=_says(FILE, _DIGEST, _AUTHORIZATION),
    )
    async def get_manifest(request: Request) -> Response:
        credentials, file, digest, authorization = _read(request)
        require_target(request, api.manifest_of(file, digest, authorization))
        return Octets(await threads.do(service.get_manifest, credentials, file, digest, authorization))

    return app


_DRAFT: Final = parameter("path", "draft", "Name of the draft.", "[0-9a-f]{32}")
_POSITION: Final = parameter("path", "position", "Position of the piece, from 0.", "0|[1-9][0-9]*")
_DIGEST: Final = parameter("path", "digest", "SHA-256 of what is read.", "[0-9a-f]{64}")
_AUTHORIZATION: Final = parameter(
    "query", "authorization", "Authorization to read by; 0 as the owner.", "0|[1-9][0-9]*"
)


def _says(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [*parameters, *SIGNED]}


def _draft(request: Request) -> tuple[Credentials, bytes, bytes]:
    return credentials_of(request), bytes_in(request, "file", 32), bytes_in(request, "draft", 16)


def _read(request: Request) -> tuple[Credentials, bytes, bytes, int]:
    authorization = number_in(request.query_params, "authorization")
    return (
        credentials_of(request),
        bytes_in(request, "file", 32),
        bytes_in(request, "digest", 32),
        authorization,
    )
