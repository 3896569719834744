"""A storage node's worker: registers, and answers possession challenges; its pieces are the service's business."""

from __future__ import annotations

from pathlib import Path

import structlog

from dtxeth.chain import Account
from dtxeth.chain.bindings.events import ChallengeOpened
from dtxeth.chain.bindings.types import ChallengeStatus, Role
from dtxeth.errors import DtxethError
from dtxeth.roles.actor import Actor
from dtxeth.roles.challenges import draw_if_due
from dtxeth.roles.inbox import Inbox, Outcome
from dtxeth.roles.network import Network
from dtxeth.storage import NodeLimits
from dtxeth.storage import StorageNode as StorageService
from dtxeth.storage.blockstore import BlockStore

log = structlog.get_logger(__name__)


class StorageNode(Actor):
    """Holds pieces for data owners and proves on chain that it still does.

    Args:
        network: The surroundings.
        account: Signs acknowledgements and proofs.
        name: Name under which it registers, unique among storage nodes.
        home: Folder for its records.
        store: Where its pieces go.
        capacity: Bytes that it offers.
    """

    def __init__(
        self, network: Network, account: Account, name: str, home: Path, store: BlockStore, capacity: int
    ) -> None:
        super().__init__(network, account, name)
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.service = StorageService(
            account,
            self.contracts.file_registry,
            self.contracts.file_authorization,
            store,
            NodeLimits(capacity),
            home / "node.sqlite",
        )
        self._challenges = Inbox(network.index, ChallengeOpened, node=self.address)
        self.enlist(Role.STORAGE, capacity)
        network.open_door(self.address, self.service)

    def stop(self) -> None:
        """Stop serving and answering, as if the process had died; what is stored stays on disk."""
        self.network.close_door(self.address)
        self.network.remove_worker(self)
        self.service.close()

    def heartbeat(self) -> None:
        """Say on chain that this node is alive; one in a slot counts."""
        self.contracts.node_registry.heartbeat(sender=self.account)

    def step(self) -> bool:
        """Draw and answer the challenges of own holdings; free what was staged and never published."""
        self.service.forget_stale()
        return self._challenges.work(self._answer)

    def _answer(self, opened: ChallengeOpened) -> Outcome:
        challenges = self.contracts.storage_challenge
        record = challenges.challenge(opened.challenge_id)
        match record.status:
            case ChallengeStatus.OPENED:
                return draw_if_due(self.network, self.account, opened)
            case ChallengeStatus.TO_PROVE if self.network.chain.now() <= record.deadline:
                indices = challenges.leaf_indices(opened.challenge_id)
                try:
                    proof = self.service.answer(opened.holding_id, indices)
                except DtxethError as error:
                    log.error(
                        "cannot answer a challenge",
                        node=self.name,
                        challenge=opened.challenge_id,
                        reason=str(error),
                    )
                    return Outcome.DONE
                challenges.prove(opened.challenge_id, proof.leaves, proof.hashes, sender=self.account)
                return Outcome.MOVED
            case _:
                return Outcome.DONE
