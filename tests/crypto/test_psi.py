from __future__ import annotations

import pytest
import rbcl
from hypothesis import given, settings
from hypothesis import strategies as st
from published import vectors

from dtxeth.crypto import psi
from dtxeth.errors import CryptoError

RISTRETTO = vectors("rfc9496_ristretto255")
BLIND = vectors("rfc9497_blind")
IDENTITY = bytes(32)
ids = st.lists(st.binary(max_size=40), unique=True, min_size=1, max_size=6)


@pytest.mark.parametrize("number", range(1, 16))
def test_multiples_of_the_generator(number: int) -> None:
    generator, point = (bytes.fromhex(RISTRETTO["generator_multiples"][i]) for i in (1, number))
    assert psi._multiply(number.to_bytes(32, "little"), [generator]) == [point]
    assert psi.parse_points(point, 1) == [point]


@pytest.mark.parametrize("encoding", [*RISTRETTO["invalid_encodings"], IDENTITY.hex()])
def test_invalid_encodings_and_the_identity_are_refused(encoding: str) -> None:
    good = bytes.fromhex(RISTRETTO["generator_multiples"][1])
    with pytest.raises(CryptoError, match="masked identifier 1 is not an element"):
        psi.parse_points(good + bytes.fromhex(encoding), 2)
    for operation in (psi.Mask().apply, psi.Mask().remove):
        with pytest.raises(CryptoError, match="cannot mask"):
            operation([good, bytes.fromhex(encoding)])


@pytest.mark.parametrize("vector", RISTRETTO["hash_to_group"], ids=lambda vector: vector["label"][:20])
def test_the_map_to_the_group_is_that_of_the_rfc(vector: dict[str, str]) -> None:
    uniform = psi.hashlib.sha512(vector["label"].encode()).digest()
    assert rbcl.crypto_core_ristretto255_from_hash(uniform).hex() == vector["point"]


@pytest.mark.parametrize("vector", BLIND["vectors"], ids=lambda vector: vector["input"])
def test_hashing_and_masking_are_those_of_the_oprf(vector: dict[str, str]) -> None:
    points = psi._hash_to_group(bytes.fromhex(BLIND["domain"]), [bytes.fromhex(vector["input"])])
    assert psi._multiply(bytes.fromhex(BLIND["blind"]), points)[0].hex() == vector["blinded"]


@settings(deadline=None)
@given(names=ids)
def test_masks_commute_and_come_off(names: list[bytes]) -> None:
    a, b = psi.Mask(), psi.Mask()
    points = psi.hash_ids(names, b"task")
    both = a.apply(b.apply(points))
    assert both == b.apply(a.apply(points))
    assert a.remove(both) == b.apply(points)
    assert b.remove(a.remove(both)) == points
    assert len({*points, *both, *a.apply(points), *b.apply(points)}) == 4 * len(names)


def test_two_parties_find_their_common_rows() -> None:
    a, b = psi.Mask(), psi.Mask()
    ours, theirs = [b"ann", b"bob", b"eve"], [b"eve", b"joe", b"ann"]
    ours_masked = b.apply(a.apply(psi.hash_ids(ours, b"task")))
    theirs_masked = a.apply(b.apply(psi.hash_ids(theirs, b"task")))
    common = set(ours_masked) & set(theirs_masked)
    assert [name for name, point in zip(ours, ours_masked, strict=True) if point in common] == [
        b"ann",
        b"eve",
    ]


def test_points_of_two_tasks_differ() -> None:
    assert psi.hash_ids([b"ann"], b"task 1") != psi.hash_ids([b"ann"], b"task 2")
    assert psi.hash_ids([b"ann"], b"x" * 1000) == psi.hash_ids([b"ann"], b"x" * 1000)


def test_a_seed_repeats_a_mask_and_no_seed_never_does() -> None:
    points = psi.hash_ids([b"ann"], b"task")
    assert psi.Mask(b"s" * 64).apply(points) == psi.Mask(b"s" * 64).apply(points)
    assert psi.Mask(b"t" * 64).apply(points) != psi.Mask(b"s" * 64).apply(points)
    assert psi.Mask().apply(points) != psi.Mask().apply(points)
    with pytest.raises(CryptoError, match="a seed of 32 bytes"):
        psi.Mask(bytes(32))


def test_a_message_of_another_length_or_with_a_repetition_is_refused() -> None:
    points = psi.hash_ids([b"ann", b"bob"], b"task")
    data = b"".join(points)
    assert psi.parse_points(data, 2) == points
    assert psi.parse_points(b"", 0) == []
    for wrong, count in [(data, 1), (data, 3), (data[:-1], 2), (data + b"\0", 2)]:
        with pytest.raises(CryptoError, match=f"expected {count} of 32 bytes"):
            psi.parse_points(wrong, count)
    with pytest.raises(CryptoError, match="1 of 3 masked identifiers are repeated"):
        psi.parse_points(data + points[0], 3)


@pytest.mark.parametrize("encoding", [*RISTRETTO["generator_multiples"]])
def test_an_encoding_with_the_unused_bit_set_is_refused(encoding: str) -> None:
    # libsodium's own check, as bundled with rbcl 1.1.2, lets it pass
    alias = bytearray.fromhex(encoding)
    alias[31] |= 0x80
    with pytest.raises(CryptoError, match="not an element"):
        psi.parse_points(bytes(alias), 1)
    with pytest.raises(CryptoError, match="cannot mask"):
        psi.Mask().apply([bytes(alias)])


def test_a_point_of_another_length_is_refused() -> None:
    for point in (b"", bytes(31), bytes(33)):
        with pytest.raises(CryptoError, match="cannot mask"):
            psi.Mask().apply([point])
