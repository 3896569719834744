"""Pid files say which process runs, and never another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtxeth.daemon.pidfile import PidFile
from dtxeth.errors import ConfigError

HOLDER = """
import sys, time
from pathlib import Path
from dtxeth.daemon.pidfile import PidFile
PidFile(Path(sys.argv[1])).claim()
print("mine", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.pid"


def test_a_running_process_is_found_refused_and_stopped(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        assert PidFile(path).pid == holder.pid
        with pytest.raises(
            ConfigError, match=rf"node\.pid: process {holder.pid} runs this node already; stop"
        ):
            PidFile(path).claim()
        assert PidFile(path).stop(10)
        assert holder.wait() == -signal.SIGTERM
    assert PidFile(path).pid is None
    assert PidFile(path).stop(0)


def test_a_pid_that_somebody_else_has_now_is_not_believed(path: Path) -> None:
    path.write_text(f"{os.getppid()}\n")  # whoever wrote it is dead; the pid lives on
    assert PidFile(path).pid is None
    assert PidFile(path).stop(0)
    with PidFile(path).claim():
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()
