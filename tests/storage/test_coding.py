"""Stripes and shards: any k of n give back what was coded, whatever its length."""

from __future__ import annotations

import hashlib
import io
import tempfile
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.errors import InputError, IntegrityError
from dtxeth.storage.coding import MAX_NODES, Layout, Redundancy, decode, encode
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.seal import new_file_key, unseal
from dtxeth.storage.spool import spool

SHAPES = [(1, 1), (1, 2), (1, 3), (2, 3), (4, 6), (5, 5)]


def slices_of(needed: int, size: int) -> tuple[bytes, ...]:
    return tuple(hashlib.shake_128(bytes([number])).digest(size) for number in range(needed))


@pytest.mark.parametrize(("needed", "total"), SHAPES)
def test_any_k_shards_give_the_slices_back(needed: int, total: int) -> None:
    slices = slices_of(needed, 97)
    shards = {number: encode(slices, number) for number in range(total)}
    assert tuple(shards[number] for number in range(needed)) == slices
    for chosen in combinations(shards, needed):
        assert decode({number: shards[number] for number in chosen}, needed) == slices
    assert decode(shards, needed) == slices


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_k_of_all_shards_there_are(data: st.DataObject) -> None:
    """Shards do not depend on n: those of 64 go together with those of 6."""
    needed = data.draw(st.integers(1, 20))
    slices = slices_of(needed, data.draw(st.integers(1, 50)))
    chosen = data.draw(st.permutations(range(MAX_NODES)))[:needed]
    assert decode({number: encode(slices, number) for number in chosen}, needed) == slices


def test_known_shard() -> None:
    """As ``zfec.Encoder(4, 6)`` makes them: the code must not change under stored files."""
    slices = (b"\x01", b"\x02", b"\x03", b"\x04")
    assert encode(slices, 4) + encode(slices, 5) == b"\x87."


def test_too_few_or_unequal_shards() -> None:
    slices = slices_of(2, 9)
    for shards in ({0: slices[0]}, {0: slices[0], 5: encode(slices, 5)[:-1]}):
        with pytest.raises(IntegrityError, match="expected 2 of one length"):
            decode(shards, 2)


@pytest.mark.parametrize(("needed", "total"), [(0, 1), (2, 1), (1, 65), (-1, 3)])
def test_redundancy_that_cannot_be(needed: int, total: int) -> None:
    with pytest.raises(InputError, match="expected 1 ≤ k ≤ n ≤ 64"):
        Redundancy(needed, total)


@given(st.sampled_from(SHAPES), st.integers(1, 40 * SLICE_SIZE))
def test_layout_covers_every_byte_once(shape: tuple[int, int], size: int) -> None:
    layout = Layout(Redundancy(*shape), size)
    ranges = [
        layout.shard_range(stripe, shard) for stripe in range(layout.stripes) for shard in range(shape[0])
    ]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size == sum(map(layout.length, range(layout.stripes)))
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    short = [stripe for stripe in range(layout.stripes) if layout.is_short(stripe)]
    assert short in ([], [layout.stripes - 1])
    last = layout.stripes - 1
    assert 0 <= layout.shard_size(last) * shape[0] - layout.length(last) < shape[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0, 1, 12, SLICE_SIZE, 2 * SLICE_SIZE + 3])
def test_spooled_shards_open_again(shape: tuple[int, int], size: int) -> None:
    plaintext, key = hashlib.shake_128(b"file").digest(size), new_file_key()
    with tempfile.TemporaryFile() as file:
        sealed = spool(file, io.BytesIO(plaintext), key)
        layout = Layout(Redundancy(*shape), sealed.size)
        stripes = []
        for stripe in range(layout.stripes):
            last = range(shape[1] - shape[0], shape[1])  # the last k shards: as much parity as there is
            shards = {number: sealed.shard(layout, stripe, number) for number in last}
            assert {len(shard) for shard in shards.values()} == {layout.shard_size(stripe)}
            stripes.append(b"".join(decode(shards, shape[0]))[: layout.length(stripe)])
    assert (sealed.plain_size, sealed.sha256) == (size, hashlib.sha256(plaintext).digest())
    assert b"".join(unseal(stripes, key, sealed.prefix)) == plaintext
