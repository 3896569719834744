"""The demonstration of many processes: the whole job by commands alone, while processes are killed and come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.console import Console

from dtxeth.cli.demo import data
from dtxeth.cli.demo.quality import compare
from dtxeth.config import DevnetConfig
from dtxeth.daemon import tools
from dtxeth.daemon.devnet import Devnet
from dtxeth.errors import ConfigError, TaskError
from dtxeth.roles import LocalNetwork

REWARD: Final = 10**15
"""Wei for the executors of a task."""

CHECKPOINT: Final = 4
"""Rounds between two checkpoints."""

LATE: Final = 20
"""Seconds that executors have to confirm the task that will be timed out."""

OWNERS: Final = ("owner1", "owner2")
REQUESTER: Final = "requester"


class NetworkStory:
    """Tells the story; the figures add up in :attr:`report`.

    Args:
        folder: Where the network and the tables go.
        console: Where the story is told.
        rng: Splits the data; never a secret.
        rounds: Rounds of each training.
    """

    def __init__(self, folder: Path, console: Console, rng: np.random.Generator, rounds: int) -> None:
        self.console, self._rounds, self._folder = console, rounds, folder
        self._study = data.breast_cancer(rng)
        self.devnet = Devnet(folder / "network")
        self.report: dict[str, Any] = {}

    def start(self) -> None:
        """Start the network, one of its storage nodes on an IPFS daemon if js-ipfs is there."""
        try:
            tools.jsipfs()
            ipfs_nodes = 1
        except ConfigError as missing:
            self.console.print(f"[yellow]No storage node on IPFS: {missing}[/]")
            ipfs_nodes = 0
        began = time.monotonic()
        with self.console.status("starting") as status:
            self.devnet.up(DevnetConfig(ipfs_nodes=ipfs_nodes), status.update)
        self.report["processes"] = len(list(self.devnet.members()))
        self.console.print(
            f"{self.report['processes']} processes are up after {time.monotonic() - began:.0f} s: "
            + ", ".join(member.name for member in self.devnet.members())
            + "."
        )

    def stop(self) -> None:
        """Stop everything."""
        killed = self.devnet.down()
        self.console.print(
            "All processes have ended" + (f"; killed: {', '.join(killed)}" if killed else "") + "."
        )

    def learn(self) -> None:
        """Store, train while two processes are killed, and predict."""
        for owner in OWNERS:
            self._command("namespace", "add", "study", "--as", owner)
        files = self._upload("train", self._study.train)
        began = time.monotonic()
        task = self._train(files, reward=REWARD)
        self._await_round(task, min(CHECKPOINT + 2, self._rounds - 1))
        for victim in ("executor1", "storage2"):
            self.devnet.child(victim).kill()
        self.console.print(f"Task {task} trains; killed (-9) in the middle of it: executor1 and storage2.")
        self.devnet.up()
        self.report["resumed_from_round"] = self._resumed_from(task)
        model = self._command("task", "wait", task, "--as", REQUESTER)
        self.report["task_status"] = model["status"]
        self.report["seconds"] = round(time.monotonic() - began, 1)
        self.report["bytes_between_executors"] = sum(
            self.devnet.health(name)["bytes_to_peers"] for name in self.devnet.config.names("executor")
        )
        self.console.print(
            f"Both came back: the task is {model['status']} after {model['rounds']} rounds and "
            f"{self.report['seconds']:.0f} s, gone on from round {self.report['resumed_from_round']}."
        )
        self._predict(task)

    def compare(self) -> None:
        """Do the same in one process."""
        with LocalNetwork(storage_nodes=2, executors=2) as network:
            owners = [network.data_owner(name) for name in OWNERS]
            lab = network.requester(REQUESTER)
            train = self._write("train", self._study.train)
            files = [owner.upload(path, "study") for owner, path in zip(owners, train, strict=True)]
            model = lab.train(
                self._study.algorithm,
                files=files,
                id=self._study.id,
                label=self._study.label,
                max_rounds=self._rounds,
            ).result()
            test = self._write("test", self._study.test)
            files = [owner.upload(path, "study") for owner, path in zip(owners, test, strict=True)]
            predicted = lab.predict(model, files=files).result()
        self.report["auc_single_process"] = compare(self._study, predicted)["auc"]
        self.console.print(
            f"AUC on held-out rows: {self.report['auc']:.4f} by {self.report['processes']} processes, "
            f"{self.report['auc_single_process']:.4f} in one."
        )

    def refund(self) -> None:
        """Have an executor stay away for good: its task is timed out, and the requester gets the reward back."""
        self.devnet.child("executor2").kill()
        files = self._upload("again", self._study.train)
        task = self._train(files, reward=REWARD, more=["--confirm-within", LATE])
        deadline = self._command("task", "show", task)["confirm_by"]
        while self.devnet.health("owner1")["now"] <= deadline:
            time.sleep(1)
        status = self._command("task", "show", task)["status"]
        if status == "confirming":  # else the other executor was faster
            self._command("task", "time-out", task, "--as", REQUESTER)
            status = self._command("task", "show", task)["status"]
        self.report["refund_test"] = {"timed_out": "TimedOut"}.get(status, status)
        self.console.print(
            f"executor2 stayed away: task {task} is {status}, the reward is the requester's again."
        )

    # --- by commands ---

    def _command(self, *arguments: object) -> Any:
        """Run ``dtxeth … --json`` in a process of its own, and return what it prints."""
        command = [sys.executable, "-m", "dtxeth", *map(str, arguments), "--json"]
        environment = {**os.environ, "DTXETH_HOME": str(self.devnet.home)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            words = " ".join(map(str, arguments[:2]))
            raise TaskError(f"`dtxeth {words}` ended with {ran.returncode}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)

    def _upload(self, kind: str, frames: Sequence[pd.DataFrame]) -> list[str]:
        def upload(owner: str, path: Path) -> str:
            command = ("file", "upload", path, "--as", owner, "--namespace", "study")
            return str(self._command(*command)["id"]).removeprefix("0x")

        with ThreadPoolExecutor(len(OWNERS)) as threads:
            return list(threads.map(upload, OWNERS, self._write(kind, frames)))

    def _write(self, kind: str, frames: Sequence[pd.DataFrame]) -> list[Path]:
        paths = [self._folder / f"{owner}-{kind}.csv" for owner in OWNERS]
        for path, frame in zip(paths, frames, strict=True):
            frame.to_csv(path, index=False)
        return paths

    def _train(self, files: Sequence[str], reward: int, more: Sequence[object] = ()) -> int:
        named = [part for file in files for part in ("--file", file)]
        published = self._command(
            "task", "train", self._study.algorithm, *named, "--as", REQUESTER, "--id", self._study.id,
            "--label", self._study.label, "--set", f"max_rounds={self._rounds}", "--set",
            f"checkpoint_every={CHECKPOINT}", "--reward", reward, "--no-wait", *more,
        )  # fmt: skip
        return int(published["task"])

    def _predict(self, task: int) -> None:
        files = self._upload("test", self._study.test)
        named = [part for file in files for part in ("--file", file)]
        out = self._folder / "predictions.csv"
        self._command("task", "predict", task, *named, "--as", REQUESTER, "--out", out)
        self.report["auc"] = compare(self._study, pd.read_csv(out, dtype={self._study.id: str}))["auc"]

    # --- what the daemons say ---

    def _await_round(self, task: int, rounds: int) -> None:
        """Wait until the task has come so far; the requester starts it as soon as it may."""
        waiting = subprocess.Popen(
            [sys.executable, "-m", "dtxeth", "task", "wait", str(task), "--as", REQUESTER, "--json"],
            env={**os.environ, "DTXETH_HOME": str(self.devnet.home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._await(
                lambda: self._progress("executor1", task).get("rounds", 0) >= rounds, f"round {rounds}"
            )
        finally:
            waiting.terminate()
            waiting.wait()

    def _resumed_from(self, task: int) -> int:
        """The round after which the executor that was killed went on."""
        self._await(lambda: bool(self._progress("executor1", task)), "executor1 to go on")
        return int(self._progress("executor1", task)["first"]) - 1

    def _progress(self, executor: str, task: int) -> dict[str, int]:
        tasks: dict[str, dict[str, int]] = self.devnet.health(executor).get("tasks", {})
        return tasks.get(str(task), {})

    def _await(self, condition: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TaskError(f"{what}: still not there after {seconds:.0f} s; see {self.devnet.home}/logs")
            time.sleep(0.3)
