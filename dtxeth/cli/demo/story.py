"""The demonstration: two companies train models on data that neither shows the other, on a network of one process."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from dtxeth.chain.bindings.types import ChallengeStatus, Holding
from dtxeth.chain.rows import HoldingRow
from dtxeth.cli.demo import cheat, quality
from dtxeth.cli.demo.data import Study
from dtxeth.cli.demo.gas import GasLedger
from dtxeth.cli.demo.tables import chapter, table
from dtxeth.cli.progress import followed
from dtxeth.learning.session import Training
from dtxeth.learning.spec import TaskSpec
from dtxeth.roles import DataOwner, LocalNetwork, StoredFile, TrainedModel
from dtxeth.roles.care import Care

REPLICAS = 3
"""One more than the nodes that will die or cheat."""

REWARD = 10**15
"""Wei for the executors of a training task."""

LEAVES = 2
"""Leaves per challenge; few, so that catching the cheat may take a few rounds."""

MOST_CHALLENGE_ROUNDS = 60
"""A node that altered 5 % of the leaves of a single holding escapes so many rounds once in 400 demonstrations."""


@dataclass
class Story:
    """Tells the demonstration as it happens, and collects the report.

    Args:
        network: A fresh network.
        folder: Where tables and downloads go.
        console: Where to tell it.
        rng: Randomness of the setting: who lacks which row, which node cheats; never of a secret.
    """

    network: LocalNetwork
    folder: Path
    console: Console
    rng: np.random.Generator
    report: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gas = GasLedger(self.network.chain, self.network.contracts)
        care = Care(challenges_per_day=0)  # here it is the story that challenges
        self.owners = [self.network.data_owner(name, care=care) for name in ("hospital", "insurer")]
        self.requester = self.network.requester("laboratory")
        self.files: list[tuple[DataOwner, StoredFile, Path]] = []
        self.trainings: dict[int, dict[str, Training]] = {}
        for executor in self.network.executors:
            executor.on_trained = lambda task_id, training, address=executor.address: (
                self.trainings.setdefault(task_id, {}).__setitem__(address, training)
            )

    def introduce(self) -> None:
        """Say who is there."""
        chapter(self.console, "The network")
        rows = table("who", "what", "address")
        for actor in (*self.network.storage_nodes, *self.network.executors, *self.owners, self.requester):
            rows.add_row(actor.name, type(actor).__name__, actor.address)
        self.console.print(rows)
        for owner in self.owners:
            owner.add_namespace("study", replicas=REPLICAS)
        self.console.print(
            f"Chain {self.network.chain.chain_id}, six contracts deployed and verified, "
            f"block {self.network.chain.block_number}."
        )

    def learn(self, study: Study, rounds: int) -> None:
        """Store, train, predict and compare one study."""
        began = time.monotonic()
        chapter(self.console, f"{study.task.capitalize()} regression: {study.title}")
        train_files = self._upload(study, "train", study.train)
        model, spec = self._train(study, train_files, rounds)
        predicted = self._predict(study, model)
        scores = quality.compare(study, predicted)
        trainings = self.trainings[model.task_id]
        in_order = {party: trainings[party] for party in self._parties(model.task_id)}
        scores["coef_max_diff_plain_twin"] = quality.twin_difference(
            study, spec, in_order, model.report["rounds"]
        )
        self._tell_scores(scores)
        self.report[study.task] = scores | {
            "rounds": model.report["rounds"],
            "seconds": round(time.monotonic() - began, 2),
            "aligned_rows": model.report["aligned_rows"],
            "expected_rows": len(study.pooled),
        }

    def catch_the_cheat(self) -> None:
        """One node alters 5 % of its leaves; challenge all holdings until it is caught."""
        chapter(self.console, "Possession challenges")
        node = self.network.storage_nodes[int(self.rng.integers(len(self.network.storage_nodes)))]
        loot = cheat.turn(node, self.rng)
        chance = 1 - math.prod(1 - _chance(left) for left in loot.values())
        self.console.print(
            f"[bold]{node.name}[/] silently alters 5 % of the leaves of its {len(loot)} holdings. Each round "
            f"challenges every holding of every file for {LEAVES} leaves; it is caught with "
            f"probability {chance:.0%} a round, expected after {1 / chance:.1f} rounds."
        )
        proved, failed, caught, rounds = 0, 0, set[str](), 0
        while not caught and rounds < MOST_CHALLENGE_ROUNDS:
            rounds += 1
            self.network.chain.advance(self.network.contracts.storage_challenge.rules().min_interval)
            for owner, file, _ in self.files:
                for result in owner.challenge(file, LEAVES):
                    proved += result.status is ChallengeStatus.PROVED
                    if result.status is ChallengeStatus.FAILED:
                        failed += 1
                        caught.add(result.node)
        honest = caught == {node.address}
        self.console.print(
            f"Caught after [bold]{rounds}[/] round{'s' if rounds > 1 else ''}: {proved} proofs accepted on chain, "
            f"{failed} refused, {'all of them of the cheat' if honest else 'NOT only of the cheat'}."
        )
        self.report["storage"] = {
            "nodes": len(self.network.storage_nodes),
            "files": len(self.files),
            "bytes": sum(holding.size for holding in self._holdings()),
            "challenges": {"proved": proved, "failed": failed},
            "challenge_rounds": rounds,
            "challenge_rounds_expected": round(1 / chance, 2),
            "failed_node_was_the_altered_one": honest,
        }

    def lose_a_node(self) -> None:
        """Kill a storage node and download everything all the same, the cheat's altered pieces routed around."""
        chapter(self.console, "A storage node dies")
        victim = next(node for node in self.network.storage_nodes if "answer" not in vars(node.service))
        victim.stop()
        same = True
        rows = table("file", "owner", "bytes", "downloaded")
        for owner, file, original in self.files:
            copy = original.with_suffix(".copy")
            size = owner.download(file, copy)
            equal = copy.read_bytes() == original.read_bytes()
            same &= equal
            rows.add_row(file.name, owner.name, f"{size:,}", "bit for bit" if equal else "[red]DIFFERENT[/]")
        self.console.print(
            f"[bold]{victim.name}[/] is gone, and another node has altered pieces. Every file still downloads:"
        )
        self.console.print(rows)
        self.report["storage"]["downloaded_with_node_down"] = same

    def count_gas(self) -> None:
        """Say what the transactions cost."""
        chapter(self.console, "What it cost")
        means, counts = self.gas.means(), self.gas.counts()
        rows = table("operation", "transactions", "gas, mean", numbers=(1, 2))
        for name, used in means.items():
            rows.add_row(name, str(counts[name]), f"{used:,}")
        self.console.print(rows)
        self.report["gas"] = means

    def _upload(self, study: Study, part: str, tables: tuple[pd.DataFrame, ...]) -> list[StoredFile]:
        stored = []
        rows = table("owner", "file", "rows", "bytes", "pieces on", "seconds", numbers=(2, 3, 5))
        for owner, frame in zip(self.owners, tables, strict=True):
            path = self.folder / owner.name / f"{study.task}-{part}.csv"
            path.parent.mkdir(exist_ok=True)
            frame.to_csv(path, index=False)
            began = time.monotonic()
            label = study.label if study.label in frame.columns else None
            file = owner.upload(path, "study", id=study.id, label=label)
            self.files.append((owner, file, path))
            stored.append(file)
            nodes = ", ".join(
                row.node_name for row in self.network.find(HoldingRow, file=file.id, state="live")
            )
            seconds = f"{time.monotonic() - began:.2f}"
            rows.add_row(owner.name, file.name, str(file.rows), f"{file.size:,}", nodes, seconds)
        self.console.print(rows)
        return stored

    def _train(self, study: Study, files: list[StoredFile], rounds: int) -> tuple[TrainedModel, TaskSpec]:
        began = time.monotonic()
        with followed(self.network):
            model = self.requester.train(
                study.algorithm, files=files, id=study.id, label=study.label, max_rounds=rounds, reward=REWARD
            ).result()
        seconds = time.monotonic() - began
        report = model.report
        self.console.print(
            f"Task {model.task_id}: published, authorised by both owners, confirmed and trained: "
            f"{report['aligned_rows']} rows aligned of {len(study.pooled)} in common, "
            f"[bold]{report['rounds']} rounds[/] under {report['key_bits']}-bit Paillier in {seconds:.1f} s. "
            "Each executor keeps its part of the model."
        )
        return model, TaskSpec.from_json(self.requester.published_spec(model.task_id))

    def _predict(self, study: Study, model: TrainedModel) -> pd.DataFrame:
        files = self._upload(study, "test", study.test)
        began = time.monotonic()
        predicted = self.requester.predict(model, files=files).result()
        self.console.print(
            f"{len(predicted)} held-out rows predicted in {time.monotonic() - began:.1f} s; "
            f"the result is stored sealed, and only {self.requester.name} can open it."
        )
        return predicted

    def _parties(self, task_id: int) -> list[str]:
        return [party.executor for party in self.network.contracts.task_registry.parties_of(task_id)]

    def _holdings(self) -> list[Holding]:
        files = self.network.contracts.file_registry
        return [files.holding(number) for _, file, _ in self.files for number in files.holdings_of(file.id)]

    def _tell_scores(self, scores: dict[str, float]) -> None:
        rows = table("on held-out rows", "trained encrypted", "scikit-learn on pooled data", numbers=(1, 2))
        for name in ("auc", "accuracy", "rmse", "r2"):
            if name in scores:
                rows.add_row(name, f"{scores[name]:.4f}", f"{scores[f'{name}_pooled']:.4f}")
        self.console.print(rows)
        self.console.print(
            "Coefficients differ from those of the plaintext twin by at most "
            f"[bold]{scores['coef_max_diff_plain_twin']:.1e}[/]."
        )


def _chance(left: cheat.Loot) -> float:
    """Probability that one challenge of a holding hits an altered leaf: one draw from each of equal stretches."""
    count = min(LEAVES, len(left.units))
    missed = 1.0
    for j in range(count):
        low, high = j * len(left.units) // count, (j + 1) * len(left.units) // count
        missed *= sum(position not in left.altered for position in range(low, high)) / (high - low)
    return 1 - missed
