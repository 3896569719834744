"""Drawing and closing possession challenges, which anybody may do."""

from __future__ import annotations

from dtxeth.chain import Account, reverts
from dtxeth.chain.bindings.events import ChallengeOpened
from dtxeth.chain.bindings.types import Challenge, ChallengeStatus
from dtxeth.roles.inbox import Outcome
from dtxeth.roles.network import Network

BLOCK_HASHES = 256
"""Blocks after which the EVM forgets a block's hash, so that a challenge can no longer be drawn."""


def carry_on(network: Network, account: Account, opened: ChallengeOpened, record: Challenge) -> Outcome:
    """Draw a challenge once the block that decides is there, void it once that is forgotten, close it once it lapsed.

    Others may do so at the same moment: who comes second is refused, and has nothing left to do.

    Args:
        network: The surroundings.
        account: Who pays.
        opened: The challenge.
        record: How it stands on chain.
    """
    challenges, chain = network.contracts.storage_challenge, network.chain
    if record.status is ChallengeStatus.OPENED:
        if chain.block_number <= opened.draw_block:
            return Outcome.WAITING
        # A transaction comes in the next block at the earliest.
        late = chain.block_number + 1 > opened.draw_block + BLOCK_HASHES
        act = challenges.close if late else challenges.draw
    elif record.status is ChallengeStatus.TO_PROVE:
        if chain.now() <= record.deadline:
            return Outcome.WAITING
        act = challenges.close
    else:
        return Outcome.DONE
    try:
        act(opened.challenge_id, sender=account)
    except reverts.HoldingExpiresBeforeAnswer:
        return Outcome.WAITING  # it will be void
    except (reverts.WrongChallengeStatus, reverts.ChallengeStillOpen):
        return Outcome.WAITING  # somebody was faster, or the chain's head moved: look again
    return Outcome.MOVED
