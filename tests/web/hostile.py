"""Sockets that speak HTTP as badly as a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request's head and then does what ``answer`` does, to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    received = connection.recv(65536)
                    if not received:
                        return
                    head += received
                answer(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in [accepting, *threads]:
                thread.join()


def saying(text: bytes) -> Callable[[socket.socket], None]:
    """An answer of fixed bytes, after which the connection closes."""
    return lambda connection: connection.sendall(text)


def converse(url: str, text: bytes, timeout: float = 10.0) -> bytes:
    """Send bytes to a server and return all that comes until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    received = b""
    connection = socket.create_connection((host, int(port)), timeout=timeout)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(text)
        while chunk := connection.recv(65536):
            received += chunk
    return received
