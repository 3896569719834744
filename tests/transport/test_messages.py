"""Messages: what is encoded decodes to the same, everything else is refused with the peer's name."""

from __future__ import annotations

from typing import Annotated

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from dtxeth.errors import PeerError
from dtxeth.transport.channel import memory_channels
from dtxeth.transport.messages import Message, receive, send


class Sample(Message):
    number: Annotated[int, Field(ge=0, le=9)]
    data: Annotated[bytes, Field(max_length=4)]
    flag: bool = False
    items: Annotated[list[int], Field(default_factory=list)]


GOOD = {"number": 1, "data": b"x", "flag": True, "items": [1, 2]}


@given(
    st.builds(
        Sample, number=st.integers(0, 9), data=st.binary(max_size=4), items=st.lists(st.integers(-9, 9))
    )
)
def test_round_trip(message: Sample) -> None:
    assert Sample.from_bytes(message.to_bytes()) == message


@given(st.binary(max_size=64))
def test_noise_is_refused_or_valid(data: bytes) -> None:
    try:
        message = Sample.from_bytes(data)
    except ValueError:
        return
    assert Sample.from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize(
    "change",
    [
        {"number": 10},
        {"number": -1},
        {"number": True},
        {"number": 1.0},
        {"number": "1"},
        {"data": "x"},
        {"data": b"12345"},
        {"data": None},
        {"flag": 1},
        {"items": [1, "2"]},
        {"items": (1, [2])},
        {"extra": 1},
    ],
)
def test_wrong_fields(change: dict[str, object]) -> None:
    assert Sample.from_bytes(msgpack.packb(GOOD)).flag
    with pytest.raises(ValueError, match=rf"^({next(iter(change))}|not a MessagePack map)"):
        Sample.from_bytes(msgpack.packb(GOOD | change))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({1: 2}), msgpack.packb(GOOD) + b"\x00", b"\x81" * 4000],
)
def test_not_a_map(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"map|dictionary|field"):
        Sample.from_bytes(data)


def test_receive_names_the_peer() -> None:
    channels = memory_channels(["a", "b"])
    send(channels["a"], "b", "sample", Sample(number=3, data=b""))
    assert receive(channels["b"], "a", "sample", Sample).number == 3
    channels["a"].send("b", "sample", msgpack.packb(GOOD | {"number": 99}))
    with pytest.raises(
        PeerError, match="peer a: sent a malformed 'sample': number: Input should be less than"
    ):
        receive(channels["b"], "a", "sample", Sample)
