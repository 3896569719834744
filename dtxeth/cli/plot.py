"""Pictures of an evaluation: ROC curve and live curve as PNG, and a line of blocks for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dtxeth.cli.output import require_folder
from dtxeth.errors import InputError
from dtxeth.roles.report import EvaluationReport

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as a line of blocks, the lowest and the highest at the ends of the scale."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in values)


def draw(report: EvaluationReport, path: Path) -> None:
    """Write a PNG with the live curve and the ROC curve, those that there are.

    Raises:
        InputError: There is nothing to draw, matplotlib is missing, or the path cannot be written.
    """
    require_folder(path)
    panels = [name for name, points in (("live", report.curve), ("roc", report.roc)) if points]
    if not panels:
        raise InputError("the report has no curve: train classes, or with live evaluation")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("drawing needs matplotlib: pip install 'dtxeth[plot]'") from None
    figure = Figure(figsize=(5.5 * len(panels), 4.5), layout="constrained")
    for place, name in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        if name == "live":
            rounds = [point["round"] for point in report.curve]
            for metric in ("log_loss", "auc", "accuracy", "rmse"):
                if metric in report.curve[0]:
                    axes.plot(
                        rounds,
                        [point[metric] for point in report.curve],
                        marker=".",
                        label=metric.replace("_", " "),
                    )
            if report.best_round is not None:
                axes.axvline(report.best_round, color="grey", linestyle=":", label="best round")
            axes.set(xlabel="round", title="held-out rows while training")
        else:
            auc = report.pooled["auc"]
            axes.plot(*zip(*report.roc, strict=True), label=f"pooled, AUC {auc:.4f}")
            axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
            axes.set(
                xlabel="false positive rate", ylabel="true positive rate", title="ROC, rows not trained on"
            )
        axes.legend()
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another file") from None
