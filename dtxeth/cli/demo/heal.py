"""The storage story: two files on eight nodes, three faults one after the other, and nobody who lifts a hand.

A node alters what it stores, one dies, one stops answering. Challenges and missing heartbeats find them out, stakes are
slashed, the owner's worker rebuilds the pieces elsewhere, and both files download bit for bit at every step.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from rich.console import Console

from dtxeth.chain.bindings.events import ChallengeFailed, NodeSlashed
from dtxeth.chain.bindings.types import Algorithm, Level
from dtxeth.chain.rows import MigrationRow
from dtxeth.cli.demo import cheat, speed
from dtxeth.cli.demo.gas import GasLedger
from dtxeth.cli.demo.tables import chapter, table
from dtxeth.cli.output import err
from dtxeth.errors import TaskError
from dtxeth.roles import LocalNetwork, StorageNode, StoredFile
from dtxeth.roles.care import Care
from dtxeth.roles.health import FileHealth, file_health
from dtxeth.storage.coding import Layout, Redundancy

NODES = 8
NEEDED, TOTAL = 4, 6
REPLICAS = 3
CODED, COPIED = "coded", "copied"
HOUR = 3600
MIB = 1 << 20

CHALLENGES_PER_DAY = 24.0
"""How often each holding is challenged: often, so that the story does not take weeks of chain time."""

PATIENCE = 24 * 21
"""Hours of chain time after which something must be wrong: one altered byte of 64 MiB at 4 of 6 is in one of 133 blobs,
of which a challenge draws 8, so that so many challenges miss it once in 10¹³ stories."""

LEVELS = {Level.GREEN: "[green]green[/]", Level.YELLOW: "[yellow]yellow[/]", Level.RED: "[red]red[/]"}


@dataclass
class Kept:
    """A file of the story.

    Attributes:
        file: Its handle.
        sha256: Of the original, in hex.
        downloads: SHA-256 of each download so far.
    """

    file: StoredFile
    sha256: str
    downloads: list[str] = field(default_factory=list)

    @property
    def recovered(self) -> bool:
        """Whether every download was the original."""
        return all(digest == self.sha256 for digest in self.downloads)


class Healing:
    """Tells the story as it happens, and collects the report.

    Args:
        network: A fresh network of eight storage nodes.
        folder: Where files and downloads go.
        console: Where to tell it.
        rng: Contents, and who is hit; never a secret.
        mebibytes: Size of each file.
    """

    def __init__(
        self, network: LocalNetwork, folder: Path, console: Console, rng: np.random.Generator, mebibytes: int
    ) -> None:
        self.network, self.folder, self.console, self.rng = network, folder, console, rng
        self.size = mebibytes * MIB
        self.ledger = GasLedger(network.chain, network.contracts)
        self.owner = network.data_owner("archive")
        self.owner.care = Care(challenges_per_day=0)
        self.kept: dict[str, Kept] = {}
        self.caught: list[str] = []
        self.report: dict[str, Any] = {"gas": {}, "throughput_mib_s": {}}

    # --- chapters ---

    def store(self) -> None:
        """Upload a file to each namespace."""
        chapter(self.console, "Two files")
        self.owner.add_namespace(CODED, erasure=(NEEDED, TOTAL), possession="kzg")
        self.owner.add_namespace(COPIED, replicas=REPLICAS, possession="merkle")
        rows = table(
            "namespace", "redundancy", "proofs", "MiB", "on nodes", "s up", "s down", numbers=(3, 5, 6)
        )
        up = down = 0.0
        for namespace, redundancy, proofs in (
            (CODED, f"any {NEEDED} of {TOTAL}", "KZG"),
            (COPIED, f"{REPLICAS} copies", "Merkle"),
        ):
            with err.status(f"storing a file in namespace {namespace}"):
                sent = self._upload(namespace)
                fetched = self._download(namespace)
            names = ", ".join(node.name.removeprefix("storage") for node in self._holders(namespace))
            rows.add_row(
                namespace, redundancy, proofs, f"{self.size // MIB}", names, f"{sent:.1f}", f"{fetched:.1f}"
            )
            up, down = up + sent, down + fetched
        self.console.print(rows)
        self.report["throughput_mib_s"] = {
            "upload": _rate(2 * self.size, up),
            "download": _rate(2 * self.size, down),
        } | speed.measure(self.rng)

    def prove(self) -> None:
        """Challenge each kind of holding once, for what it costs."""
        chapter(self.console, "What publishing and proving cost")
        gas = self.report["gas"]
        self._publish_small()
        for kept in self.kept.values():  # the first proof of a node makes records that later ones only change
            self.owner.challenge(kept.file)
        self._rest()
        for name, namespace, algorithm, count in (
            ("prove_merkle_10", COPIED, Algorithm.MERKLE, 10),
            ("prove_kzg_1", CODED, Algorithm.KZG, 1),
            ("prove_kzg_8", CODED, Algorithm.KZG, 8),
        ):
            self.owner.challenge(self.kept[namespace].file, count, algorithm)
            function = "prove" if algorithm is Algorithm.MERKLE else "proveKzg"
            gas[name] = self._spent(f"StorageChallenge.{function}")
            gas["challenge"] = self._spent("StorageChallenge.open") + self._spent("StorageChallenge.draw")
            self._rest()
        rows = table("operation", "gas", numbers=(1,))
        for name, used in gas.items():
            rows.add_row(name, f"{used:,}")
        self.console.print(rows)

    def heal(self) -> None:
        """Three faults, each found out, paid for and repaired."""
        self._tell_health("Health before")
        self.owner.care = Care(challenges_per_day=CHALLENGES_PER_DAY)
        both = [node for node in self._holders(COPIED) if node in self._holders(CODED)]
        victim = both[0]
        chapter(self.console, f"{victim.name} alters what it stores")
        cheat.turn(victim, self.rng)
        self.console.print(
            f"One byte of its share of the coded file, and {cheat.SHARE:.0%} of the leaves of its copy. It answers "
            "every challenge from what it has, and serves what it has."
        )
        self._see_through(victim)

        victim = next(node for node in self._holders(CODED) if node is not victim)
        chapter(self.console, f"{victim.name} dies")
        victim.stop()
        self._see_through(victim)

        dead = victim
        victim = next(
            node for node in self._holders(CODED) if node is not dead and node.name not in self.caught
        )
        chapter(self.console, f"{victim.name} stops answering")
        _fall_silent(victim)
        self.console.print("It sends its heartbeats, but answers no challenge and serves no piece.")
        self._see_through(victim)

    def account(self) -> None:
        """Sum up."""
        self._tell_health("Health after")
        migrations = self.owner.migrations()
        slashed = sum(event.amount for event in self.network.index.events(NodeSlashed))
        self.report |= {
            "files": [
                {
                    "sha256_before": kept.sha256,
                    "sha256_after": kept.downloads[-1],
                    "recovered": kept.recovered,
                }
                for kept in self.kept.values()
            ],
            "caught": self.caught,
            "slashed_wei": slashed,
            "repaired_pieces": sum(map(self._pieces, migrations)),
            "migrations": len(migrations),
        }
        downloads = sum(len(kept.downloads) for kept in self.kept.values())
        same = "all bit for bit" if all(kept.recovered for kept in self.kept.values()) else "NOT all right"
        self.console.print(
            f"\n{downloads} downloads, {same}; {len(migrations)} migrations of {self.report['repaired_pieces']} "
            f"pieces; {_ether(slashed)} slashed, half of it to the owner."
        )

    # --- scenes ---

    def _see_through(self, victim: StorageNode) -> None:
        """Let chain time pass until the fault is found out and repaired; download both files all along."""
        registry, index = self.network.contracts.file_registry, self.network.index
        struck = {registry.holding_on(kept.file.id, victim.address) for kept in self.kept.values()} - {0}
        failures, began = len(self._failures(victim)), self.network.chain.now()

        def is_found_out() -> bool:
            lost = self.network.health_of(victim.address).health.lost
            return lost or len(self._failures(victim)) > failures

        def is_repaired() -> bool:
            live = {number for kept in self.kept.values() for number in registry.holdings_of(kept.file.id)}
            whole = all(self._health(kept).unsound == 0 for kept in self.kept.values())
            return whole and not live & struck

        self._download_both()
        hours = self._until(is_found_out, f"{victim.name} is found out")
        self.caught.append(victim.name)
        faults = {event.fault.name.lower() for event in self._failures(victim)[failures:]}
        self.console.print(
            f"Found out after [bold]{hours}[/] hours of chain time: {', '.join(sorted(faults)) or 'no heartbeat'}."
        )
        self._download_both()
        self._until(is_repaired, f"all that {victim.name} held is elsewhere")
        slashed = sum(event.amount for event in index.events(NodeSlashed, node=victim.address))
        self.console.print(
            f"Repaired after [bold]{(self.network.chain.now() - began) // HOUR}[/] hours: its {len(struck)} "
            f"holding{'s are' if len(struck) > 1 else ' is'} elsewhere, and it has lost {_ether(slashed)} of its stake."
        )
        self._download_both()
        rows = table("namespace", "health", "on nodes", "downloads, all bit for bit", numbers=(3,))
        for namespace, kept in self.kept.items():
            names = ", ".join(node.name.removeprefix("storage") for node in self._holders(namespace))
            level = LEVELS[self._health(kept).level]
            rows.add_row(
                namespace, level, names, str(len(kept.downloads)) if kept.recovered else "[red]NO[/]"
            )
        self.console.print(rows)

    def _pieces(self, migration: MigrationRow) -> int:
        """Pieces that a migration made anew: a node of the story holds one of each stripe, and the manifest."""
        file = self.network.contracts.file_registry.file_of(migration.file)
        stripes = Layout(Redundancy(file.needed, file.total), file.size).stripes
        return len(migration.joined) * (stripes + 1)

    def _health(self, kept: Kept) -> FileHealth:
        return file_health(self.network.contracts, kept.file.id)

    def _failures(self, victim: StorageNode) -> list[ChallengeFailed]:
        return self.network.index.events(ChallengeFailed, node=victim.address)

    def _until(self, done: Callable[[], bool], what: str) -> int:
        with err.status(f"chain time passes until {what}") as status:
            for hours in range(PATIENCE):
                if done():
                    return hours
                status.update(f"chain time passes until {what}: hour {hours + 1}")
                self.network.pass_time(HOUR)
        raise TaskError(f"{what}: not within {PATIENCE} hours of chain time")

    def _tell_health(self, title: str) -> None:
        chapter(self.console, title)
        rows = table(
            "node", "health", "score", "proved", "heartbeats", "stake", "holds MiB", numbers=(2, 3, 4, 5, 6)
        )
        for node in self.network.storage_nodes:
            seen = self.network.health_of(node.address)
            pledge = self.network.contracts.node_registry.pledge_of(node.address)
            rows.add_row(
                node.name,
                "[red]lost[/]" if seen.health.lost else LEVELS[seen.level],
                *(
                    f"{share / 100:.0f} %"
                    for share in (seen.health.score, seen.health.success, seen.health.heartbeats)
                ),
                _ether(pledge.stake),
                f"{pledge.used / MIB:.0f}",
            )
        self.console.print(rows)

    def _holders(self, namespace: str) -> list[StorageNode]:
        registry = self.network.contracts.file_registry
        holdings = registry.holdings_of(self.kept[namespace].file.id)
        addresses = {registry.holding(number).node for number in holdings}
        return [node for node in self.network.storage_nodes if node.address in addresses]

    # --- files ---

    def _upload(self, namespace: str) -> float:
        """Upload a file of random bytes; returns seconds."""
        original = self.folder / f"{namespace}.bin"
        original.write_bytes(self.rng.bytes(self.size))
        began = time.monotonic()
        file = self.owner.upload(original, namespace)
        seconds = time.monotonic() - began
        if namespace == CODED:
            self.report["gas"][f"publish_{self.size // MIB}MiB"] = self._spent("FileRegistry.publish")
        self.kept[namespace] = Kept(file, _sha256(original))
        return seconds

    def _publish_small(self) -> None:
        """Publish a file of 1 MiB on as many nodes, to compare the gas, and delete it again."""
        small = self.folder / "small.bin"
        small.write_bytes(self.rng.bytes(MIB))
        self._start_ledger()
        file = self.owner.upload(small, CODED)
        self.report["gas"]["publish_1MiB"] = self._spent("FileRegistry.publish")
        self.owner.delete(file)
        self._start_ledger()

    def _download_both(self) -> None:
        with err.status("downloading both files"):
            for namespace in self.kept:
                self._download(namespace)

    def _download(self, namespace: str) -> float:
        """Download a file and compare it; returns seconds."""
        kept, copy = self.kept[namespace], self.folder / f"{namespace}.copy"
        began = time.monotonic()
        self.owner.download(kept.file, copy)
        seconds = time.monotonic() - began
        kept.downloads.append(_sha256(copy))
        return seconds

    # --- gas ---

    def _rest(self) -> None:
        """Until the holdings may be challenged again; what is spent from then on is counted anew."""
        self.network.chain.advance(self.network.contracts.storage_challenge.rules().min_interval)
        self._start_ledger()

    def _start_ledger(self) -> None:
        self.ledger = GasLedger(self.network.chain, self.network.contracts)

    def _spent(self, function: str) -> int:
        return self.ledger.means()[function]


class _Deaf:
    """What is left of a node that stops answering: a heart that beats, and a door that nobody opens.

    Args:
        node: The node.
    """

    busy = False

    def __init__(self, node: StorageNode) -> None:
        self._node, self._slot = node, node.contracts.node_registry.slot_seconds()

    @property
    def due(self) -> int:
        """When the next heartbeat counts."""
        last = self._node.contracts.node_registry.node_of(self._node.address).last_heartbeat
        return (last // self._slot + 1) * self._slot

    def step(self) -> bool:
        """Send the heartbeat, do nothing else."""
        if self._node.network.chain.now() < self.due:
            return False
        self._node.heartbeat()
        return True

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            raise TimeoutError("no answer in time")

        return refuse


def _fall_silent(node: StorageNode) -> None:
    """Make a node answer no challenge and serve nobody, and send its heartbeats all the same."""
    deaf = _Deaf(node)
    node.network.remove_worker(node)
    node.network.add_worker(deaf)
    node.network.open_door(node.address, deaf)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rate(size: int, seconds: float) -> float:
    return round(size / MIB / seconds, 1)


def _ether(wei: int) -> str:
    return f"{wei / 10**18:.6f} ether"
