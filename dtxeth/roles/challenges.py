"""Drawing possession challenges, which anybody may do."""

from __future__ import annotations

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeOpened
from dtxeth.roles.inbox import Outcome
from dtxeth.roles.network import Network

BLOCK_HASHES = 256
"""Blocks after which the EVM forgets a block's hash, so that a challenge can no longer be drawn."""


def draw_if_due(network: Network, account: Account, opened: ChallengeOpened) -> Outcome:
    """Draw an opened challenge once the block that decides is there; void it once that is forgotten."""
    challenges, block = network.contracts.storage_challenge, network.chain.block_number
    if block <= opened.draw_block:
        return Outcome.WAITING
    # The transaction comes in the next block at the earliest.
    if block + 1 <= opened.draw_block + BLOCK_HASHES:
        challenges.draw(opened.challenge_id, sender=account)
    else:
        challenges.close(opened.challenge_id, sender=account)
    return Outcome.MOVED
