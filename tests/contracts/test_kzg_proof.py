"""KzgProof: the library on chain says what its Python twin says, on whatever it is given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point

from dtxeth.chain.abi import Call, Function
from dtxeth.chain.bindings.errors import AnswerTooShort, InvalidProofLength, NotEnoughGas
from dtxeth.chain.chain import DEVELOPER
from dtxeth.crypto import kzg, set_jobs
from dtxeth.crypto.polynomial import BLOB_DATA, ORDER
from dtxeth.errors import ContractRevert
from tests.contracts.world import World, refused

VERIFY = Function("verify", ("bytes32", "uint32", "uint32[]", "bytes32", "bytes"), ("bool",))
VERIFY_WITHIN = Function(
    "verifyWithin", ("uint256", "bytes32", "uint32", "uint32[]", "bytes32", "bytes"), ("bool",)
)
MODULUS = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
SEED = bytes(range(32))
POINTS = 80
"""Where an answer's commitments begin."""
COUNT = 5


class Harness:
    """The library on chain, and a holding of five blobs, one of them zeros."""

    def __init__(self, world: World, artifact: dict[str, Any], blobs: list[bytes], commitments: list[bytes]):
        self.world = world
        self.address = world.deploy(artifact)
        self.blobs, self.commitments = blobs, commitments
        self.root = kzg.commitments_root(commitments)

    def answer(self, indices: list[int], seed: bytes = SEED) -> bytes:
        return kzg.prove(seed, indices, [self.blobs[index] for index in indices], self.commitments)

    def call(self, answer: bytes, indices: list[int], **changes: Any) -> Call:
        values = {"root": self.root, "count": COUNT, "seed": SEED} | changes
        return Call.of(self.address, VERIFY, values["root"], values["count"], indices, values["seed"], answer)

    def verify(self, answer: bytes, indices: list[int], **changes: Any) -> bool:
        (valid,) = self.world.chain.call(self.call(answer, indices, **changes))
        return bool(valid)


@pytest.fixture(scope="module")
def _holding() -> Iterator[tuple[list[bytes], list[bytes]]]:
    set_jobs(1)
    blobs = [random.Random(number).randbytes(BLOB_DATA) for number in range(COUNT)]
    blobs[2] = bytes(BLOB_DATA)
    yield blobs, kzg.commit(blobs)
    set_jobs(None)


@pytest.fixture
def harness(
    world: World, test_artifacts: dict[str, Any], _holding: tuple[list[bytes], list[bytes]]
) -> Harness:
    return Harness(world, test_artifacts["KzgHarness"], *_holding)


def flip(data: bytes, place: int, bit: int = 0) -> bytes:
    """Return data with one bit of a byte flipped."""
    value = bytearray(data)
    value[place] ^= 1 << bit
    return bytes(value)


def splice(data: bytes, start: int, new: bytes) -> bytes:
    """Return data with other bytes in place of some."""
    return data[:start] + new + data[start + len(new) :]


@pytest.mark.parametrize("indices", [[0], [4], [0, 1], [0, 2], [1, 3, 4], [0, 1, 2, 3, 4]])
def test_an_answer_proves_its_blobs(harness: Harness, indices: list[int]) -> None:
    answer = harness.answer(indices)
    assert harness.verify(answer, indices)
    assert not harness.verify(answer, indices, seed=flip(SEED, 0))
    assert not harness.verify(answer, indices, root=flip(harness.root, 0))


def test_zeros_are_proved_by_points_at_infinity(harness: Harness) -> None:
    assert harness.verify(harness.answer([2]), [2])
    blobs = [bytes(BLOB_DATA)] * 2
    commitments = kzg.commit(blobs)
    answer = kzg.prove(SEED, [0, 1], blobs, commitments)
    assert answer[32:POINTS] == b"\xc0" + bytes(47)
    assert answer[POINTS : POINTS + 192] == bytes(192)
    assert harness.verify(answer, [0, 1], root=kzg.commitments_root(commitments), count=2)


@pytest.mark.parametrize("indices", [[1], [1, 3]])
def test_every_corruption_is_false(harness: Harness, indices: list[int]) -> None:
    answer = harness.answer(indices)
    points = POINTS + (48 if len(indices) == 1 else 96 * len(indices))
    for place in (0, 31, 32, 79, POINTS, POINTS + 47, points - 1, points, len(answer) - 1):
        assert not harness.verify(flip(answer, place, place % 8), indices), place
    moved = [index - 1 for index in indices]
    assert not harness.verify(answer, moved)
    if len(indices) > 1:
        one, two = answer[POINTS : POINTS + 96], answer[POINTS + 96 : points]
        assert not harness.verify(splice(answer, POINTS, two + one), indices)


def test_another_blob_of_the_same_holding_is_false(harness: Harness) -> None:
    for indices, others in (([1], [3]), ([1, 3], [1, 4])):
        stolen = kzg.prove(SEED, indices, [harness.blobs[other] for other in others], harness.commitments)
        assert not harness.verify(stolen, indices)


