"""An executor that fetches a file without, with an expired, and with a revoked authorization.

The naive node serves whoever it once saw approved; ours asks the chain at every piece. A node that replays an
owner's request to another node gets nothing either.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dtxeth.errors import NotEnoughNodesError, PolicyError
from dtxeth.storage import RemoteFile, StorageNode, StorageNodeApi, Upload, api
from tests.storage.world import World

SECRET = b"id,diagnosis\n7,positive\n"


class NaiveNode:
    """Serves any account that was approved for any file, once: it remembers whom it has served."""

    def __init__(self, node: StorageNode, approved: set[str]) -> None:
        self._node, self._approved = node, approved

    def get_manifest(self, credentials, file_id: bytes, authorization_id: int) -> bytes:
        self._check(credentials)
        holding = self._node._published(file_id)
        return self._node._store.block_get(self._node._records.pieces(file_id, holding.owner)[-1].cid)

    def get_piece(self, credentials, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self._check(credentials)
        holding = self._node._published(file_id)
        return self._node._store.block_get(self._node._records.pieces(file_id, holding.owner)[0].cid)

    def _check(self, credentials) -> None:
        if credentials.sender not in self._approved:
            raise PolicyError("never approved")


def never(world: World, stored: Upload) -> int:
    return 0


def for_another_file(world: World, stored: Upload) -> int:
    return world.grant(world.publish(b"harmless"))


def somebody_elses(world: World, stored: Upload) -> int:
    number = world.grant(stored)
    world.accounts[0], world.accounts[1], world.accounts[8] = (
        world.accounts[0], world.accounts[8], world.accounts[1]
    )  # fmt: skip
    return number


def expired(world: World, stored: Upload) -> int:
    number = world.grant(stored, seconds=60)
    fetch(world, stored, world.nodes, number)
    world.chain.advance(61)
    world.chain.mine()
    return number


def revoked(world: World, stored: Upload) -> int:
    number = world.grant(stored)
    fetch(world, stored, world.nodes, number)
    world.contracts.file_authorization.revoke(number, "changed my mind", sender=world.owner)
    return number


def fetch(world: World, stored: Upload, nodes: dict[str, StorageNodeApi], number: int) -> bytes:
    """The executor knows the file key already (it was approved once, or a colluder told it)."""
    signer = world.signer(world.executor)
    return RemoteFile(stored.file_id, stored.file_key, signer, nodes, number).read()


@pytest.mark.parametrize("how", [never, for_another_file, somebody_elses, expired, revoked])
def test_executor_without_current_authorization(world: World, how: Callable[[World, Upload], int]) -> None:
    stored = world.publish(SECRET)
    number = how(world, stored)
    naive = {node.address: NaiveNode(node, {world.executor.address}) for node in world.real}
    assert fetch(world, stored, naive, number) == SECRET
    with pytest.raises(NotEnoughNodesError, match="no current authorization"):
        fetch(world, stored, world.nodes, number)


def test_revoked_between_two_pieces(world: World) -> None:
    """Revocation stops an open download at its next piece."""
    stored = world.publish(SECRET)
    number = world.grant(stored)
    remote = RemoteFile(stored.file_id, stored.file_key, world.signer(world.executor), world.nodes, number)
    world.contracts.file_authorization.revoke(number, "enough", sender=world.owner)
    with pytest.raises(NotEnoughNodesError, match="no current authorization"):
        remote.read()


def test_node_forwards_an_owners_request_to_another_node(world: World) -> None:
    """Were requests not bound to a node, a node could collect the other replicas of every file it serves."""
    stored = world.publish(SECRET)
    first, second = (held.node for held in stored.manifest.nodes)
    victim = next(node for node in world.real if node.address == second)
    resource = api.manifest_of(stored.file_id, 0)
    good = world.signer(world.owner).sign(second, "GET", resource)
    assert victim.get_manifest(good, stored.file_id, 0)
    forwarded = world.signer(world.owner).sign(first, "GET", resource)
    with pytest.raises(PolicyError, match="sign this very request"):
        victim.get_manifest(forwarded, stored.file_id, 0)
