"""The embedded store over Kubo's RPC paths, so that a stock ``ipfshttpclient`` talks to it.

The subset of https://docs.ipfs.tech/reference/kubo/rpc/ that concerns raw blocks. As with Kubo, the RPC gives
full control to whoever reaches it: it is for loopback only, answers POST only, and turns away what a browser
sends.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from dtxeth.errors import DtxethError, InputError, UnknownNameError
from dtxeth.storage.blockstore.base import MAX_BLOCK_SIZE, BlockStore

_MAX_BODY = MAX_BLOCK_SIZE + 64 * 1024  # a block and its multipart envelope
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_VERSION = "0.8.0"  # the newest one whose RPC ipfshttpclient 0.8.0a2 accepts without a warning


def kubo_app(store: BlockStore) -> FastAPI:
    """Make the ASGI application; serve it with ``uvicorn.run(kubo_app(store), host="127.0.0.1", port=5001)``.

    Args:
        store: The blocks to serve.
    """
    app = FastAPI(title="dtxeth block store", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def refuse_browsers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        # Cross-site requests carry an Origin, rebound DNS names a foreign Host.
        host = request.headers.get("host", "").rsplit(":", 1)[0]
        if "origin" in request.headers or host not in _LOOPBACK:
            return JSONResponse({"Message": "this RPC is for local programs", "Code": 0}, status_code=403)
        return await answer(request)

    @app.exception_handler(DtxethError)
    async def kubo_error(_: Request, error: Exception) -> Response:
        message = f"not found: {error}" if isinstance(error, UnknownNameError) else str(error)
        return JSONResponse({"Message": message, "Code": 0, "Type": "error"}, status_code=500)

    @app.post("/api/v0/version")
    async def version() -> dict[str, str]:
        return {"Version": _VERSION, "System": "dtxeth"}

    @app.post("/api/v0/block/put")
    async def block_put(request: Request) -> dict[str, Any]:
        data = _only_file(request.headers.get("content-type", ""), await _body(request))
        pin = request.query_params.get("pin") == "true"
        return {"Key": await run_in_threadpool(store.block_put, data, pin=pin), "Size": len(data)}

    @app.post("/api/v0/block/get")
    def block_get(arg: str) -> Response:
        return Response(store.block_get(_cid(arg)), media_type="application/octet-stream")

    @app.post("/api/v0/block/stat")
    def block_stat(arg: str) -> dict[str, Any]:
        return {"Key": _cid(arg), "Size": store.block_stat(_cid(arg))}

    @app.post("/api/v0/block/rm")
    def block_rm(arg: str) -> dict[str, str]:
        try:
            store.block_rm(_cid(arg))
        except InputError as error:  # Kubo reports a failed removal in the answer's body
            return {"Hash": _cid(arg), "Error": str(error)}
        return {"Hash": _cid(arg)}

    @app.post("/api/v0/pin/add")
    def pin_add(arg: str) -> dict[str, list[str]]:
        store.pin_add(_cid(arg))
        return {"Pins": [_cid(arg)]}

    @app.post("/api/v0/pin/rm")
    def pin_rm(arg: str) -> dict[str, list[str]]:
        store.pin_rm(_cid(arg))
        return {"Pins": [_cid(arg)]}

    @app.post("/api/v0/pin/ls")
    def pin_ls(arg: str | None = None) -> dict[str, Any]:
        pins = store.pin_ls()
        if arg is not None:
            if _cid(arg) not in pins:
                raise InputError(f"path '{_cid(arg)}' is not pinned")
            pins = {_cid(arg)}
        return {"Keys": {cid: {"Type": "recursive"} for cid in sorted(pins)}}

    @app.post("/api/v0/repo/stat")
    def repo_stat() -> dict[str, Any]:
        stat = store.repo_stat()
        return {"NumObjects": stat.blocks, "RepoSize": stat.size, "RepoPath": "", "Version": "fs-repo@0"}

    @app.post("/api/v0/repo/gc")
    def repo_gc() -> Response:
        return _json_lines({"Key": {"/": cid}} for cid in sorted(store.repo_gc()))

    return app


def _cid(arg: str) -> str:
    return arg.removeprefix("/ipfs/")


def _json_lines(answers: Iterable[dict[str, Any]]) -> Response:
    return Response("".join(json.dumps(answer) + "\n" for answer in answers), media_type="application/json")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise InputError(f"request of more than {_MAX_BODY} bytes: a block has at most {MAX_BLOCK_SIZE}")
    return bytes(body)


def _only_file(content_type: str, body: bytes) -> bytes:
    """Return the one file of a multipart body (RFC 2046, §5.1.1)."""
    boundary = content_type.partition("boundary=")[2].split(";")[0].strip().strip('"').encode()
    opening, closing = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--"
    headers, found, rest = body.partition(b"\r\n\r\n")
    data, closed, _ = rest.rpartition(closing)
    if not boundary or not headers.startswith(opening) or not found or not closed or opening in data:
        raise InputError("block/put takes multipart/form-data with exactly one file")
    return data
