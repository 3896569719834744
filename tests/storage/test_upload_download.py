"""The journey of a file: upload, publish, download — with nodes missing, failing and lying."""

from __future__ import annotations

import contextlib
import io
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dtxeth.chain.bindings.events import FilePublished, HoldingAdded
from dtxeth.chain.reverts import InvalidAcknowledgement, UnknownFile, UnknownNamespace
from dtxeth.errors import (
    CryptoError,
    InputError,
    IntegrityError,
    NodeError,
    NotEnoughNodesError,
    StorageError,
)
from dtxeth.storage import RemoteFile, Terms, authorized_file_key, owned_file_key, unseal_info, upload
from dtxeth.storage import downloader as downloads
from dtxeth.storage.blockstore import EmbeddedBlockStore, IpfsBlockStore
from dtxeth.storage.pieces import SLICE_SIZE
from tests.storage.test_blockstore import serving
from tests.storage.world import Down, World

SLICES = 3
DATA = secrets.token_bytes((SLICES - 1) * SLICE_SIZE + 12_345)


class Lying:
    """A node that passes everything on, and alters what it serves."""

    def __init__(self, node: object, *methods: str) -> None:
        self._node, self._methods = node, methods

    def __getattr__(self, name: str) -> object:
        true = getattr(self._node, name)
        if name not in self._methods:
            return true

        def lie(*arguments: object) -> bytes:
            data = true(*arguments)
            return bytes([data[0] ^ 1]) + data[1:]

        return lie


@pytest.mark.parametrize("size", [0, 1, SLICE_SIZE - 16, SLICE_SIZE - 15, len(DATA)])
def test_round_trip_from_account_and_chain_alone(world: World, tmp_path: Path, size: int) -> None:
    stored = world.publish(DATA[:size])
    remote = world.open(stored.file_id)
    assert remote.read() == DATA[:size]
    assert remote.save(tmp_path) == tmp_path / "rows.csv"
    assert (tmp_path / "rows.csv").read_bytes() == DATA[:size]
    assert remote.faults == []
    assert remote.manifest == stored.manifest


def test_one_transaction_publishes_everything(world: World) -> None:
    stored = world.upload(DATA)
    with pytest.raises(UnknownFile):
        world.open(stored.file_id)
    receipt = world.contracts.file_registry.publish(
        stored.publication, stored.acknowledgements, sender=world.owner
    )
    published = receipt.event(FilePublished)
    assert published.file_id == stored.file_id
    held = [event.node for event in receipt.events if isinstance(event, HoldingAdded)]
    assert sorted(held) == sorted(pieces.node for pieces in stored.manifest.nodes)
    info = unseal_info(published.sealed_info, stored.file_key)
    assert (info.name, info.columns) == ("rows.csv", ("id", "x"))


def test_every_slice_is_on_two_nodes_and_never_the_same_bytes(world: World) -> None:
    manifest = world.upload(DATA).manifest
    assert [len({node for node, _ in places.values()}) for places in manifest.shards()] == [2] * SLICES
    digests = [piece.digest for held in manifest.nodes for piece in held.pieces]
    assert len(set(digests)) == 2 * SLICES


def test_a_node_kept_out_of_the_secret(world: World) -> None:
    marker = b"nobody may read this"
    world.publish(marker * 5000, name="secret.csv")
    for path in world.directory.rglob("*"):
        assert path.is_dir() or (marker not in path.read_bytes() and b"secret.csv" not in path.read_bytes())


