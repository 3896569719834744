"""Every route of an owner node, through server and client, with its corrupted twin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dtxeth.chain import Account, Contracts, EventIndex
from dtxeth.chain.bindings.types import Level, Possession
from dtxeth.errors import InputError, IntegrityError, PolicyError, StorageError, UnknownNameError
from dtxeth.roles import StoredFile
from dtxeth.roles.network import Network
from dtxeth.storage import RequestSigner, wire
from dtxeth.storage.http import Connection
from dtxeth.storage.requests import OWNER_NODE
from dtxeth.web import Limits, OwnerClient, Server, owner_app


@dataclass
class ShelfOwner:
    """An owner whose files are on a shelf instead of storage nodes."""

    network: Network
    account: Account
    name: str = "hospital"
    shelf: dict[bytes, tuple[StoredFile, bytes]] = field(default_factory=dict)
    done: list[tuple[Any, ...]] = field(default_factory=list)
    damaged: bool = False

    @property
    def address(self) -> str:
        return self.account.address

    def upload(self, path: Path, namespace: str, *, days: int) -> StoredFile:
        content = path.read_bytes()
        file_id = hashlib.sha256(content + path.name.encode()).digest()
        stored = StoredFile(file_id, path.name, self.address, namespace, len(content), 0, 1, days)
        self.shelf[file_id] = stored, content
        return stored

    def open_file(self, file: bytes) -> tuple[Any, None]:
        stored, content = self.shelf[file]

        def stream() -> Iterator[bytes]:
            yield from (content[start : start + 100_000] for start in range(0, len(content) - 1, 100_000))
            if self.damaged:
                raise IntegrityError("not what its manifest says")

        manifest = SimpleNamespace(name=stored.name, size=len(content))
        return SimpleNamespace(manifest=manifest, stream=stream), None

    def files(self) -> list[StoredFile]:
        return [stored for stored, _ in self.shelf.values()]

    def file(self, file: bytes) -> StoredFile:
        if file not in self.shelf:
            raise UnknownNameError(f"somebody has no file 0x{file.hex()}")
        return self.shelf[file][0]

    def health(self, what: bytes) -> Any:
        return SimpleNamespace(level=Level.GREEN, needed=4, total=6)

    def add_namespace(self, *words: Any, **more: Any) -> None:
        self.done.append(("namespace", *words, more))

    def renew(self, file: bytes, *, days: int) -> None:
        self.done.append(("renew", file, days))

    def delete(self, file: bytes) -> None:
        self.shelf.pop(file)

    def approve(self, authorization_id: int) -> None:
        self.done.append(("approve", authorization_id))

    def reject(self, authorization_id: int, reason: str) -> None:
        self.done.append(("reject", authorization_id, reason))


@pytest.fixture
def owner(contracts: Contracts, accounts: list[Account]) -> Iterator[ShelfOwner]:
    index = EventIndex(contracts)
    yield ShelfOwner(Network(contracts.chain, contracts, index), accounts[0])
    index.close()


@pytest.fixture
def url(owner: ShelfOwner, accounts: list[Account], stage: tuple[Any, Server]) -> str:
    stage[0].app = owner_app(owner, [accounts[1].address], replace(Limits(), body=10_000_000))
    return stage[1].url


@pytest.fixture
def client(
    url: str, owner: ShelfOwner, accounts: list[Account], contracts: Contracts
) -> Iterator[OwnerClient]:
    with OwnerClient(url, owner.address, accounts[1], contracts.file_registry, timeout=20) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "Größe & scans.bin"
    path.write_bytes(bytes(range(256)) * 10_000)
    return path


def test_the_owner_says_who_it_is(client: OwnerClient, owner: ShelfOwner) -> None:
    status = client.status()
    assert status["owner"] == owner.address
    assert status["file_registry"] == owner.network.contracts.file_registry.address


def test_a_file_goes_and_comes_back(client: OwnerClient, path: Path, tmp_path: Path) -> None:
    record = client.upload(path, "study", days=30)
    assert record == client.file(record["file"])
    assert (record["name"], record["namespace"], record["expires_at"]) == (path.name, "study", 30)
    assert client.download(record["file"], tmp_path / "copy") == path.stat().st_size
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_damaged_file_does_not_appear(
    client: OwnerClient, owner: ShelfOwner, path: Path, tmp_path: Path
) -> None:
    path.write_bytes(path.read_bytes() + b"more")
    record = client.upload(path, "study")
    owner.damaged = True
    file_id = bytes.fromhex(record["file"])
    owner.shelf[file_id] = owner.shelf[file_id][0], path.read_bytes()[:-1]
    before = set(tmp_path.iterdir())
    owner.open_file = _too_short(owner)  # type: ignore[method-assign]
    with pytest.raises(ConnectionError, match="broke off"):
        client.download(record["file"], tmp_path / "copy")
    assert set(tmp_path.iterdir()) == before


def _too_short(owner: ShelfOwner) -> Any:
    whole = owner.open_file

    def open_file(file: bytes) -> tuple[Any, None]:
        remote, _ = whole(file)
        remote.manifest.size += 1
        return remote, None

    return open_file


def test_a_destination_that_cannot_be(client: OwnerClient, path: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        client.download(bytes(32), tmp_path / "no" / "where")
    with pytest.raises(InputError, match="check the path"):
        client.upload(tmp_path / "nothing", "study")


def test_files_are_listed_by_page_and_filter(client: OwnerClient, path: Path) -> None:
    for number in range(5):
        client.upload(path, f"n{number % 2}", name=f"scan {number}")
    names = [row["name"] for row in client.files(limit=2, offset=2)]
    assert names == ["scan 2", "scan 3"]
    assert [row["name"] for row in client.files(namespace="n1")] == ["scan 1", "scan 3"]
    assert [row["name"] for row in client.files(name="4")] == ["scan 4"]
    with pytest.raises(InputError, match="at most 1000 rows"):
        client.files(limit=1001)


def test_health_renewal_and_deletion(client: OwnerClient, owner: ShelfOwner, path: Path) -> None:
    file = client.upload(path, "study")["file"]
    assert client.health(file) == {"file": file, "level": "green", "needed": 4, "total": 6}
    client.renew(file, days=7)
    assert owner.done == [("renew", bytes.fromhex(file), 7)]
    client.delete(file)
    with pytest.raises(UnknownNameError, match="has no file"):
        client.health(file)


def test_namespaces(client: OwnerClient, owner: ShelfOwner, accounts: list[Account]) -> None:
    client.add_namespace("copies", 3)
    client.add_namespace("coded", erasure=(4, 6), possession="kzg")
    assert owner.done == [
        ("namespace", "copies", {"replicas": 3, "possession": "merkle"}),
        ("namespace", "coded", {"erasure": (4, 6), "possession": "kzg"}),
    ]
    files = owner.network.contracts.file_registry
    files.add_namespace("coded", 4, 6, Possession.KZG, sender=owner.account)
    files.add_namespace("of another", 1, 2, Possession.KZG, sender=accounts[3])
    (row,) = client.namespaces()
    assert (row["name"], row["needed"], row["total"], row["possession"]) == ("coded", 4, 6, "kzg")
    assert client.namespaces(offset=1) == []


def test_filters_do_not_reach_beyond_the_owner(raw: Raw, accounts: list[Account], owner: ShelfOwner) -> None:
    files = owner.network.contracts.file_registry
    files.add_namespace("of another", 1, 2, Possession.KZG, sender=accounts[3])
    for query in (f"owner={accounts[3].address}", "possession=kzg"):
        resource = f"/namespaces?{query}"
        page = json.loads(raw.send("GET", resource, raw.headers("GET", resource)))
        assert page == {"items": [], "total": 0}
    for query in (
        "colour=red",
        "kind=1",
        "newest=1",
        "possession=quantum",
        "offset=-1",
        "limit=x",
        f"offset={10**19}",
    ):
        resource = f"/namespaces?{query}"
        with pytest.raises(InputError):
            raw.send("GET", resource, raw.headers("GET", resource))


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[]", b'{"name": 1, "replicas": 1}', b'{"name": "n", "replicas": 1, "k": 2}', b"[" * 9000],
)
def test_a_namespace_that_is_none(client: OwnerClient, owner: ShelfOwner, body: bytes) -> None:
    with pytest.raises(InputError):
        client._ask("POST", "/namespaces", body)
    assert not owner.done


def test_authorizations(client: OwnerClient, owner: ShelfOwner) -> None:
    assert client.authorizations(status="approved") == []
    with pytest.raises(InputError, match="status"):
        client.authorizations(status="lost")
    client.approve(1)
    client.reject(2, "zu spät")
    assert owner.done == [("approve", 1), ("reject", 2, "zu spät")]


@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", "..", "a\nb", "\x00"])
def test_names_that_are_paths_are_refused(
    client: OwnerClient, owner: ShelfOwner, path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="file name"):
        client.upload(path, "study", name=name)
    assert not owner.shelf


def test_strangers_are_not_served(url: str, owner: ShelfOwner, accounts: list[Account], path: Path) -> None:
    registry = owner.network.contracts.file_registry
    with OwnerClient(url, owner.address, accounts[2], registry) as stranger:
        with pytest.raises(PolicyError, match="no client"):
            stranger.files()
        with pytest.raises(PolicyError, match="no client"):
            stranger.upload(path, "study")
    assert not owner.shelf


def test_the_owner_is_a_client_of_its_own(url: str, owner: ShelfOwner) -> None:
    with OwnerClient(url, owner.address, owner.account, owner.network.contracts.file_registry) as self:
        assert self.files() == []


class Raw:
    """Requests written by hand."""

    def __init__(self, url: str, signer: RequestSigner, owner: str) -> None:
        self.connection, self.signer, self.owner = Connection(url, timeout=10), signer, owner

    def headers(self, method: str, resource: str, body: bytes = b"") -> dict[str, str]:
        return wire.to_headers(self.signer.sign(self.owner, method, resource, hashlib.sha256(body).digest()))

    def send(self, method: str, resource: str, headers: dict[str, str], body: bytes = b"") -> bytes:
        return self.connection.request(method, resource, headers, body, limit=10_000)


@pytest.fixture
def raw(url: str, owner: ShelfOwner, accounts: list[Account]) -> Iterator[Raw]:
    signer = RequestSigner(accounts[1], owner.network.contracts.file_registry, OWNER_NODE)
    raw = Raw(url, signer, owner.address)
    yield raw
    raw.connection.close()


def test_an_altered_body_is_not_stored(raw: Raw, owner: ShelfOwner) -> None:
    resource = "/files?name=a&namespace=study"
    headers = raw.headers("POST", resource, b"signed") | {
        wire.BODY_HASH: hashlib.sha256(b"signed").hexdigest()
    }
    with pytest.raises(IntegrityError, match="not what was signed"):
        raw.send("POST", resource, headers, b"sent")
    assert not owner.shelf


def test_a_declared_hash_is_the_signed_one(raw: Raw, owner: ShelfOwner) -> None:
    resource = "/files?name=a&namespace=study"
    headers = raw.headers("POST", resource, b"signed") | {wire.BODY_HASH: hashlib.sha256(b"sent").hexdigest()}
    with pytest.raises(PolicyError, match="is not what"):
        raw.send("POST", resource, headers, b"sent")
    assert not owner.shelf


def test_requests_cannot_be_altered_or_replayed(raw: Raw) -> None:
    headers = raw.headers("GET", "/files?limit=1")
    with pytest.raises(PolicyError, match="is not what"):
        raw.send("GET", "/files?limit=2", headers)
    with pytest.raises(PolicyError, match="is not what"):
        raw.send("GET", "/namespaces?limit=1", headers)
    raw.send("GET", "/files?limit=1", headers)
    with pytest.raises(PolicyError, match="seen before"):
        raw.send("GET", "/files?limit=1", headers)


def test_a_file_beyond_the_limit_is_refused(client: OwnerClient, owner: ShelfOwner, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(10_000_001))
    with pytest.raises(InputError, match="at most 10000000"):
        client.upload(tmp_path / "big", "study")
    assert not owner.shelf
