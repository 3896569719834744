"""An HTTP server in a thread of its own: uvicorn, within limits."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dtxeth.errors import ConfigError
from dtxeth.web.limits import Limits

_BACKLOG = 512
_CHUNK_FRAMING = 5  # bytes around a chunk of one byte: more framing a byte of body no honest client needs


class Server:
    """An application that is served until :meth:`close`.

    Attributes:
        url: Where it is.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, limits: Limits) -> None:
        self.url = url_of(listener)
        self._server = _Uvicorn(_configuration(app, limits))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=f"http {self.url}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no new requests; those in work may end. :meth:`close` waits for that."""
        self._server.should_exit = True

    def close(self) -> None:
        """Stop, and wait until all is let go of."""
        self.stop()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None) -> Server:
    """Serve an application in a thread.

    Args:
        app: What :func:`~dtxeth.web.storage_node.storage_node_app` or ``owner_app`` made.
        host: Address to listen at.
        port: Port, or 0 for a free one; see :attr:`Server.url`.
        limits: Limits of connections; the application has its own of requests.

    Raises:
        ConfigError: The address cannot be had.
    """
    return Server(app, listen(host, port), limits or Limits())


def listen(host: str, port: int = 0) -> socket.socket:
    """Take an address for a :class:`Server`, before there is anything to serve.

    Raises:
        ConfigError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # Accepted sockets inherit it. asyncio does not set it: `create_server` leaves their protocol number at 0.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen at {host} port {port}: {error}; choose another one") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """URL of what listens there."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _configuration(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    class Protocol(_Protocol):
        header_bytes = limits.header
        header_seconds = limits.header_seconds
        stall_seconds = limits.body_seconds

    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",  # what goes wrong is logged by the guard; uvicorn's log repeats what strangers send
        access_log=False,
        proxy_headers=False,  # anyone could name any address
        server_header=False,
        date_header=False,
        limit_concurrency=limits.connections,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=limits.close_seconds,
    )


class _Uvicorn(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets go of the sockets


class _Protocol(HttpToolsProtocol):
    """uvicorn's, with what it has not: a limit to headers, deadlines for them and for reading the answer.

    A deadline for headers runs whenever no request is in work and something of one has come, and from the
    connection's beginning; bytes that drip do not renew it.
    """

    header_bytes: int
    header_seconds: float
    stall_seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers = _Timer(self.loop, self.header_seconds)
        self._reading = _Timer(self.loop, self.stall_seconds)
        self._framing = self._body = 0  # bytes of a request that are not body, and that are
        self._begun = False  # whether its headers are complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers.start(transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers.stop()
        self._reading.stop()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._framing += len(data)
        super().data_received(data)
        if self._framing > self.header_bytes + _CHUNK_FRAMING * self._body:
            self.send_400_response("Too much that is not body.")
        if self.cycle is not None and not self.cycle.response_complete:
            self._headers.stop()
        else:
            self._headers.start(self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # an answer is on its way
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._framing = self._body = 0
        self._begun = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            raise ValueError("trailers, which nobody here reads and the parser would keep")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._begun = True
        if self.parser.get_http_version() == "1.1" and not any(name == b"host" for name, _ in self.headers):
            raise ValueError("a request without Host")  # RFC 9112, §3.2
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._body += len(body)
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.start(self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.stop()


class _Timer:
    """Something that is to happen in a while, unless it is called off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop, self._seconds = loop, seconds
        self._due: asyncio.TimerHandle | None = None

    def start(self, act: Callable[[], None]) -> None:
        """Start, unless it runs."""
        if self._due is None:
            self._due = self._loop.call_later(self._seconds, act)

    def stop(self) -> None:
        """Call it off."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
