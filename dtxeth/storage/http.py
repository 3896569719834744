"""A storage node across a network: the client of its HTTP API.

The server is hostile until its answer has been checked: an exchange ends at its deadline whatever the server
does, an answer has a greatest size, redirects and content encodings are not followed, and refusals can raise
only what :mod:`dtxeth.storage.wire` lists. Built on httpcore, the engine of httpx: it has no redirects, cookies,
proxies or decoders that would have to be switched off, and lets the deadline guard every read of the socket.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpcore

from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.errors import InputError, IntegrityError, VersionError
from dtxeth.storage import api, wire
from dtxeth.storage.api import Claim, NodeStatus
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.requests import Credentials

CONNECT_SECONDS: Final = 5.0
"""How long a connection may take to be made."""
KEEP_ALIVE_SECONDS: Final = 10.0
"""How long an idle connection is kept: less than the server does, so that it is not closed under a request."""
MAX_OUTLINE: Final = 64 * 2**20
"""Bytes of an outline or of commitments that are taken from a node: those of 150 GiB."""
_MAX_RECORD: Final = 4096
_MAX_URL: Final = 256
_READ_SIZE: Final = 512 * 1024
_CONNECTIONS: Final = 16


class HttpStorageNode:
    """A storage node behind its HTTP API: implements :class:`~dtxeth.storage.api.StorageNodeApi`.

    Thread-safe; connections are kept alive. Refusals are raised as the node's service raises them; ``OSError``
    if the node cannot be reached or breaks off, ``IntegrityError`` if its answer is not what the protocol allows.

    Args:
        url: Where it is, as in its endpoint on chain: ``http://host:port`` or ``https://host``.
        timeout: Seconds that one exchange may take altogether.

    Raises:
        InputError: That is no such URL.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self._connection = Connection(url, timeout=timeout)
        self.url = self._connection.url

    def status(self) -> NodeStatus:
        """See :meth:`StorageNodeApi.status`.

        Raises:
            VersionError: The node speaks another version of the API.
        """
        document = self._record("GET", "/status")
        match document:
            case {"version": int(version)} if version != api.VERSION:
                raise VersionError(
                    f"storage node {self.url} speaks version {version} of the storage API, this is version "
                    f"{api.VERSION}: bring both to one release of dtxeth"
                )
            case {"capacity": int(capacity), "used": int(used), "version": int()} if (
                capacity >= 0 and used >= 0
            ):
                return NodeStatus(capacity, used)
        raise self._connection.liar("a status that is none")

    def put_piece(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, piece: bytes
    ) -> None:
        """See :meth:`StorageNodeApi.put_piece`."""
        self._done("PUT", api.piece_at(file_id, draft, position), credentials, piece)

    def keep_pieces(
        self, credentials: Credentials, file_id: bytes, draft: bytes, position: int, digests: list[bytes]
    ) -> None:
        """See :meth:`StorageNodeApi.keep_pieces`."""
        self._done("PUT", api.kept_at(file_id, draft, position), credentials, b"".join(digests))

    def commitments(self, credentials: Credentials, file_id: bytes, draft: bytes) -> bytes:
        """See :meth:`StorageNodeApi.commitments`."""
        return self._read(api.commitments_of(file_id, draft), credentials, MAX_OUTLINE)

    def acknowledge(
        self, credentials: Credentials, file_id: bytes, draft: bytes, claim: Claim
    ) -> Acknowledgement:
        """See :meth:`StorageNodeApi.acknowledge`.

        Node, deadline and signature are what came back, everything else is the claim: a signature for
        something else will not verify.
        """
        document = self._record("PUT", api.draft_of(file_id, draft), credentials, claim.to_bytes())
        match document:
            case {"node": str(node), "deadline": int(deadline), "signature": str(signature)} if (
                0 <= deadline < 2**64 and len(signature) == 130
            ):
                return Acknowledgement(
                    node=node,
                    root=claim.root,
                    leaf_count=claim.leaf_count,
                    commitments_root=claim.commitments_root,
                    blob_count=claim.blob_count,
                    size=claim.size,
                    deadline=deadline,
                    signature=self._connection.hex(signature),
                )
        raise self._connection.liar("an acknowledgement that is none")

    def abandon(self, credentials: Credentials, file_id: bytes, draft: bytes) -> None:
        """See :meth:`StorageNodeApi.abandon`."""
        self._done("DELETE", api.draft_of(file_id, draft), credentials)

    def outline(self, credentials: Credentials, file_id: bytes) -> bytes:
        """See :meth:`StorageNodeApi.outline`."""
        return self._read(api.outline_of(file_id), credentials, MAX_OUTLINE)

    def get_piece(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """See :meth:`StorageNodeApi.get_piece`."""
        return self._read(api.piece_named(file_id, digest, authorization_id), credentials, SLICE_SIZE)

    def get_manifest(
        self, credentials: Credentials, file_id: bytes, digest: bytes, authorization_id: int
    ) -> bytes:
        """See :meth:`StorageNodeApi.get_manifest`."""
        return self._read(api.manifest_of(file_id, digest, authorization_id), credentials, SLICE_SIZE)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, resource: str, credentials: Credentials, limit: int) -> bytes:
        return self._connection.request("GET", resource, wire.to_headers(credentials), limit=limit)

    def _done(self, method: str, resource: str, credentials: Credentials, body: bytes = b"") -> None:
        self._connection.request(method, resource, wire.to_headers(credentials), body, limit=0)

    def _record(
        self, method: str, resource: str, credentials: Credentials | None = None, body: bytes = b""
    ) -> Any:
        headers = {} if credentials is None else wire.to_headers(credentials)
        return self._connection.json(method, resource, headers, body, limit=_MAX_RECORD)


