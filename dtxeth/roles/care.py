"""How an owner looks after its files, and which they are: what the challenger and the repairer go by."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain import EventIndex
from dtxeth.chain.bindings.events import FileDeleted, FilePublished, HoldingAdded, HoldingEnded
from dtxeth.roles.inbox import OVERLAP


@dataclass(frozen=True)
class Care:
    """How an owner's worker looks after its files.

    Attributes:
        challenges_per_day: How often each holding is challenged, on average, at random times; 0 for never.
        offline_grace_seconds: Chain time for which a node may be offline by its own will before its pieces are moved.
        repairs: Whether unsound holdings are replaced.
    """

    challenges_per_day: float = 4.0
    offline_grace_seconds: int = 3600
    repairs: bool = True


DEFAULT_CARE = Care()


class Belongings:
    """The files of one account that have not been deleted, and their holdings that have not ended.

    Kept up by reading only new events, so that looking is cheap; the chain has the last word on each of them.

    Args:
        index: Index of the chain's events.
        owner: Address of the account.
    """

    def __init__(self, index: EventIndex, owner: str) -> None:
        self._index, self._owner = index, owner
        self._seen = -1
        self._published: dict[bytes, None] = {}
        self._deleted: set[bytes] = set()
        self._live: dict[int, bytes] = {}

    @property
    def files(self) -> list[bytes]:
        """Ids, in the order of publication; expired ones included."""
        self._update()
        return [file_id for file_id in self._published if file_id not in self._deleted]

    @property
    def holdings(self) -> list[int]:
        """Numbers, ascending."""
        self._update()
        return list(self._live)

    def _update(self) -> None:
        newest = self._index.block
        if newest == self._seen:
            return
        events, after = self._index.events, max(0, self._seen - OVERLAP)
        self._published |= dict.fromkeys(
            event.file_id for event in events(FilePublished, after=after, owner=self._owner)
        )
        self._deleted |= {event.file_id for event in events(FileDeleted, after=after, owner=self._owner)}
        ended = {event.holding_id for event in events(HoldingEnded, after=after)}
        self._live |= {
            event.holding_id: event.file_id
            for event in events(HoldingAdded, after=after)
            if event.file_id in self._published
        }
        for holding_id in ended & self._live.keys():
            del self._live[holding_id]
        self._seen = newest
