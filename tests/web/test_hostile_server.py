"""What a hostile server can do to our client: nothing but fail, soon, with an error from a fixed list."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable

import pytest

from dtxeth.errors import DtxethError, InputError, IntegrityError, PolicyError, StorageError
from dtxeth.storage import Credentials, wire
from dtxeth.storage.http import HttpStorageNode
from dtxeth.storage.pieces import SLICE_SIZE
from tests.web.hostile import answering, saying

CREDENTIALS = Credentials("0x" + "11" * 20, bytes(32), 1, bytes(65))
TIMEOUT = 0.6


def get_piece(answer: Callable[[socket.socket], None]) -> bytes:
    with answering(answer) as url, HttpStorageNode(url, timeout=TIMEOUT) as node:
        return node.get_piece(CREDENTIALS, bytes(32), bytes(32), 0)


def http(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_proper_answer_passes() -> None:
    assert get_piece(saying(http(200, b"piece"))) == b"piece"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"h" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    ],
)
def test_what_is_no_http_is_a_broken_connection(text: bytes) -> None:
    with pytest.raises(OSError, match="cannot be reached or broke off"):
        get_piece(saying(text))


def test_a_redirect_is_not_followed() -> None:
    asked = []

    def elsewhere(connection: socket.socket) -> None:
        asked.append(1)
        connection.sendall(http(200, b"secret"))

    with answering(elsewhere) as target:
        for status in (301, 302, 303, 307, 308):
            with pytest.raises(IntegrityError, match=f"status {status}"):
                get_piece(saying(http(status, b"", f"Location: {target}/status")))
    assert not asked


def test_an_encoded_body_is_not_decoded() -> None:
    with pytest.raises(IntegrityError, match="encoding"):
        get_piece(saying(http(200, b"\x1f\x8b", "Content-Encoding: gzip")))


def endless(head: bytes, part: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(part)

    return answer


def test_an_endless_body_is_not_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(IntegrityError, match=f"more than {SLICE_SIZE} bytes"):
        get_piece(endless(head, b"10000\r\n" + bytes(0x10000) + b"\r\n"))


def test_an_endless_refusal_is_not_read() -> None:
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1000000000000\r\n\r\n"
    with pytest.raises(IntegrityError, match="more than"):
        get_piece(endless(head, bytes(65536)))


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_dripping_answer_ends_at_the_deadline(head: bytes, part: bytes) -> None:
    def drip(connection: socket.socket) -> None:
        end = time.monotonic() + 60
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while time.monotonic() < end:
                if part:
                    connection.sendall(part)
                    time.sleep(TIMEOUT / 20)
                elif not connection.recv(1):
                    return

    with pytest.raises(TimeoutError, match="in time"):
        get_piece(drip)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 60_000,
        b'{"error": "SystemExit", "message": "x"}',
        b'{"error": "builtins.KeyboardInterrupt", "message": "x"}',
        b'{"error": "ChainUnavailableError", "message": "x"}',
        b'{"error": "PolicyError"}',
        b'{"error": "PolicyError", "message": 7}',
        b'{"error": ["PolicyError"], "message": "x"}',
        b"\xff\xfe\x00",
    ],
)
def test_a_refusal_raises_nothing_but_what_is_listed(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="status 403 and no reason"):
        get_piece(saying(http(403, body)))


@pytest.mark.parametrize("name", sorted(wire.REFUSALS))
def test_every_listed_refusal_is_raised(name: str) -> None:
    body = json.dumps({"error": name, "message": "because"}).encode()
    with pytest.raises(DtxethError) as caught:
        get_piece(saying(http(400, body)))
    assert type(caught.value) is wire.REFUSALS[name]


def test_a_message_plays_no_tricks_on_a_terminal() -> None:
    message = "a\x1b[2Jb\r\nc\u202ed\x00" + "x" * 5000
    with pytest.raises(PolicyError) as caught:
        get_piece(
            saying(http(403, wire.refusal("PolicyError", "").replace(b'""', json.dumps(message).encode())))
        )
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) == wire.MAX_MESSAGE


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"capacity": -1, "used": 0}', b'{"capacity": "1", "used": 0}', b"1" * 4096]
)
def test_a_status_that_is_none(body: bytes) -> None:
    with (
        answering(saying(http(200, body))) as url,
        HttpStorageNode(url, timeout=TIMEOUT) as node,
        pytest.raises(IntegrityError),
    ):
        node.status()


def test_a_node_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with HttpStorageNode(url) as node, pytest.raises(ConnectionError, match="cannot be reached"):
        node.status()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "local://storage1",
        "file:///etc/passwd",
        "http://",
        "http://:80",
        "http://user:password@host",
        "http://host/path",
        "http://host?query",
        "http://host#fragment",
        "http://host:99999",
        "http://host:0",
        "http://[::1",
        "http://ho st",
        "http://host\r\nX: y",
        "http://höst",
        "http://host\\@other",
        "http://" + "a" * 300,
    ],
)
def test_endpoints_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="no URL of a node"):
        HttpStorageNode(url)


def test_storage_errors_are_all_that_remains() -> None:
    assert all(issubclass(kind, DtxethError) for kind in wire.REFUSALS.values())
    assert wire.REFUSALS["StorageError"] is StorageError
