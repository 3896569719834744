"""What hostile clients can do to a server: be refused, be cut off, and leave it as it was."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dtxeth.errors import BusyError, ChainUnavailableError, DtxethError, NodeError, PolicyError, StorageError
from dtxeth.storage import Credentials, NodeStatus, api
from dtxeth.storage.http import Connection, HttpStorageNode
from dtxeth.web import Limits, Server, serve, storage_node_app
from tests.web.conftest import Stage
from tests.web.hostile import converse
from tests.web.node import MemoryNode

HEADERS = (
    f"Dtxeth-Sender: 0x{'11' * 20}\r\nDtxeth-Nonce: {'00' * 32}\r\n"
    f"Dtxeth-Deadline: 1\r\nDtxeth-Signature: {'00' * 65}\r\n"
)
PIECE = api.piece_at(bytes(32), bytes(16), 0)
CREDENTIALS = Credentials("0x" + "11" * 20, bytes(32), 1, bytes(65))


def put(length: int, body: bytes = b"", headers: str = HEADERS, path: str = PIECE) -> bytes:
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def refusal_in(answer: bytes) -> dict[str, str]:
    document: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert set(document) == {"error", "message"}
    return document


class AnyNode:
    """Takes everything; may be told to fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.seen = error, 0
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        def take(*arguments: Any) -> Any:
            self.entered.set()
            assert self.gate.wait(20)
            self.seen += 1
            if self.error is not None:
                raise self.error
            return NodeStatus(1, 1) if name == "status" else b"x" * 2**20

        return take


@contextlib.contextmanager
def serving(node: Any, **limits: Any) -> Iterator[str]:
    given = replace(Limits(), **limits)
    with serve(storage_node_app(node, given), limits=given) as server:
        yield server.url


# --- sizes ---


def test_a_declared_size_beyond_the_limit_is_refused_before_it_comes(server: Server) -> None:
    answer = converse(server.url, put(2**20 + 1))
    assert status_of(answer) == 413
    assert refusal_in(answer)["error"] == "InputError"
    assert status_of(converse(server.url, put(10**19))) == 413
    assert status_of(converse(server.url, put(10**30))) == 400  # no number of HTTP's


