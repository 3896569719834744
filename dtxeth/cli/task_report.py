"""``dtxeth task report``: what evaluation found about a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import err, out, show_json, show_rows
from dtxeth.cli.plot import draw, sparkline
from dtxeth.learning.metrics import LOSSES
from dtxeth.roles.report import EvaluationReport


def report(
    number: Annotated[int, typer.Argument(help="Number of the training task.")],
    requester: As,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the live curve and the ROC curve into this PNG file.")
    ] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Show the evaluation of a model, which only its requester can open."""
    with opened(home) as network:
        found = network.requester(requester).report(number)
    if plot is not None:
        draw(found, plot)
    if json:
        show_json(found.data)
        return
    if found.pooled:
        show_rows(_metrics(found), as_json=False, empty="")
    if found.curve:
        (loss,) = [name for name in LOSSES.values() if name in found.curve[0]]
        values = [point[loss] for point in found.curve]
        out.print(
            f"live {loss.replace('_', ' ')}: {sparkline(values)} from {values[0]:.4f}, "
            f"best {min(values):.4f} after round {found.best_round}"
        )
    if plot is not None:
        err.print(f"drawn into {plot}")


def _metrics(found: EvaluationReport) -> list[dict[str, Any]]:
    return [
        {
            "metric": name,
            "mean": _shown(found.mean.get(name)),
            "deviation": _shown(found.deviation.get(name)),
            "pooled": _shown(value),
        }
        for name, value in found.pooled.items()
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
