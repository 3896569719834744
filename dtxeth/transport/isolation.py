"""Isolation: a party's program in a process of its own, so that parties on one machine use all its cores.

Big-number arithmetic holds the interpreter lock: parties that are threads of one process share one core. The
program runs unchanged in a child process, where its channel asks the channel here to send and receive.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from joblib.externals.loky.backend.context import get_context

from dtxeth.errors import DtxethError, TaskError
from dtxeth.transport.channel import Channel

T = TypeVar("T")

_WATCH_SECONDS: Final = 0.2


def run_in_process(
    program: Callable[..., T],
    channel: Channel,
    *arguments: Any,
    progress: Callable[..., None] | None = None,
    **services: Callable[..., Any],
) -> T:
    """Return ``program(channel, *arguments, progress=…, **services)``, run in a new process.

    Args:
        program: A function that importing can find, like :func:`dtxeth.learning.train`.
        channel: The party's channel; it carries on from where the program leaves it.
        arguments: Further arguments, picklable.
        progress: Called here whenever the program reports progress there.
        services: Functions that the program calls there and that run here: it waits for what they return or raise.

    Raises:
        TaskError: The process ended without a result, for instance because it was killed.
        DtxethError: What the program raised.
    """
    # loky's processes, unlike those of multiprocessing, do not run the caller's script again when they start
    context = get_context("loky")
    here, there = context.Pipe()
    place = channel.name, channel.peers
    process = context.Process(target=_child, args=(there, program, *place, arguments, tuple(services)))
    process.start()
    there.close()
    try:
        result: T = _serve(here, channel, progress, services)
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


def _serve(
    connection: Connection,
    channel: Channel,
    progress: Callable[..., None] | None,
    services: Mapping[str, Callable[..., Any]],
) -> Any:
    """Carry out the child's requests until it is done; requests of several threads there wait for each other here."""
    answering = threading.Lock()

    def carry_out(number: int, what: str, parts: list[Any]) -> None:
        answer: Any = None
        error: DtxethError | None = None
        try:
            if what == "service":
                answer = services[parts[0]](*parts[1:])
            else:
                answer = channel.bytes_sent if what == "bytes_sent" else getattr(channel, what)(*parts)
        except DtxethError as refusal:
            error = refusal
        with answering, suppress(OSError):  # the child may have ended meanwhile
            connection.send((number, answer, error))

    while True:
        match connection.recv():
            case int(number), (
                "send" | "recv" | "pending" | "abort" | "close" | "bytes_sent" | "service"
            ) as what, *parts:
                threading.Thread(target=carry_out, args=(number, what, parts), daemon=True).start()
            case "progress", *event:
                if progress is not None:
                    progress(*event)
            case "raise", error:
                raise error
            case "return", result:
                return result


class _Remote(Channel):
    """The child's channel: asks the parent's, from any number of threads."""

    def __init__(self, name: str, peers: tuple[str, ...], connection: Connection) -> None:
        self.name = name
        self.peers = peers
        self._connection = connection
        self._asking = threading.Lock()
        self._numbers = itertools.count()
        self._answers: dict[int, Future[Any]] = {}
        threading.Thread(target=self._hear, daemon=True).start()

    @property
    def bytes_sent(self) -> int:
        count: int = self.ask("bytes_sent")
        return count

    def send(self, peer: str, tag: str, payload: bytes) -> None:
        self.ask("send", peer, tag, payload)

    def recv(self, peer: str, tag: str) -> bytes:
        payload: bytes = self.ask("recv", peer, tag)
        return payload

    def pending(self, peer: str) -> bool:
        arrived: bool = self.ask("pending", peer)
        return arrived

    def abort(self, reason: str) -> None:
        self.ask("abort", reason)

    def close(self) -> None:
        self.ask("close")

    def tell(self, *event: Any) -> None:
        """Say something that needs no answer."""
        with self._asking:
            self._connection.send(event)

    def ask(self, *request: Any) -> Any:
        """Have the parent do something; return what it returns, or raise what it raises."""
        answer: Future[Any] = Future()
        with self._asking:
            number = next(self._numbers)
            self._answers[number] = answer
            self._connection.send((number, *request))
        return answer.result()

    def _hear(self) -> None:
        """Hand answers to those who asked, until the parent ends."""
        with suppress(EOFError, OSError):
            while True:
                number, answer, error = self._connection.recv()
                asked = self._answers.pop(number)
                if error is None:
                    asked.set_result(answer)
                else:
                    asked.set_exception(error)
        for asked in self._answers.values():
            asked.set_exception(TaskError("the process that held the channel has ended"))


def _child(
    connection: Connection,
    program: Callable[..., Any],
    name: str,
    peers: tuple[str, ...],
    arguments: tuple[Any, ...],
    services: tuple[str, ...],
) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    channel = _Remote(name, peers, connection)
    try:
        asked = {service: partial(channel.ask, "service", service) for service in services}
        result = program(channel, *arguments, progress=partial(channel.tell, "progress"), **asked)
    except Exception as error:
        channel.tell("raise", error)
    else:
        channel.tell("return", result)


def _end_with(parent: int) -> None:
    """End this process soon after its parent: the party is killed as a whole, and may be started again."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
