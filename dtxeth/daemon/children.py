"""Child processes that outlive whoever started them, and are found again: each leads a process group of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from dtxeth.errors import ConfigError

STOP_SECONDS: Final = 20.0
"""How long a child may take to end before it is killed."""


class Child:
    """A process that was started from here, now or by an earlier process.

    Its group is known by its leader's pid together with the time at which that started: a pid that was given to
    another process since is not mistaken for it.

    Args:
        name: What to call it.
        folder: Where its log and its record go.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self._record = folder / "run" / f"{name}.json"

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start it, its output going to its log; nothing is done if it runs.

        Raises:
            ConfigError: There is no such program.
        """
        if self.pid is not None:
            return
        for path in (self.log, self._record):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [str(part) for part in command],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be started: {error.strerror}; install it") from None
        process.returncode = 0  # whoever starts it does not wait for it: it is told by its pid from now on
        started = psutil.Process(process.pid).create_time()
        self._record.write_text(json.dumps({"pid": process.pid, "started": started}), encoding="utf-8")

    @property
    def pid(self) -> int | None:
        """Pid of the running process; None if it has ended."""
        leader, started = self._read()
        if leader is None:
            return None
        _reap(leader)
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(leader)
            if _is_since(process, started) and process.status() != psutil.STATUS_ZOMBIE:
                return leader
        return None

    def kill(self) -> None:
        """Kill the process alone, as ``kill -9`` does; its children notice."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            with suppress(psutil.NoSuchProcess):
                while self.pid is not None:
                    time.sleep(0.01)

    def ask_to_stop(self) -> None:
        """Ask the process to end."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGTERM)

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Have the process end, and all of its group.

        Returns:
            Whether it ended by itself, without being killed.
        """
        self.ask_to_stop()
        end = time.monotonic() + seconds
        while self.pid is not None and time.monotonic() < end:
            time.sleep(0.05)
        by_itself = self.pid is None
        left = self._group()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
        self._record.unlink(missing_ok=True)
        return by_itself

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"

    def _read(self) -> tuple[int | None, float]:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            return int(record["pid"]), float(record["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, 0.0

    def _group(self) -> list[psutil.Process]:
        """The processes of its group that still run, the leader among them or not."""
        leader, started = self._read()
        group = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                if os.getpgid(process.pid) == leader and _is_since(process, started):
                    group.append(process)
        return group


def _is_since(process: psutil.Process, started: float) -> bool:
    return bool(process.create_time() >= started - 0.01)  # the clock's ticks


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # an earlier process was its parent
        os.waitpid(pid, os.WNOHANG)
