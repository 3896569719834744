"""Children are found again by another process, and end with all of their group."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from dtxeth.daemon.children import Child
from dtxeth.errors import ConfigError

FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; print('grandchild', flush=True); time.sleep(60)"])
time.sleep(60)
"""


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child("sleeper", tmp_path)


def _family(child: Child) -> list[psutil.Process]:
    pid = child.pid
    assert pid is not None
    parent = psutil.Process(pid)
    while "grandchild" not in child.log.read_text():
        assert parent.is_running()
    return [parent, *parent.children()]


def test_another_hand_finds_it_and_ends_its_whole_family(child: Child, tmp_path: Path) -> None:
    child.start([sys.executable, "-c", FAMILY], os.environ)
    family = _family(child)
    assert len(family) == 2
    again = Child("sleeper", tmp_path)
    assert again.pid == child.pid
    assert again.stop()
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert again.pid is None
    assert child.stop()


def test_what_a_killed_one_left_behind_ends_too(child: Child) -> None:
    child.start([sys.executable, "-c", FAMILY], os.environ)
    _, orphan = _family(child)
    child.kill()
    assert child.pid is None
    assert orphan.is_running()
    child.stop()
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_one_that_will_not_hear_is_killed(child: Child) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    child.start([sys.executable, "-c", deaf], os.environ)
    while "deaf" not in child.log.read_text():
        assert child.pid is not None
    assert not child.stop(seconds=0.1)
    assert child.pid is None
    assert child.last_words() == "deaf"


def test_a_pid_of_another_time_is_another_process(child: Child, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    record = {"pid": os.getpid(), "started": psutil.Process().create_time() + 60}
    (tmp_path / "run" / "sleeper.json").write_text(json.dumps(record))
    assert child.pid is None
    assert child.stop()  # and we live


def test_a_program_that_is_not_there(child: Child) -> None:
    with pytest.raises(
        ConfigError, match="/no/program cannot be started: No such file or directory; install it"
    ):
        child.start(["/no/program"], {})