def test_a_size_beyond_the_limit_is_noticed_as_it_comes(server: Server) -> None:
    head = put(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"40000\r\n" + bytes(0x40000) + b"\r\n"
    answer = converse(server.url, head + 5 * chunk + b"0\r\n\r\n")
    assert status_of(answer) == 413


def test_a_truncated_body_reaches_nobody() -> None:
    node = AnyNode()
    with serving(node) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(put(1000, b"x" * 999))
        assert (
            status_of(converse(url, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200
        )
    assert node.seen == 0


def test_headers_beyond_the_limit_are_refused(server: Server) -> None:
    answer = converse(server.url, put(0, headers="X: " + "y" * 20_000 + "\r\n"))
    assert status_of(answer) in (400, 431)
    assert status_of(converse(server.url, put(0, headers="X: y\r\n" * 5000))) in (400, 431)


@pytest.mark.parametrize("trailers", [b"X-More: y\r\n", b"X-More: " + b"y" * 10**6])
def test_trailers_are_refused(trailers: bytes) -> None:
    """A parser keeps them as it keeps headers."""
    node = AnyNode()
    with serving(node) as url:
        head = put(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        answer = converse(url, head + b"1\r\nx\r\n0\r\n" + trailers + b"\r\n\r\n")
        assert answer == b"" or status_of(answer) == 400
    assert not node.seen


def test_a_body_may_come_in_chunks_of_a_byte() -> None:
    node = AnyNode()
    with serving(node) as url:
        head = put(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        assert status_of(converse(url, head + b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\n")) == 204
    assert node.seen == 1


# --- time ---


def test_a_client_that_drips_headers_is_cut_off() -> None:
    with serving(AnyNode(), header_seconds=0.3) as url:
        began = time.monotonic()
        assert drip(url, b"GET /status HTTP/1.1\r\nX: ") == b""
        assert drip(url, b"") == b""
        after_one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        assert drip(url, after_one + b"GET ").endswith(b'{"status":"ok"}')
        assert time.monotonic() - began < 10


def test_a_client_that_drips_its_body_is_cut_off() -> None:
    node = AnyNode()
    with serving(node, body_seconds=0.3, body_rate=1 << 20) as url:
        answer = drip(url, put(1000))
        assert status_of(answer) == 408
        assert "send faster" in refusal_in(answer)["message"]
    assert node.seen == 0


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with serving(AnyNode(), body_seconds=0.3, requests=1, requests_per_host=1) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            ask = f"GET {api.piece_named(bytes(32), bytes(32), 0)} HTTP/1.1\r\nHost: x\r\n{HEADERS}\r\n"
            connection.sendall(ask.encode() * 20)
            with HttpStorageNode(url, timeout=10) as node:  # the only place is free again
                assert node.status() == NodeStatus(1, 1)


def drip(url: str, head: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    received, end = b"", time.monotonic() + 10
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head)
        connection.settimeout(0.05)
        while time.monotonic() < end:
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x" if head else b"")
                continue
            except ConnectionError:
                return received
            if not chunk:
                return received
            received += chunk
    raise AssertionError("not cut off")


# --- rates and places ---


def test_a_host_that_asks_too_often_is_refused() -> None:
    with serving(AnyNode(), host_rate=0.01, host_burst=3) as url, HttpStorageNode(url) as node:
        for _ in range(3):
            node.status()
        with pytest.raises(BusyError, match="requests a second"):
            node.status()


def test_two_hundred_requests_at_once_take_turns_in_bounded_memory() -> None:
    node, body = AnyNode(), b"x" * 2**20
    node.gate.clear()
    with serving(node, requests=16, requests_per_host=16, threads=4) as url:
        connection = Connection(url, timeout=30)
        headers = dict(line.split(": ") for line in HEADERS.strip().split("\r\n"))
        answers: list[Any] = []

        def ask() -> None:
            # Each over a connection of its own: a client's pool would bound them for the server.
            answers.append(status_of(converse(url, put(len(body), body), timeout=60)))

        tracemalloc.start()
        clients = [threading.Thread(target=ask) for _ in range(200)]
        for client in clients:
            client.start()
        node.gate.set()
        for client in clients:
            client.join()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        connection.request("GET", "/status", headers, limit=1000)
        connection.close()
    assert answers == [204] * 200
    requests = 200 * len(put(len(body), body)) + 30 * 2**20  # the clients' own copies
    assert most < requests + 16 * 4 * 2**20 + 200 * 2**19


def test_a_request_that_waits_too_long_is_told_so() -> None:
    node = AnyNode()
    node.gate.clear()
    with serving(node, requests=1, queue_seconds=0.2) as url:
        first = threading.Thread(target=converse, args=(url, put(1, b"x")))
        first.start()
        assert node.entered.wait(10)
        with HttpStorageNode(url) as waiting, pytest.raises(BusyError, match="too many requests"):
            waiting.status()
        node.gate.set()
        first.join()


# --- garbage ---


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http_is_refused(server: Server, text: bytes) -> None:
    assert status_of(converse(server.url, text + b"\r\n\r\n")) == 400


@pytest.mark.parametrize("name", ["Sender", "Nonce", "Deadline", "Signature"])
@pytest.mark.parametrize("value", ["", "0x", "zz", "-1", "１", "0x" + "g" * 40, "0" * 200])
def test_malformed_credentials_are_refused(server: Server, name: str, value: str) -> None:
    lines = [line for line in HEADERS.splitlines() if name not in line]
    answer = converse(server.url, put(0, headers="\r\n".join([*lines, f"Dtxeth-{name}: {value}", ""])))
    if value.isascii():
        assert status_of(answer) == 401
        assert f"Dtxeth-{name}" in refusal_in(answer)["message"]
    else:
        assert status_of(answer) in (400, 401)


def test_a_header_given_twice_is_refused(server: Server) -> None:
    answer = converse(server.url, put(0, headers=HEADERS + f"Dtxeth-Sender: 0x{'22' * 20}\r\n"))
    assert status_of(answer) == 400
    assert "twice" in refusal_in(answer)["message"]


@pytest.mark.parametrize(
    "path",
    [
        PIECE.upper(),
        PIECE.replace("/pieces/0", "/pieces/00"),
        PIECE.replace("/pieces/0", "/pieces/%30"),
        PIECE + "?x=1",
        PIECE + "/",
        "/" + PIECE,
        PIECE.replace("drafts/", "drafts/../drafts/"),
        PIECE.replace("/files/", "/files/00"),
    ],
)
def test_a_resource_has_one_name(stage: tuple[Stage, Server], path: str) -> None:
    node = AnyNode()
    stage[0].app = storage_node_app(node)
    assert status_of(converse(stage[1].url, put(0, path=path))) in (400, 404)
    assert not node.seen
    assert status_of(converse(stage[1].url, put(0))) == 204


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PATCH", "TRACE", "CONNECT", "FOO"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    answer = converse(server.url, put(0).replace(b"PUT", method.encode(), 1))
    assert status_of(answer) in (400, 404, 405)


def test_an_upgrade_is_not_made(server: Server) -> None:
    text = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert status_of(converse(server.url, text)) == 200


def test_a_body_is_not_taken_for_a_request(server: Server, service: MemoryNode) -> None:
    inner = b"DELETE " + api.draft_of(bytes(32), bytes(16)).encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    text = put(len(inner), inner, headers="").replace(b"Connection: close\r\n", b"")
    assert converse(server.url, text + b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n").count(
        b"HTTP/1.1 "
    ) in (1, 2)
    assert not service.asked


# --- failures within ---


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageError("disk /srv/secret is full"), 507),
        (ChainUnavailableError("nothing answers at https://rpc.example/secret"), 503),
        (RuntimeError("secret"), 500),
        (KeyError("secret"), 500),
        (PolicyError("told"), 403),
        (NodeError("storage1", "told"), 502),
        (DtxethError("secret"), 500),
    ],
)
def test_failures_tell_no_secrets(error: Exception, status: int) -> None:
    with serving(AnyNode(error)) as url:
        answer = converse(url, put(1, b"x"))
    assert status_of(answer) == status
    assert b"secret" not in answer
    assert b"Traceback" not in answer
    assert refusal_in(answer)["message"]


def test_a_server_leaves_nothing_behind() -> None:
    before = threading.active_count()
    with serving(AnyNode()) as url, HttpStorageNode(url) as node:
        node.status()
        port = int(url.rpartition(":")[2])
    assert threading.active_count() <= before  # another test's may have ended meanwhile
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_server_closes_on_clients_that_dawdle() -> None:
    with serving(AnyNode(), close_seconds=1) as url:
        host, port = url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)))
        connection.sendall(put(1000, b"x"))
        began = time.monotonic()
    assert time.monotonic() - began < 10
    connection.close()
