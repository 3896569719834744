"""One contract for every block store: embedded, embedded behind Kubo's RPC, and a real IPFS daemon."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.errors import InputError, IntegrityError, StorageError, UnknownNameError
from dtxeth.storage.blockstore import (
    MAX_BLOCK_SIZE,
    BlockStore,
    EmbeddedBlockStore,
    IpfsBlockStore,
    RepoStat,
    cid_of,
    cid_of_digest,
    digest_of_cid,
    kubo_app,
)
from dtxeth.storage.blockstore.kubo_server import _only_file as only_part
from tests.storage.daemon import installed_jsipfs, jsipfs_daemon

MISSING = cid_of(b"nobody stores this")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(store: BlockStore) -> Iterator[int]:
    """A real uvicorn server over the store, on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(kubo_app(store), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    listener.listen()  # requests queue until the server accepts them: nothing to wait for
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(
    scope="module", params=["embedded", "kubo rpc", pytest.param("jsipfs", marks=pytest.mark.ipfs)]
)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockStore]:
    home = tmp_path_factory.mktemp("store")
    if request.param == "embedded":
        yield EmbeddedBlockStore(home)
    elif request.param == "kubo rpc":
        with serving(EmbeddedBlockStore(home)) as port:
            yield IpfsBlockStore(f"/ip4/127.0.0.1/tcp/{port}", timeout=20)
    else:
        with jsipfs_daemon(installed_jsipfs(), home) as address:
            yield IpfsBlockStore(address, timeout=2)


def test_put_get_stat(store: BlockStore) -> None:
    data = secrets.token_bytes(1_015_808)
    cid = store.block_put(data)
    assert cid == cid_of(data)
    assert store.block_put(data) == cid
    assert store.block_get(cid) == data
    assert store.block_stat(cid) == len(data)


def test_binary_that_looks_like_an_envelope(store: BlockStore) -> None:
    for data in (b"\r\n--x\r\n\r\n--x--\r\n", b"\r\n", b"-", bytes(range(256))):
        assert store.block_get(store.block_put(data)) == data


def test_largest_block_and_one_byte_more(store: BlockStore) -> None:
    assert store.block_stat(store.block_put(bytes(MAX_BLOCK_SIZE))) == MAX_BLOCK_SIZE
    with pytest.raises(InputError, match="at most"):
        store.block_put(bytes(MAX_BLOCK_SIZE + 1))


@pytest.mark.parametrize("method", ["block_get", "block_stat", "pin_add"])
def test_missing_block(store: BlockStore, method: str) -> None:
    with pytest.raises(UnknownNameError, match=MISSING):
        getattr(store, method)(MISSING)


@pytest.mark.parametrize("method", ["block_get", "block_stat", "block_rm", "pin_add", "pin_rm"])
def test_malformed_cid(store: BlockStore, method: str) -> None:
    for cid in ("", "../../etc/passwd", "Qm" + "a" * 44, MISSING.upper(), MISSING + "a", "b" + "1" * 58):
        with pytest.raises(InputError, match="is not the CID"):
            getattr(store, method)(cid)


def test_removing_what_is_absent_is_fine(store: BlockStore) -> None:
    store.block_rm(MISSING)
    store.pin_rm(MISSING)


def test_pins_keep_blocks(store: BlockStore) -> None:
    at_once, later, loose = (
        store.block_put(b"pinned at once", pin=True),
        store.block_put(b"pinned later"),
        store.block_put(b"loose"),
    )
    store.pin_add(later)
    assert {at_once, later} <= store.pin_ls()
    assert loose not in store.pin_ls()
    assert store.pin_ls([later, loose, MISSING]) == {later}
    with pytest.raises(InputError, match="pinned"):
        store.block_rm(at_once)
    store.pin_rm(at_once)
    store.block_rm(at_once)
    with pytest.raises(UnknownNameError):
        store.block_stat(at_once)
    removed = store.repo_gc()
    assert loose in removed
    assert later not in removed
    assert store.block_get(later) == b"pinned later"
    assert store.repo_stat().blocks >= 1


# --- the embedded store alone ---


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedBlockStore:
    return EmbeddedBlockStore(tmp_path)


def only_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "blocks").glob("*/*")
    return path


def test_altered_block_is_noticed_and_healed(embedded: EmbeddedBlockStore, tmp_path: Path) -> None:
    cid = embedded.block_put(b"bytes of a piece")
    only_file(tmp_path).write_bytes(b"Bytes of a piece")
    with pytest.raises(IntegrityError, match=cid):
        embedded.block_get(cid)
    embedded.block_put(b"bytes of a piece")
    assert embedded.block_get(cid) == b"bytes of a piece"


