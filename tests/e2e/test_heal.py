"""The storage story as a user starts it: ``dtxeth demo heal``, in a process of its own, with small files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

GAS = {"publish_1MiB", "publish_2MiB", "challenge", "prove_merkle_10", "prove_kzg_1", "prove_kzg_8"}
SPEEDS = {"upload", "download", "commit_merkle", "commit_kzg", "encode"}


def test_three_faults_are_found_out_and_repaired(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = subprocess.run(
        [sys.executable, "-m", "dtxeth", "demo", "heal", "--size", "2", "--report", str(report)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    told = json.loads(report.read_text())
    assert len(told["files"]) == 2
    for file in told["files"]:
        assert file["recovered"] is True
        assert file["sha256_before"] == file["sha256_after"]
    assert len(set(told["caught"])) == 3
    assert told["slashed_wei"] > 0
    assert told["migrations"] >= 3
    assert told["repaired_pieces"] >= told["migrations"]
    assert set(told["gas"]) == GAS
    assert abs(told["gas"]["publish_2MiB"] / told["gas"]["publish_1MiB"] - 1) < 0.05
    assert told["gas"]["prove_kzg_1"] <= 130_000
    assert told["gas"]["prove_kzg_8"] <= 300_000
    assert told["gas"]["prove_merkle_10"] <= 350_000
    assert set(told["throughput_mib_s"]) == SPEEDS
    for chapter in ("alters what it stores", "dies", "stops answering", "Health after"):
        assert chapter in ran.stdout
