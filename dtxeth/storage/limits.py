"""How much a storage node takes in, and how often it may be asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dtxeth.errors import BusyError

_MAX_ACCOUNTS: Final = 10_000


@dataclass(frozen=True)
class Rates:
    """Requests a second; twice as many may come at once.

    Attributes:
        account: Of one account. A piece is a request: 200 MiB/s are 200.
        total: Of all accounts together; it also bounds how many nonces are kept.
    """

    account: float = 250.0
    total: float = 1000.0


@dataclass(frozen=True)
class NodeLimits:
    """How much and how long a node keeps what is not on chain, and how often it may be asked.

    Quotas bound what one account can hog. Somebody with many accounts can still fill a node's spare room for
    ``staging_seconds``, at the cost of sending it all: whom a node serves at all is for whoever runs it to say.

    Attributes:
        capacity: Bytes it offers altogether: what it declares on chain.
        staging_seconds: How long a draft may rest untouched.
        acknowledgement_seconds: How long an acknowledgement may be published.
        staged_bytes: Bytes that one account may have in drafts.
        drafts: Drafts that one account may have.
        rates: Requests that are served.
    """

    capacity: int
    staging_seconds: int = 3600
    acknowledgement_seconds: int = 3600
    staged_bytes: int = 256 << 30
    drafts: int = 256
    rates: Rates = field(default_factory=Rates)


class RateLimiter:
    """Counts requests, in a token bucket for each account (as in RFC 2697), in memory. Thread-safe.

    Args:
        rates: What is allowed.
        clock: Tells seconds that never go back.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates, self._clock = rates, clock
        self._lock = threading.Lock()
        self._total = _Bucket(rates.total)
        self._accounts: dict[str, _Bucket] = {}

    def take(self, account: str) -> None:
        """Count a request of an account, or refuse it.

        Raises:
            BusyError: The account, or all together, asked too often.
        """
        now = self._clock()
        with self._lock:
            if len(self._accounts) >= _MAX_ACCOUNTS:  # a full bucket is as good as a new one
                self._accounts = {
                    name: kept for name, kept in self._accounts.items() if not kept.is_full(now)
                }
            bucket = self._accounts.setdefault(account, _Bucket(self._rates.account))
            if not bucket.take(now):
                raise BusyError(
                    f"account {account} asks more than {self._rates.account:g} times a second: wait a second"
                )
            if not self._total.take(now):
                raise BusyError(
                    f"the node is asked more than {self._rates.total:g} times a second: wait, or try another one"
                )


class _Bucket:
    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens, self._at = 2 * rate, float("-inf")

    def take(self, now: float) -> bool:
        self._tokens, self._at = self._filled(now), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def is_full(self, now: float) -> bool:
        return self._filled(now) >= 2 * self._rate

    def _filled(self, now: float) -> float:
        return min(2 * self._rate, self._tokens + (now - self._at) * self._rate)
