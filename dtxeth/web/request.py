"""What the routes share: credentials, ids in paths, bodies, answers, and the threads that do the work.

Routes read their parameters here and not by FastAPI's own means, which cost a millisecond a request; what OpenAPI
is to say of them is written down beside.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import anyio
from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dtxeth.errors import InputError
from dtxeth.storage import wire
from dtxeth.storage.requests import Credentials
from dtxeth.web.limits import Limits

T = TypeVar("T")

_HEX: Final = frozenset("0123456789abcdef")
_DIGITS: Final = frozenset("0123456789")
_LONGEST: Final = 19  # digits: below 2^64


def credentials_of(request: Request) -> Credentials:
    """Credentials in the headers.

    Raises:
        CryptoError: One is missing or malformed.
    """
    return wire.from_headers(request.headers)


def bytes_in(request: Request, name: str, size: int) -> bytes:
    """A parameter of the path that is hex.

    Raises:
        InputError: It is not, or of another size.
    """
    text: str = request.path_params[name]
    if len(text) != 2 * size or not _HEX.issuperset(text):
        raise InputError(f"{name} in the path: expected {size} bytes in lower-case hex")
    return bytes.fromhex(text)


def number_in(values: Any, name: str, default: int | None = None) -> int:
    """A parameter of path or query that is a number.

    Raises:
        InputError: It is not, or too large.
    """
    text: str | None = values.get(name)
    if text is None and default is not None:
        return default
    if not text or len(text) > _LONGEST or not _DIGITS.issuperset(text):
        raise InputError(f"{name}: expected a number of at most {_LONGEST} digits")
    return int(text)


def target_of(request: Request) -> str:
    """Path and query of a request, byte for byte as they came."""
    query: bytes = request.scope["query_string"]
    target = request.scope["raw_path"] + (b"?" + query if query else b"")
    return str(target, "ascii", "replace")


def require_target(request: Request, resource: str) -> None:
    """Check that a resource was asked for by its one name: the one that is signed.

    Raises:
        InputError: It was not.
    """
    if target_of(request) != resource:
        raise InputError(f"the path and query of this resource are {resource}: write them so")


async def read_body(request: Request) -> bytes:
    """Return the body; the guard has an eye on its size and time."""
    return b"".join([chunk async for chunk in request.stream()])


class Threads:
    """Threads that do blocking work, as many as the limits allow.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limiter = anyio.CapacityLimiter(limits.threads)

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """Call something in a thread."""
        return await anyio.to_thread.run_sync(partial(work, *args), limiter=self._limiter)


class Octets(Response):
    """Bytes; the request keeps its place among those in work until the client has read most of them."""

    def __init__(self, content: bytes) -> None:
        super().__init__(media_type="application/octet-stream")
        self.headers["content-length"] = str(len(content))
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._content, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def parameter(
    place: str, name: str, description: str, pattern: str, *, required: bool = True
) -> dict[str, Any]:
    """OpenAPI's word on a parameter of path, query or headers."""
    schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return {"in": place, "name": name, "required": required, "description": description, "schema": schema}


SIGNED: Final = [
    parameter("header", name, description, wire.FORMS[name])
    for name, description in {
        wire.SENDER: "Account that signed the request, with its checksum (EIP-55).",
        wire.NONCE: "32 random bytes in hex.",
        wire.DEADLINE: "Last second of chain time at which the request is good.",
        wire.SIGNATURE: "EIP-712 signature of the request: r, s, v in hex.",
    }.items()
]
"""OpenAPI's word on the headers of a signed request."""

FILE: Final = parameter("path", "file", "Id of the file.", "[0-9a-f]{64}")
"""OpenAPI's word on a file id in the path."""


def octets(description: str) -> dict[str, Any]:
    """OpenAPI's word on bytes in a request."""
    schema = {"type": "string", "format": "binary"}
    content = {"application/octet-stream": {"schema": schema}}
    return {"requestBody": {"required": True, "description": description, "content": content}}
