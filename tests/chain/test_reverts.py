"""What a contract returns when it refuses, as exceptions."""

from __future__ import annotations

import re
from inspect import isclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.chain import reverts
from dtxeth.chain.abi import encode
from dtxeth.chain.bindings import errors
from dtxeth.chain.bindings.types import Role
from dtxeth.chain.custom_error import CustomError
from dtxeth.errors import ChainError, ContractRevert

NODE = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
SAMPLES = {"bool": True, "address": NODE, "string": "alpha", "bytes": b"\1\2", "bytes32": b"\7" * 32}
KINDS = [getattr(errors, name) for name in errors.__all__]


def _sample(kind: str) -> object:
    return SAMPLES.get(kind, 1)


@pytest.mark.parametrize("kind", KINDS, ids=errors.__all__)
def test_every_custom_error_round_trips_and_reads_as_one_line(kind: type[CustomError]) -> None:
    kinds = list(kind.kinds.values())
    values = [_sample(kind) for kind in kinds]
    revert = reverts.decode_revert(kind.selector() + encode(kinds, values))
    assert type(revert) is kind
    assert isinstance(revert, ContractRevert)
    assert [getattr(revert, name) for name in kind.kinds] == values
    message = str(revert)
    assert message
    assert "\n" not in message
    assert re.search(r"[{}]", message) is None
    for value in values:
        if isinstance(value, str):
            assert value in message


def test_selectors_differ() -> None:
    assert len({kind.selector() for kind in KINDS}) == len(KINDS) > 50


def test_enums_show_their_names() -> None:
    data = encode(["address", "uint8", "uint8"], [NODE, 1, 2])
    revert = reverts.decode_revert(reverts.WrongRole.selector() + data)
    assert isinstance(revert, reverts.WrongRole)
    assert (revert.role, revert.expected) == (Role.STORAGE, Role.EXECUTOR)
    assert "STORAGE" in str(revert)
    assert "EXECUTOR" in str(revert)


def test_arguments_that_the_notice_leaves_out_are_appended() -> None:
    class FullError(CustomError):
        kinds = reverts.UnknownHolding.kinds
        notice = "The shelf is full"

    assert str(FullError(7)) == "The shelf is full (holding_id 7)"


def test_plain_reasons_and_panics() -> None:
    plain = bytes.fromhex("08c379a0") + encode(["string"], ["too late"])
    assert str(reverts.decode_revert(plain)) == "the contract refused: too late"
    overflow = bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])
    assert str(reverts.decode_revert(overflow)) == "the contract panicked: an arithmetic operation overflowed"
    strange = bytes.fromhex("4e487b71") + encode(["uint256"], [0xFF])
    assert str(reverts.decode_revert(strange)) == "the contract panicked: code 0xff"


def test_no_reason_unknown_error_and_data_that_does_not_fit() -> None:
    assert "no reason" in str(reverts.decode_revert(b""))
    assert "does not know: 0x01020304" in str(reverts.decode_revert(b"\1\2\3\4"))
    assert "does not fit" in str(reverts.decode_revert(reverts.UnknownFile.selector() + b"\1"))
    out_of_range = reverts.WrongRole.selector() + encode(["address", "uint8", "uint8"], [NODE, 1, 99])
    assert "does not fit" in str(reverts.decode_revert(out_of_range))


@given(
    st.sampled_from([kind.selector() for kind in KINDS] + [b"\x08\xc3\x79\xa0", b"\x4e\x48\x7b\x71", b""]),
    st.binary(),
)
def test_any_data_gives_an_exception_of_ours(selector: bytes, rest: bytes) -> None:
    assert isinstance(reverts.decode_revert(selector + rest), ChainError)


def test_every_class_is_exported() -> None:
    defined = {
        name for name, value in vars(errors).items() if isclass(value) and issubclass(value, CustomError)
    }
    assert defined - {"CustomError"} == set(errors.__all__)
    assert all(getattr(reverts, name) is getattr(errors, name) for name in errors.__all__)
