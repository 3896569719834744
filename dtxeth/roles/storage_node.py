"""A storage node: stake, heartbeats, answers to challenges, freeing space; its pieces are the service's business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from dtxeth.chain import Account, reverts
from dtxeth.chain.bindings.events import (
    ChallengeDrawn,
    ChallengeFailed,
    ChallengeOpened,
    ChallengeProved,
    ChallengeVoided,
    HoldingEnded,
    HoldingReleased,
)
from dtxeth.chain.bindings.types import Algorithm, Challenge, ChallengeStatus, Role
from dtxeth.errors import ChainUnavailableError, ContractRevert, DtxethError, IntegrityError
from dtxeth.roles.challenges import BLOCK_HASHES, carry_on
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network
from dtxeth.roles.operator import StorageOperator
from dtxeth.storage import NodeLimits
from dtxeth.storage import StorageNode as StorageService
from dtxeth.storage.blockstore import BlockStore

log = structlog.get_logger(__name__)

DRAW_PATIENCE = 3
"""Blocks that a node leaves the draw to the owner who asked for it."""

ANSWERS = 16
"""Answers that are on their way to the chain at once: with a block in 12 s, 800 within the usual window."""

RETRY = 15
"""Seconds of chain time after which an answer that failed is tried again at the latest."""

RELEASES = 50
"""Holdings released in one transaction, of some 60,000 gas each."""

_SWEEPING = (HoldingEnded, HoldingReleased, ChallengeProved, ChallengeFailed, ChallengeVoided)


class StorageNode(StorageOperator):
    """Holds pieces for data owners and proves on chain that it still does.

    It is online from its registration on until its operator takes it offline; restarts change nothing about that.

    Args:
        network: The surroundings.
        account: Signs acknowledgements and proofs, and pays the stake.
        name: Name under which it registers, unique among storage nodes.
        home: Folder for its records.
        store: Where its pieces go.
        capacity: Bytes that it offers; its stake follows.
    """

    def __init__(
        self, network: Network, account: Account, name: str, home: Path, store: BlockStore, capacity: int
    ) -> None:
        super().__init__(network, account, name)
        self.home, self._capacity = home, capacity
        home.mkdir(parents=True, exist_ok=True)
        self.service = StorageService(
            account,
            self.contracts,
            store,
            NodeLimits(capacity),
            home / "node.sqlite",
        )
        self._drawn = Inbox(network.index, ChallengeDrawn, node=self.address)
        self._opened = Inbox(network.index, ChallengeOpened, node=self.address)
        # Else every answer would wait for the block of the one before, and many accounts' challenges at once would make
        # an honest node miss some. A development chain makes a block for each.
        self._answering = None if network.chain.is_development else ThreadPoolExecutor(ANSWERS)
        self._complained: set[int] = set()
        self._slot = self.contracts.node_registry.slot_seconds()
        self._next_slot = 0
        self._swept = network.index.block
        self.enlist(Role.STORAGE, capacity)
        self._offer()
        network.open_door(self.address, self.service)

    @property
    def capacity(self) -> int:
        """Bytes that it offers."""
        return self._capacity

    def stop(self) -> None:
        """Stop serving and answering, as if the process had died; what is stored stays on disk."""
        self.network.close_door(self.address)
        self.network.remove_worker(self)
        self.service.close()

    def leave(self, timeout: float = 3600.0) -> int:
        """See :meth:`StorageOperator.leave`; what was kept is freed, too."""
        back = super().leave(timeout)
        self._sweep()
        return back

    def go_online(self) -> None:
        """See :meth:`StorageOperator.go_online`; the next heartbeat comes at once."""
        super().go_online()
        self._next_slot = 0

    # --- the worker ---

    @property
    def due(self) -> int | None:
        """See :attr:`Worker.due`: the next block, the next attempt at an answer, or the next slot."""
        if self._opened.open:
            return self.network.chain.now() + 1
        return min(self._next_slot, self.network.chain.now() + RETRY) if self._drawn.open else self._next_slot

    def step(self) -> bool:
        """Answer challenges, the most urgent first; then draw others, send the heartbeat, free what is released."""
        answered = self._drawn.work(self._answer, lambda drawn: drawn.deadline, self._answering)
        drew = self._opened.work(self._draw)
        return self._guarded(self._tend) | self._guarded(self._follow) | answered | drew

    def _guarded(self, chore: Callable[[], bool]) -> bool:
        """Do what may fail without harm: nothing must keep a node from its answers."""
        try:
            return chore()
        except ChainUnavailableError:
            raise
        except (DtxethError, OSError) as error:
            log.error("a chore of the node failed", node=self.name, reason=str(error))
            return False

    def _draw(self, opened: ChallengeOpened) -> Outcome:
        since = self.network.chain.block_number - opened.draw_block
        if since <= DRAW_PATIENCE:
            return Outcome.WAITING
        if since >= BLOCK_HASHES:
            return Outcome.DONE  # it will be void
        record = self.contracts.storage_challenge.challenge(opened.challenge_id)
        if record.status is not ChallengeStatus.OPENED:
            return Outcome.DONE
        return carry_on(self.network, self.account, opened, record)

    def _answer(self, drawn: ChallengeDrawn) -> Outcome:
        """Answer, and try again until the deadline, unless the bytes are known to be altered: these prove nothing."""
        if self.network.chain.now() > drawn.deadline:
            return Outcome.DONE
        record = self.contracts.storage_challenge.challenge(drawn.challenge_id)
        if record.status is not ChallengeStatus.TO_PROVE:
            return Outcome.DONE
        try:
            self._prove(drawn.challenge_id, record)
        except IntegrityError as error:
            self._complain("a challenge will be lost: the bytes are altered", drawn, error)
            return Outcome.DONE
        except ContractRevert as error:
            self._complain("an answer was refused", drawn, error)
            return Outcome.WAITING
        except ChainUnavailableError:
            raise
        except (DtxethError, OSError) as error:
            self._complain("cannot answer a challenge yet", drawn, error)
            return Outcome.WAITING
        return Outcome.MOVED

    def _prove(self, challenge_id: int, record: Challenge) -> None:
        challenges = self.contracts.storage_challenge
        indices = challenges.drawn_indices(challenge_id)
        answer = self.service.answer(record.holding_id, record.algorithm, indices, record.seed)
        post = challenges.prove_kzg if record.algorithm is Algorithm.KZG else challenges.prove
        post(challenge_id, record.seed, answer, sender=self.account)

    def _complain(self, what: str, drawn: ChallengeDrawn, error: Exception) -> None:
        """Log once a challenge, not at every attempt."""
        if drawn.challenge_id not in self._complained:
            self._complained.add(drawn.challenge_id)
            log.error(
                what,
                node=self.name,
                challenge=drawn.challenge_id,
                deadline=drawn.deadline,
                reason=str(error),
            )

    def _tend(self) -> bool:
        """Once a slot: send the heartbeat, and sweep."""
        now = self.network.chain.now()
        if now < self._next_slot:
            return False
        self._next_slot = now + RETRY  # unless all goes well
        node = self.contracts.node_registry.node_of(self.address)
        fresh = node.last_heartbeat // self._slot < now // self._slot
        if node.online and fresh:
            with suppress(reverts.HeartbeatTooSoon):  # sent by hand in between
                self.heartbeat()
        self._sweep()
        self._next_slot = (now // self._slot + 1) * self._slot
        return node.online and fresh

    def _follow(self) -> bool:
        """Sweep when something of this node's has ended."""
        newest, since = self.network.index.block, self._swept
        if newest == since:
            return False
        self._swept = newest
        events = self.network.index.events
        if not any(events(kind, after=since, node=self.address, limit=1) for kind in _SWEEPING):
            return False
        return self._sweep()

    def _sweep(self) -> bool:
        """Free the space of drafts that lapsed and holdings that are released; release what may be."""
        releasable = self.service.sweep().releasable
        for start in range(0, len(releasable), RELEASES):
            self._release(releasable[start : start + RELEASES])
        return bool(releasable)

    def _release(self, holding_ids: Sequence[int]) -> None:
        try:
            self.contracts.file_registry.release(holding_ids, sender=self.account)
        except reverts.HoldingNotReleasable as error:
            rest = [holding_id for holding_id in holding_ids if holding_id != error.holding_id]
            if rest:
                self._release(rest)

    def _offer(self) -> None:
        """Offer another capacity than before, if so configured since."""
        nodes = self.contracts.node_registry
        node = nodes.node_of(self.address)
        if node.capacity == self.capacity or self.has_left:
            return
        self.top_up()
        nodes.update(node.endpoint, node.tls_fingerprint, self.capacity, sender=self.account)
