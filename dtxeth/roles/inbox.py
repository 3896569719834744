"""Events that an actor still has something to do about."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from dtxeth.chain import EventIndex
from dtxeth.chain.abi import Event
from dtxeth.errors import ChainUnavailableError, DtxethError

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Event)

OVERLAP = 64
"""Blocks that are read again every time: a chain may drop its latest blocks and put others in their place."""


class Outcome(Enum):
    """What looking at one event came to."""

    DONE = "nothing is left to do about it, ever"
    WAITING = "nothing can be done about it now"
    MOVED = "something was done; look again"


class Inbox(Generic[E]):
    """The events of one type that are not yet dealt with, in the order of the chain.

    Nothing in it has to outlive the process: after a restart all events are looked at again, and the chain
    says which of them are still open.

    Args:
        index: Index of the chain's events.
        event: Type of the events.
        filters: Values that the events must have.
    """

    def __init__(self, index: EventIndex, event: type[E], **filters: Any) -> None:
        self._index = index
        self._event = event
        self._filters = filters
        self._block = 0
        self._open: list[E] = []
        self._taken: Collection[tuple[bytes, int]] = ()

    @property
    def open(self) -> tuple[E, ...]:
        """The events that are not yet dealt with, as far as :meth:`work` has seen."""
        return tuple(self._open)

    def work(
        self,
        handle: Callable[[E], Outcome],
        urgency: Callable[[E], int] | None = None,
        pool: Executor | None = None,
    ) -> bool:
        """Look at every open event once.

        What others did must not stop this actor: an event that cannot be dealt with, because a deadline has lapsed
        or somebody broke a rule, stays open, and the chain says next time whether there is still something to do.

        Args:
            handle: Deals with one event.
            urgency: The least comes first; by default they come in the order of the chain.
            pool: Deals with several at once.

        Returns:
            Whether something was done about any of them.
        """
        self._take_new()
        if urgency is not None:
            self._open.sort(key=urgency)
        run = map if pool is None else pool.map
        outcomes = list(zip(self._open, run(partial(self._attempt, handle), self._open), strict=True))
        self._open = [event for event, outcome in outcomes if outcome is not Outcome.DONE]
        return any(outcome is Outcome.MOVED for _, outcome in outcomes)

    def _attempt(self, handle: Callable[[E], Outcome], event: E) -> Outcome:
        try:
            return handle(event)
        except ChainUnavailableError:
            raise
        except DtxethError as error:
            log.warning("cannot act on an event", kind=type(event).__name__, reason=str(error))
            return Outcome.WAITING

    def _take_new(self) -> None:
        """Take in new events; and, should the chain have been reorganised, those that came or went lately."""
        newest = self._index.block
        if newest == self._block:
            return
        after = max(0, self._block - OVERLAP)
        # Another thread may have moved the index on in between: leave what is newer for the next time.
        found = {
            _place(event): event
            for event in self._index.events(self._event, after=after, **self._filters)
            if event.log.block_number <= newest
        }
        self._open = [
            event for event in self._open if event.log.block_number <= after or _place(event) in found
        ]
        self._open += [event for place, event in found.items() if place not in self._taken]
        self._block, self._taken = newest, found.keys()


def _place(event: Event) -> tuple[bytes, int]:
    return event.log.block_hash, event.log.index
