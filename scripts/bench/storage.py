"""Storage, 4 of 6: our pipeline against bare libraries; upload and download against Tahoe-LAFS and IPFS.

    python scripts/bench/storage.py [--json FILE] [--size MIB] [--rounds N] [--no-rivals] [--in-process]

* *pipeline*: sealing, coding, encryption for each node and the SHA-256 of every piece, as an upload does them,
  against AES-256-GCM, zfec, AES-256-CTR and SHA-256 of the same libraries, called one after the other on the same
  bytes, in memory and without any keys to derive.
* *possession*: Merkle trees and KZG commitments on two processes; see possession.py.
* *end to end*: Merkle possession, six storage nodes with embedded block stores behind HTTP on loopback, each a
  process, as Tahoe-LAFS's are, and anvil as the chain. An upload ends when the file is published; a download
  begins with the owner's account and the chain, and ends with verified bytes in memory. With ``--in-process``
  everything of ours runs in this process, the chain too.
* *Tahoe-LAFS*: introducer, six storage nodes and a client with shares 4/6/6, all processes on loopback; PUT and GET
  of an immutable file on its web port.
* *IPFS*: js-ipfs gets as many bytes as our nodes: the data, and half of it again, altered, for equal blocks would be
  stored once. Then all of it is read again, in ``download_vs_ipfs``; in ``download_vs_ipfs_one_copy`` the data only.
  These ratios are to ``add`` and ``cat`` of whole files, as people do it; those that end in ``_blocks`` are to a
  stricter way that knows our format: pieces as raw blocks, six requests at once, which nothing links to a file.

Every round has fresh bytes, and what came back is checked. Systems take turns; those whose turn it is not are stopped.
*Degraded*: with two of the six nodes killed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import zfec
from _harness import Case, measure, report
from _network import Network, one_process, separate_processes
from _rivals import (
    IpfsBlocks,
    IpfsFiles,
    Process,
    TahoeGrid,
    end_on_signals,
    ipfs_daemon,
    paused,
    tahoe_grid,
    wait_for,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dtxeth.chain import Account
from dtxeth.storage import seal
from dtxeth.storage.coding import Layout, Redundancy
from dtxeth.storage.pieces import SLICE_SIZE, encrypt_piece
from dtxeth.storage.spool import spool

MIB = 1 << 20
K, N = 4, 6
_ONE_COPY = "one-copy download"
T = TypeVar("T")
Samples = dict[tuple[str, str], list[float]]


class System(Protocol):
    """What keeps bytes and gives them back.

    Attributes:
        processes: What it runs besides this process.
    """

    processes: Sequence[Process]

    def upload(self, data: bytes) -> Any:
        """Store the data; returns what it is fetched by."""
        ...

    def download(self, handle: Any) -> bytes:
        """Fetch it."""
        ...


def pipeline(size: int, rounds: int, directory: Path) -> dict[str, float]:
    """Return bytes a second of sealing, coding and encryption: ours, and of the libraries alone."""
    data = os.urandom(size)
    nodes = [Account.create().address for _ in range(N)]

    def ours() -> None:
        file_key = seal.new_file_key()
        with tempfile.TemporaryFile(dir=directory) as file, ThreadPoolExecutor(N) as pool:
            spooled = spool(file, io.BytesIO(data), file_key)
            layout = Layout(Redundancy(K, N), spooled.size)

            def push(shard: int) -> None:
                for stripe in range(layout.stripes):
                    bare_shard = spooled.shard(layout, stripe, shard)
                    piece = encrypt_piece(file_key, os.urandom(16), nodes[shard], 0, bare_shard)
                    hashlib.sha256(piece).digest()

            list(pool.map(push, range(N)))

    def bare() -> None:
        # Stripe by stripe, which is kinder to memory than one library over all of the file and then the next.
        gcm, key, encoder = AESGCM(bytes(32)), algorithms.AES(bytes(32)), zfec.Encoder(K, N)
        view, plain = memoryview(data), SLICE_SIZE - seal.TAG_SIZE
        for number, start in enumerate(range(0, size, K * plain)):
            nonces = [(K * number + place).to_bytes(12, "big") for place in range(K)]
            cut = [view[start + place * plain :][:plain].tobytes().ljust(plain, b"\0") for place in range(K)]
            sealed = [gcm.encrypt(nonce, each, None) for nonce, each in zip(nonces, cut, strict=True)]
            for shard in encoder.encode(sealed):
                piece = Cipher(key, modes.CTR(bytes(16))).encryptor().update(shard)
                hashlib.sha256(piece).digest()

    seconds = measure({"pipeline": Case(ours), "bare libraries": Case(bare)}, rounds)
    return {name: size / each for name, each in seconds.items()}


def end_to_end(systems: Mapping[str, System], size: int, rounds: int) -> Samples:
    """Return seconds of every upload and download, by system and direction; systems take turns."""
    samples: Samples = defaultdict(list)
    for number in range(rounds + 1):
        for name, system in systems.items():
            data = os.urandom(size if number else min(size, 8 * MIB))  # one small round to warm up
            others = {each for other in systems.values() for each in other.processes} - set(system.processes)
            with paused(others):
                if isinstance(system, TahoeGrid):
                    wait_for(system.ready, "Tahoe-LAFS, paused and")
                handle, up = timed(lambda system=system, data=data: system.upload(data))
                back, down = timed(lambda system=system, handle=handle: system.download(handle))
                if isinstance(system, IpfsFiles | IpfsBlocks):
                    once, one_copy = timed(lambda system=system, handle=handle: system.download_once(handle))
                    if number:
                        samples[name, _ONE_COPY].append(one_copy)
                else:
                    once = back
            if not back == once == data:
                raise SystemExit(f"{name} gave other bytes back")
            if number:
                samples[name, "upload"].append(up)
                samples[name, "download"].append(down)
    return samples


def degraded(network: Network, size: int, rounds: int) -> Samples:
    """Return seconds of downloads with all nodes alive, and with as many dead as can be."""
    samples: Samples = defaultdict(list)
    data = os.urandom(size)
    handle = network.upload(data)
    for state in ("alive", "degraded"):
        if state == "degraded":
            network.kill(N - K)
        for _ in range(rounds):
            back, seconds = timed(lambda: network.download(handle))
            if back != data:
                raise SystemExit(f"the {state} download gave other bytes back")
            samples[state, "download"].append(seconds)
    return samples


@contextlib.contextmanager
def rivals(directory: Path) -> Iterator[dict[str, System]]:
    """Start the rivals."""
    homes = directory / "tahoe", directory / "ipfs"
    for home in homes:
        home.mkdir()
    with tahoe_grid(homes[0], K, N) as grid, ipfs_daemon(homes[1]) as daemon:
        yield {
            "Tahoe-LAFS": grid,
            "IPFS add": IpfsFiles(daemon, K, N),
            "IPFS blocks": IpfsBlocks(daemon, K, N, SLICE_SIZE),
        }


def possession(rounds: int) -> dict[str, float]:
    """Return how much faster two processes are than one: Merkle trees; KZG commitments, against bare ckzg."""
    with tempfile.TemporaryDirectory() as directory:
        figures = Path(directory) / "possession.json"
        script = Path(__file__).with_name("possession.py")
        command = [sys.executable, script, "--cores", "2", "--repeats", str(rounds), "--json", figures]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        told = json.loads(figures.read_text())
    return {"merkle_2_processes": told["merkle_vs_one"], "kzg_2_processes": told["commit_vs_ckzg"]}


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Run something; returns its result and the seconds it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def run(size: int, rounds: int, *, with_rivals: bool = True, in_process: bool = False) -> dict[str, Any]:
    """Measure everything; returns the figures for JSON."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as running:
        directory = Path(temporary)
        start = one_process if in_process else separate_processes
        network = running.enter_context(start(directory, K, N))
        others = running.enter_context(rivals(directory)) if with_rivals else {}
        speeds = {f"{name}": value / MIB for name, value in pipeline(size, rounds, directory).items()}
        samples = end_to_end({"dtxeth": network, **others}, size, rounds)
        if not in_process:
            with paused(each for other in others.values() for each in set(other.processes)):
                samples |= degraded(network, size, rounds)
    for (name, direction), seconds in samples.items():
        speeds[f"{name} {direction}"] = size / MIB / statistics.median(seconds)
    return (possession(rounds) if with_rivals else {}) | _figures(speeds)


