"""Exceptions as answers: a status, and JSON that :func:`dtxeth.storage.wire.refused` reads."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dtxeth.errors import (
    BusyError,
    ChainError,
    ContractRevert,
    CryptoError,
    DtxethError,
    InputError,
    IntegrityError,
    NodeError,
    NotEnoughNodesError,
    PolicyError,
    StorageError,
    UnknownNameError,
)
from dtxeth.storage import wire

log = structlog.get_logger(__name__)


class TooLargeError(InputError):
    """The body of a request has more bytes than are taken.

    Remedy: Send less; a piece has at most 1 MiB.
    """


class LongHeadersError(InputError):
    """The headers of a request have more bytes than are taken.

    Remedy: Send fewer headers.
    """


class SlowError(InputError):
    """A request's body did not come in time.

    Remedy: Send it again, over a faster line.
    """


class OverloadedError(BusyError):
    """All places are taken.

    Remedy: Try again after some seconds.
    """


STATUS: Final = MappingProxyType(
    {
        InputError: 400,
        CryptoError: 401,
        PolicyError: 403,
        UnknownNameError: 404,
        SlowError: 408,
        IntegrityError: 409,
        ContractRevert: 409,
        TooLargeError: 413,
        LongHeadersError: 431,
        BusyError: 429,
        NodeError: 502,
        ChainError: 503,
        OverloadedError: 503,
        NotEnoughNodesError: 503,
        StorageError: 507,
    }
)
"""Status of each exception; a subclass has that of its nearest ancestor here."""

# What these say is for who runs the node: paths on its disk, the URL of its chain.
_HIDDEN: Final = MappingProxyType(
    {
        ChainError: "the node cannot reach its chain: try again later",
        StorageError: "the node cannot store or read this now: its disk is full or failing; use another node",
    }
)

_UNEXPECTED: Final = "the server failed; who runs it finds the reason in its log"


def answer(error: DtxethError) -> Response:
    """Make the answer for an exception."""
    ancestors = [kind for kind in type(error).__mro__ if issubclass(kind, DtxethError)]
    nearest = next((kind for kind in ancestors if kind in STATUS), None)
    if nearest is None:
        return _refuse(500, StorageError.__name__, _UNEXPECTED)
    name = next(
        (kind.__name__ for kind in ancestors if kind.__name__ in wire.REFUSALS), StorageError.__name__
    )
    if nearest in _HIDDEN:
        log.error("cannot serve a request", reason=str(error))
    return _refuse(STATUS[nearest], name, _HIDDEN.get(nearest, str(error)))


def unexpected() -> Response:
    """Make the answer for an exception that nobody expected."""
    return _refuse(500, StorageError.__name__, _UNEXPECTED)


def add_refusals(app: FastAPI) -> None:
    """Have an application answer every exception so."""

    @app.exception_handler(DtxethError)
    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, DtxethError)
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place, *name = (str(part) for part in first["loc"])
        kind = CryptoError if place == "header" else InputError
        return answer(kind(f"{place} {'.'.join(name)}: {first['msg'].lower()}"))

    @app.exception_handler(HTTPException)
    async def unrouted(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = UnknownNameError if error.status_code == 404 else InputError
        response = _refuse(error.status_code, kind.__name__, f"{error.detail}: see /docs for what there is")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return unexpected()


def _refuse(status: int, name: str, message: str) -> Response:
    response = Response(wire.refusal(name, message), status, media_type="application/json")
    if status in (429, 503):
        response.headers["Retry-After"] = "1"
    return response
