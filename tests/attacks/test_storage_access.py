"""An executor that fetches a file without, with an expired, and with a revoked authorization.

The naive node serves whoever it once saw approved; ours asks the chain at every piece. A node that replays an
owner's request to another node gets nothing either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from dtxeth.errors import BusyError, NotEnoughNodesError, PolicyError, UnknownNameError
from dtxeth.storage import RemoteFile, StorageNode, StorageNodeApi, Upload, api
from dtxeth.storage.blockstore import cid_of_digest
from dtxeth.storage.limits import Rates
from tests.storage.world import World

SECRET = b"id,diagnosis\n7,positive\n"


class NaiveNode:
    """Serves any account that was approved for any file, once: it remembers whom it has served."""

    def __init__(self, node: StorageNode, approved: set[str]) -> None:
        self._node, self._approved = node, approved

    def get_manifest(self, credentials, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self._check(credentials)
        (holding,) = self._node._drafts.published(self._node._records.holdings_of(file_id))
        return self._node._shelf.store.block_get(self._node._records.last_cid(holding))

    def get_piece(self, credentials, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self._check(credentials)
        return self._node._shelf.store.block_get(cid_of_digest(digest))

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
    digest = stored.publication.manifest_digest
    resource = api.manifest_of(stored.file_id, digest, 0)
    good = world.signer(world.owner).sign(second, "GET", resource)
    assert victim.get_manifest(good, stored.file_id, digest, 0)
    forwarded = world.signer(world.owner).sign(first, "GET", resource)
    with pytest.raises(PolicyError, match="sign this very request"):
        victim.get_manifest(forwarded, stored.file_id, digest, 0)


def test_stranger_adopts_the_pieces_of_another(world: World) -> None:
    """Whoever knows digests could have a node sign for bytes that he never had, and read them as his own file's.

    The naive node looks a piece up by its CID alone; ours among the pieces of the same file and owner.
    """
    stored = world.publish(SECRET)
    held = stored.manifest.nodes[0]
    node = next(node for node in world.real if node.address == held.node)
    digest, draft = held.pieces[0].digest, bytes(16)
    assert node._records.block(cid_of_digest(digest))  # all that the naive node asks for
    signer = world.signer(world.executor)
    for file_id in (stored.file_id, bytes(32)):
        credentials = signer.sign(
            node.address, "PUT", api.kept_at(file_id, draft, 0), hashlib.sha256(digest).digest()
        )
        with pytest.raises(UnknownNameError, match="send it"):
            node.keep_pieces(credentials, file_id, draft, 0, [digest])


def test_stranger_stages_under_anothers_file_id(world: World) -> None:
    """What a stranger stages under a file's id neither counts as the owner's nor opens the file to him."""
    stored = world.publish(SECRET)
    held = stored.manifest.nodes[0]
    node = next(node for node in world.real if node.address == held.node)
    signer, piece = world.signer(world.executor), b"planted"
    digest = hashlib.sha256(piece).digest()
    put = signer.sign(node.address, "PUT", api.piece_at(stored.file_id, bytes(16), 0), digest)
    node.put_piece(put, stored.file_id, bytes(16), 0, piece)
    for wanted in (digest, held.pieces[0].digest):
        get = signer.sign(node.address, "GET", api.piece_named(stored.file_id, wanted, 0))
        with pytest.raises((UnknownNameError, PolicyError)):
            node.get_piece(get, stored.file_id, wanted, 0)
    owner = world.signer(world.owner).sign(node.address, "GET", api.piece_named(stored.file_id, digest, 0))
    with pytest.raises(UnknownNameError):
        node.get_piece(owner, stored.file_id, digest, 0)


def test_flood_of_requests(world: World) -> None:
    """An account that floods a node is turned away; another one is still served."""
    directory = world.directory / "flooded"
    node = world.node(world.accounts[7], directory, rates=Rates(account=2, total=1000))
    flooder, other = world.signer(world.executor), world.signer(world.owner)
    resource = api.draft_of(bytes(32), bytes(16))
    turned_away = 0
    for _ in range(30):
        try:
            node.abandon(flooder.sign(node.address, "DELETE", resource), bytes(32), bytes(16))
        except BusyError:
            turned_away += 1
    assert turned_away
    node.abandon(other.sign(node.address, "DELETE", resource), bytes(32), bytes(16))
    node.close()
