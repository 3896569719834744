"""The record of what moved: a revision that ended holdings on some nodes and began them on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtxeth.chain import EventIndex
from dtxeth.chain.bindings.events import FileRevised, HoldingAdded, HoldingEnded
from dtxeth.chain.bindings.types import Cause


@dataclass(frozen=True)
class Migration:
    """A revision of a file that moved pieces between nodes.

    Attributes:
        file_id: The file.
        version: Its version since then.
        cause: Why.
        at: Chain time.
        left: Addresses of the nodes that hold nothing of the file any more.
        joined: Addresses of the nodes that did not hold anything of it before.
        transaction: Hash of the transaction.
    """

    file_id: bytes
    version: int
    cause: Cause
    at: int
    left: tuple[str, ...]
    joined: tuple[str, ...]
    transaction: bytes


def migrations(index: EventIndex, **filters: Any) -> list[Migration]:
    """List migrations in the order of the chain, as of the last sync of the index.

    Args:
        index: Index of the chain's events.
        **filters: ``file_id``, ``owner`` or ``cause``.
    """
    found = []
    for revised in index.events(FileRevised, **filters):
        one: dict[str, Any] = {"file_id": revised.file_id, "version": revised.version}
        ended = [event.node for event in index.events(HoldingEnded, **one)]
        added = [event.node for event in index.events(HoldingAdded, **one)]
        left = tuple(node for node in ended if node not in added)
        joined = tuple(node for node in added if node not in ended)
        if left or joined:
            found.append(
                Migration(
                    file_id=revised.file_id,
                    version=revised.version,
                    cause=Cause(revised.cause),
                    at=revised.revised_at,
                    left=left,
                    joined=joined,
                    transaction=revised.log.transaction_hash,
                )
            )
    return found
