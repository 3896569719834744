"""Attacks on signed HTTP requests: replay, another path, another door; a naive server falls to each of them."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct

from dtxeth.chain import Account, Contracts
from dtxeth.errors import InputError, PolicyError
from dtxeth.storage import RequestSigner, wire
from dtxeth.storage.http import Connection
from dtxeth.storage.requests import OWNER_NODE, RequestGate
from dtxeth.web import serve, storage_node_app

FILE, DRAFT = bytes(32), bytes(16)
DRAFTS = f"/files/{FILE.hex()}/drafts/{DRAFT.hex()}"
BLOCK = f"/files/{FILE.hex()}/blocks/{FILE.hex()}?authorization="


class Naive:
    """Signs as many APIs do: the path without its query, no nonce, no recipient."""

    def __init__(self, account: Account) -> None:
        self.account, self.key = account, account._signer

    def sign(self, method: str, resource: str) -> bytes:
        text = f"{method} {resource.partition('?')[0]}"
        return bytes(self.key.sign_message(encode_defunct(text=text)).signature)

    def admits(self, method: str, resource: str, signature: bytes) -> bool:
        text = f"{method} {resource.partition('?')[0]}"
        signer = EthAccount.recover_message(encode_defunct(text=text), signature=signature)
        return bool(signer == self.account.address)


class Service:
    """A node that admits requests and does nothing else."""

    def __init__(self, node: Account, contracts: Contracts) -> None:
        database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.gate = RequestGate(node.address, contracts.file_registry, database, threading.RLock())
        self.admitted: list[str] = []

    def abandon(self, credentials: object, file_id: bytes, draft: bytes) -> None:
        self.gate.admit(credentials, "DELETE", DRAFTS)  # type: ignore[arg-type]
        self.admitted.append(DRAFTS)

    def get_piece(self, credentials: object, file_id: bytes, digest: bytes, authorization_id: int) -> bytes:
        self.gate.admit(credentials, "GET", BLOCK + str(authorization_id))  # type: ignore[arg-type]
        self.admitted.append(BLOCK + str(authorization_id))
        return b"piece"


@pytest.fixture
def service(accounts: list[Account], contracts: Contracts) -> Service:
    return Service(accounts[1], contracts)


@pytest.fixture
def connection(service: Service) -> Iterator[Connection]:
    with serve(storage_node_app(service)) as server:  # type: ignore[arg-type]
        connection = Connection(server.url, timeout=10)
        yield connection
        connection.close()


@pytest.fixture
def signer(accounts: list[Account], contracts: Contracts) -> RequestSigner:
    return RequestSigner(accounts[0], contracts.file_registry)


def test_a_naive_server_takes_replays_and_other_queries(accounts: list[Account]) -> None:
    naive = Naive(accounts[0])
    signature = naive.sign("GET", BLOCK + "1")
    assert naive.admits("GET", BLOCK + "1", signature)
    assert naive.admits("GET", BLOCK + "1", signature)
    assert naive.admits("GET", BLOCK + "2", signature)


def test_a_replayed_request_is_refused(
    connection: Connection, service: Service, signer: RequestSigner, accounts: list[Account]
) -> None:
    headers = wire.to_headers(signer.sign(accounts[1].address, "DELETE", DRAFTS))
    connection.request("DELETE", DRAFTS, headers, limit=0)
    with pytest.raises(PolicyError, match="seen before"):
        connection.request("DELETE", DRAFTS, headers, limit=0)
    assert service.admitted == [DRAFTS]


@pytest.mark.parametrize(
    "resource", [BLOCK + "2", BLOCK + "1&authorization=2", BLOCK + "1&x=", BLOCK + "01", BLOCK[:-1] + "%3D1"]
)
def test_a_downgraded_path_is_refused(
    connection: Connection, service: Service, signer: RequestSigner, accounts: list[Account], resource: str
) -> None:
    headers = wire.to_headers(signer.sign(accounts[1].address, "GET", BLOCK + "1"))
    with pytest.raises((PolicyError, InputError)):
        connection.request("GET", resource, headers, limit=100)
    assert not service.admitted
    assert connection.request("GET", BLOCK + "1", headers, limit=100) == b"piece"


def test_a_request_to_the_owner_opens_no_storage_node(
    connection: Connection, service: Service, accounts: list[Account], contracts: Contracts
) -> None:
    owners = RequestSigner(accounts[0], contracts.file_registry, OWNER_NODE)
    headers = wire.to_headers(owners.sign(accounts[1].address, "DELETE", DRAFTS, hashlib.sha256().digest()))
    with pytest.raises(PolicyError, match="is not what"):
        connection.request("DELETE", DRAFTS, headers, limit=0)
    assert not service.admitted
