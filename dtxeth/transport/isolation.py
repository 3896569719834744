"""Isolation: a party's program in a process of its own, so that parties on one machine use all its cores.

Big-number arithmetic holds the interpreter lock: parties that are threads of one process share one core. The
program runs unchanged in a child process, where its channel asks the channel here to send and receive.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from joblib.externals.loky.backend.context import get_context

from dtxeth.errors import DtxethError, TaskError
from dtxeth.transport.channel import Channel

T = TypeVar("T")

_WATCH_SECONDS: Final = 0.2


def run_in_process(
    program: Callable[..., T], channel: Channel, *arguments: Any, progress: Callable[..., None] | None = None
) -> T:
    """Return ``program(channel, *arguments, progress=…)``, run in a new process.

    Args:
        program: A function that importing can find, like :func:`dtxeth.learning.train`.
        channel: The party's channel; it carries on from where the program leaves it.
        arguments: Further arguments, picklable.
        progress: Called here whenever the program reports progress there.

    Raises:
        TaskError: The process ended without a result, for instance because it was killed.
        DtxethError: What the program raised.
    """
    # loky's processes, unlike those of multiprocessing, do not run the caller's script again when they start
    context = get_context("loky")
    here, there = context.Pipe()
    process = context.Process(target=_child, args=(there, program, channel.name, channel.peers, arguments))
    process.start()
    there.close()
    try:
        result: T = _serve(here, channel, progress)
        return result
    except (EOFError, ConnectionError):
        process.join()
        channel.abort("its process ended")
        raise TaskError(
            f"the process of {channel.name} ended with exit code {process.exitcode}: look for memory shortage"
        ) from None
    finally:
        here.close()
        process.terminate()
        process.join()


def _serve(connection: Connection, channel: Channel, progress: Callable[..., None] | None) -> Any:
    """Carry out the child's requests until it is done."""
    while True:
        match connection.recv():
            case "send" | "recv" | "abort" | "close" as what, *parts:
                try:
                    connection.send((getattr(channel, what)(*parts), None))
                except DtxethError as error:
                    connection.send((None, error))
            case ("bytes_sent",):
                connection.send((channel.bytes_sent, None))
            case "progress", *event:
                if progress is not None:
                    progress(*event)
            case "raise", error:
                raise error
            case "return", result:
                return result


class _Remote(Channel):
    """The child's channel: asks the parent's."""

    def __init__(self, name: str, peers: tuple[str, ...], connection: Connection) -> None:
        self.name = name
        self.peers = peers
        self._connection = connection

    @property
    def bytes_sent(self) -> int:
        count: int = self._ask("bytes_sent")
        return count

    def send(self, peer: str, tag: str, payload: bytes) -> None:
        self._ask("send", peer, tag, payload)

    def recv(self, peer: str, tag: str) -> bytes:
        payload: bytes = self._ask("recv", peer, tag)
        return payload

    def abort(self, reason: str) -> None:
        self._ask("abort", reason)

    def close(self) -> None:
        self._ask("close")

    def _ask(self, *request: Any) -> Any:
        self._connection.send(request)
        answer, error = self._connection.recv()
        if error is not None:
            raise error
        return answer


def _child(
    connection: Connection,
    program: Callable[..., Any],
    name: str,
    peers: tuple[str, ...],
    arguments: tuple[Any, ...],
) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def tell(*event: Any) -> None:
        connection.send(("progress", *event))

    try:
        result = program(_Remote(name, peers, connection), *arguments, progress=tell)
    except Exception as error:
        connection.send(("raise", error))
    else:
        connection.send(("return", result))


def _end_with(parent: int) -> None:
    """End this process soon after its parent: the party is killed as a whole, and may be started again."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
