"""What every request passes before the application sees it: rates, places, sizes and deadlines."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dtxeth.errors import BusyError, DtxethError, InputError
from dtxeth.web.limits import Buckets, Limits, host_of
from dtxeth.web.refusals import (
    LongHeadersError,
    OverloadedError,
    SlowError,
    TooLargeError,
    answer,
    unexpected,
)

log = structlog.get_logger(__name__)

_DRAIN_SECONDS: Final = 1.0
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """ASGI middleware that keeps a server within its limits, and its failures to itself.

    Args:
        app: The application.
        limits: The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._rates = Buckets(limits.host_rate, limits.host_burst)
        self._places = asyncio.Semaphore(limits.requests)
        self._hosts_places: dict[str, asyncio.Semaphore] = {}
        self._present: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits)
        host = host_of(scope.get("client"))
        try:
            if not self._rates.take(host):
                raise BusyError(f"more than {self._limits.host_rate:g} requests a second from here: wait")
            exchange.check_head()
            async with self._place(host):
                await exchange.pass_to(self._app)
        except DtxethError as error:
            await exchange.refuse(answer(error))
        except ClientDisconnect:
            log.debug("a client went away", host=host)
        except Exception as error:
            if isinstance(error.__cause__, DtxethError):  # Starlette's wrapping, once an answer has begun
                log.warning("an answer broke off", reason=str(error.__cause__))
                raise ConnectionError("the answer broke off") from None
            # As text: a renderer that shows local variables would put pieces and signatures into the log.
            log.error("a request failed", method=scope["method"], trace=traceback.format_exc())
            await exchange.refuse(unexpected())

    @asynccontextmanager
    async def _place(self, host: str) -> AsyncIterator[None]:
        """Wait for one of the host's places, then for one of all."""
        if host not in self._hosts_places:
            self._hosts_places[host] = asyncio.Semaphore(self._limits.requests_per_host)
        self._present[host] += 1
        try:
            async with AsyncExitStack() as places:
                try:
                    async with asyncio.timeout(self._limits.queue_seconds):
                        await places.enter_async_context(self._hosts_places[host])
                        await places.enter_async_context(self._places)
                except TimeoutError:
                    raise OverloadedError(
                        "too many requests at once: try again, or use another node"
                    ) from None
                yield
        finally:
            self._present[host] -= 1
            if not self._present[host]:
                del self._present[host], self._hosts_places[host]


class _Exchange:
    """One request and its answer, as the application sees them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self.scope = scope
        self._receive, self._send, self._limits = receive, send, limits
        self._received = 0
        self._began: float | None = None
        self._more = _has_body(scope)
        self._started = False
        self._deadline = asyncio.timeout(None)

    def check_head(self) -> None:
        """Refuse what can be refused by the headers alone."""
        names = [name for name, _ in self.scope["headers"]]
        size = len(self.scope["raw_path"]) + sum(
            len(name) + len(value) + 4 for name, value in self.scope["headers"]
        )
        if size > self._limits.header:  # those that came in one piece: the rest is stopped as it comes
            raise LongHeadersError(f"headers of {size} bytes: at most {self._limits.header} are taken")
        for name in {name for name in names if name.startswith(b"dtxeth-") and names.count(name) > 1}:
            raise InputError(f"header {name.decode(errors='replace')} was given twice: give it once")
        declared = dict(self.scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._limits.body:
            raise TooLargeError(
                f"a body of {int(declared[:20])} bytes: at most {self._limits.body} are taken"
            )

    async def pass_to(self, app: ASGIApp) -> None:
        """Have the application answer, while the body comes in time."""
        try:
            async with asyncio.timeout(None) as self._deadline:
                await app(self.scope, self.receive, self.send)
        except TimeoutError:
            if not self._deadline.expired():
                raise
            raise SlowError(f"{self._received} bytes of the body came so far: send faster") from None

    async def receive(self) -> Message:
        """Return the next part of the request's body."""
        self._expect()
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._more = message.get("more_body", False)
            if self._received > self._limits.body:
                raise TooLargeError(f"a body of more than {self._limits.body} bytes: no more are taken")
        if not self._more:
            self._deadline.reschedule(None)
        return message

    def _expect(self) -> None:
        """Set the time by which more of the body has to be here."""
        if self._more:
            now = asyncio.get_running_loop().time()
            self._began = now if self._began is None else self._began
            seconds = self._limits.body_seconds + self._received / self._limits.body_rate
            self._deadline.reschedule(self._began + seconds)

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._started = True
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
            if self._more:  # what is left of the body would be taken for the next request
                await self._drain()
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def refuse(self, response: ASGIApp) -> None:
        """Answer with a refusal, unless an answer is on its way: then break off."""
        if self._started:
            raise ConnectionError("the answer broke off")
        await response(self.scope, self.receive, self.send)

    async def _drain(self) -> None:
        """Read on for a moment: a client that is still sending when the connection closes may lose the answer."""
        drained = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._more and drained <= self._limits.body:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    self._more = message.get("more_body", False)


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
