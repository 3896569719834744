"""``dtxeth task train --dry-run``: what a task will take and show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from dtxeth.cli.output import err, out, show_json, show_record
from dtxeth.errors import InputError
from dtxeth.learning import TaskSpec
from dtxeth.learning.estimate import estimate
from dtxeth.roles import MemberNetwork
from dtxeth.roles.files import file_id_of


def show_estimate(
    network: MemberNetwork, spec: TaskSpec, files: Sequence[str], features: Sequence[int], as_json: bool
) -> None:
    """Print an estimate for all rows of the shortest file.

    Raises:
        InputError: Not one number of features for each file.
    """
    if len(files) != len(features):
        raise InputError(
            f"{len(features)} numbers of features for {len(files)} files: give one for each file"
        )
    registry = network.contracts.file_registry
    rows = min(registry.file_of(file_id_of(file)).rows for file in files)
    found = estimate(spec, rows, features)
    if as_json:
        show_json({"rows": rows} | asdict(found))
        return
    figures = {
        "rows at most": rows,
        "models": found.models,
        "encrypted rounds at most": found.rounds,
        "seconds of computing": round(found.seconds, 1),
        "megabytes sent by each": ", ".join(f"{size / 1e6:.1f}" for size in found.bytes_sent),
    }
    show_record(figures, as_json=False)
    for line in found.leakage:
        out.print(f"- {line}", soft_wrap=True)
    for line in found.refusals:
        err.print(f"owners with default policies would refuse this: {line}", soft_wrap=True)
