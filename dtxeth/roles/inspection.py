"""What is wrong with a file, by what the chain says of its holdings and their nodes."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain import Contracts
from dtxeth.chain.bindings.types import Cause, Fault, Health, Holding, Level, Node
from dtxeth.storage import Redundancy

CLOSING = 600
"""Seconds before its expiry from which on a file is left alone: by the time it is mended it would be over."""


@dataclass(frozen=True)
class Finding:
    """What has to be done about a file.

    Attributes:
        file_id: The file.
        cause: The gravest of the reasons: another redundancy, repair, draining, refreshing.
        drop: Holdings that have to be replaced, the worst first.
        absent: Nodes that can acknowledge nothing now, offline or draining, though what they hold may be good.
        behind: Nodes with an older manifest than the file's.
        redundancy: What the file has to be recoded to, if to anything.
        missing: Holdings that it lacks.
        why: One line a reason, for people.
    """

    file_id: bytes
    cause: Cause
    drop: tuple[int, ...]
    absent: frozenset[str]
    behind: frozenset[str]
    redundancy: Redundancy | None
    missing: int
    why: tuple[str, ...]


class Inspector:
    """Looks at files; what it has learnt of nodes is good until :meth:`begin`.

    Args:
        contracts: Bindings of the contracts.
    """

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._nodes: dict[str, tuple[Node, Health]] = {}
        self._now = 0

    def begin(self) -> None:
        """Begin a new round: ask for everything anew."""
        self._nodes.clear()
        self._now = self._contracts.chain.now()

    def look(self, file_id: bytes, grace: int, closing: int | None = CLOSING) -> Finding | None:
        """Look at a file.

        Args:
            file_id: The file.
            grace: Seconds for which a node may be offline by its own will.
            closing: Seconds before its expiry from which on it counts as fine; None: never.

        Returns:
            What has to be done; None for a file that is fine, deleted, or about to expire.
        """
        files = self._contracts.file_registry
        record = files.file_of(file_id)
        if record.deleted or (closing is not None and record.expires_at <= self._now + closing):
            return None
        holdings = {number: files.holding(number) for number in files.holdings_of(file_id)}
        flaws = {number: self._flaw(number, holding, grace) for number, holding in holdings.items()}
        drop = {number: flaw for number, flaw in flaws.items() if flaw is not None}
        sound = [holding for number, holding in holdings.items() if number not in drop]
        absent = frozenset(holding.node for holding in holdings.values() if not self._takes(holding.node))
        behind = [
            holding.node
            for holding in sound
            if holding.version < record.version and holding.node not in absent
        ]
        namespace = files.namespace_of(record.namespace_id)
        wanted, has = (namespace.needed, namespace.total), (record.needed, record.total)
        missing = max(0, record.total - len(holdings))
        causes = [flaw[0] for flaw in drop.values()]
        why = [f"{self._name(holdings[number].node)} {flaw[1]}" for number, flaw in drop.items()]
        if wanted != has:
            causes.append(Cause.RECODE)
            why.append(f"its namespace is kept {wanted[0]} of {wanted[1]}, the file {has[0]} of {has[1]}")
        if missing:
            causes.append(Cause.REPAIR)
            why.append(f"{missing} of {record.total} holdings are missing")
        if behind:
            causes.append(Cause.REFRESH)
            why += [f"{self._name(node)} has an older manifest" for node in behind]
        if not causes:
            return None
        return Finding(
            file_id=file_id,
            cause=min(causes, key=_GRAVITY.index),
            drop=tuple(sorted(drop, key=lambda number: _GRAVITY.index(drop[number][0]))),
            absent=absent,
            behind=frozenset(behind),
            redundancy=Redundancy(*wanted) if wanted != has else None,
            missing=missing,
            why=tuple(why),
        )

    def _flaw(self, number: int, holding: Holding, grace: int) -> tuple[Cause, str] | None:
        """Why a holding has to be replaced."""
        fault, _ = self._contracts.storage_challenge.fault_of(number)
        if fault is not Fault.NONE:
            return Cause.REPAIR, "was caught: " + ("wrong answer" if fault is Fault.WRONG else "no answer")
        node, health = self._node(holding.node)
        if health.lost:
            return Cause.REPAIR, "is lost"
        if health.level is Level.RED:
            return Cause.REPAIR, f"is Red, with a score of {health.score}"
        if not node.online and self._now > node.online_changed_at + grace:
            return Cause.REPAIR, f"has been offline for {self._now - node.online_changed_at} s"
        if node.draining:
            return Cause.DRAIN, "is draining"
        return None

    def _takes(self, address: str) -> bool:
        """Whether the contract would let a node hold anything new."""
        node, _ = self._node(address)
        return node.online and not node.draining

    def _node(self, address: str) -> tuple[Node, Health]:
        if address not in self._nodes:
            self._nodes[address] = (
                self._contracts.node_registry.node_of(address),
                self._contracts.storage_challenge.health_of(address),
            )
        return self._nodes[address]

    def _name(self, address: str) -> str:
        return self._node(address)[0].name


_GRAVITY = (Cause.RECODE, Cause.REPAIR, Cause.DRAIN, Cause.REFRESH)
