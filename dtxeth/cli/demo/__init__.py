"""``dtxeth demo``: the whole story, end to end, on the embedded defaults.

``dtxeth demo heal`` tells of the storage in it, ``dtxeth demo parties`` of the learning, and ``dtxeth demo network``
of a network of many processes.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from dtxeth.cli.output import err, out, require_folder

ROUNDS = 36

app = typer.Typer(name="demo", invoke_without_command=True, help="See it work, on this machine alone.")


@app.callback()
def demo(
    context: typer.Context,
    party: Annotated[
        list[Path] | None, typer.Option(help="CSV file of a party; give two, instead of the built-in data.")
    ] = None,
    id: Annotated[str, typer.Option(help="With --party: column of row ids, in both files.")] = "id",
    label: Annotated[str, typer.Option(help="With --party: column to learn, in one of the files.")] = "label",
    task: Annotated[str, typer.Option(help="With --party: logistic or linear.")] = "logistic",
    rounds: Annotated[int, typer.Option(help="Most rounds of each training.", min=1)] = ROUNDS,
    seed: Annotated[int, typer.Option(help="Who lacks which row, who cheats; never of a secret.")] = 7,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    """Run the whole story: store, authorise, train under encryption, predict, challenge, survive a dead node."""
    if context.invoked_subcommand is not None:
        return
    # Here, not above: scikit-learn takes a second to import, and no other command needs it.
    from dtxeth.cli.demo import data
    from dtxeth.cli.demo.story import Story
    from dtxeth.roles import LocalNetwork

    began = time.monotonic()
    rng = np.random.default_rng(seed)
    if report is not None:
        require_folder(report)
    studies = data.studies(party or [], id, label, task, rng)
    with err.status("starting a network of 4 storage nodes and 2 executors"):
        network = LocalNetwork(storage_nodes=4, executors=2)
    with network, tempfile.TemporaryDirectory(prefix="dtxeth-demo-") as folder:
        story = Story(network, Path(folder), out, rng)
        story.introduce()
        for study in studies:
            story.learn(study, rounds)
        story.catch_the_cheat()
        story.lose_a_node()
        story.count_gas()
    _end(story.report, report, began)


@app.command()
def heal(
    size: Annotated[int, typer.Option(help="MiB of each of the two files.", min=1, max=1024)] = 64,
    seed: Annotated[int, typer.Option(help="Contents, and who is hit; never of a secret.")] = 7,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    """Watch the storage heal: nodes cheat, die and fall silent; they are caught, slashed, and replaced."""
    from dtxeth.cli.demo.heal import NODES, Healing
    from dtxeth.roles import LocalNetwork

    began = time.monotonic()
    if report is not None:
        require_folder(report)
    with err.status(f"starting a network of {NODES} storage nodes"):
        network = LocalNetwork(storage_nodes=NODES, executors=0)
    with network, tempfile.TemporaryDirectory(prefix="dtxeth-demo-") as folder:
        story = Healing(network, Path(folder), out, np.random.default_rng(seed), size)
        story.store()
        story.prove()
        story.heal()
        story.account()
    _end(story.report, report, began)


@app.command()
def parties(
    rounds: Annotated[int, typer.Option(help="Most rounds of each of the six models.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Who lacks which row; never of a secret.")] = 7,
    plot: Annotated[Path, typer.Option(help="Draw the live curve and the ROC curve here.")] = Path(
        "parties.png"
    ),
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    r"""Watch three owners learn: a logistic model, evaluated by encrypted folds, and a neural network on shares.

    The network needs the extra mpc, on CPython 3.10 or 3.11: pip install 'dtxeth\[mpc]'. In a clone, `make mpc` sets
    up an environment that has it; then run .venv-mpc/bin/dtxeth demo parties.
    """
    from dtxeth.cli.demo.parties import OWNERS, Parties
    from dtxeth.roles import LocalNetwork

    began = time.monotonic()
    for path in filter(None, (plot, report)):
        require_folder(path)
    with err.status(f"starting a network of 4 storage nodes and {len(OWNERS)} executors"):
        network = LocalNetwork(storage_nodes=4, executors=len(OWNERS))
    with network, tempfile.TemporaryDirectory(prefix="dtxeth-demo-") as folder:
        story = Parties(network, Path(folder), out, np.random.default_rng(seed))
        story.learn(rounds, plot)
        story.learn_a_network()
    _end(story.report, report, began)


@app.command()
def network(
    rounds: Annotated[int, typer.Option(help="Rounds of the training.", min=8)] = 16,
    seed: Annotated[int, typer.Option(help="Who lacks which row; never of a secret.")] = 7,
    home: Annotated[
        Path | None, typer.Option(help="Folder that keeps everything; by default a temporary one.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
) -> None:
    """Watch many processes do the job by commands alone: some are killed, come back, and all ends right."""
    from dtxeth.cli.demo.network import NetworkStory

    began = time.monotonic()
    if report is not None:
        require_folder(report)
    with tempfile.TemporaryDirectory(prefix="dtxeth-demo-") as folder:
        story = NetworkStory(home or Path(folder), out, np.random.default_rng(seed), rounds)
        try:
            story.start()
            story.learn()
            story.refund()
        finally:
            story.stop()
        story.compare()
    _end(story.report, report, began)


def _end(figures: dict[str, Any], report: Path | None, began: float) -> None:
    out.print(f"\nTold in {time.monotonic() - began:.0f} s.")
    if report is not None:
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        out.print(f"Figures are in {report}.")
