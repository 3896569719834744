"""Who decides about a storage node: its account's word on chain, from the node's process or from elsewhere."""

from __future__ import annotations

from dtxeth.roles.actor import Actor
from dtxeth.roles.repair import FIRST_REST


class StorageOperator(Actor):
    """Takes a storage node on- and offline, has it leave, and looks to its stake.

    Args:
        network: The surroundings.
        account: The node's.
        name: Name under which it is registered.
    """

    @property
    def capacity(self) -> int:
        """Bytes that the node offers."""
        return self.contracts.node_registry.node_of(self.address).capacity

    @property
    def has_left(self) -> bool:
        """Whether it has taken its stake back."""
        nodes = self.contracts.node_registry
        return not nodes.node_of(self.address).online and not nodes.pledge_of(self.address).stake

    def go_online(self) -> None:
        """Take new files again, with the stake that the capacity needs."""
        self.top_up()
        self.contracts.node_registry.set_online(True, sender=self.account)

    def go_offline(self) -> None:
        """Take no new files, and send no heartbeats; what is held stays promised, and challenges are answered.

        After a while owners move their pieces elsewhere.
        """
        self.contracts.node_registry.set_online(False, sender=self.account)

    def top_up(self) -> int:
        """Bring the stake up to what the capacity needs, after slashing or before offering more.

        Never done unasked while the node runs: what loses stake should be looked at, not paid for.

        Returns:
            Wei added.
        """
        nodes = self.contracts.node_registry
        missing = nodes.stake_for(self.capacity) - nodes.pledge_of(self.address).stake
        if missing > 0:
            nodes.add_stake(sender=self.account, value=missing)
        return max(0, missing)

    def drain(self, draining: bool = True) -> None:
        """Ask owners to move their pieces elsewhere, or no longer; the node goes on serving and answering meanwhile."""
        self.contracts.node_registry.set_draining(draining, sender=self.account)

    def leave(self, timeout: float = 3600.0) -> int:
        """Drain, wait until nothing is held any more, go offline, and take the stake back.

        Interrupted, it can be called again.

        Args:
            timeout: Seconds of real time to wait for the owners.

        Returns:
            Wei that came back: the stake, and whatever else was owed.

        Raises:
            TaskError: The owners have not moved everything in time; the node stays, draining.
        """
        nodes = self.contracts.node_registry
        self.drain()

        def empty() -> bool | None:
            return nodes.pledge_of(self.address).holdings == 0 or None

        patience = 2 * FIRST_REST  # owners look at their files a little after the news
        what = f"owners to move everything off {self.name}"
        self.network.wait(empty, what, timeout=timeout, patience=patience)
        self.go_offline()
        if not self.has_left:
            nodes.unstake(sender=self.account)
        return self.withdraw()

    def heartbeat(self) -> None:
        """Say on chain that this node is alive; one in a slot counts. The worker does so by itself."""
        self.contracts.node_registry.heartbeat(sender=self.account)
