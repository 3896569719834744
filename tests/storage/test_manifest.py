"""The manifest and the file info: what comes back is what went in; hostile bytes are refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import CryptoError, InputError, IntegrityError
from dtxeth.storage import manifest as manifests
from dtxeth.storage.info import FileInfo, seal_info, unseal_info
from dtxeth.storage.manifest import Manifest, NodePieces, Piece, seal_manifest, unseal_manifest
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.seal import new_file_key, seal_bytes

KEY = new_file_key()
ALICE, BOB = (to_checksum_address(bytes([number]) * 20) for number in (1, 2))


def piece(number: int) -> Piece:
    return Piece(number, bytes([number]) * 16, bytes([number + 100]) * 32)


GOOD = Manifest(
    name="rows.csv",
    size=2 * SLICE_SIZE,  # sealed: three slices
    sha256=bytes(32),
    prefix=bytes(7),
    nodes=(NodePieces(ALICE, 0, (piece(1), piece(0), piece(2))), NodePieces(BOB, 3, (piece(1),))),
)


@st.composite
def manifest_strategy(draw: st.DrawFn) -> Manifest:
    size = draw(st.integers(0, 5 * SLICE_SIZE))
    made = replace(
        GOOD,
        size=size,
        name=draw(st.from_regex(r"\A[\w-]{1,40}\.csv\Z")),
        sha256=draw(st.binary(min_size=32, max_size=32)),
    )
    everything = st.permutations(range(made.slices))
    some = st.lists(st.integers(0, made.slices - 1), unique=True)
    nodes = tuple(
        NodePieces(address, draw(st.integers(0, 2**32 - 1)), tuple(map(piece, draw(numbers))))
        for address, numbers in ((ALICE, everything), (BOB, some))
    )
    return replace(made, nodes=nodes)


@settings(max_examples=50, deadline=None)
@given(manifest_strategy())
def test_round_trip(manifest: Manifest) -> None:
    assert unseal_manifest(seal_manifest(manifest, KEY), KEY) == manifest


def test_replicas_of_every_slice() -> None:
    holders = [[held.node for held, _ in replicas] for replicas in GOOD.replicas()]
    assert holders == [[ALICE], [ALICE, BOB], [ALICE]]


def test_altered_or_under_another_key() -> None:
    sealed = seal_manifest(GOOD, KEY)
    for bytes_, key in ((sealed[:-1] + b"\0", KEY), (sealed, new_file_key()), (b"", KEY)):
        with pytest.raises(CryptoError, match="manifest"):
            unseal_manifest(bytes_, key)


def document(**changes: Any) -> bytes:
    return msgpack.packb(msgpack.unpackb(manifests._encode(GOOD)) | changes)


def columns(**changes: Any) -> list[dict[str, Any]]:
    return [msgpack.unpackb(manifests._encode(GOOD))["nodes"][0] | changes]


FORGED = {
    "version": document(version=2),
    "unknown field": document(extra=1),
    "no field": msgpack.packb({"version": 1}),
    "not a map": msgpack.packb([1, 2]),
    "trailing bytes": document() + b"\0",
    "bool for int": document(size=True),
    "text for bytes": document(sha256="x" * 32),
    "short digest": document(sha256=bytes(31)),
    "long prefix": document(prefix=bytes(8)),
    "slice size": document(slice_size=1),
    "path as name": document(name="../rows.csv"),
    "absolute name": document(name="/etc/passwd"),
    "negative size": document(size=-1),
    "size beyond the pieces": document(size=1 << 62),
    "size below the pieces": document(size=0),
    "no nodes": document(nodes=[]),
    "too many nodes": document(nodes=columns() * 65),
    "node twice": document(nodes=columns() * 2),
    "slice twice": document(nodes=columns(slices=bytes(12))),
    "slice missing": document(nodes=columns(slices=bytes(3) + b"\0" + bytes(3) + b"\1" + bytes(3) + b"\3")),
    "torn column": document(nodes=columns(slices=bytes(11))),
    "columns of different lengths": document(nodes=columns(digests=bytes(64))),
    "torn digests": document(nodes=columns(digests=bytes(95))),
    "node address": document(nodes=columns(node=bytes(19))),
    "another order": msgpack.packb(dict(reversed(msgpack.unpackb(manifests._encode(GOOD)).items()))),
    "wide integer": document().replace(b"\xa7version\x01", b"\xa7version\xcc\x01"),
}  # fmt: skip


@pytest.mark.parametrize("how", FORGED)
def test_malformed_manifests(how: str) -> None:
    assert unseal_manifest(seal_bytes(KEY, b"manifest", document()), KEY) == GOOD
    with pytest.raises(IntegrityError, match="manifest"):
        unseal_manifest(seal_bytes(KEY, b"manifest", FORGED[how]), KEY)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.tuples(st.integers(0, 400), st.binary(max_size=8)))
def test_hostile_bytes(data: Any) -> None:
    if isinstance(data, tuple):  # a good manifest, overwritten somewhere
        start, patch = data
        good = document()
        data = good[:start] + patch + good[start + len(patch) :]
    with contextlib.suppress(IntegrityError):
        opened = unseal_manifest(seal_bytes(KEY, b"manifest", data), KEY)
        assert manifests._encode(opened) == data


def test_too_large_for_a_piece() -> None:
    many = tuple(Piece(number, bytes(16), bytes(32)) for number in range(20_000))
    with pytest.raises(InputError, match="fewer replicas"):
        seal_manifest(replace(GOOD, nodes=(NodePieces(ALICE, 0, many),)), KEY)


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
