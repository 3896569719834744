"""The rivals of the storage benchmark, real ones on loopback: a Tahoe-LAFS grid and an IPFS daemon.

Each is installed once from its package index into ``.bench`` of the repository. They run as processes in
groups of their own, with their data in a directory of the caller's, and end with the ``with`` block.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

import urllib3

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".bench"
PINS = Path(__file__).with_name("tahoe.txt")
IPFS = ROOT / "hardhat-free-env" / "ipfs"
Process: TypeAlias = subprocess.Popen[bytes]
_START_SECONDS = 120
_CHUNK = 256 * 1024  # of js-ipfs's `add`, unless told otherwise


def tahoe_command() -> Path:
    """Return the ``tahoe`` command, installed into an environment of its own: its pins are not ours."""
    home, ready = CACHE / "tahoe", CACHE / "tahoe" / ".ready"
    command = home / "bin" / "tahoe"
    if not ready.exists() or ready.read_text() != PINS.read_text():
        print("installing Tahoe-LAFS, once", file=sys.stderr)
        venv.create(home, clear=True, with_pip=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", PINS], check=True)
        ready.write_text(PINS.read_text())
    return command


def ipfs_command() -> Path:
    """Return the ``jsipfs`` command of hardhat-free-env/ipfs, installed if it is missing."""
    command = IPFS / "node_modules" / ".bin" / "jsipfs"
    if not command.exists():
        print("installing the IPFS daemon, once", file=sys.stderr)
        install = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(install, cwd=IPFS, check=True)
    return command


class Web:
    """HTTP as fast as Python has it, so that the rivals' servers are measured and not this client.

    Args:
        url: What every path is appended to.
        connections: Connections kept open.
    """

    def __init__(self, url: str, connections: int = 1) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=connections, blocksize=1 << 20, retries=False, timeout=600)

    def ask(self, method: str, path: str, body: bytes | None = None, **parameters: str) -> bytes:
        """Make a request; returns the body of the answer."""
        query = "?" + urlencode(parameters) if parameters else ""
        return self._checked(self._pool.request(method, f"{self._url}{path}{query}", body=body))

    def post_file(self, path: str, data: bytes, **parameters: str) -> bytes:
        """Post a file as a form does."""
        fields = {"file": ("file", data, "application/octet-stream")}
        url = f"{self._url}{path}?{urlencode(parameters)}"
        return self._checked(self._pool.request("POST", url, fields=fields))

    @staticmethod
    def _checked(answer: urllib3.BaseHTTPResponse) -> bytes:
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{answer.status}: {answer.data[:500].decode(errors='replace')}")
        return answer.data


class TahoeGrid:
    """A Tahoe-LAFS client; its introducer and its storage nodes are behind it.

    Args:
        url: Root of the client's web port.
        processes: All of them.
        n: How many the storage nodes are.
    """

    def __init__(self, url: str, processes: Sequence[Process], n: int) -> None:
        self.processes = processes
        self._web, self._n = Web(url), n

    def upload(self, data: bytes) -> str:
        """Store an immutable file; returns its capability."""
        return self._web.ask("PUT", "/uri", data).decode()

    def download(self, handle: str) -> bytes:
        """Fetch it."""
        return self._web.ask("GET", f"/uri/{handle}")

    def ready(self) -> bool:
        """Tell whether the client is connected to all storage nodes."""
        try:
            servers = json.loads(self._web.ask("GET", "/", t="json"))["servers"]
        except urllib3.exceptions.HTTPError:
            return False
        return self._n == sum(
            server["connection_status"].lower().startswith("connected") for server in servers
        )


@dataclass(frozen=True)
class IpfsDaemon:
    """A running js-ipfs.

    Attributes:
        url: Root of its RPC.
        processes: Its one process.
    """

    url: str
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class IpfsHandle:
    """What the daemon was given.

    Attributes:
        data: CIDs of the data, in order.
        copies: CIDs of what was added to it, up to the bytes that our nodes store.
    """

    data: Sequence[str]
    copies: Sequence[str]


class IpfsBlocks:
    """An IPFS daemon that is given pieces as raw blocks, one request each, as many bytes as our nodes store.

    Args:
        daemon: The daemon.
        k: Shards needed.
        n: Shards in all.
        piece_size: Bytes of a block.
    """

    def __init__(self, daemon: IpfsDaemon, k: int, n: int, piece_size: int) -> None:
        self.processes = daemon.processes
        self._k, self._n, self._piece_size = k, n, piece_size
        self._rpc = Web(f"{daemon.url}/api/v0", n)

    def upload(self, data: bytes) -> IpfsHandle:
        """Put the data, and altered copies of its blocks up to ``n / k`` times: equal ones are stored once."""
        cut = [data[start : start + self._piece_size] for start in range(0, len(data), self._piece_size)]
        extra = [_altered(block) for block in cut[: len(cut) * (self._n - self._k) // self._k]]
        with ThreadPoolExecutor(self._n) as pool:
            cids = list(pool.map(self._put, [*cut, *extra]))
        return IpfsHandle(cids[: len(cut)], cids[len(cut) :])

    def download(self, handle: IpfsHandle) -> bytes:
        """Get all that was put; returns the data."""
        blocks = self._get([*handle.data, *handle.copies])
        return b"".join(blocks[: len(handle.data)])

    def download_once(self, handle: IpfsHandle) -> bytes:
        """Get the blocks of the data itself."""
        return b"".join(self._get(handle.data))

    def _get(self, cids: Sequence[str]) -> list[bytes]:
        with ThreadPoolExecutor(self._n) as pool:
            return list(pool.map(lambda cid: self._rpc.ask("POST", "/block/get", arg=cid), cids))

    def _put(self, block: bytes) -> str:
        options = {"format": "raw", "mhtype": "sha2-256", "version": "1", "pin": "true"}
        key: str = json.loads(self._rpc.post_file("/block/put", block, **options))["Key"]
        return key


class IpfsFiles:
    """The same daemon given whole files, cut and linked by itself: ``add`` and ``cat``.

    Args:
        daemon: The daemon.
        k: Shards needed.
        n: Shards in all.
    """

    def __init__(self, daemon: IpfsDaemon, k: int, n: int) -> None:
        self.processes = daemon.processes
        self._k, self._n = k, n
        self._rpc = Web(f"{daemon.url}/api/v0")

    def upload(self, data: bytes) -> IpfsHandle:
        """Add the data, then altered copies of its chunks up to ``n / k`` times."""
        extra = data[: len(data) * (self._n - self._k) // self._k]
        chunks = (extra[start : start + _CHUNK] for start in range(0, len(extra), _CHUNK))
        return IpfsHandle([self._add(data)], [self._add(b"".join(map(_altered, chunks)))])

    def download(self, handle: IpfsHandle) -> bytes:
        """Cat all that was added; returns the data."""
        data = self.download_once(handle)
        for cid in handle.copies:
            self._rpc.ask("POST", "/cat", arg=cid)
        return data

    def download_once(self, handle: IpfsHandle) -> bytes:
        """Cat the data itself."""
        return b"".join(self._rpc.ask("POST", "/cat", arg=cid) for cid in handle.data)

    def _add(self, data: bytes) -> str:
        options = {"cid-version": "1", "raw-leaves": "true", "pin": "true", "progress": "false"}
        answers = self._rpc.post_file("/add", data, **options).splitlines()
        cid: str = json.loads(answers[-1])["Hash"]
        return cid


@contextlib.contextmanager
def tahoe_grid(directory: Path, k: int, n: int) -> Iterator[TahoeGrid]:
    """Start an introducer, ``n`` storage nodes and a client that makes ``n`` shares, any ``k`` of them enough.

    Args:
        directory: An empty one, for their data and logs.
        k: Shares needed.
        n: Shares in all, and the nodes that must take one (``shares.happy``).
    """
    tahoe = tahoe_command()
    ports = free_ports(n + 2)

    def create(kind: str, name: str, *options: str) -> Path:
        home = directory / name
        _output([tahoe, kind, *options, home])
        return home

    def listening(port: int) -> tuple[str, str]:
        return f"--port=tcp:{port}:interface=127.0.0.1", f"--location=tcp:127.0.0.1:{port}"

    processes: list[Process] = []
    with contextlib.ExitStack() as running:

        def run(home: Path) -> None:
            # With the flag a closed standard input, as under `make`, does not end it.
            command = [tahoe, "run", "--allow-stdin-close", home]
            processes.append(running.enter_context(background(command, directory / f"{home.name}.log")))

        introducer = create("create-introducer", "introducer", *listening(ports[0]))
        run(introducer)
        furl_file = introducer / "private" / "introducer.furl"
        wait_for(furl_file.exists, "the Tahoe-LAFS introducer")
        furl = f"--introducer={furl_file.read_text().strip()}"
        with ThreadPoolExecutor(2) as pool:
            made = [
                pool.submit(
                    create, "create-node", f"storage{number}", furl, "--webport=none", *listening(port)
                )
                for number, port in enumerate(ports[1 : n + 1])
            ]
            web = f"--webport=tcp:{ports[-1]}:interface=127.0.0.1"
            shares = f"--shares-needed={k}", f"--shares-happy={n}", f"--shares-total={n}"
            client = pool.submit(create, "create-client", "client", furl, web, *shares)
        for home in [*(node.result() for node in made), client.result()]:
            run(home)
        grid = TahoeGrid(f"http://127.0.0.1:{ports[-1]}", processes, n)
        wait_for(grid.ready, f"the Tahoe-LAFS grid (logs in {directory})")
        yield grid


@contextlib.contextmanager
def ipfs_daemon(directory: Path) -> Iterator[IpfsDaemon]:
    """Start js-ipfs, offline and without peers, its repository in ``directory``."""
    jsipfs = ipfs_command()
    environment = os.environ | {
        "IPFS_PATH": str(directory / "repo"),
        "NODE_OPTIONS": f"--require {IPFS / 'polyfill.cjs'}",
    }
    init = [jsipfs, "init", "--profile", "test", "--empty-repo", "--algorithm", "ed25519"]
    _output(init, environment)
    file = directory / "repo" / "config"
    config = json.loads(file.read_text())
    config["Addresses"] |= {"Swarm": [], "RPC": "/ip4/127.0.0.1/tcp/0"}
    file.write_text(json.dumps(config))
    log = directory / "ipfs.log"
    with background([jsipfs, "daemon", "--offline"], log, environment) as process:
        wait_for(lambda: "Daemon is ready" in log.read_text(), f"the IPFS daemon (log {log})")
        listening = re.search(r"HTTP API listening on /ip4/127.0.0.1/tcp/(\d+)", log.read_text())
        assert listening is not None, log.read_text()
        yield IpfsDaemon(f"http://127.0.0.1:{listening[1]}", (process,))


@contextlib.contextmanager
def background(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run a process in a group of its own; the whole group is ended on the way out."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)


@contextlib.contextmanager
def paused(processes: Iterable[Process]) -> Iterator[None]:
    """Stop processes meanwhile: an idle Tahoe-LAFS grid takes a tenth of a core, for its nodes poll each other."""
    paused = list(processes)
    try:
        for process in paused:
            os.killpg(process.pid, signal.SIGSTOP)
        yield
    finally:
        for process in paused:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)


def free_ports(count: int) -> list[int]:
    """Find ports that nothing on loopback listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(ready: Callable[[], bool], what: str) -> None:
    """Wait until something has started.

    Raises:
        SystemExit: It does not within two minutes.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not start in {_START_SECONDS} s")
        time.sleep(0.2)


def end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into an exit, so that ``with`` blocks end what they started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def _altered(block: bytes) -> bytes:
    return bytes([block[0] ^ 1]) + block[1:] if block else block


def _output(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
