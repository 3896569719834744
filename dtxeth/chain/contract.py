"""The base of the generated contract bindings."""

from __future__ import annotations

from typing import Any, ClassVar

from dtxeth.chain.abi import Call, Event, Function
from dtxeth.chain.accounts import Account
from dtxeth.chain.chain import Chain
from dtxeth.chain.receipt import Receipt


class Contract:
    """A deployed contract: viewing methods return values, the others take a sender and return a receipt.

    Args:
        chain: The chain it is on.
        address: Its address there.
    """

    events: ClassVar[tuple[type[Event], ...]]

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address = address
        chain.bind(address, self.events)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address})"

    def _view(self, function: Function, *arguments: Any) -> tuple[Any, ...]:
        return self.chain.call(Call.of(self.address, function, *arguments))

    def _transact(self, function: Function, sender: Account, value: int, *arguments: Any) -> Receipt:
        return self.chain.transact(sender, Call.of(self.address, function, *arguments), value)
