"""Upload and download a large file on four in-process storage nodes; print speed and peak memory.

The measured program runs in a process of its own. Its peak includes chain, nodes, uploader and downloader;
the baseline is what the same process holds with the network up, before the first byte.

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
from dtxeth.chain.bindings.types import Role
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

MIB = 1 << 20
NODES, REPLICAS = 4, 2
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
    with open_chain() as chain:
        chain.faucet(owner.address, 10**20)
        contracts = Contracts(chain, deploy(chain, DEVELOPER))
        registry = contracts.file_registry
        nodes = {}
        for number in range(NODES):
            account = Account.create()
            chain.faucet(account.address, 10**18)
            contracts.node_registry.register(
                Role.STORAGE, f"node{number}", "inproc:", bytes(32), 1 << 40, sender=account
            )
            home = directory / str(number)
            store = EmbeddedBlockStore(home)
            nodes[account.address] = StorageNode(
                account, contracts, store, NodeLimits(1 << 40), home / "records"
            )
        registry.add_namespace("bench", REPLICAS, sender=owner)
        namespace = registry.namespace_id_of(owner.address, "bench")
        terms = Terms("source", namespace, chain.now() + 86_400)
        signer, key = RequestSigner(owner, registry), public_key_of(owner.encryption_key(chain.chain_id))
        baseline = peak_mib()
        with source.open("rb") as reader:
            stored, upload_seconds = timed(
                lambda: upload(reader, terms, signer, key, nodes, spool_directory=directory)
            )
        gas = registry.publish(stored.publication, stored.acknowledgements, sender=owner).gas_used
        source.unlink()

        def download() -> Path:
            file_key = owned_file_key(owner, registry, stored.file_id)
            return RemoteFile(stored.file_id, file_key, signer, nodes).save(source)

        path, download_seconds = timed(download)
        peak = peak_mib()
        with path.open("rb") as file:
            right = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    result.send(
        {
            "mib": mib,
            "upload_mib_s": mib / upload_seconds,
            "download_mib_s": mib / download_seconds,
            "baseline_mib": baseline,
            "peak_mib": peak,
            "publish_gas": gas,
            "intact": right,
        }
    )


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
    parser.add_argument("--directory", type=Path, help="where the temporary files go: about 5 times the size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    figures = run(arguments.mib, arguments.directory)
    for name, value in figures.items():
        print(f"{name:16} {value:,.1f}" if isinstance(value, float) else f"{name:16} {value:,}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
