"""What a server takes, from whom, how fast; and the buckets that count it."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_BUCKETS: Final = 16_384  # of about 200 bytes each; who is forgotten starts with a full bucket


@dataclass(frozen=True)
class Limits:
    """Limits of one server.

    Attributes:
        body: Most bytes of a request's body.
        header: Most bytes of a request's line and headers.
        connections: Most connections; a request on one more is answered 503.
        requests: Most requests in work at once, each with at most one body in memory; others wait.
        requests_per_host: Most of these that one host may have.
        threads: Threads that do the work.
        header_seconds: How long a client may take for the headers.
        body_seconds: How long a client may take for the first byte of a body, or a step of reading the answer.
        body_rate: Bytes a second that a client has to send at least after that.
        queue_seconds: How long a request waits for its turn before it is answered 503.
        idle_seconds: How long a connection without a request is kept.
        close_seconds: How long requests may go on when the server closes.
        host_rate: Requests a second that a host may make in the long run.
        host_burst: Requests that it may make at once.
    """

    body: int = 2**20
    header: int = 16 * 1024
    connections: int = 512
    requests: int = 32
    requests_per_host: int = 24
    threads: int = 8
    header_seconds: float = 10.0
    body_seconds: float = 15.0
    body_rate: int = 64 * 1024
    queue_seconds: float = 20.0
    idle_seconds: int = 30
    close_seconds: int = 5
    host_rate: float = 500.0
    host_burst: int = 5000


class Buckets:
    """Token buckets, one a key; the least recently used ones are forgotten.

    Args:
        rate: Tokens a second that flow into each.
        burst: Tokens that each holds at most.
        clock: Seconds, never going back.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Take a token if there is one; tells whether."""
        now = self._clock()
        level, then = self._levels.get(key, (float(self._burst), now))
        level = min(self._burst, level + (now - then) * self._rate)
        if level < 1:
            return False
        self._levels[key] = (level - 1, now)
        self._levels.move_to_end(key)
        if len(self._levels) > _MOST_BUCKETS:
            self._levels.popitem(last=False)
        return True


def host_of(client: tuple[str, int] | None) -> str:
    """Name the host of a connection: its IPv4 address, or the /64 that an IPv6 customer has to itself."""
    address = client[0] if client else ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
