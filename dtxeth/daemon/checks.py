"""What a daemon makes sure of before it begins: that chain and clock agree, and that its peers are of its version."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from dtxeth.chain import Chain
from dtxeth.errors import ChainError, DtxethError, VersionError
from dtxeth.storage.api import StorageNodeApi

log = structlog.get_logger(__name__)

MAX_AHEAD: Final = 60
"""Seconds by which the chain's head may be ahead of this machine's clock: what clocks on good terms differ by."""

MAX_LAG: Final = 300
"""Seconds by which a chain that makes blocks may lag behind it."""

LAG_PATIENCE: Final = 15.0
"""Seconds to see whether a chain that lags makes blocks: one slot of Ethereum, and some."""


def check_clock(
    chain: Chain, clock: Callable[[], float] = time.time, pause: Callable[[float], None] = time.sleep
) -> None:
    """Make sure that the chain's time is this machine's.

    A chain without transactions may make no blocks, so that its head is old; only if it makes one that is old, too, it
    lags.

    Args:
        chain: The chain.
        clock: Tells the time, in seconds since the epoch.
        pause: Rests so many seconds.

    Raises:
        ChainError: The head is ahead of the clock, or the chain ticks and lags behind it.
    """
    head, now = chain.block("latest"), clock()
    ahead = _time(head) - now
    if ahead > MAX_AHEAD:
        raise ChainError(
            f"the head of chain {chain.chain_id} is {ahead:.0f} s ahead of this machine's clock: set the clock, or "
            "wait until it has caught up"
        )
    if ahead >= -MAX_LAG:
        return
    end, newest = clock() + LAG_PATIENCE, head
    while newest["number"] == head["number"] and clock() < end:
        pause(0.5)
        newest = chain.block("latest")
    lag = clock() - _time(newest)
    if newest["number"] != head["number"] and lag > MAX_LAG:
        raise ChainError(
            f"chain {chain.chain_id} makes blocks that lag {lag:.0f} s behind this machine's clock: let its node "
            "catch up, or set the clock"
        )
    log.warning("the chain has made no block for a while", seconds=round(lag))


def check_versions(nodes: Iterable[StorageNodeApi]) -> None:
    """Make sure that this node's version of the storage API is not the only one of its kind.

    One node of another version is that node's trouble, and no reason to stay away; if all that answer are of another
    one, it is ours.

    Raises:
        VersionError: All nodes that answer speak another version.
    """
    mismatch: VersionError | None = None
    for node in nodes:
        try:
            node.status()
        except VersionError as error:
            log.warning("a storage node is of another version", reason=str(error))
            mismatch = error
        except (DtxethError, OSError):
            continue
        else:
            return
    if mismatch is not None:
        raise mismatch


def _time(block: dict[str, str]) -> int:
    return int(block["timestamp"], 16)
