"""Requests to nodes: each good for one node, one thing, one time, and not too often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtxeth.errors import (
    BusyError,
    CryptoError,
    PolicyError,
)
from dtxeth.storage import api
from dtxeth.storage.limits import RateLimiter, Rates
from dtxeth.storage.requests import LIFETIME
from tests.storage.sender import DRAFT, NONE, Sender, sha256
from tests.storage.world import World


def test_request_is_good_for_one_node_one_thing_one_time(sender: Sender) -> None:
    world, node, resource = sender.world, sender.node, api.piece_at(sender.file, DRAFT, 0)
    digest = sha256(b"piece")
    good = sender.signer.sign(node.address, "PUT", resource, digest)
    spoilt = {
        "another sender": replace(good, sender=world.executor.address),
        "another nonce": replace(good, nonce=bytes(32)),
        "a short nonce": replace(good, nonce=bytes(31)),
        "another deadline": replace(good, deadline=good.deadline - 1),
        "another node": sender.signer.sign(world.real[1].address, "PUT", resource, digest),
        "another method": sender.signer.sign(node.address, "GET", resource, digest),
        "another position": sender.signer.sign(
            node.address, "PUT", api.piece_at(sender.file, DRAFT, 1), digest
        ),
        "another draft": sender.signer.sign(
            node.address, "PUT", api.piece_at(sender.file, bytes(16), 0), digest
        ),
        "another body": sender.signer.sign(node.address, "PUT", resource, NONE),
    }
    for how, credentials in spoilt.items():
        with pytest.raises((PolicyError, CryptoError)):
            node.put_piece(credentials, sender.file, DRAFT, 0, b"piece")
        assert node.holdings() == [], how
    for signature in (b"none", bytes(65), good.signature[:64], good.signature[:64] + b"\x05"):
        with pytest.raises((PolicyError, CryptoError)):
            node.put_piece(replace(good, signature=signature), sender.file, DRAFT, 0, b"piece")
    node.put_piece(good, sender.file, DRAFT, 0, b"piece")
    with pytest.raises(PolicyError, match="seen before"):
        node.put_piece(good, sender.file, DRAFT, 0, b"piece")


def test_replay_after_a_restart_and_deadlines(world: World) -> None:
    account, directory = world.accounts[7], world.directory / "restarted"
    node = world.node(account, directory)
    signer, file = world.signer(world.owner), bytes(32)
    credentials = signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT))
    node.abandon(credentials, file, DRAFT)
    node.close()
    node = world.node(account, directory)
    with pytest.raises(PolicyError, match="seen before"):
        node.abandon(credentials, file, DRAFT)
    late = signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT))
    with pytest.raises(PolicyError, match="sign it anew"):
        node.abandon(replace(late, deadline=late.deadline + LIFETIME + 1), file, DRAFT)
    world.chain.advance(LIFETIME + 1)
    for old in (late, credentials):
        with pytest.raises(PolicyError, match="sign it anew"):
            node.abandon(old, file, DRAFT)
    node.abandon(signer.sign(node.address, "DELETE", api.draft_of(file, DRAFT)), file, DRAFT)
    assert node._records.database.execute("SELECT count(*) FROM request").fetchone() == (1,)  # old ones go
    node.close()


def test_rate_limit_is_each_accounts_own(world: World) -> None:
    node = world.node(world.accounts[7], world.directory / "slow", rates=Rates(account=1e-6, total=1e3))
    sender = Sender(world, node, world.owner)
    spoilt = replace(sender.signer.sign(node.address, "DELETE", "/x"), signature=bytes(65))
    with pytest.raises(CryptoError):  # nobody else uses up an account's allowance
        node.abandon(spoilt, sender.file, DRAFT)
    with pytest.raises(BusyError, match="asks more than"):
        sender.abandon()
    node.close()


def test_token_buckets() -> None:
    now = 0.0
    limiter = RateLimiter(Rates(account=2, total=3), clock=lambda: now)
    for account in "aaaabb":
        limiter.take(account)
    with pytest.raises(BusyError, match="account a"):
        limiter.take("a")
    with pytest.raises(BusyError, match="the node is asked"):
        limiter.take("b")
    now = 0.5
    limiter.take("a")
    with pytest.raises(BusyError, match="account a"):
        limiter.take("a")
