"""The storage benchmark runs, without its rivals; no figure of it is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_measures_what_comes_back_whole(tmp_path: Path) -> None:
    """It ends with an error if a download is not what was uploaded."""
    report = tmp_path / "figures.json"
    options = ["--no-rivals", "--in-process", "--size", "1", "--rounds", "1", "--json", report]
    subprocess.run(
        [sys.executable, ROOT / "scripts/bench/storage.py", *options],
        check=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=120,
    )  # fmt: skip
    figures = json.loads(report.read_text())
    assert figures.keys() == {"pipeline_vs_bare", "mib_s"}
    assert all(speed > 0 for speed in figures["mib_s"].values())
