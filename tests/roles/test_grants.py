"""What an owner wraps for those who may read: file key and floors, or nothing at all."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.errors import CryptoError
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.policy import Policy
from dtxeth.roles import grants

KEYS = st.binary(min_size=32, max_size=32)
LIMITS = st.builds(
    Policy,
    min_rows=st.none() | st.integers(min_value=1, max_value=2**63),
    max_leverage=st.floats(0, 1, exclude_min=True),
    max_tasks=st.integers(min_value=0, max_value=2**63),
    leave_one_out=st.booleans(),
    min_difference=st.integers(0, 256),
    max_epsilon=st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    honest_majority=st.booleans(),
    show_scores=st.booleans(),
    row_key=st.none() | KEYS,
)
GOOD = [1, 0.5, 1, False, 256, None, False, False, None, None]


@given(KEYS, LIMITS)
def test_what_is_packed_is_unpacked(key: bytes, policy: Policy) -> None:
    assert grants.unpack(grants.pack(key, policy)) == (key, policy)


@given(KEYS, LIMITS, st.data())
def test_a_cut_secret_is_refused(key: bytes, policy: Policy, data: st.DataObject) -> None:
    packed = grants.pack(key, policy)
    with pytest.raises(CryptoError, match="malformed"):
        grants.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


def test_the_limits_that_the_bad_ones_start_from_are_good() -> None:
    assert grants.unpack(bytes(32) + msgpack.packb(GOOD)) == (bytes(32), Policy(min_rows=1, max_tasks=1))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, bad) for bad in (0, -1, "1", True, 1.0)),
        *((1, bad) for bad in (0.0, 1.5, "x", float("nan"), None)),
        *((2, bad) for bad in (-1, None, True)),
        *((place, bad) for place in (3, 6, 7) for bad in (None, 1, "no")),
        *((4, bad) for bad in (-1, 257, None)),
        *((5, bad) for bad in (0.0, -1.0, float("nan"), "1")),
        *((place, bad) for place in (8, 9) for bad in (b"", bytes(31), bytes(33), "k" * 32)),
    ],
)
def test_an_impossible_limit_is_refused(place: int, value: object) -> None:
    with pytest.raises(CryptoError, match="malformed"):
        grants.unpack(bytes(32) + msgpack.packb([*GOOD[:place], value, *GOOD[place + 1 :]]))


@pytest.mark.parametrize("limits", [None, [], GOOD[:-1], [*GOOD, 0], {"min_rows": 1}, 7])
def test_limits_of_another_shape_are_refused(limits: object) -> None:
    with pytest.raises(CryptoError, match="malformed"):
        grants.unpack(bytes(32) + msgpack.packb(limits))


def test_a_grant_fits_the_chain() -> None:
    """256 bytes of wrapped key on chain, of which HPKE takes 48."""
    largest = Policy(min_rows=2**63, max_tasks=2**63, max_epsilon=1.0, row_key=bytes(32))
    program = Network(program="ab" * 32)
    packed = grants.pack(bytes(32), largest, program)
    assert len(packed) <= 256 - 48
    assert grants.unpack(packed)[1].programs == frozenset({"ab" * 32})


@given(st.binary(max_size=80))
def test_noise_is_refused_or_in_range(noise: bytes) -> None:
    try:
        _, policy = grants.unpack(noise)
    except CryptoError:
        return
    assert 0 < policy.max_leverage <= 1
    assert policy.min_rows is None or policy.min_rows > 0
