"""What a transaction did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from dtxeth.chain.abi import Event
from dtxeth.errors import ChainError

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Receipt:
    """What a transaction did.

    Attributes:
        transaction_hash: Its hash.
        block_number: Block that holds it.
        gas_used: Gas that the sender paid for.
        contract: Address of the contract that it created, if any.
        events: Events of bound contracts, in order.
    """

    transaction_hash: bytes
    block_number: int
    gas_used: int
    contract: str | None
    events: tuple[Event, ...]

    def event(self, kind: type[E]) -> E:
        """Return the one event of a kind.

        Raises:
            ChainError: If there is none, or more than one.
        """
        found = [event for event in self.events if isinstance(event, kind)]
        if len(found) != 1:
            raise ChainError(
                f"transaction 0x{self.transaction_hash.hex()} has {len(found)} {kind.__name__} events, not 1"
            )
        return found[0]
