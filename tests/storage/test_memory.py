"""A file that is larger than the memory allowed goes up and comes down whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MIB = 128


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """128 MiB take less than their pieces beside what the idle network takes; 4 GiB no more, as the soak shows."""
    figures = journey(tmp_path, MIB, 300)
    assert figures["peak_mib"] < 300
    assert figures["peak_mib"] - figures["baseline_mib"] < 1.5 * MIB  # 4 of 6


@pytest.mark.slow
@pytest.mark.soak
def test_four_gibibytes_within_500_mib(tmp_path: Path) -> None:
    """The bound that the storage has; needs 20 GiB of disk and, on two cores, ten minutes."""
    assert journey(tmp_path, 4096, 3600)["peak_mib"] < 500


def journey(directory: Path, mib: int, timeout: float) -> dict[str, Any]:
    """Upload, repair and download a file, in a process of its own."""
    report = directory / "figures.json"
    bench = ROOT / "scripts/bench/storage_memory.py"
    subprocess.run(
        [sys.executable, bench, "--mib", str(mib), "--directory", directory, "--json", report],
        check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=timeout,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(report.read_text())
    assert figures["intact"] is True
    assert figures["rebuilt_pieces"] > 0
    return figures
