"""What the routes share: credentials, ids in paths, bodies, answers, and the threads that do the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import anyio
from fastapi import Depends, Header, Path, Query, Request
from pydantic import BeforeValidator, WithJsonSchema
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dtxeth.errors import BusyError, CryptoError, InputError, PolicyError
from dtxeth.storage import wire
from dtxeth.storage.requests import Credentials
from dtxeth.web.limits import Buckets, Limits

T = TypeVar("T")

_STEP: Final = (
    256 * 1024
)  # of an answer: what a client does not read holds its place here, not memory beyond it


def _schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": description})


def _bytes(size: int) -> Callable[[Any], bytes]:
    def decode(text: Any) -> bytes:
        if isinstance(text, str) and len(text) == 2 * size and set(text) <= set("0123456789abcdef"):
            return bytes.fromhex(text)
        raise ValueError(f"expected {size} bytes in lower-case hex")

    return decode


FileId = Annotated[bytes, Path(), BeforeValidator(_bytes(32)), _schema("[0-9a-f]{64}", "Id of the file.")]
DraftId = Annotated[bytes, Path(), BeforeValidator(_bytes(16)), _schema("[0-9a-f]{32}", "Name of the draft.")]
Digest = Annotated[bytes, Path(), BeforeValidator(_bytes(32)), _schema("[0-9a-f]{64}", "SHA-256.")]
Position = Annotated[int, Path(ge=0, lt=2**32, description="Position of the piece, from 0.")]
AuthorizationId = Annotated[
    int, Query(alias="authorization", ge=0, lt=2**63, description="Authorization to read by; 0 as the owner.")
]


def _header(name: str, description: str) -> Any:
    return Header(alias=name, description=description, pattern=f"^(?:{wire.FORMS[name]})$")


async def _credentials(
    request: Request,
    sender: Annotated[str, _header(wire.SENDER, "Account that signed.")],
    nonce: Annotated[str, _header(wire.NONCE, "32 random bytes in hex.")],
    deadline: Annotated[
        str, _header(wire.DEADLINE, "Last second of chain time at which the request is good.")
    ],
    signature: Annotated[str, _header(wire.SIGNATURE, "EIP-712 signature of the request: r, s, v in hex.")],
) -> Credentials:
    return wire.from_headers(request.headers)


Signed = Annotated[Credentials, Depends(_credentials)]


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


class Workshop:
    """Threads that do blocking work, as many as the limits allow, and the account's rates.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: Limits) -> None:
        self._threads = anyio.CapacityLimiter(limits.threads)
        self._rates = Buckets(limits.account_rate, limits.account_burst)
        self._rate = limits.account_rate

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """Call something in a thread."""
        return await anyio.to_thread.run_sync(partial(work, *args), limiter=self._threads)

    async def ask(self, credentials: Credentials, work: Callable[..., T], *args: Any) -> T:
        """Have signed work done, in the account's name.

        A badly signed request is not charged: a stranger could use up an account's rate otherwise.

        Raises:
            BusyError: The account asks too often.
        """
        if self._rates.level(credentials.sender) < 1:
            raise BusyError(f"more than {self._rate:g} requests a second by {credentials.sender}: wait")
        charged = True
        try:
            return await self.do(work, *args)
        except (CryptoError, PolicyError):
            charged = False
            raise
        finally:
            if charged:
                self._rates.take(credentials.sender)


class Octets(Response):
    """Bytes, sent in steps, none before the client has read most of the one before."""

    def __init__(self, content: bytes) -> None:
        super().__init__(media_type="application/octet-stream")
        self.headers["content-length"] = str(len(content))
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        view = memoryview(self._content)
        for start in range(0, len(view), _STEP):
            step = view[start : start + _STEP]
            await send({"type": "http.response.body", "body": step, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
