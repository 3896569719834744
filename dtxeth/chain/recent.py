"""What the chain said a moment ago: keeps round trips to the chain off the path of every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from dtxeth.chain.chain import Chain

MAX_AGE: Final = 1.0
"""Seconds for which an answer is remembered: no longer than between two blocks."""
_MAX_ANSWERS: Final = 10_000

T = TypeVar("T")


class Recent:
    """Remembers views for :data:`MAX_AGE`, or until something is sent to the chain from this process. Thread-safe.

    What other processes send is seen a second late at most; what this one sends, at once.

    Args:
        chain: The chain.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Any] = {}
        self._writes, self._until = -1, 0.0

    def now(self) -> int:
        """See :meth:`Chain.now`."""
        return self.get("now", self._chain.now)

    def get(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return a remembered answer, or ask for it.

        Args:
            key: Names the question.
            ask: Asks the chain; what it raises is passed on and not remembered.
        """
        writes, now = self._chain.writes, time.monotonic()
        with self._lock:
            if writes != self._writes or now >= self._until or len(self._answers) >= _MAX_ANSWERS:
                self._answers = {}
                self._writes, self._until = writes, now + MAX_AGE
            answers = self._answers
            if key in answers:
                found: T = answers[key]
                return found
        answers[key] = answer = (
            ask()
        )  # of the time of `answers`: what it has become since is another dictionary
        return answer
