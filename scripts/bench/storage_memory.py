"""Upload, repair and download a large file, 4 of 6, on in-process storage nodes; print speed and peak memory.

The measured program runs in a process of its own. Its peak includes chain, nodes, uploader, repair and
downloader; the baseline is what the same process holds with the network up, before the first byte. Between
upload and repair one of the nodes loses everything; a seventh takes its place.

    python scripts/bench/storage_memory.py --mib 1024 --json out.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dtxeth.chain import Account, Contracts, deploy, open_chain
from dtxeth.chain.bindings.types import Cause, Possession, Role
from dtxeth.chain.chain import DEVELOPER
from dtxeth.storage import (
    NodeLimits,
    RemoteFile,
    RequestSigner,
    StorageNode,
    Terms,
    owned_file_key,
    public_key_of,
    upload,
)
from dtxeth.storage.blockstore import EmbeddedBlockStore
from dtxeth.storage.revision import Change, prepare_revision

MIB = 1 << 20
NEEDED, TOTAL, NODES = 4, 6, 7
CAPACITY = 1 << 40
T = TypeVar("T")


def peak_mib() -> float:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make_file(path: Path, mib: int) -> str:
    """Write a file of fresh random bytes; returns its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(mib):
            chunk = os.urandom(MIB)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Run something; returns its result and the seconds it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def measure(directory: Path, mib: int, result: Any) -> None:
    """Run the journey once and send the figures through the pipe."""
    source = directory / "source"
    sha256 = make_file(source, mib)
    owner = Account.create()
    figures: dict[str, Any] = {"mib": mib}
    with open_chain() as chain:
        chain.faucet(owner.address, 10**20)
        contracts = Contracts(chain, deploy(chain, DEVELOPER))
        registry = contracts.file_registry
        nodes = {}
        for number in range(NODES):
            node = start_node(contracts, directory / str(number))
            nodes[node.address] = node
        registry.add_namespace("bench", NEEDED, TOTAL, Possession.MERKLE, sender=owner)
        namespace = registry.namespace_id_of(owner.address, "bench")
        terms = Terms("source", namespace, chain.now() + 86_400)
        signer, key = RequestSigner(owner, registry), public_key_of(owner.encryption_key(chain.chain_id))
        figures["baseline_mib"] = peak_mib()

        with source.open("rb") as reader:
            stored, seconds = timed(
                lambda: upload(reader, terms, signer, key, nodes, spool_directory=directory)
            )
        receipt = registry.publish(stored.publication, stored.acknowledgements, sender=owner)
        figures |= {"upload_mib_s": mib / seconds, "upload_peak_mib": peak_mib()}
        source.unlink()

        lost, *_ = registry.holdings_of(stored.file_id)
        nodes.pop(registry.holding(lost).node).close()
        change = Change(Cause.REPAIR, drop=[lost])
        revised, seconds = timed(
            lambda: prepare_revision(
                stored.file_id, stored.file_key, signer, nodes, change, spool_directory=directory
            )
        )
        registry.revise(revised.revision, revised.acknowledgements, sender=owner)
        figures |= {"repair_mib_s": mib / seconds, "repair_peak_mib": peak_mib()}

        def download() -> Path:
            file_key = owned_file_key(owner, registry, stored.file_id)
            return RemoteFile(stored.file_id, file_key, signer, nodes).save(source)

        path, seconds = timed(download)
        figures |= {"download_mib_s": mib / seconds, "peak_mib": peak_mib(), "publish_gas": receipt.gas_used}
        figures["rebuilt_pieces"] = revised.rebuilt
        with path.open("rb") as file:
            figures["intact"] = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        for node in nodes.values():
            node.close()
    result.send(figures)


def start_node(contracts: Contracts, home: Path) -> StorageNode:
    """Register a storage node and make it."""
    account, registry = Account.create(), contracts.node_registry
    contracts.chain.faucet(account.address, 10**20)
    stake = registry.stake_for(CAPACITY)
    registry.register(
        Role.STORAGE, f"node{home.name}", "inproc:", bytes(32), CAPACITY, sender=account, value=stake
    )
    store = EmbeddedBlockStore(home)
    return StorageNode(account, contracts, store, NodeLimits(CAPACITY), home / "records")


def run(mib: int, directory: Path | None = None) -> dict[str, Any]:
    """Measure in a fresh process, with its files in a temporary directory that is removed."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        process = context.Process(target=measure, args=(Path(temporary), mib, sending))
        process.start()
        sending.close()
        try:
            figures: dict[str, Any] = receiving.recv()
        except EOFError:
            sys.exit("the measured process failed; its traceback is above")
        finally:
            process.join()
    return figures


def main() -> None:
    """Parse the arguments, measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024, help="size of the file in MiB")
    parser.add_argument("--directory", type=Path, help="where the temporary files go: about 4 times the size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    figures = run(arguments.mib, arguments.directory)
    for name, value in figures.items():
        print(f"{name:16} {value:,.1f}" if isinstance(value, float) else f"{name:16} {value:,}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
