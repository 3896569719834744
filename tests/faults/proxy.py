"""A proxy in front of a storage node that does to requests and answers what networks and liars do."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ROUTES = {
    "status": r"GET /status",
    "put_piece": r"PUT /files/\w+/drafts/\w+/pieces/\d+",
    "keep_pieces": r"PUT /files/\w+/drafts/\w+/kept/?\d*",
    "commitments": r"GET /files/\w+/drafts/\w+/commitments",
    "acknowledge": r"PUT /files/\w+/drafts/\w+",
    "abandon": r"DELETE /files/\w+/drafts/\w+",
    "outline": r"GET /files/\w+/outline",
    "get_piece": r"GET /files/\w+/blocks/\w+\?.*",
    "get_manifest": r"GET /files/\w+/manifests/\w+\?.*",
}


@dataclass
class Message:
    """A request or an answer of HTTP/1.1."""

    head: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        return self.head + self.body


class BrokenOffError(Exception):
    """The connection ends here, after these bytes."""

    def __init__(self, rest: bytes = b"") -> None:
        self.rest = rest


def read_message(stream: Any) -> Message | None:
    """Read a message with Content-Length, or with no body; None at the end."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line == b"\r\n":
            break
    else:
        return None
    head = b"".join(lines)
    size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return Message(head, stream.read(int(size[1])) if size else b"")


def keep(message: Message) -> Message:
    return message


def kill(message: Message) -> Message:
    raise BrokenOffError


def flip(message: Message) -> Message:
    """Alter a byte of the body; without one, of the first line."""
    whole = bytearray(message.body or message.head)
    whole[len(whole) // 2 if message.body else 4] ^= 1
    return Message(message.head, bytes(whole)) if message.body else Message(bytes(whole), b"")


def cut(message: Message) -> Message:
    whole = message.to_bytes()
    raise BrokenOffError(whole[: len(whole) - len(message.body or whole) // 2 - 1])


def replace(message: Message) -> Message:
    """Answer something else of the same length, as if all were well."""
    body = secrets.token_bytes(len(message.body) or 7)
    return Message(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body)


Change = Callable[[Message], Message]


@dataclass(frozen=True)
class Fault:
    """What happens to one exchange.

    Attributes:
        request: To the request.
        answer: To the answer.
        during: What is the matter with the node (by its address) in between.
    """

    request: Change = keep
    answer: Change = keep
    during: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()


class Proxy:
    """Forwards HTTP/1.1 to one node.

    Args:
        node: The node's address.
        upstream: Its URL.

    Attributes:
        url: Where the proxy is.
        choose: Given the node, the name of the route, and how often it came before: the fault of this exchange.
    """

    def __init__(self, node: str, upstream: str) -> None:
        self._node, self._upstream = node, urlsplit(upstream)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.choose: Callable[[str, str], Fault | None] = lambda node, route: None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        address = self._upstream.hostname, self._upstream.port
        with client, socket.create_connection(address) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                with client.makefile("rb") as requests, server.makefile("rb") as answers:
                    while (request := read_message(requests)) is not None:
                        client.sendall(self._exchange(request, server, answers).to_bytes())
            except BrokenOffError as broken:
                client.sendall(broken.rest)
            except OSError:
                pass  # one of them has gone

    def _exchange(self, request: Message, server: socket.socket, answers: Any) -> Message:
        line = request.head.split(b" HTTP/", 1)[0].decode()
        route = next((name for name, form in ROUTES.items() if re.fullmatch(form, line)), line)
        fault = self.choose(self._node, route) or Fault()
        try:
            changed = fault.request(request)
        except BrokenOffError as broken:
            server.sendall(broken.rest)
            raise BrokenOffError from None
        with fault.during(self._node):
            server.sendall(changed.to_bytes())
            answer = read_message(answers)
        if answer is None:
            raise BrokenOffError
        return fault.answer(answer)
