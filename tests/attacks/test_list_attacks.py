"""Lists are made of what anybody may write on the chain: it must not break them, nor the terminal that shows them."""

from __future__ import annotations

import pytest
from eth_abi.codec import ABICodec
from eth_abi.exceptions import DecodingError
from eth_utils import keccak
from web3._utils.abi import build_strict_registry

from dtxeth.chain import Account, Contracts, EventIndex
from dtxeth.chain.abi import Call, Function, encode
from dtxeth.chain.bindings.types import Role
from dtxeth.chain.rows import AuthorizationRow, NodeRow

REGISTER = Function("register", ("uint8", "bytes", "string", "bytes32", "uint64"))
"""The name as bytes: encoded like a string, and any bytes at all."""


def register(contracts: Contracts, attacker: Account, name: bytes, capacity: int) -> None:
    registry = contracts.node_registry
    call = Call.of(registry.address, REGISTER, Role.EXECUTOR, name, "http://x", bytes(32), capacity)
    selector = keccak(text="register(uint8,string,string,bytes32,uint64)")[:4]
    registry.chain.transact(attacker, Call(call.to, selector + call.data[4:]))


def test_a_name_that_is_no_text_does_not_hide_the_others(
    contracts: Contracts, accounts: list[Account]
) -> None:
    name = b"\xff\xfe evil"
    naive = ABICodec(build_strict_registry())
    with pytest.raises((DecodingError, UnicodeDecodeError)):
        naive.decode(["string"], encode(["bytes"], [name]))
    index = EventIndex(contracts)
    contracts.node_registry.register(Role.EXECUTOR, "good", "http://x", bytes(32), 0, sender=accounts[0])
    register(contracts, accounts[1], name, 0)
    index.sync()
    assert [row.name for row in index.page(NodeRow)] == ["good", r"\xff\xfe evil"]
    assert contracts.node_registry.node_of(accounts[1].address).name == r"\xff\xfe evil"


def test_numbers_beyond_what_sqlite_holds_are_listed_and_ordered(
    contracts: Contracts, accounts: list[Account]
) -> None:
    """SQLite's integers end at 2^63 - 1: binding a larger one raises OverflowError, at every sync from then on."""
    sizes = (5, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    for number, size in enumerate(sizes):
        register(contracts, accounts[number], f"node {number}".encode(), size)
    index = EventIndex(contracts)
    index.sync()
    assert tuple(row.capacity for row in index.page(NodeRow)) == sizes
    stored = [
        capacity for (capacity,) in index._database.execute("SELECT capacity FROM nodes ORDER BY 1 DESC")
    ]
    assert stored == [sizes[3].to_bytes(32, "big"), sizes[2].to_bytes(32, "big"), sizes[1], sizes[0]]
    assert index.page(AuthorizationRow, task=(1 << 256) - 1).total == 0
