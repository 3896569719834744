"""Digests of flat structs against the general implementation of EIP-712."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.chain import Account, recover_typed
from dtxeth.chain.accounts import recover_digest
from dtxeth.chain.typed import FlatStruct, domain_separator
from dtxeth.errors import InputError

CONTRACT = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
ACCOUNT = Account.from_key(bytes(31) + b"\1")
THING = FlatStruct(
    "Thing",
    (("address", "who"), ("string", "what"), ("bytes32", "hash"), ("uint32", "many"), ("uint64", "until")),
)


@given(
    st.text(max_size=40),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
)
def test_a_digest_is_that_of_the_general_implementation(
    what: str, value: bytes, many: int, until: int
) -> None:
    domain = {"name": "things", "version": "1", "chainId": 31337, "verifyingContract": CONTRACT}
    types = {"Thing": [{"name": name, "type": kind} for kind, name in THING.fields]}
    values = ACCOUNT.address, what, value, many, until
    message = {name: given for (_, name), given in zip(THING.fields, values, strict=True)}
    digest = THING.digest(domain_separator("things", 31337, CONTRACT), *values)
    signature = ACCOUNT.sign_digest(digest)
    assert signature == ACCOUNT.sign_typed(domain, types, message)
    assert recover_digest(digest, signature) == recover_typed(domain, types, message, signature)


@pytest.mark.parametrize(
    ("place", "value"), [(0, "0x00"), (0, "who?"), (2, b""), (3, 2**32), (3, -1), (4, 2**64)]
)
def test_a_value_that_its_type_has_not_is_refused(place: int, value: object) -> None:
    values: list[object] = [ACCOUNT.address, "", bytes(32), 0, 0]
    values[place] = value
    with pytest.raises(InputError, match="of Thing is"):
        THING.hash(*values)