class Connection:
    """Exchanges with one server, over HTTP/1.1 connections that are kept alive. Thread-safe.

    Args:
        url: ``http://host:port`` or ``https://host:port``, nothing after it.
        timeout: Seconds that one exchange may take altogether; of a streamed one, each step of it.

    Raises:
        InputError: That is no such URL.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url = check_url(url)
        self._timeout = timeout
        self._backend = _DeadlineBackend()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context() if url.startswith("https:") else None,
            max_connections=_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=self._backend,
        )

    def request(
        self, method: str, resource: str, headers: Mapping[str, str], body: bytes = b"", *, limit: int
    ) -> bytes:
        """Make an exchange and return the body of the answer.

        Args:
            method: HTTP method.
            resource: Path and query.
            headers: Headers besides Host and Content-Length.
            body: Body to send.
            limit: Most bytes that the answer may have.

        Raises:
            DtxethError: The server refused.
            OSError: It cannot be reached, broke off, or took too long.
            IntegrityError: It answered what the protocol does not allow.
        """
        with self._exchange(method, resource, headers, body, len(body)) as response:
            return self._body(response, limit)

    def json(
        self, method: str, resource: str, headers: Mapping[str, str], body: bytes = b"", *, limit: int
    ) -> Any:
        """Make an exchange and decode the JSON of the answer; raises as :meth:`request`."""
        answer = self.request(method, resource, headers, body, limit=limit)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise self.liar("what is no JSON") from None

    @contextmanager
    def stream(
        self,
        method: str,
        resource: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] = (),
        size: int = 0,
    ) -> Iterator[Iterator[bytes]]:
        """Make an exchange whose body and answer are not held in memory; raises as :meth:`request`.

        Args:
            method: HTTP method.
            resource: Path and query.
            headers: Headers besides Host and Content-Length.
            body: Chunks to send.
            size: Bytes of them all.
        """
        with self._exchange(method, resource, headers, self._renewed(body), size) as response:
            yield self._renewed(response.iter_stream())

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def liar(self, what: str) -> IntegrityError:
        """The error for an answer that the protocol does not allow."""
        return IntegrityError(f"{self.url} answered {what}: use another node")

    def hex(self, text: str) -> bytes:
        """Decode hex of an answer.

        Raises:
            IntegrityError: It is none.
        """
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise self.liar("what is no hex") from None

    @contextmanager
    def _exchange(
        self, method: str, resource: str, headers: Mapping[str, str], body: bytes | Iterator[bytes], size: int
    ) -> Iterator[httpcore.Response]:
        self._backend.set_deadline(self._timeout)
        sent = {"Host": self._host, "Content-Length": str(size), **headers}
        try:
            # httpcore's own timeout covers the wait for a free connection.
            with self._pool.stream(
                method,
                self.url + resource,
                headers=list(sent.items()),
                content=body,
                extensions={"timeout": {"pool": self._timeout, "connect": CONNECT_SECONDS}},
            ) as response:
                self._check(response)
                yield response
        except httpcore.TimeoutException:
            raise TimeoutError(f"{self.url} did not answer in time ({self._timeout:g} s)") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            reason = wire.printable(str(error)) or type(error).__name__
            raise ConnectionError(f"{self.url} cannot be reached or broke off: {reason}") from None

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc

    def _check(self, response: httpcore.Response) -> None:
        if any(name.lower() == b"content-encoding" for name, _ in response.headers):
            raise self.liar("in an encoding that nobody asked for")
        if response.status in (200, 201, 204):
            return
        if response.status < 400:
            raise self.liar(f"with status {response.status}, which is not part of the protocol")
        error = wire.refused(self._body(response, wire.MAX_REFUSAL))
        raise error or self.liar(f"with status {response.status} and no reason")

    def _body(self, response: httpcore.Response, limit: int) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_stream():
            size += len(chunk)
            if size > limit:
                raise self.liar(f"more than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _renewed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._backend.set_deadline(self._timeout)


def check_url(url: str) -> str:
    """Return the URL of a server, without a slash at its end.

    Raises:
        InputError: It has not just scheme, host and port, or is no URL.
    """
    try:
        parts = urlsplit(url)
        usable = (
            len(url) <= _MAX_URL
            and url.isascii()
            and url.isprintable()
            and " " not in url
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and parts.path in ("", "/")
            and not {"?", "#", "\\"} & set(url)
        )
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{wire.printable(url[:_MAX_URL])!r} is no URL of a node: expected http://host:port")
    return url.rstrip("/")


class _DeadlineBackend(httpcore.NetworkBackend):
    """Sockets whose every operation ends at the deadline of the exchange that their thread is at."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()
        self._exchange = threading.local()

    def set_deadline(self, seconds: float) -> None:
        self._exchange.deadline = time.monotonic() + seconds

    def left(self, at_most: float | None = None) -> float:
        seconds: float = self._exchange.deadline - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout
        return seconds if at_most is None else min(seconds, at_most)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.connect_tcp(host, port, self.left(timeout), local_address, socket_options)
        return _DeadlineStream(inner, self)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, backend: _DeadlineBackend) -> None:
        self._inner, self._backend = inner, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max(max_bytes, _READ_SIZE), self._backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Of bytes, httpcore would copy what is left of a piece after each part that the socket takes.
        self._inner.write(memoryview(buffer), self._backend.left())  # type: ignore[arg-type]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return _DeadlineStream(inner, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
