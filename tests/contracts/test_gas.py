"""What proving and publishing may cost, settlement included. The chain is always the same, so the numbers are."""

from __future__ import annotations

import json

import pytest

from scripts.gas import SIZE_LIMIT, SNAPSHOT, measure

Snapshot = dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def measured() -> Snapshot:
    return measure()


def test_the_snapshot_is_what_is_measured(measured: Snapshot) -> None:
    assert json.loads(SNAPSHOT.read_text(encoding="utf-8")) == measured, "run scripts/gas.py"


@pytest.mark.parametrize(
    ("operation", "limit"),
    [
        ("prove_kzg_1, 16 MiB, later", 130_000),
        ("prove_kzg_8, 16 MiB, later", 300_000),
        ("prove_kzg_8, 16 MiB, first", 300_000),
        ("prove_merkle_10, 64 MiB, later", 350_000),
        ("prove_merkle_10, 64 MiB, first", 350_000),
        ("prove_merkle_10, 1024 MiB, later", 450_000),
        ("prove_merkle_10, 1024 MiB, first", 450_000),
    ],
)
def test_a_proof_costs_at_most(measured: Snapshot, operation: str, limit: int) -> None:
    assert measured["gas"][operation] <= limit


@pytest.mark.parametrize("mib", [64, 1024])
def test_publishing_costs_the_same_whatever_the_size(measured: Snapshot, mib: int) -> None:
    """Publishing is one transaction, of the owner's; nodes send none."""
    small, large = measured["gas"]["publish_1MiB"], measured["gas"][f"publish_{mib}MiB"]
    assert abs(large - small) <= small / 1000  # a twentieth is allowed


def test_every_contract_can_be_deployed(measured: Snapshot) -> None:
    assert max(measured["bytes"].values()) <= SIZE_LIMIT