def test_survives_a_restart_and_drops_leftovers(embedded: EmbeddedBlockStore, tmp_path: Path) -> None:
    cid = embedded.block_put(b"kept", pin=True)
    (tmp_path / "tmp" / "half-written").write_bytes(b"ke")
    again = EmbeddedBlockStore(tmp_path)
    assert again.block_get(cid) == b"kept"
    assert again.pin_ls() == {cid}
    assert again.repo_stat() == RepoStat(blocks=1, size=4)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_full_disk_leaves_nothing(
    embedded: EmbeddedBlockStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left"):
        embedded.block_put(b"data")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_put_not_durably_is_synced_later_and_replaces_nothing_durable(
    embedded: EmbeddedBlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    cids = [embedded.block_put(data, pin=True, durably=False) for data in (b"one", b"other")]
    assert synced == []
    embedded.sync(cids)
    folders = {cid[-3:-1] for cid in cids}
    assert sorted(synced) == sorted([*cids, *folders, "blocks"])
    synced.clear()
    embedded.block_put(
        b"one", pin=True, durably=False
    )  # perhaps somebody relies on it: not for a moment less
    assert len(synced) == 3


def test_keeps_a_reserve_of_the_disk(tmp_path: Path) -> None:
    store = EmbeddedBlockStore(tmp_path, reserve=1 << 62)
    with pytest.raises(StorageError, match=r"No space left.*make room"):
        store.block_put(b"data")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("method", ["block_get", "block_stat", "block_rm", "pin_add", "pin_rm"])
def test_failing_disk_is_named(
    embedded: EmbeddedBlockStore, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    cid = embedded.block_put(b"data", pin=True)

    def broken(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    for name in ("read_bytes", "stat", "unlink", "touch", "exists"):
        monkeypatch.setattr(Path, name, broken)
    with pytest.raises(StorageError, match=f"{cid} cannot be .*Input/output error; check the disk"):
        getattr(embedded, method)(cid)
    monkeypatch.undo()
    assert embedded.block_get(cid) == b"data"


def test_pin_without_its_block(embedded: EmbeddedBlockStore, tmp_path: Path) -> None:
    cid = embedded.block_put(b"data", pin=True)
    next((tmp_path / "blocks").glob(f"*/{cid}")).unlink()
    assert embedded.pin_ls() == set()
    assert embedded.pin_ls([cid]) == set()


def test_unusable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="writable"):
        EmbeddedBlockStore(tmp_path / "file")


# --- the RPC ---


def test_rpc_is_for_local_programs_only(embedded: EmbeddedBlockStore) -> None:
    with serving(embedded) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v0") as client:
        assert client.post("/version").json()["System"] == "dtxeth"
        assert client.get("/version").status_code == 405
        assert client.post("/repo/gc", headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.post("/repo/gc", headers={"Host": "rebound.example"}).status_code == 403


def test_rpc_refuses_what_is_not_one_block(embedded: EmbeddedBlockStore) -> None:
    with serving(embedded) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v0") as client:
        good = client.post("/block/put", files={"file": b"data"})
        assert good.json() == {"Key": cid_of(b"data"), "Size": 4}
        for bad in (
            client.post("/block/put", content=b"data"),
            client.post("/block/put", files=[("file", b"a"), ("file", b"b")]),
            client.post("/block/put", files={"file": bytes(2 * MAX_BLOCK_SIZE)}),
        ):
            assert bad.status_code == 500
            assert "block" in bad.json()["Message"]
        assert client.post("/pin/ls", params={"arg": cid_of(b"data")}).status_code == 500
        assert embedded.repo_stat().blocks == 1


@given(st.binary(max_size=60), st.binary(max_size=80))
def test_hostile_envelopes(content_type: bytes, body: bytes) -> None:
    """Whatever is posted, it is one file or refused; a well-formed envelope gives back its file."""
    for kind, posted in ((content_type.decode("latin-1"), body), ('x; boundary="b"', b"--b\r\n" + body)):
        with contextlib.suppress(InputError):
            assert only_part(kind, posted) in posted
    assert only_part('x; boundary="bound"', b"--bound\r\nA: b\r\n\r\n" + body + b"\r\n--bound--\r\n") == body


def test_no_daemon_at_the_address() -> None:
    with pytest.raises(StorageError, match="no IPFS daemon answers"):
        IpfsBlockStore(f"/ip4/127.0.0.1/tcp/{free_port()}")
    with pytest.raises(InputError, match="IPFS address"):
        IpfsBlockStore("nonsense")


def test_daemon_that_lies(embedded: EmbeddedBlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    cid = embedded.block_put(b"true")
    with serving(embedded) as port:
        store = IpfsBlockStore(f"/ip4/127.0.0.1/tcp/{port}")
        monkeypatch.setattr(embedded, "block_get", lambda _: b"false")
        monkeypatch.setattr(embedded, "block_put", lambda *_, **__: MISSING)
        with pytest.raises(IntegrityError, match=cid):
            store.block_get(cid)
        with pytest.raises(StorageError, match="stored block"):
            store.block_put(b"true")


def test_daemon_that_hangs() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(StorageError, match="in time"):
            IpfsBlockStore(f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}", timeout=0.2)


# --- content identifiers ---


def test_cid_as_kubo_writes_it() -> None:
    # `echo -n "hello world" | ipfs block put --cid-codec raw`
    assert cid_of(b"hello world") == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


@given(st.binary(min_size=32, max_size=32))
def test_cid_round_trip(digest: bytes) -> None:
    assert digest_of_cid(cid_of_digest(digest)) == digest


@given(st.text(max_size=70) | st.from_regex(r"\Ab[a-z2-7]{58}\Z"))
def test_hostile_cids(text: str) -> None:
    with contextlib.suppress(InputError):
        assert cid_of_digest(digest_of_cid(text)) == text


def test_cid_of_a_wrong_digest() -> None:
    with pytest.raises(InputError, match="expected 32"):
        cid_of_digest(hashlib.sha1(b"").digest())
