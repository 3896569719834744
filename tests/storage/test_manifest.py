"""The manifest and the file info: what comes back is what went in; hostile bytes are refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from random import Random
from typing import Any

import msgpack
import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import CryptoError, InputError, IntegrityError
from dtxeth.storage import manifest as manifests
from dtxeth.storage.coding import Redundancy
from dtxeth.storage.info import FileInfo, seal_info, unseal_info
from dtxeth.storage.manifest import (
    Manifest,
    NodePieces,
    Piece,
    manifest_bound,
    seal_manifest,
    unseal_manifest,
)
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.seal import new_file_key, seal_bytes

KEY = new_file_key()
ADDRESSES = [to_checksum_address(bytes([number]) * 20) for number in range(1, 9)]
ALICE, BOB, *_ = ADDRESSES


def piece(stripe: int, shard: int) -> Piece:
    return Piece(stripe, shard, bytes([shard, stripe]) * 8, bytes([stripe + 100]) * 32)


# Sealed: three slices, the last one short. Bob has lost two of his copies.
GOOD = Manifest(
    name="rows.csv",
    size=2 * SLICE_SIZE,
    sha256=bytes(32),
    prefix=bytes(7),
    redundancy=Redundancy(1, 2),
    generation=0,
    nodes=(NodePieces(ALICE, (piece(1, 0), piece(0, 1), piece(2, 0))), NodePieces(BOB, (piece(1, 1),))),
)


@st.composite
def manifest_strategy(draw: st.DrawFn) -> Manifest:
    needed = draw(st.integers(1, 4))
    total = draw(st.integers(needed, 6))
    made = replace(
        GOOD,
        size=draw(st.integers(0, 5 * SLICE_SIZE)),
        name=draw(st.from_regex(r"\A[\w-]{1,40}\.csv\Z")),
        sha256=draw(st.binary(min_size=32, max_size=32)),
        redundancy=Redundancy(needed, total),
        generation=draw(st.integers(0, 2**32 - 1)),
    )
    held: dict[str, list[Piece]] = {}
    for stripe in range(made.layout.stripes):  # the last one, which may be short, comes last
        nodes = draw(st.lists(st.sampled_from(ADDRESSES), min_size=needed, max_size=total, unique=True))
        shards = draw(st.permutations(range(64)))
        for node, shard in zip(nodes, shards, strict=False):
            held.setdefault(node, []).append(piece(stripe, shard))
    return replace(made, nodes=tuple(NodePieces(node, tuple(pieces)) for node, pieces in held.items()))


@settings(max_examples=30, deadline=None)
@given(manifest_strategy())
def test_round_trip(manifest: Manifest) -> None:
    assert unseal_manifest(seal_manifest(manifest, KEY), KEY) == manifest
    pieces = sum(len(held.pieces) for held in manifest.nodes)
    sealed = len(seal_manifest(manifest, KEY))
    assert sealed <= manifest_bound(manifest.name, pieces, len(manifest.nodes)) <= sealed + 512


def test_shards_of_every_stripe() -> None:
    holders = [{shard: node for shard, (node, _) in places.items()} for places in GOOD.shards()]
    assert holders == [{1: ALICE}, {0: ALICE, 1: BOB}, {0: ALICE}]


def test_altered_or_under_another_key() -> None:
    sealed = seal_manifest(GOOD, KEY)
    for bytes_, key in ((sealed[:-1] + b"\0", KEY), (sealed, new_file_key()), (b"", KEY)):
        with pytest.raises(CryptoError, match="manifest"):
            unseal_manifest(bytes_, key)


def document(**changes: Any) -> bytes:
    return msgpack.packb(msgpack.unpackb(manifests._encode(GOOD)) | changes)


def columns(**changes: Any) -> list[dict[str, Any]]:
    return [msgpack.unpackb(manifests._encode(GOOD))["nodes"][0] | changes]


def pieces(*alice: Piece, bob: tuple[Piece, ...] = ()) -> bytes:
    nodes = [NodePieces(ALICE, alice)] + [NodePieces(BOB, bob)] * bool(bob)
    return manifests._encode(replace(GOOD, nodes=tuple(nodes)))


FORGED = {
    "version": document(version=1),
    "unknown field": document(extra=1),
    "no field": msgpack.packb({"version": 2}),
    "not a map": msgpack.packb([1, 2]),
    "trailing bytes": document() + b"\0",
    "bool for int": document(size=True),
    "text for bytes": document(sha256="x" * 32),
    "short digest": document(sha256=bytes(31)),
    "long prefix": document(prefix=bytes(8)),
    "slice size": document(slice_size=1),
    "path as name": document(name="../rows.csv"),
    "absolute name": document(name="/etc/passwd"),
    "control character in the name": document(name="rows\x1b.csv"),
    "negative size": document(size=-1),
    "size beyond the pieces": document(size=1 << 62),
    "size below the pieces": document(size=0),
    "no shard needed": document(needed=0),
    "more needed than there are": document(needed=3),
    "too much redundancy": document(total=65),
    "negative generation": document(generation=-1),
    "no nodes": document(nodes=[]),
    "too many nodes": document(nodes=columns() * 65),
    "node twice": document(nodes=columns() * 2),
    "stripe twice": pieces(piece(0, 0), piece(1, 0), piece(1, 1), piece(2, 0)),
    "stripe missing": pieces(piece(0, 0), piece(2, 0)),
    "stripe with too few shards": document(needed=2),
    "stripe with too many shards": document(total=1),
    "stripe beyond the end": pieces(piece(0, 0), piece(1, 0), piece(2, 0), bob=(piece(3, 0),)),
    "shard beyond the code": pieces(piece(0, 64), piece(1, 0), piece(2, 0)),
    "shard on two nodes": pieces(piece(0, 0), piece(1, 0), piece(2, 0), bob=(piece(0, 0),)),
    "piece id twice": pieces(replace(piece(0, 0), piece_id=piece(1, 0).piece_id), piece(1, 0), piece(2, 0)),
    "short piece not last": pieces(piece(2, 0), piece(0, 0), piece(1, 0)),
    "node without pieces": document(
        nodes=[*columns(), *columns(node=bytes(20), stripes=b"", shards=b"", piece_ids=b"", digests=b"")]
    ),
    "torn column": document(nodes=columns(stripes=bytes(11))),
    "columns of different lengths": document(nodes=columns(digests=bytes(64))),
    "torn digests": document(nodes=columns(digests=bytes(95))),
    "node address": document(nodes=columns(node=bytes(19))),
    "another order": msgpack.packb(dict(reversed(msgpack.unpackb(manifests._encode(GOOD)).items()))),
    "wide integer": document().replace(b"\xa7version\x02", b"\xa7version\xcc\x02"),
}  # fmt: skip


@pytest.mark.parametrize("how", FORGED)
def test_malformed_manifests(how: str) -> None:
    assert unseal_manifest(seal_bytes(KEY, b"manifest", document()), KEY) == GOOD
    with pytest.raises(IntegrityError, match="manifest"):
        unseal_manifest(seal_bytes(KEY, b"manifest", FORGED[how]), KEY)


def test_hostile_bytes() -> None:
    """10,000 of them: random ones, and good manifests overwritten, cut, or with something in between."""
    random, good, opened = Random(5), document(), 0
    for number in range(10_000):
        start, patch = random.randrange(len(good)), random.randbytes(random.randrange(9))
        data = [
            random.randbytes(random.randrange(300)),
            good[:start] + patch + good[start + len(patch) :],
            good[:start],
            good[:start] + patch + good[start:],
        ][number % 4]
        try:
            manifest = manifests._decode(data)
        except IntegrityError:
            continue
        opened += 1
        assert manifests._encode(manifest) == data
    assert 100 < opened < 2000  # a digest or an id may be anything


def test_too_large_for_a_piece() -> None:
    many = tuple(Piece(number, 0, bytes(16), bytes(32)) for number in range(20_000))
    with pytest.raises(InputError, match="less redundancy"):
        seal_manifest(replace(GOOD, nodes=(NodePieces(ALICE, many),)), KEY)


@pytest.mark.parametrize(("needed", "total", "gib"), [(1, 2, 9.0), (1, 3, 6.0), (4, 6, 12.0)])
def test_largest_file(needed: int, total: int, gib: float) -> None:
    stripes = int(gib * 2**30) // (needed * SLICE_SIZE)
    assert manifest_bound("x" * 255, stripes * total) <= SLICE_SIZE
    with pytest.raises(InputError, match="store the file in parts"):
        manifest_bound("", int(stripes * total * 1.02))


@given(st.text(), st.lists(st.text(), max_size=5))
def test_info_round_trip(name: str, names: list[str]) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        info = FileInfo(name, tuple(names))
        assert unseal_info(seal_info(info, KEY), KEY) == info


@pytest.mark.parametrize("forged", [b"", b"\xc1", msgpack.packb([2, "a", []]), msgpack.packb([1, "a", [1]])])
def test_malformed_info(forged: bytes) -> None:
    with pytest.raises(IntegrityError, match="file info"):
        unseal_info(seal_bytes(KEY, b"info", forged), KEY)
    with pytest.raises(CryptoError):
        unseal_info(forged, KEY)
