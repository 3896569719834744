"""Commitments and Merkle trees over stored pieces, on several cores against one.

    python scripts/bench/possession.py [--json FILE] [--cores N] [--repeats N]

``commit_vs_ckzg`` is the speed of :func:`dtxeth.crypto.kzg.commit` on N processes (2 by default) over that of bare
``ckzg`` on one, from the same field elements; ``merkle_vs_one`` that of :func:`dtxeth.crypto.merkle.piece_roots` on N
threads over one; ``check_vs_commit`` says how much faster an owner checks commitments than one process makes them. The
processes are started, and have loaded the trusted setup, before the clock runs. The cases take turns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import ckzg
from _harness import Case, measure, options, report

from dtxeth.crypto import kzg, merkle, set_jobs, sha256
from dtxeth.crypto.commitment_check import check_commitments
from dtxeth.crypto.polynomial import field_elements

PIECE = 8 * kzg.BLOB_DATA
COMMITTED = 8
"""Pieces that are committed to in one go."""
HASHED = 32
"""Pieces whose trees are built in one go."""
MIB = 2**20


def main() -> None:
    """Measure and report."""
    asked = options(__doc__ or "", cores=2)
    pieces = [os.urandom(PIECE) for _ in range(HASHED)]
    few = pieces[:COMMITTED]
    setup = kzg.trusted_setup()
    elements = [field_elements(blob) for piece in few for blob in kzg.blobs(piece)]
    commitments = kzg.commit(few)

    def bare() -> Sequence[bytes]:
        return [ckzg.blob_to_kzg_commitment(each, setup) for each in elements]

    def on(jobs: int, run: Callable[[Sequence[bytes]], list[bytes]], given: Sequence[bytes]) -> list[bytes]:
        set_jobs(jobs)
        return run(given)

    assert bare() == commitments
    cases = {
        "commit_ckzg": Case(bare, COMMITTED),
        "commit": Case(lambda: on(asked.cores, kzg.commit, few), COMMITTED),
        "check": Case(lambda: check_commitments(few, commitments), COMMITTED),
        "merkle_one": Case(lambda: on(1, merkle.piece_roots, pieces), HASHED),
        "merkle": Case(lambda: on(asked.cores, merkle.piece_roots, pieces), HASHED),
    }
    seconds = measure(cases, asked.repeats)
    speeds = {name: PIECE / MIB / each for name, each in seconds.items()}
    ratios = {
        "commit_vs_ckzg": speeds["commit"] / speeds["commit_ckzg"],
        "merkle_vs_one": speeds["merkle"] / speeds["merkle_one"],
        "check_vs_commit": speeds["check"] / speeds["commit_ckzg"],
    }
    figures = {name: round(ratio, 2) for name, ratio in ratios.items()}
    figures |= {
        "cores": asked.cores,
        "merkle_engine": sha256.engine(),
        "mib_s": {name: round(each, 2) for name, each in speeds.items()},
    }
    rows = [[name, f"{speed:,.2f}"] for name, speed in speeds.items()]
    rows += [[name, f"{ratio:.2f} ×"] for name, ratio in ratios.items()]
    report(
        f"Possession, {asked.cores} cores, trees by {sha256.engine()}",
        ["", "MiB/s"],
        rows,
        figures,
        asked.json,
    )


if __name__ == "__main__":
    main()
