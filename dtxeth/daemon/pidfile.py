"""Pid files that cannot lie: a process locks its own, and the kernel lets go of it when the process ends."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from dtxeth.errors import ConfigError


class PidFile:
    """The pid of a running process, in a file.

    POSIX locks are not inherited by children, so a child that outlives its parent does not pass for it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def claim(self) -> Self:
        """Make it this process's, until it ends or :meth:`release`.

        Raises:
            ConfigError: A running process has it.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise ConfigError(f"{self.path}: process {pid} runs this node already; stop it first") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Let go of it, and remove the file."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def pid(self) -> int | None:
        """Pid of the other process that has it; None if none does, whatever the file says."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.read(descriptor, 32)
            return int(text) if text.strip().isdigit() else None
        else:
            return None
        finally:
            os.close(descriptor)

    def stop(self, seconds: float) -> bool:
        """Ask the process to end, and wait for it.

        Returns:
            Whether it has ended; True also if none ran.
        """
        if (pid := self.pid) is None:
            return True
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while self.pid == pid:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True
