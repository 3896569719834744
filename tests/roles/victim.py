"""An executor in a process of its own, which kills itself at a point that it is told: ``kill -9``, not a mistake.

The processes are forked from one that has done the imports, so that starting one again takes no time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtxeth.chain import load_keystore
from dtxeth.chain.bindings.file_authorization import FileAuthorization
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.task_registry import TaskRegistry
from dtxeth.roles import Executor, run
from dtxeth.roles.remote import connect_network
from dtxeth.roles.vault import Vault
from dtxeth.transport import Channel
from tests.roles.town import train_briefly


@dataclass(frozen=True)
class Point:
    """A call at which the process dies.

    Attributes:
        owner: Class of the method.
        method: Its name.
        argument: A string that must be among the call's arguments, or None.
        after: Whether the call is still carried out.
    """

    owner: type
    method: str
    argument: str | None = None
    after: bool = False

    def __str__(self) -> str:
        what = "" if self.argument is None else f" {self.argument!r}"
        return f"{'after' if self.after else 'before'} {self.owner.__name__}.{self.method}{what}"


TRAINING = [
    Point(FileAuthorization, "apply_for"),
    Point(FileAuthorization, "apply_for", after=True),
    Point(TaskRegistry, "confirm"),
    Point(TaskRegistry, "confirm", after=True),
    Point(Vault, "save", "seed"),
    Point(Vault, "save", "seed", after=True),
    Point(Channel, "send", "masked ids"),
    Point(Channel, "recv", "common ids"),
    Point(Channel, "send", "1 masked"),
    Point(Channel, "recv", "1 rounded", after=True),
    Point(Channel, "send", "commitment", after=True),
    Point(Vault, "save", "task-1.part"),
    Point(Vault, "save", "outcome"),
    Point(Vault, "save", "outcome", after=True),
    Point(TaskRegistry, "report"),
    Point(TaskRegistry, "report", after=True),
]
PREDICTION = [
    Point(Channel, "recv", "scores", after=True),
    Point(FileRegistry, "publish"),
    Point(FileRegistry, "publish", after=True),
    Point(FileAuthorization, "grant", after=True),
    Point(Channel, "send", "delivered", after=True),
    Point(Vault, "save", "outcome", after=True),
    Point(TaskRegistry, "report", after=True),
]


@dataclass(frozen=True)
class Victim:
    """What an executor's process needs to know."""

    url: str
    deployment: Path
    home: Path
    keystore: Path
    password: str
    listen: str

    def start(self, point: Point | None = None) -> Any:
        """Start the process, to die at a point or to live."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=_live, args=(self, point), daemon=True)
        process.start()
        return process


def _live(victim: Victim, point: Point | None) -> None:
    run.run_in_process = train_briefly  # type: ignore[assignment] # short keys
    if point is not None:
        method = getattr(point.owner, point.method)
        setattr(point.owner, point.method, _deadly(point, method))
    account = load_keystore(victim.keystore, victim.password)
    with connect_network(victim.url, victim.deployment, victim.home, lambda *_: account) as network:
        network.join(
            "executor",
            "victim",
            lambda account: Executor(network, account, "victim", victim.home / "models", victim.listen),
        )
        network.serve(threading.Event(), pause=0.05)


def _deadly(point: Point, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **settings: Any) -> Any:
        if point.argument is not None and point.argument not in arguments:
            return method(*arguments, **settings)
        if point.after:
            method(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    return call
