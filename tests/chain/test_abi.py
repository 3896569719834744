"""Values to and from the ABI."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.chain.abi import Call, Event, Function, Log, build, canonical, decode, encode, snake
from dtxeth.errors import ChainError, InputError


class Colour(enum.IntEnum):
    RED = 0
    BLUE = 1


@dataclass(frozen=True)
class Point:
    x: int
    colour: Colour


@dataclass(frozen=True)
class Shape:
    owner: str
    points: tuple[Point, ...]
    data: bytes


@dataclass(frozen=True)
class Moved(Event):
    kinds = MappingProxyType({"shape_id": "bytes32", "by": "address", "to": "(uint256,uint8)"})
    indexed = ("shape_id", "by")

    shape_id: bytes
    by: str
    to: Point


OWNER = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
SHAPE = "(address,(uint256,uint8)[],bytes)"

shapes = st.builds(
    Shape,
    st.just(OWNER),
    st.lists(st.builds(Point, st.integers(0, 2**256 - 1), st.sampled_from(Colour)), max_size=3).map(tuple),
    st.binary(max_size=70),
)


@given(shapes)
def test_structs_come_back_as_they_went(shape: Shape) -> None:
    (raw,) = decode([SHAPE], encode([SHAPE], [shape]))
    back = build(Shape, raw)
    assert back == shape
    assert all(isinstance(point.colour, Colour) for point in back.points)


@given(shapes, st.data())
def test_cut_encodings_are_refused(shape: Shape, data: st.DataObject) -> None:
    encoded = encode([SHAPE], [shape])
    with pytest.raises(ChainError, match="that are not"):
        decode([SHAPE], encoded[: data.draw(st.integers(0, len(encoded) - 33))])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("bytes32", b"\1" * 31), ("bytes32", b"\1" * 33), ("uint8", 256), ("uint8", -1), ("uint8", "1")),
        *(
            ("address", "0x12"),
            ("address", "nobody"),
            ("address", b"\1" * 19),
            ("bool", 1),
            ("string", b"\1"),
        ),
        *(("uint8[]", 5), ("(uint8,uint8)", (1,))),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: str, value: object) -> None:
    with pytest.raises(InputError, match="cannot hold the values given"):
        encode([kind], [value])


def test_calls_of_the_abi_specification() -> None:
    """The first two examples of "Contract ABI Specification"."""
    baz = Call.of(OWNER, Function("baz", ("uint32", "bool"), ("bool",)), 69, True)
    assert baz.data.hex() == "cdcd77c0" + f"{69:064x}" + f"{1:064x}"
    bar = Call.of(OWNER, Function("bar", ("bytes3[2]",)), (b"abc", b"def"))
    assert bar.data.hex() == "fce353f6" + "616263".ljust(64, "0") + "646566".ljust(64, "0")


def test_events_are_decoded_from_topics_and_data() -> None:
    topics = (Moved.topic, b"\7" * 32, bytes(12) + bytes.fromhex(OWNER[2:]))
    log = Log(OWNER, topics, encode(["(uint256,uint8)"], [(5, 1)]), 3, b"\1" * 32, b"\2" * 32, 0)
    event = Moved.from_log(log)
    assert event == Moved(b"\7" * 32, OWNER, Point(5, Colour.BLUE), log=log)
    assert Moved.topic_of("by", OWNER) == topics[2]
    with pytest.raises(InputError, match="cannot be filtered by 'to'; filter by shape_id, by"):
        Moved.topic_of("to", Point(5, Colour.BLUE))


def test_logs_of_other_shape_are_refused() -> None:
    topics = (Moved.topic, b"\7" * 32, bytes(12) + bytes.fromhex(OWNER[2:]))
    data = encode(["(uint256,uint8)"], [(5, 1)])
    altered = [(topics[:2], data), ((*topics, topics[1]), data), ((), data), ((topics[1], *topics[1:]), data)]
    altered += [(topics, data[:-1]), (topics, encode(["(uint256,uint8)"], [(5, 2)]))]
    for other_topics, other_data in altered:
        with pytest.raises(ChainError):
            Moved.from_log(Log(OWNER, other_topics, other_data, 3, b"\1" * 32, b"\2" * 32, 0))


def test_names_turn_pythonic() -> None:
    names = ["fileId", "tlsFingerprint", "FileRegistry", "now_", "minHTTPSPort", "SLOT"]
    expected = ["file_id", "tls_fingerprint", "file_registry", "now_", "min_https_port", "slot"]
    assert [snake(name) for name in names] == expected


def test_canonical_types_of_nested_structs() -> None:
    inner = {"type": "tuple[]", "components": [{"type": "uint256"}, {"type": "uint8"}]}
    assert (
        canonical({"type": "tuple", "components": [{"type": "address"}, inner, {"type": "bytes"}]}) == SHAPE
    )