def test_a_value_above_the_order_is_false(harness: Harness) -> None:
    answer = harness.answer([2])  # of zeros: y is 0
    assert harness.verify(answer, [2])
    assert not harness.verify(splice(answer, 0, ORDER.to_bytes(32, "big")), [2])


@pytest.mark.parametrize("drawn", [[1], [1, 3]])
def test_an_answer_of_another_length_is_refused(harness: Harness, drawn: list[int]) -> None:
    answer = harness.answer(drawn)
    points = POINTS + (48 if len(drawn) == 1 else 192)
    path = len(answer) - points
    for length in (0, POINTS, points - 1):
        with refused(AnswerTooShort, length, points):
            harness.verify(answer[:length], drawn)
    for change in (1, 32):
        with refused(InvalidProofLength, path + change, path):
            harness.verify(answer + bytes(change), drawn)
        with refused(InvalidProofLength, path - change, path):
            harness.verify(answer[:-change], drawn)


def affine(harness: Harness, indices: list[int], larger: bool) -> tuple[bytes, int, int]:
    """An answer, and where in it lies a point whose y is the larger (or smaller) of the two; and that y."""
    answer = harness.answer(indices)
    for start in range(POINTS, POINTS + 96 * len(indices), 96):
        y = int.from_bytes(answer[start + 48 : start + 96], "big")
        if (y > MODULUS // 2) == larger and y:
            return answer, start, y
    raise AssertionError("no such point: choose other blobs")


@pytest.mark.parametrize("larger", [True, False])
def test_the_other_y_is_another_point(harness: Harness, larger: bool) -> None:
    indices = [0, 1, 3, 4]
    answer, start, y = affine(harness, indices, larger)
    assert harness.verify(answer, indices)
    assert not harness.verify(splice(answer, start + 48, (MODULUS - y).to_bytes(48, "big")), indices)


def test_coordinates_that_hash_to_the_same_leaf_are_refused_by_the_curve(harness: Harness) -> None:
    indices = [0, 1, 3, 4]
    answer, start, y = affine(harness, indices, larger=True)
    # Right x, right sign, and yet no point, or no field element: the leaf is the same, the multiplication fails.
    for other in (y - 1, y + MODULUS):
        assert not harness.verify(splice(answer, start + 48, other.to_bytes(48, "big")), indices)
    # The flags of the compressed form, smuggled into x.
    assert not harness.verify(flip(answer, start, 7), indices)
    assert not harness.verify(flip(answer, start, 5), indices)


def test_a_commitment_outside_the_group_is_false_though_it_is_under_the_root(harness: Harness) -> None:
    three = G1Point.from_compressed_bytes_unchecked(b"\x80" + bytes(47))  # (0, 2), of order three
    bad = kzg.decode_point(harness.commitments[0]) + three
    commitments = [bad.to_compressed_bytes(), *harness.commitments[1:]]
    root = kzg.commitments_root(commitments)
    for indices in ([0], [0, 1]):
        answer = harness.answer(indices)
        point = bad.to_compressed_bytes() if len(indices) == 1 else bad.to_xy_bytes_be()
        assert not harness.verify(splice(answer, POINTS, point), indices, root=root)


def test_too_little_gas_reverts_and_does_not_convict(harness: Harness) -> None:
    """Naive: the precompile fails for want of gas, and the right answer counts as wrong."""
    indices = [0, 1]
    answer = harness.answer(indices)
    outcomes = set()
    for gas in range(2_000, 222_000, 10_000):
        call = Call.of(harness.address, VERIFY_WITHIN, gas, harness.root, COUNT, indices, SEED, answer)
        try:
            outcomes.add(harness.world.chain.call(call))
        except NotEnoughGas as error:
            assert error.left < error.needed  # noqa: PT017 - not every amount of gas is too little
            outcomes.add(NotEnoughGas)
        except ContractRevert:  # even before a precompile
            outcomes.add(ContractRevert)
    assert outcomes == {ContractRevert, NotEnoughGas, (True,)}


def test_a_failing_precompile_does_not_eat_all_gas(harness: Harness) -> None:
    chain = harness.world.chain
    for indices, place in (([0], 79), ([0, 1], POINTS + 95)):
        good = harness.answer(indices)
        spent = chain.transact(DEVELOPER, harness.call(good, indices)).gas_used
        bad = harness.call(flip(good, place), indices)
        assert chain.transact(DEVELOPER, bad).gas_used < spent + 60_000


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_twin_says_the_same(harness: Harness, drawn: set[int], generator: random.Random) -> None:
    indices = sorted(drawn)
    seed = generator.randbytes(32)
    answer = harness.answer(indices, seed)
    if generator.randrange(3):
        answer = flip(answer, generator.randrange(len(answer)), generator.randrange(8))
    expected = kzg.verify(answer, seed, harness.root, COUNT, indices)
    assert harness.verify(answer, indices, seed=seed) == expected
