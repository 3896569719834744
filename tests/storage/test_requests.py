"""Requests to nodes: each good for one node, one thing, one time, and not too often."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace

import pytest
from web3.types import RPCEndpoint

from dtxeth.chain import Account, Contracts
from dtxeth.errors import (
    BusyError,
    CryptoError,
    PolicyError,
)
from dtxeth.storage import RequestSigner, api
from dtxeth.storage.limits import RateLimiter, Rates
from dtxeth.storage.requests import LIFETIME, RequestGate
from tests.storage.sender import DRAFT, NONE, Sender, sha256
from tests.storage.world import World

NOBODY = Account.create().address


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
    with pytest.raises(PolicyError, match="is not what"):
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


def test_a_chain_that_jumps_between_blocks(contracts: Contracts) -> None:
    """A development chain may make no block for minutes, and then one with the time of day."""
    registry, chain = contracts.file_registry, contracts.chain
    with sqlite3.connect(":memory:") as database:
        gate = RequestGate(NOBODY, registry, database, threading.RLock())
        signer = RequestSigner(Account.create(), registry)
        gate.admit(signer.sign(NOBODY, "GET", "/x"), "GET", "/x")  # the gate remembers the time now
        for method, parameters in (("evm_increaseTime", [10 * LIFETIME]), ("evm_mine", [])):
            chain._provider.make_request(RPCEndpoint(method), parameters)  # as if from another process
        fresh = RequestSigner(signer.account, registry).sign(NOBODY, "GET", "/x")
        assert fresh.deadline > gate._recent.now() + 2 * LIFETIME
        assert gate.admit(fresh, "GET", "/x") == signer.account.address
        with pytest.raises(PolicyError, match="seen before"):
            gate.admit(fresh, "GET", "/x")
    database.close()


def test_what_lies_too_far_ahead_stays_refused(contracts: Contracts) -> None:
    registry = contracts.file_registry
    with sqlite3.connect(":memory:") as database:
        gate = RequestGate(NOBODY, registry, database, threading.RLock())
        signer = RequestSigner(Account.create(), registry)
        signer._recent.now = lambda: contracts.chain.now() + 2 * LIFETIME  # type: ignore[method-assign]
        early = signer.sign(NOBODY, "GET", "/x")
        with pytest.raises(PolicyError, match="for at most"):
            gate.admit(early, "GET", "/x")
        with pytest.raises(PolicyError, match="is not what"):
            gate.admit(replace(early, deadline=early.deadline + 1), "GET", "/x")
    database.close()
