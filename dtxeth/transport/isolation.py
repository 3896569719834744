"""Isolation: a party's program in a process of its own, so that parties on one machine use all its cores.

Big-number arithmetic holds the interpreter lock: parties that are threads of one process share one core. The
program runs unchanged in a child process; its channel forwards frames to the link of the channel here, one
request at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from joblib.externals.loky.backend.context import get_context

from dtxeth.errors import TaskError
from dtxeth.transport.channel import Channel

T = TypeVar("T")


def run_in_process(
    program: Callable[..., T], channel: Channel, *arguments: Any, progress: Callable[..., None] | None = None
) -> T:
    """Return ``program(channel, *arguments, progress=…)``, run in a new process.

    Args:
        program: A function that importing can find, like :func:`dtxeth.learning.train`.
        channel: The party's channel; used up afterwards.
        arguments: Further arguments, picklable.
        progress: Called here whenever the program reports progress there.

    Raises:
        TaskError: The process ended without a result, for instance because it was killed.
        DtxethError: What the program raised.
    """
    # loky's processes, unlike those of multiprocessing, do not run the caller's script again to find its
    # functions
    context = get_context("loky")
    here, there = context.Pipe()
    settings = (channel.name, channel.peers, channel.timeout, channel.max_payload)
    process = context.Process(target=_child, args=(there, program, settings, arguments))
    process.start()
    there.close()
    try:
        result: T = _serve(here, channel, progress)
        return result
    except EOFError:
        process.join()
        channel.abort("its process ended")
        raise TaskError(
            f"the process of {channel.name} ended with exit code {process.exitcode}: look for memory shortage"
        ) from None
    finally:
        here.close()
        process.terminate()
        process.join()
        channel.close()


def _serve(connection: Connection, channel: Channel, progress: Callable[..., None] | None) -> Any:
    """Carry out the child's requests until it is done."""
    while True:
        match connection.recv():
            case "put" | "get" as what, *parts:
                try:
                    connection.send((True, getattr(channel.link, what)(*parts)))
                except TimeoutError:
                    connection.send((False, None))
            case "progress", *event:
                if progress is not None:
                    progress(*event)
            case "raise", error:
                raise error
            case "return", result:
                return result


class _Forwarded:
    """Link of the child: asks the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        """Hand ``frame`` over for ``peer``."""
        self._ask("put", peer, frame, timeout)

    def get(self, peer: str, timeout: float) -> bytes:
        """Return the next frame of ``peer``."""
        frame: bytes = self._ask("get", peer, timeout)
        return frame

    def close(self) -> None:
        """Nothing to release: the parent closes its link."""

    def _ask(self, *request: Any) -> Any:
        self._connection.send(request)
        done, answer = self._connection.recv()
        if not done:
            raise TimeoutError
        return answer


def _child(
    connection: Connection,
    program: Callable[..., Any],
    settings: tuple[str, tuple[str, ...], float, int],
    arguments: tuple[Any, ...],
) -> None:
    name, peers, timeout, max_payload = settings
    channel = Channel(name, peers, _Forwarded(connection), timeout=timeout, max_payload=max_payload)
    try:
        result = program(channel, *arguments, progress=lambda *event: connection.send(("progress", *event)))
    except Exception as error:
        connection.send(("raise", error))
    else:
        connection.send(("return", result))