def test_progress_is_told(world: World, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    stored = upload(
        io.BytesIO(DATA),
        world.terms(),
        world.signer(world.owner),
        bytes([9]) + bytes(31),
        world.nodes,
        progress=lambda done, total: told.append((done, total)),
        spool_directory=tmp_path,
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == 2 * stored.publication.size
    assert list(tmp_path.glob("*.*")) == []


def test_nodes_on_an_ipfs_daemon(world: World, tmp_path: Path) -> None:
    """Two nodes whose blocks live behind an IPFS RPC (ours), one store each."""
    with contextlib.ExitStack() as stack:
        world.nodes.clear()
        for account in world.accounts[2:4]:
            home = tmp_path / account.address
            port = stack.enter_context(serving(EmbeddedBlockStore(home / "ipfs")))
            store = IpfsBlockStore(f"/ip4/127.0.0.1/tcp/{port}", timeout=30)
            node = world.node(account, home, store=store)
            stack.callback(node.close)
            world.nodes[node.address] = node
        stored = world.publish(DATA)
        assert world.open(stored.file_id).read() == DATA


def test_many_uploads_at_once(world: World) -> None:
    files = [secrets.token_bytes(SLICE_SIZE + number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        uploads = list(pool.map(world.upload, files))
    for stored in uploads:
        world.contracts.file_registry.publish(stored.publication, stored.acknowledgements, sender=world.owner)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda stored: world.open(stored.file_id).read(), uploads)) == files
    assert sum(node.status().used for node in world.real) == sum(
        given.size for stored in uploads for given in stored.acknowledgements
    )


# --- nodes that fail ---


def test_download_with_each_single_node_down(world: World) -> None:
    stored = world.publish(DATA)
    for address in list(world.nodes):
        node, world.nodes[address] = world.nodes[address], Down()
        assert world.open(stored.file_id).read() == DATA
        world.nodes[address] = node


def test_download_names_the_nodes_when_too_many_are_down(world: World) -> None:
    stored = world.publish(DATA)
    first, second = (node for node, _ in stored.manifest.shards()[0].values())
    world.nodes[first] = Down()
    del world.nodes[second]
    # Somebody else may still serve the manifest, but nobody has the first slice.
    with pytest.raises(NotEnoughNodesError, match=f"{first}.*connection refused"):
        world.open(stored.file_id).read()


@pytest.mark.parametrize("method", ["get_piece", "get_manifest"])
def test_lying_node_is_noticed_named_and_routed_around(world: World, method: str) -> None:
    stored = world.publish(DATA)
    registry = world.contracts.file_registry
    liar = registry.holding(registry.holdings_of(stored.file_id)[0]).node
    world.nodes[liar] = Lying(world.nodes[liar], method)
    remote = world.open(stored.file_id)
    assert remote.read() == DATA
    assert {fault.node for fault in remote.faults} == {liar}
    assert all("returned" in fault.reason for fault in remote.faults)


def test_all_nodes_lie(world: World) -> None:
    stored = world.publish(DATA)
    world.nodes |= {address: Lying(node, "get_piece") for address, node in world.nodes.items()}
    remote = world.open(stored.file_id)
    with pytest.raises(NotEnoughNodesError, match="returned other bytes"):
        remote.read()
    assert remote.faults


def test_upload_replaces_a_node_that_fails_half_way(world: World) -> None:
    class Failing(Lying):
        def put_piece(
            self, credentials: object, file_id: bytes, draft: bytes, position: int, piece: bytes
        ) -> None:
            if position == 1:
                raise ConnectionResetError("connection reset by peer")
            self._node.put_piece(credentials, file_id, draft, position, piece)

    failing = next(iter(world.nodes))
    world.nodes[failing] = Failing(world.nodes[failing])
    for _ in range(3):
        stored = world.publish(DATA)
        assert failing not in {held.node for held in stored.manifest.nodes}
        assert {fault.node for fault in stored.faults} <= {failing}
        assert world.open(stored.file_id).read() == DATA


def test_upload_without_enough_nodes(world: World) -> None:
    for address in list(world.nodes)[:3]:
        world.nodes[address] = Down()
    with pytest.raises(
        NotEnoughNodesError, match=r"1 usable storage nodes, 2 are needed for 1 of 2.*connection refused"
    ):
        world.upload(DATA)
    assert all(node.status().used == 0 for node in world.real)


@pytest.mark.parametrize("change", [{"signature": bytes(65)}, {"root": bytes(32)}, {"deadline": 1 << 40}])
def test_acknowledgement_of_something_else_is_noticed(world: World, change: dict[str, object]) -> None:
    class Forging(Lying):
        def acknowledge(self, credentials: object, file_id: bytes, draft: bytes, claim: object) -> object:
            return replace(self._node.acknowledge(credentials, file_id, draft, claim), **change)

    address = next(iter(world.nodes))
    world.nodes[address] = Forging(world.nodes[address])
    stored = [world.upload(b"x" * 100) for _ in range(4)]
    assert all(address not in {held.node for held in upload.manifest.nodes} for upload in stored)


def test_publishing_for_another_expiry_than_acknowledged(world: World) -> None:
    stored = world.upload(b"rows")
    longer = replace(stored.publication, expires_at=stored.publication.expires_at + 1)
    with pytest.raises(InvalidAcknowledgement):
        world.contracts.file_registry.publish(longer, stored.acknowledgements, sender=world.owner)


# --- bad input ---


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a\nb", "x" * 256])
def test_names_that_are_no_file_names(world: World, name: str) -> None:
    with pytest.raises(InputError, match="file name"):
        world.upload(b"", name)


def test_terms_that_cannot_be(world: World) -> None:
    key = bytes([9]) + bytes(31)
    for terms, error in (
        (Terms("f", bytes(32), world.chain.now() + 9), UnknownNamespace),
        (Terms("f", world.namespace, world.chain.now()), InputError),
    ):
        with pytest.raises(error):
            upload(io.BytesIO(b"x"), terms, world.signer(world.owner), key, world.nodes)


def test_download_into_no_directory_and_onto_a_full_disk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = world.open(world.publish(DATA).file_id)
    with pytest.raises(InputError, match="does not exist"):
        remote.save(tmp_path / "none" / "rows.csv")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "full"
    target.mkdir()
    monkeypatch.setattr(downloads.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        remote.save(target)
    assert list(target.iterdir()) == []


def test_manifest_of_another_plaintext(world: World, tmp_path: Path) -> None:
    """An owner who publishes a manifest that contradicts the bytes is noticed; no half-true file appears."""
    remote = world.open(world.publish(DATA).file_id)
    remote.manifest = replace(remote.manifest, sha256=bytes(32))
    with pytest.raises(IntegrityError, match="not what its manifest says"):
        remote.save(tmp_path / "rows.csv")
    assert not list(tmp_path.glob("*rows*"))
    assert not list(tmp_path.glob(".*part"))


# --- keys ---


def test_executor_reads_with_a_grant(world: World) -> None:
    stored = world.publish(DATA)
    number = world.grant(stored)
    registry, authorization = world.contracts.file_registry, world.contracts.file_authorization
    key = authorized_file_key(world.executor, registry, authorization, number)
    remote = RemoteFile(stored.file_id, key, world.signer(world.executor), world.nodes, number)
    assert remote.read() == DATA


def test_wrapped_keys_open_in_their_own_context_only(world: World) -> None:
    stored, other = world.publish(b"one"), world.publish(b"two")
    registry, authorization = world.contracts.file_registry, world.contracts.file_authorization
    assert owned_file_key(world.owner, registry, stored.file_id) == stored.file_key
    with pytest.raises(CryptoError, match="does not open"):
        owned_file_key(world.executor, registry, stored.file_id)
    number = world.grant(stored)
    copied = authorization.authorization(number).wrapped_key
    expiry = world.chain.now() + 600
    authorization.grant(other.file_id, world.executor.address, 7, copied, expiry, sender=world.owner)
    elsewhere = authorization.latest_of(other.file_id, world.executor.address, 7)
    with pytest.raises(CryptoError, match="does not open"):
        authorized_file_key(world.executor, registry, authorization, elsewhere)


def test_keys_wrapped_before_a_rotation_still_open(world: World) -> None:
    stored = world.publish(b"rows")
    registry = world.contracts.file_registry
    assert owned_file_key(world.owner, registry, stored.file_id, versions=3) == stored.file_key


def test_node_that_is_not_in_reach_is_named(world: World) -> None:
    stored = world.publish(b"rows")
    key = owned_file_key(world.owner, world.contracts.file_registry, stored.file_id)
    with pytest.raises(NotEnoughNodesError, match="cannot be reached"):
        RemoteFile(stored.file_id, key, world.signer(world.owner), {})
    assert "file_key" not in repr(stored)
    assert stored.file_key.hex() not in repr(stored)
    assert str(NodeError("0x1", "gone")) == "storage node 0x1: gone"
