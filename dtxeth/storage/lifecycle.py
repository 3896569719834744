"""From draft to release: what becomes of a node's drafts and holdings, as the chain and its time have it.

::

    STAGED ──acknowledge──▶ ACKNOWLEDGED ──published──▶ LIVE ──ended on chain──▶ ENDED ──released on chain──▶ gone
       └─ left alone ─▶ gone     └─ can no longer be published ─▶ gone

What the node has signed for stays until it is certain that it was not and cannot be published: an owner who
could make a node drop it could publish it afterwards and blame the node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from dtxeth.chain import Contracts
from dtxeth.chain.abi import Event, Log
from dtxeth.chain.bindings.events import HoldingAdded, HoldingEnded, HoldingReleased
from dtxeth.chain.bindings.types import Holding, HoldingState
from dtxeth.chain.reverts import UnknownFile, UnknownHolding
from dtxeth.storage.records import Records, Stage, StoredHolding

E = TypeVar("E", bound=Event)

_OVERLAP = 16  # blocks that are read again, should the chain have been re-organised


@dataclass(frozen=True)
class Sweep:
    """What :meth:`~dtxeth.storage.node.StorageNode.sweep` did, and what is to be done.

    Attributes:
        dropped: Drafts and holdings whose pieces are no longer kept.
        freed: Bytes freed.
        releasable: Holdings that ``FileRegistry.release`` would release now.
    """

    dropped: int
    freed: int
    releasable: tuple[int, ...]


class LifeCycle:
    """Follows a node's drafts and holdings on chain.

    Args:
        node: Address of the node.
        contracts: The contracts.
        records: The node's records.
        staging_seconds: How long a draft may rest untouched.
    """

    def __init__(self, node: str, contracts: Contracts, records: Records, staging_seconds: int) -> None:
        self._node, self._contracts, self._records = node, contracts, records
        self._staging_seconds = staging_seconds
        self._seen: int | None = None

    def follow(self, held: StoredHolding) -> StoredHolding | None:
        """Bring a draft or holding up to date with the chain; None if it need no longer be kept."""
        now = self._contracts.chain.now()  # before anything else is read: it is not later than that
        match held.stage:
            case Stage.STAGED:
                return held if now <= held.touched + self._staging_seconds else None
            case Stage.ACKNOWLEDGED:
                return self._published(held, now)
            case _:
                return self._continued(held)

    def next_version(self, file_id: bytes) -> tuple[int, str | None]:
        """The version that a file's next holdings will have, and who owns the file, if it exists."""
        try:
            record = self._contracts.file_registry.file_of(file_id)
        except UnknownFile:
            return 1, None
        return record.version + 1, record.owner

    def concerned(self) -> list[StoredHolding]:
        """List the drafts and holdings with which something may have happened since the last time."""
        head = self._contracts.chain.block_number
        held = self._records.holdings()
        if self._seen is None:
            self._seen = head
            return held
        first = max(0, min(self._seen, head) - _OVERLAP)
        changed = {event.holding_id for event in self._events(HoldingEnded, first)}
        changed |= {event.holding_id for event in self._events(HoldingReleased, first)}
        self._seen = head
        return [one for one in held if one.stage is not Stage.LIVE or one.holding_id in changed]

    def releasable(self) -> Iterable[int]:
        """Holdings that may be released: ended without an open challenge, or live beyond their retention."""
        registry, challenges = self._contracts.file_registry, self._contracts.storage_challenge
        now, retention = self._contracts.chain.now(), registry.retention()
        for held in self._records.holdings(Stage.LIVE, Stage.ENDED):
            lapsed = held.claim is not None and now > held.claim.expires_at + retention
            if (held.stage is Stage.LIVE and lapsed) or (
                held.stage is Stage.ENDED and not challenges.open_challenge_on(held.holding_id)
            ):
                yield held.holding_id

    # --- helpers ---

    def _published(self, held: StoredHolding, now: int) -> StoredHolding | None:
        """What an acknowledged draft has become."""
        registry = self._contracts.file_registry
        holding_id = registry.holding_on(held.file_id, self._node)
        if holding_id and self._is(record := registry.holding(holding_id), held):
            return self._found(held, holding_id, record)
        version, owner = self.next_version(held.file_id)
        claim = held.claim
        assert claim is not None
        if version <= claim.version:
            return held if now <= held.deadline else None
        # The file has its version, and more: the holding may have come, and ended since.
        if owner == held.owner:
            for event in self._events(HoldingAdded, held.since, held.file_id):
                if self._is(record := registry.holding(event.holding_id), held):
                    return self._continued(self._found(held, event.holding_id, record))
        return None

    def _continued(self, held: StoredHolding) -> StoredHolding | None:
        """What a published holding has become."""
        try:
            record = self._contracts.file_registry.holding(held.holding_id)
        except UnknownHolding:
            record = None
        if record is None or not self._is(record, held):  # the chain was re-organised: perhaps it comes again
            return self._noted(held, 0, Stage.ACKNOWLEDGED)
        match record.state:
            case HoldingState.LIVE:
                return held
            case HoldingState.RELEASING:
                return held if held.stage is Stage.ENDED else self._noted(held, held.holding_id, Stage.ENDED)
            case _:
                return None

    def _is(self, record: Holding, held: StoredHolding) -> bool:
        """Tell whether a holding on chain is the one that was acknowledged."""
        claim = held.claim
        if claim is None or (record.file_id, record.node) != (held.file_id, self._node):
            return False
        return (record.version, record.root, record.commitments_root, record.size) == (
            claim.version, claim.root, claim.commitments_root, claim.size
        )  # fmt: skip

    def _found(self, held: StoredHolding, holding_id: int, record: Holding) -> StoredHolding:
        """Note that an acknowledged draft is the holding of this number."""
        file = self._contracts.file_registry.file_of(held.file_id)
        claim = held.claim and replace(
            held.claim, expires_at=record.expires_at
        )  # of several, the one that was used
        manifest = file.manifest_digest if file.version == record.version else b""
        return self._noted(replace(held, claim=claim, manifest_digest=manifest), holding_id, Stage.LIVE)

    def _noted(self, held: StoredHolding, holding_id: int, stage: Stage) -> StoredHolding:
        noted = replace(held, holding_id=holding_id, stage=stage)
        self._records.save(noted)
        return noted

    def _events(self, kind: type[E], first: int, file_id: bytes | None = None) -> list[E]:
        """Read what happened to this node's holdings, of one file or all, from a block on."""
        file_topic = None if file_id is None else "0x" + file_id.hex()
        node_topic = "0x" + kind.topic_of("node", self._node).hex()
        query = {
            "fromBlock": hex(first),
            "toBlock": "latest",
            "address": self._contracts.file_registry.address,
            "topics": ["0x" + kind.topic.hex(), None, file_topic, node_topic],
        }
        return [
            kind.from_log(Log.from_json(log)) for log in self._contracts.chain.request("eth_getLogs", query)
        ]
