"""The story of many processes: ``dtxeth demo network``; minutes of work, so only if asked for (``-m soak``)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.anvil]

CHECKPOINT = 4


def test_killed_processes_come_back_and_all_ends_right(toolchain: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = subprocess.run(
        [sys.executable, "-m", "dtxeth", "demo", "network", "--rounds", "12", "--report", str(report)],
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    told = json.loads(report.read_text())
    assert told["processes"] >= 9
    assert told["task_status"] == "finished"
    assert told["resumed_from_round"] >= CHECKPOINT
    assert told["resumed_from_round"] % CHECKPOINT == 0
    assert abs(told["auc"] - told["auc_single_process"]) < 0.02
    assert told["bytes_between_executors"] > 0
    assert told["refund_test"] == "TimedOut"
