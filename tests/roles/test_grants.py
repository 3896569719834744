"""What an owner wraps for those who may read: file key and floors, or nothing at all."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.errors import CryptoError
from dtxeth.learning.policy import Policy
from dtxeth.roles import grants

KEYS = st.binary(min_size=32, max_size=32)
LIMITS = st.builds(
    Policy,
    min_rows=st.none() | st.integers(min_value=1, max_value=2**63),
    max_leverage=st.floats(0, 1, exclude_min=True),
    max_tasks=st.integers(min_value=0, max_value=2**63),
)


@given(KEYS, LIMITS)
def test_what_is_packed_is_unpacked(key: bytes, policy: Policy) -> None:
    assert grants.unpack(grants.pack(key, policy)) == (key, policy)


@given(KEYS, LIMITS, st.data())
def test_a_cut_secret_is_refused(key: bytes, policy: Policy, data: st.DataObject) -> None:
    packed = grants.pack(key, policy)
    with pytest.raises(CryptoError, match="malformed"):
        grants.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@pytest.mark.parametrize(
    "limits", [None, [], [1], [1, 0.5], [1, 0.5, 1, 0], [0, 0.5, 1], [-1, 0.5, 1], ["1", 0.5, 1], [1, 0.0, 1],
               [1, 1.5, 1], [1, "x", 1], [True, 0.5, 1], [1, float("nan"), 1], [1, 0.5, -1], [1, 0.5, None]]
)  # fmt: skip
def test_impossible_limits_are_refused(limits: object) -> None:
    with pytest.raises(CryptoError, match="malformed"):
        grants.unpack(bytes(32) + msgpack.packb(limits))


@given(st.binary(max_size=80))
def test_noise_is_refused_or_in_range(noise: bytes) -> None:
    try:
        _, policy = grants.unpack(noise)
    except CryptoError:
        return
    assert 0 < policy.max_leverage <= 1
    assert policy.min_rows is None or policy.min_rows > 0
