"""The repairer: keeps an owner's files whole, by revisions, without anybody's hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from dtxeth.chain import reverts
from dtxeth.chain.bindings.events import (
    ChallengeFailed,
    NodeDrainingChanged,
    NodeOnlineChanged,
    NodeRegistered,
    RedundancyChanged,
    StakeChanged,
)
from dtxeth.chain.bindings.types import Cause
from dtxeth.errors import ChainUnavailableError, DtxethError, NodeError, NotEnoughNodesError
from dtxeth.roles.inspection import CLOSING, Finding, Inspector
from dtxeth.storage import StorageNodeApi
from dtxeth.storage.revision import Change, prepare_revision

if TYPE_CHECKING:
    from dtxeth.roles.file_keeper import FileKeeper

log = structlog.get_logger(__name__)

FIRST_REST: Final = 60
"""Seconds of chain time after which a repair that failed is tried again; twice as many after each further failure."""

LONGEST_REST: Final = 6 * 3600
"""Seconds of chain time that it is never put off for longer than."""

_NEWS = (
    ChallengeFailed,
    NodeDrainingChanged,
    NodeOnlineChanged,
    NodeRegistered,
    RedundancyChanged,
    StakeChanged,
)
"""Events after which files may be worse off than they were, or can be helped at last."""

_UNFIT = (reverts.CapacityExceeded, reverts.NodeDraining, reverts.NodeOffline)


@dataclass(frozen=True)
class Repair:
    """A repair that waits to be done.

    Attributes:
        file_id: The file.
        cause: What it will be on record for.
        why: One line a reason.
        problem: Why the last attempt failed; None before the first.
        attempts: How many failed so far, since the worker was started.
        next_attempt: Chain time of the next one; 0 for at once.
    """

    file_id: bytes
    cause: Cause
    why: tuple[str, ...]
    problem: str | None = None
    attempts: int = 0
    next_attempt: int = 0


class Repairer:
    """Looks at every live file of an owner again and again, and revises those that need it.

    All that it knows is on the chain and on the nodes, and the transaction ``revise`` is the only thing that it
    changes: killed before that, it leaves drafts, which lapse; killed after it, everything is done. What it
    remembers is only when to try again.

    A file that cannot be mended is left exactly as it is: a holding ends only when another one has taken its place,
    for even a node that was caught may still have most of its bytes.

    Args:
        owner: Whose files are looked after.
    """

    def __init__(self, owner: FileKeeper) -> None:
        self._owner, self._network = owner, owner.network
        self._inspector = Inspector(owner.contracts)
        self._interval = owner.contracts.node_registry.slot_seconds()
        self._agenda: list[bytes] = []
        self._waiting: dict[bytes, Repair] = {}
        self._last_round = -FIRST_REST
        self._next_round = 0
        self._seen = 0

    @property
    def due(self) -> int | None:
        """See :attr:`~dtxeth.roles.network.Worker.due`."""
        if not self._owner.care.repairs or not self._owner.belongings.files:
            return None
        return min([self._next_round, *(repair.next_attempt for repair in self._waiting.values())])

    def step(self) -> bool:
        """Look at one file, and mend it if need be; returns whether there was one to look at."""
        if not self._owner.care.repairs:
            return False
        if not self._agenda:
            self._agenda = self._make_agenda()
        if not self._agenda:
            return False
        file_id = self._agenda.pop()
        try:
            self._tend(file_id)
        except ChainUnavailableError:
            self._agenda.append(file_id)
            raise
        return True

    def pending(self) -> list[Repair]:
        """Look at all files now, and say which of them wait for a repair, and what is in its way."""
        self._inspector.begin()
        found = [self._look(file_id) for file_id in self._owner.belongings.files]
        return [self._remembered(finding) for finding in found if finding is not None]

    def _make_agenda(self) -> list[bytes]:
        """All files once an interval, and soon after news; in between those whose rest is over."""
        now, newest = self._network.chain.now(), self._network.index.block
        if newest != self._seen and any(
            self._network.index.events(kind, after=self._seen, limit=1) for kind in _NEWS
        ):
            # Anybody can make news: they hurry a round on, but do not follow each other at every block.
            self._next_round = min(self._next_round, self._last_round + FIRST_REST)
            self._waiting = {
                file_id: replace(repair, next_attempt=self._next_round)
                for file_id, repair in self._waiting.items()
            }
        self._seen = newest
        if now >= self._next_round:
            self._last_round, self._next_round = now, (now // self._interval + 1) * self._interval
            self._inspector.begin()
            return self._owner.belongings.files[::-1]
        ready = [file_id for file_id, repair in self._waiting.items() if repair.next_attempt <= now]
        if ready:
            self._inspector.begin()
        return ready

    def _look(self, file_id: bytes, closing: int | None = CLOSING) -> Finding | None:
        return self._inspector.look(file_id, self._owner.care.offline_grace_seconds, closing)

    def _remembered(self, finding: Finding) -> Repair:
        before = self._waiting.get(finding.file_id, Repair(finding.file_id, finding.cause, finding.why))
        return replace(before, cause=finding.cause, why=finding.why)

    def _tend(self, file_id: bytes) -> None:
        try:
            finding = self._look(file_id)
        except reverts.UnknownFile:
            finding = None  # a reorganisation took it
        if finding is None:
            self._waiting.pop(file_id, None)
            return
        repair = self._remembered(finding)
        if repair.next_attempt > self._network.chain.now():
            return
        try:
            self._mend(finding)
        except ChainUnavailableError:
            raise
        except (DtxethError, OSError) as error:
            self._put_off(repair, str(error))
            return
        self._inspector.begin()
        again = self._look(file_id)
        if again is None:
            self._waiting.pop(file_id, None)
        elif again == finding:
            self._put_off(repair, "the revision has changed nothing")
        else:
            self._agenda.append(file_id)  # that was not everything

    def _put_off(self, repair: Repair, problem: str) -> None:
        rest = min(FIRST_REST << repair.attempts, LONGEST_REST)
        next_attempt = self._network.chain.now() + rest
        waits = replace(
            repair, problem=problem, attempts=min(repair.attempts + 1, 32), next_attempt=next_attempt
        )
        self._waiting[repair.file_id] = waits
        log.error(
            "a file cannot be repaired for now; it stays as it is",
            owner=self._owner.name,
            file=repair.file_id.hex(),
            cause=repair.cause.name.lower(),
            why="; ".join(repair.why),
            problem=problem,
            seconds=rest,
        )

    def _mend(self, finding: Finding) -> None:
        """Do the most that can be done now.

        Raises:
            NotEnoughNodesError: Nothing can be.
        """
        plans = list(_plans(finding))
        for change in plans[:-1]:
            try:
                return self.revise(finding.file_id, change, finding.absent, finding.behind)
            except NotEnoughNodesError as error:
                log.warning("trying to do less", file=finding.file_id.hex(), problem=str(error))
        return self.revise(finding.file_id, plans[-1], finding.absent, finding.behind)

    def renew(self, file_id: bytes, expires_at: int) -> None:
        """Have the nodes of a file keep it longer; those that cannot are replaced, or left out if need be.

        Raises:
            InputError: Not a file of the owner's, or an expiry that cannot be.
            NotEnoughNodesError: Too few nodes to read the file from.
            ContractRevert: The contract refuses: its retention is over.
        """
        self._inspector.begin()
        finding = self._look(file_id, closing=None)
        drop, absent = (finding.drop, finding.absent) if finding else ((), frozenset[str]())
        change = Change(Cause.RENEWAL, drop, expires_at=expires_at)
        try:
            self.revise(file_id, change, absent)
        except NotEnoughNodesError as error:
            log.warning("renewing with fewer shards", file=file_id.hex(), problem=str(error))
            self.revise(file_id, replace(change, partly=True), absent)

    def revise(
        self,
        file_id: bytes,
        change: Change,
        absent: frozenset[str] = frozenset(),
        behind: frozenset[str] = frozenset(),
    ) -> None:
        """Revise a file: everything but one transaction is drafts.

        Args:
            file_id: The file.
            change: What is to become of it.
            absent: Nodes that can acknowledge nothing now: they are read, and keep what they have, unless that is to
                change.
            behind: Nodes that have an older manifest; a refresh that reaches none of them is not worth a transaction.

        Raises:
            NotEnoughNodesError: Too few nodes to read the file from, or to put new pieces on.
            ContractRevert: The contract refuses.
        """
        unfit = set(absent)
        while True:
            try:
                self._publish(file_id, change, unfit, behind)
                return
            except _UNFIT as error:  # a node changed its mind meanwhile, or its stake was slashed
                node = error.node
                if node in unfit:
                    raise
                unfit.add(node)

    def _publish(self, file_id: bytes, change: Change, unfit: set[str], behind: frozenset[str]) -> None:
        owner = self._owner
        nodes = {
            node: cast(StorageNodeApi, _ReadOnly(node, api)) if node in unfit else api
            for node, api in owner.reachable_nodes().items()
        }
        candidates = [one for one in owner.candidates(nodes) if one.address not in unfit]
        made = prepare_revision(file_id, owner.file_key(file_id), owner.signer, nodes, change, candidates)
        told = {given.node for given in made.acknowledgements}
        if change.cause is Cause.REFRESH and not told & behind:
            raise NotEnoughNodesError(
                "none of the nodes with an older manifest can be reached: wait for them"
            )
        if made.missing and not made.rebuilt and change.cause is not Cause.RENEWAL:
            raise NotEnoughNodesError(f"no node is left for {len(made.missing)} shards: start more nodes")
        owner.contracts.file_registry.revise(made.revision, made.acknowledgements, sender=owner.account)
        log.info(
            "file revised",
            owner=owner.name,
            file=file_id.hex(),
            cause=change.cause.name.lower(),
            rebuilt=made.rebuilt,
            ended=len(made.revision.dropped),
        )


class _ReadOnly:
    """A node that may be read, and takes nothing new."""

    def __init__(self, address: str, api: StorageNodeApi) -> None:
        self._address, self._api = address, api

    def __getattr__(self, method: str) -> Any:
        if method in ("get_piece", "get_manifest"):
            return getattr(self._api, method)
        raise NodeError(self._address, "takes nothing new now")


def _plans(finding: Finding) -> Iterator[Change]:
    """What to try, one thing after the other, until there are nodes enough for it."""
    cause = finding.cause
    if finding.redundancy is not None:
        yield Change(Cause.RECODE, finding.drop, finding.redundancy)
        if not finding.drop and not finding.missing:
            return
        cause = Cause.REPAIR
    yield Change(cause, finding.drop, partly=not finding.drop)
    if len(finding.drop) > 1:
        yield Change(cause, finding.drop[:1])
