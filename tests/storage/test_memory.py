"""A file that is larger than the memory allowed goes up and comes down whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MIB = 128


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """128 MiB on four nodes in one process take less than 64 MiB beside what the idle network takes.

    ``scripts/bench/storage_memory.py --mib 1024`` measures the design's gigabyte.
    """
    report = tmp_path / "figures.json"
    bench = ROOT / "scripts/bench/storage_memory.py"
    subprocess.run(
        [sys.executable, bench, "--mib", str(MIB), "--directory", tmp_path, "--json", report],
        check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=300,
    )  # fmt: skip
    figures = json.loads(report.read_text())
    assert figures["intact"] is True
    assert figures["peak_mib"] < 300
    assert figures["peak_mib"] - figures["baseline_mib"] < MIB / 2
