"""Writes the detection figures into docs/protocols/challenges.md, or checks them.

Usage: python scripts/gen_detection.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dtxeth.chain.bindings.types import Algorithm
from dtxeth.roles.detection import COUNTS, detection_within

DOCUMENT = Path(__file__).parents[1] / "docs" / "protocols" / "challenges.md"
BEGIN, END = "<!-- detection: scripts/gen_detection.py -->\n", "<!-- end of detection -->\n"

LOSSES = (0.001, 0.01, 0.05)
RATES = (1, 4, 24)
SPANS = ((1, "a day"), (30, "a month"))


def table() -> str:
    """The figures as a Markdown table: a line for each way of asking and rate."""
    heads = [f"{loss:.1%} in {name}".replace(".0%", "%") for days, name in SPANS for loss in LOSSES]
    lines = [
        f"| asked for | a day | {' | '.join(heads)} |",
        "|---" * (2 + len(heads)) + "|",
    ]
    for algorithm, whole_blobs in ((Algorithm.MERKLE, False), (Algorithm.KZG, False), (Algorithm.KZG, True)):
        unit = "leaves" if algorithm is Algorithm.MERKLE else "blobs"
        where = "; whole blobs lost" if whole_blobs else ""
        for rate in RATES:
            figures = [
                f"{detection_within(days, rate, algorithm, loss, whole_blobs=whole_blobs):.1%}"
                for days, _ in SPANS
                for loss in LOSSES
            ]
            lines.append(f"| {COUNTS[algorithm]} {unit}{where} | {rate} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    wanted = f"{head}{BEGIN}\n{table()}\n{END}{tail}"
    if check and wanted != text:
        sys.exit(f"{DOCUMENT} has other detection figures: run scripts/gen_detection.py")
    DOCUMENT.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