def _figures(speeds: Mapping[str, float]) -> dict[str, Any]:
    figures: dict[str, Any] = {"pipeline_vs_bare": speeds["pipeline"] / speeds["bare libraries"]}
    for figure, ours, theirs in (
        ("upload_vs_tahoe", "upload", "Tahoe-LAFS upload"),
        ("upload_vs_ipfs", "upload", "IPFS add upload"),
        ("upload_vs_ipfs_blocks", "upload", "IPFS blocks upload"),
        ("download_vs_tahoe", "download", "Tahoe-LAFS download"),
        ("download_vs_ipfs", "download", "IPFS add download"),
        ("download_vs_ipfs_blocks", "download", "IPFS blocks download"),
        ("download_vs_ipfs_one_copy", "download", f"IPFS add {_ONE_COPY}"),
    ):
        if theirs in speeds:
            figures[figure] = speeds[f"dtxeth {ours}"] / speeds[theirs]
    if "degraded download" in speeds:
        figures["degraded_vs_alive"] = speeds["degraded download"] / speeds["alive download"]
    ratios = {name: round(value, 2) for name, value in figures.items()}
    return ratios | {"mib_s": {name: round(value, 1) for name, value in speeds.items()}}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--size", type=int, default=64, metavar="MIB", help="bytes of each file (default 64)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="medians of so many (default 3)")
    parser.add_argument("--no-rivals", action="store_true", help="measure ours only")
    parser.add_argument("--in-process", action="store_true", help="run all of ours in this process")
    asked = parser.parse_args()
    if asked.size < 1 or asked.rounds < 1:
        parser.error("--size and --rounds start at 1")
    end_on_signals()
    figures = run(
        asked.size * MIB, asked.rounds, with_rivals=not asked.no_rivals, in_process=asked.in_process
    )
    rows = [[name, f"{speed:,.1f}"] for name, speed in figures["mib_s"].items()]
    rows += [[name, f"{ratio:.2f} ×"] for name, ratio in figures.items() if name != "mib_s"]
    report(f"{asked.size} MiB, {K} of {N}", ["", "MiB/s"], rows, figures, asked.json)


if __name__ == "__main__":
    main()
