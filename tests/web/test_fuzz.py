"""Ten thousand requests made of broken parts: refused each of them, none a failure of the server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import ASGIApp

from dtxeth.chain import Account, Contracts, EventIndex
from dtxeth.roles.network import Network
from dtxeth.storage import RequestSigner, api, wire
from dtxeth.storage.requests import OWNER_NODE, STORAGE_NODE
from dtxeth.web import Limits, owner_api, owner_app, storage_node_app
from tests.web.node import MemoryNode
from tests.web.test_owner import ShelfOwner

REQUESTS = 5000
FILE, DRAFT, DIGEST = bytes(32), bytes(16), bytes(32)
LIMITS = Limits(host_rate=1e9, host_burst=10**9)

STORAGE = [
    ("PUT", api.piece_at(FILE, DRAFT, 0)),
    ("PUT", api.kept_at(FILE, DRAFT, 0)),
    ("GET", api.commitments_of(FILE, DRAFT)),
    ("PUT", api.draft_of(FILE, DRAFT)),
    ("DELETE", api.draft_of(FILE, DRAFT)),
    ("GET", api.outline_of(FILE)),
    ("GET", api.piece_named(FILE, DIGEST, 0)),
    ("GET", api.manifest_of(FILE, DIGEST, 0)),
    ("GET", "/status"),
]
OWNER = [
    ("POST", owner_api.FILES + "?name=a&namespace=b&days=1"),
    ("GET", owner_api.FILES + "?offset=0&limit=1"),
    *(("GET", form.format(file="00" * 32)) for form in (owner_api.FILE, owner_api.CONTENT, owner_api.HEALTH)),
    ("DELETE", owner_api.FILE.format(file="00" * 32)),
    ("POST", owner_api.RENEWAL.format(file="00" * 32) + "?days=1"),
    ("GET", owner_api.NAMESPACES),
    ("POST", owner_api.NAMESPACES),
    ("GET", owner_api.AUTHORIZATIONS),
    ("POST", owner_api.APPROVAL.format(authorization=1)),
    ("POST", owner_api.REJECTION.format(authorization=1)),
    ("GET", "/status"),
]
BODIES = [
    b"",
    b"{}",
    b"null",
    b'{"name": "n", "replicas": 2}',
    b'{"name": "n", "erasure": [4, 6]}',
    b"[" * 5000,
]


class Mutator:
    """Breaks things at random, the same ones in every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def bytes(self, given: bytes) -> bytes:
        data = bytearray(given)
        for _ in range(self.random.choice((0, 0, 1, 1, 3))):
            place = self.random.randrange(len(data) + 1)
            match self.random.randrange(5):
                case 0:
                    data[place:place] = self.random.randbytes(self.random.randrange(1, 9))
                case 1:
                    del data[place : place + self.random.randrange(1, 40)]
                case 2 if data:
                    data[place % len(data)] ^= 1 << self.random.randrange(8)
                case 3:
                    data[place:place] = self.random.choice(
                        (
                            b"%00",
                            b"../",
                            b"&",
                            b"=",
                            b"?",
                            b"/",
                            b"-1",
                            b"9" * 40,
                            "é".encode(),
                            b"\x00",
                            b"[[",
                        )
                    )
                case _:
                    data = data * 2
        return bytes(data)

    def headers(self, given: dict[str, str]) -> list[tuple[bytes, bytes]]:
        headers = [(name.lower().encode(), value.encode()) for name, value in given.items()]
        if self.random.random() < 0.5:
            place = self.random.randrange(len(headers))
            name, value = headers[place]
            match self.random.randrange(4):
                case 0:
                    del headers[place]
                case 1:
                    headers[place] = name, self.bytes(value)
                case 2:
                    headers.append((name, value))
                case _:
                    headers.append((self.bytes(name), self.bytes(value)))
        return headers


async def ask(
    app: ASGIApp, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Drive an application in this process, as uvicorn would."""
    path, _, query = target.partition(b"?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path.decode("latin-1"), "raw_path": path, "query_string": query, "root_path": "",
        "headers": headers, "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answer = b"".join(bytes(message.get("body", b"")) for message in sent[1:])
    return sent[0]["status"], answer


def fuzz(
    app: ASGIApp, resources: list[tuple[str, str]], sign: Callable[[str, str, bytes], dict[str, str]]
) -> set[int]:
    broken, statuses = Mutator(7), set()

    async def run() -> None:
        for _ in range(REQUESTS):
            method, resource = broken.random.choice(resources)
            body = broken.bytes(broken.random.choice(BODIES))
            target = broken.bytes(resource.encode())
            signed = sign(
                method, target.decode("latin-1") if broken.random.random() < 0.8 else resource, body
            )
            status, answer = await ask(app, method, target, broken.headers(signed), body)
            assert status < 500, (method, target, status, answer)
            assert b"Traceback" not in answer
            if status >= 400:
                refusal = json.loads(answer)
                assert refusal["error"] in wire.REFUSALS
                assert refusal["message"].isprintable()
            statuses.add(status)

    asyncio.run(run())
    return statuses


def signing(signer: RequestSigner, node: str) -> Callable[[str, str, bytes], dict[str, str]]:
    """Fresh nonces, one signature: the gate of these tests knows who sent what."""
    pattern = wire.to_headers(signer.sign(node, "GET", "/", bytes(32)))
    numbers = iter(range(10**9))

    def sign(method: str, resource: str, body: bytes) -> dict[str, str]:
        return pattern | {
            wire.NONCE: next(numbers).to_bytes(32, "big").hex(),
            wire.BODY_HASH: hashlib.sha256(body).hexdigest(),
        }

    return sign


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch, accounts: list[Account]) -> None:
    """Every signature is the first account's, as often as it likes: what is behind the gate is fuzzed as well."""
    monkeypatch.setattr("dtxeth.storage.requests.recover_digest", lambda *_: accounts[0].address)
    monkeypatch.setattr("dtxeth.storage.limits.RateLimiter.take", lambda *_: None)


@pytest.mark.usefixtures("trusting")
def test_storage_node(service: MemoryNode, accounts: list[Account], contracts: Contracts) -> None:
    signer = RequestSigner(accounts[0], contracts.file_registry, STORAGE_NODE)
    service.pieces[DIGEST] = b"piece"
    statuses = fuzz(storage_node_app(service, LIMITS), STORAGE, signing(signer, service.account.address))
    assert {200, 204, 400, 401, 404, 405} <= statuses


@pytest.mark.usefixtures("trusting")
def test_owner_node(accounts: list[Account], contracts: Contracts) -> None:
    index = EventIndex(contracts)
    owner = ShelfOwner(Network(contracts.chain, contracts, index), accounts[0])
    signer = RequestSigner(accounts[0], contracts.file_registry, OWNER_NODE)
    statuses = fuzz(owner_app(owner, (), LIMITS), OWNER, signing(signer, owner.address))
    index.close()
    assert {200, 201, 204, 400, 401, 404, 405} <= statuses
