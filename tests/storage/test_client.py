"""What an owner's side believes of a node: whatever it sends back is verified, every failure names the node."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any

import pytest

from dtxeth.errors import NodeError
from dtxeth.storage.client import NodeClient
from tests.storage.sender import DRAFT, Sender
from tests.storage.world import Down, World


class Liar:
    """A node whose answers are altered on the way."""

    def __init__(self, node: Any, **altered: Any) -> None:
        self._node, self._altered = node, altered

    def __getattr__(self, name: str) -> Any:
        alter, method = self._altered.get(name, lambda answer: answer), getattr(self._node, name)
        return lambda *arguments: alter(method(*arguments))


def client(sender: Sender, node: Any = None) -> NodeClient:
    return NodeClient(sender.node.address, node or sender.node, sender.signer)


def test_all_of_the_api(sender: Sender) -> None:
    talk, piece = client(sender), secrets.token_bytes(100)
    free = talk.status().free
    talk.put_piece(sender.file, DRAFT, 0, piece, hashlib.sha256(piece).digest())
    talk.keep_pieces(sender.file, DRAFT, 1, [hashlib.sha256(piece).digest()])
    assert talk.status().free == free - 100
    assert [len(one) for one in talk.commitments(sender.file, DRAFT, 2)] == [48, 48]
    with pytest.raises(NodeError, match=f"{sender.node.address}.*not what is claimed"):
        talk.acknowledge(sender.file, DRAFT, sender.claim(piece))
    claim = sender.claim(piece, piece)
    assert talk.acknowledge(sender.file, DRAFT, claim).size == 200
    with pytest.raises(NodeError, match="stays for now"):
        talk.abandon(sender.file, DRAFT)
    with pytest.raises(NodeError, match="no published holding"):
        talk.get_piece(sender.file, hashlib.sha256(piece).digest(), 0)


def test_lies(sender: Sender) -> None:
    shard = b"shard"
    digest = hashlib.sha256(shard).digest()
    sender.put(shard, b"manifest")
    claim = sender.claim(shard, b"manifest")
    lies = {
        "longer": {"deadline": 1 << 40},
        "other bytes": {"size": 14},
        "other root": {"root": bytes(32)},
        "other node": {"node": sender.world.real[1].address},
        "no signature": {"signature": bytes(65)},
    }
    for change in lies.values():
        liar = Liar(sender.node, acknowledge=lambda given, change=change: replace(given, **change))
        with pytest.raises(NodeError, match=sender.node.address):
            client(sender, liar).acknowledge(sender.file, DRAFT, claim)
    short = Liar(sender.node, commitments=lambda given: given[:-1])
    other = Liar(sender.node, commitments=lambda _: bytes(48), get_piece=lambda _: b"other")
    staged = Sender(sender.world, sender.node, sender.account)
    staged.put(shard, b"manifest")
    for node in (short, other):
        with pytest.raises(NodeError, match="of commitments for 2 blobs"):
            client(sender, node).commitments(staged.file, DRAFT, 2)
    staged.draft = bytes(16)
    staged.publish(shard, b"manifest")
    assert client(sender).get_piece(staged.file, digest, 0) == shard
    with pytest.raises(NodeError, match="returned other bytes"):
        client(sender, other).get_piece(staged.file, digest, 0)
    with pytest.raises(NodeError, match="returned another manifest"):
        client(sender).get_manifest(staged.file, bytes(32), hashlib.sha256(b"manifest").digest(), 0)


def test_a_node_that_is_down(world: World, sender: Sender) -> None:
    talk = client(sender, Down())
    for ask in (
        talk.status,
        lambda: talk.commitments(sender.file, DRAFT, 1),
        lambda: talk.abandon(sender.file, DRAFT),
        lambda: talk.get_piece(sender.file, bytes(32), 0),
    ):
        with pytest.raises(NodeError, match=f"{sender.node.address}: connection refused"):
            ask()
