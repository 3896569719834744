"""The challenger: has storage nodes prove at random times that they hold an owner's files."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import structlog

from dtxeth.chain import reverts
from dtxeth.chain.bindings.events import ChallengeFailed, ChallengeOpened, ChallengeProved, ChallengeVoided
from dtxeth.chain.bindings.types import Algorithm, Holding, HoldingState
from dtxeth.errors import ChainUnavailableError, DtxethError
from dtxeth.roles.care import Belongings, Care
from dtxeth.roles.challenges import carry_on
from dtxeth.roles.detection import COUNTS
from dtxeth.roles.inbox import Inbox, Outcome

if TYPE_CHECKING:
    from dtxeth.roles.actor import Actor

log = structlog.get_logger(__name__)

DAY: Final = 24 * 3600

_random = secrets.SystemRandom()

_SETTLING = (ChallengeProved, ChallengeFailed, ChallengeVoided)

_RACED = (
    reverts.AlreadyChallenged,
    reverts.ChallengedTooSoon,
    reverts.FileDeletedAlready,
    reverts.FileExpired,
    reverts.HoldingNotLive,
    reverts.TooManyOpenChallenges,
)


class Challenger:
    """Opens, draws and closes challenges of all holdings of one owner.

    The challenges of all holdings together are one Poisson process, whose rate is the number of holdings times the
    rate of each, and each of them falls on a holding drawn at random: that is the same as a process of its own for
    every holding, and needs one date instead of many. A Poisson process has no memory: how long ago the last
    challenge was says nothing about the next one, neither to the node, which can never feel safe, nor to us. So
    nothing is kept when the process ends; after a restart the next date is drawn anew, and the challenges come
    neither more nor less often for it. Dates are in chain time, drawn by the system's generator.

    Args:
        owner: Whose files are looked after.
        care: How often.
        belongings: What there is to look after.
    """

    def __init__(self, owner: Actor, care: Care, belongings: Belongings) -> None:
        self.care = care
        self._owner, self._belongings = owner, belongings
        self._network, self._contract = owner.network, owner.contracts.storage_challenge
        self._rules = self._contract.rules()
        self._opened = Inbox(owner.network.index, ChallengeOpened, challenger=owner.address)
        self._deadlines: dict[int, int] = {}
        self._rate = 0.0
        self._next: int | None = None

    @property
    def due(self) -> int | None:
        """See :attr:`~dtxeth.roles.network.Worker.due`."""
        # One without a deadline is not drawn: it waits for the next block.
        dates = [self._deadlines.get(opened.challenge_id, 0) for opened in self._opened.open]
        return min(dates if self._next is None else [*dates, self._next], default=None)

    def step(self) -> bool:
        """Open what is due, draw what can be drawn, close what has lapsed."""
        opened = self._open_due()
        return self._opened.work(self._follow) or opened

    def open(self, holding_id: int, algorithm: Algorithm, count: int) -> int:
        """Challenge a holding, with the deposit that pays for the answer.

        Args:
            holding_id: One of the owner's holdings.
            algorithm: What to ask for; the holding must have a root for it.
            count: Leaves or blobs to prove.

        Returns:
            Number of the challenge.

        Raises:
            ContractRevert: Not a live holding of the owner's, challenged a moment ago, or too many are open.
        """
        deposit = self._contract.deposit_for(algorithm, count)
        receipt = self._contract.open(holding_id, algorithm, count, sender=self._owner.account, value=deposit)
        return receipt.event(ChallengeOpened).challenge_id

    def _open_due(self) -> bool:
        now, holdings = self._network.chain.now(), self._belongings.holdings
        rate = len(holdings) * self.care.challenges_per_day / DAY
        if rate != self._rate:
            self._rate = rate
            self._next = self._draw_date(now)  # what was left of the wait has no memory either
        if self._next is not None and self._next < now - self._rules.answer_window:
            self._next = self._draw_date(now)  # nobody was there to keep it: no flood of belated ones
        moved = False
        while self._next is not None and self._next <= now:
            moved |= self._open_one(_random.choice(holdings), now)
            self._next = self._draw_date(self._next)
        return moved

    def _draw_date(self, since: int) -> int | None:
        return since + round(_random.expovariate(self._rate)) if self._rate else None

    def _open_one(self, holding_id: int, now: int) -> bool:
        record = self._owner.contracts.file_registry.holding(holding_id)
        # Within the answer window of its expiry a challenge could not be drawn any more.
        if record.state is not HoldingState.LIVE or record.expires_at <= now + 2 * self._rules.answer_window:
            return False
        algorithm = choose_algorithm(record)
        try:
            self.open(holding_id, algorithm, COUNTS[algorithm])
        except _RACED:
            return False
        except ChainUnavailableError:
            raise
        except DtxethError as error:
            log.warning("cannot challenge", owner=self._owner.name, holding=holding_id, reason=str(error))
            return False
        return True

    def _follow(self, opened: ChallengeOpened) -> Outcome:
        chain, number = self._network.chain, opened.challenge_id
        if self._is_settled(number):
            self._deadlines.pop(number, None)
            return Outcome.DONE
        if chain.block_number <= opened.draw_block or chain.now() < self._deadlines.get(number, 0):
            return Outcome.WAITING
        record = self._contract.challenge(number)
        if record.deadline:
            self._deadlines[number] = record.deadline + 1
        return carry_on(self._network, self._owner.account, opened, record)

    def _is_settled(self, challenge_id: int) -> bool:
        """By the index, which is cheaper to ask than the chain: after a restart all of history is asked about."""
        return any(self._network.index.events(kind, challenge_id=challenge_id) for kind in _SETTLING)


def choose_algorithm(holding: Holding) -> Algorithm:
    """What to ask a holding for: the only thing that it has a root for, or one of both at random."""
    asked = {Algorithm.MERKLE: holding.root, Algorithm.KZG: holding.commitments_root}
    return _random.choice([algorithm for algorithm, root in asked.items() if any(root)])
