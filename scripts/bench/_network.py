"""Our side of the storage benchmark: storage nodes with embedded block stores behind HTTP on loopback.

Two ways to run them: every node a process of its own and the chain an anvil, as the rivals run; or all in the
process of the benchmark, on the in-process chain, as ``dtxeth local`` does.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _rivals import ROOT, Process, background, free_ports, wait_for

from dtxeth.chain import Account, Contracts, Deployment, deploy, load_deployment, open_chain
from dtxeth.chain.bindings.types import Possession, Role
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
from dtxeth.storage.http import HttpStorageNode
from dtxeth.web.server import Server, serve
from dtxeth.web.storage_node import storage_node_app

TOOLCHAIN = ROOT / "hardhat-free-env"
CAPACITY = 64 << 30
_NAMESPACE = "bench"


@dataclass
class Network:
    """Storage nodes and an owner who has a namespace on them.

    Attributes:
        contracts: The chain's.
        owner: Account of the owner.
        directory: Where sealed files are spooled.
        nodes: The storage nodes, by address.
        processes: Their processes, in the same order; none if they run in this one.
    """

    contracts: Contracts
    owner: Account
    directory: Path
    nodes: dict[str, HttpStorageNode] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def upload(self, data: bytes) -> bytes:
        """Store a file and publish it; returns its id."""
        registry, chain = self.contracts.file_registry, self.contracts.chain
        namespace = registry.namespace_id_of(self.owner.address, _NAMESPACE)
        key = public_key_of(self.owner.encryption_key(chain.chain_id))
        stored = upload(
            io.BytesIO(data),
            Terms("bench", namespace, chain.now() + 30 * 86_400),
            RequestSigner(self.owner, registry),
            key,
            self.nodes,
            spool_directory=self.directory,
        )
        registry.publish(stored.publication, stored.acknowledgements, sender=self.owner)
        return stored.file_id

    def download(self, handle: bytes) -> bytes:
        """Fetch a file with nothing but the owner's account and the chain."""
        registry = self.contracts.file_registry
        key = owned_file_key(self.owner, registry, handle)
        return RemoteFile(handle, key, RequestSigner(self.owner, registry), self.nodes).read()

    def kill(self, count: int) -> None:
        """End some nodes' processes, without any warning."""
        for process in self.processes[:count]:
            process.kill()
            process.wait()


@contextlib.contextmanager
def separate_processes(directory: Path, k: int, n: int) -> Iterator[Network]:
    """Start an anvil and ``n`` processes with a storage node each, and a namespace of ``k`` of ``n``."""
    with anvil(directory) as url, open_chain(url) as chain, contextlib.ExitStack() as running:
        contracts = Contracts(chain, deploy(chain, DEVELOPER, directory=directory / "deployments"))
        network = Network(contracts, _rich(contracts), directory)
        for number, port in enumerate(free_ports(n)):
            account, home = _rich(contracts), directory / f"node{number}"
            home.mkdir()
            settings = {"url": url, "key": bytes(account._signer.key).hex(), "port": port, "home": str(home)}
            (home / "settings.json").write_text(json.dumps(settings | {"deployments": str(directory)}))
            command = [sys.executable, __file__, home / "settings.json"]
            log = directory / f"{home.name}.log"
            network.processes.append(running.enter_context(background(command, log)))
            node = running.enter_context(HttpStorageNode(f"http://127.0.0.1:{port}"))
            network.nodes[account.address] = node
            _register(contracts, account, home.name, node.url)
        for node in network.nodes.values():
            wait_for(lambda node=node: _answers(node), f"a storage node (logs in {directory})")
        _add_namespace(contracts, network.owner, k, n)
        yield network


@contextlib.contextmanager
def one_process(directory: Path, k: int, n: int) -> Iterator[Network]:
    """Serve ``n`` storage nodes from this process, on the in-process chain."""
    with open_chain() as chain, contextlib.ExitStack() as running:
        contracts = Contracts(chain, deploy(chain, DEVELOPER))
        network = Network(contracts, _rich(contracts), directory)
        for number in range(n):
            account, home = _rich(contracts), directory / f"node{number}"
            server = running.enter_context(serve_node(contracts, account, home, 0))
            node = running.enter_context(HttpStorageNode(server.url))
            network.nodes[account.address] = node
            _register(contracts, account, home.name, node.url)
        _add_namespace(contracts, network.owner, k, n)
        yield network


@contextlib.contextmanager
def serve_node(contracts: Contracts, account: Account, home: Path, port: int) -> Iterator[Server]:
    """Serve one storage node over HTTP."""
    store = EmbeddedBlockStore(home)
    node = StorageNode(account, contracts, store, NodeLimits(CAPACITY), home / "records")
    with contextlib.closing(node), serve(storage_node_app(node), port=port) as server:
        yield server


@contextlib.contextmanager
def anvil(directory: Path) -> Iterator[str]:
    """Start an anvil; gives its URL."""
    command = TOOLCHAIN / "node_modules" / ".bin" / "anvil"
    if not command.exists():
        install = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(install, cwd=TOOLCHAIN, check=True)
    (port,) = free_ports(1)
    log = directory / "anvil.log"
    options = ["--port", str(port), "--hardfork", "prague", "--balance", "1000000"]
    with background([command, *options], log):
        wait_for(lambda: "Listening on" in log.read_text(), f"anvil (log {log})")
        yield f"http://127.0.0.1:{port}"


def _rich(contracts: Contracts) -> Account:
    account = Account.create()
    contracts.chain.faucet(account.address, 10**20)
    return account


def _register(contracts: Contracts, account: Account, name: str, url: str) -> None:
    registry = contracts.node_registry
    stake = registry.stake_for(CAPACITY)
    registry.register(Role.STORAGE, name, url, bytes(32), CAPACITY, sender=account, value=stake)


def _add_namespace(contracts: Contracts, owner: Account, k: int, n: int) -> None:
    contracts.file_registry.add_namespace(_NAMESPACE, k, n, Possession.MERKLE, sender=owner)


def _answers(node: HttpStorageNode) -> bool:
    try:
        return node.status().capacity > 0
    except OSError:
        return False


def main() -> None:
    """Serve one node until the process is ended; its settings are in the file named on the command line."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    account = Account.from_key(bytes.fromhex(settings["key"]))
    with open_chain(settings["url"]) as chain:
        deployment: Deployment = load_deployment(chain, Path(settings["deployments"]) / "deployments")
        home = Path(settings["home"])
        with serve_node(Contracts(chain, deployment), account, home, settings["port"]):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
