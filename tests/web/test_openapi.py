"""The OpenAPI documents name every route, and the page at /docs needs nothing from the internet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from dtxeth.chain import Account, Contracts, EventIndex
from dtxeth.roles.network import Network
from dtxeth.storage import api, wire
from dtxeth.storage.http import Connection
from dtxeth.web import Server, owner_api, owner_app, storage_node_app
from dtxeth.web.refusals import STATUS
from tests.web.conftest import Stage
from tests.web.node import MemoryNode
from tests.web.test_owner import ShelfOwner

STORAGE = {
    ("put", api.PIECE), ("put", api.KEPT), ("get", api.COMMITMENTS), ("put", api.DRAFT), ("delete", api.DRAFT),
    ("get", api.OUTLINE), ("get", api.BLOCK), ("get", api.MANIFEST),
}  # fmt: skip
OWNER = {
    ("get", owner_api.FILES), ("post", owner_api.FILES), ("get", owner_api.FILE), ("delete", owner_api.FILE),
    ("get", owner_api.CONTENT), ("get", owner_api.HEALTH), ("post", owner_api.RENEWAL),
    ("get", owner_api.NAMESPACES), ("post", owner_api.NAMESPACES), ("get", owner_api.AUTHORIZATIONS),
    ("post", owner_api.APPROVAL), ("post", owner_api.REJECTION),
}  # fmt: skip
UNSIGNED = {("get", "/status"), ("get", "/health")}


def check(app: FastAPI, signed: set[tuple[str, str]]) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.")
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == signed | UNSIGNED
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for key, operation in operations.items():
        assert operation["summary"]
        assert operation["responses"]["400"]["content"]["application/json"]
        parameters = {(one["in"], one["name"]) for one in operation.get("parameters", [])}
        assert {name for place, name in parameters if place == "path"} == set(re.findall(r"{(\w+)}", key[1]))
        headers = {name for place, name in parameters if place == "header"} - {wire.BODY_HASH}
        assert headers == (
            set() if key in UNSIGNED else {wire.SENDER, wire.NONCE, wire.DEADLINE, wire.SIGNATURE}
        )
        for one in operation.get("parameters", []):
            re.compile(one["schema"]["pattern"])


def test_storage_node(service: MemoryNode) -> None:
    check(storage_node_app(service), STORAGE)


def test_owner_node(contracts: Contracts, accounts: list[Account]) -> None:
    index = EventIndex(contracts)
    check(owner_app(ShelfOwner(Network(contracts.chain, contracts, index), accounts[0])), OWNER)
    index.close()


@pytest.mark.usefixtures("server")
def test_the_page_works_offline(stage: tuple[Stage, Server]) -> None:
    connection = Connection(stage[1].url, timeout=10)
    page = connection.request("GET", "/docs", {}, limit=2**20).decode()
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    for asset in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page):
        assert connection.request("GET", asset, {}, limit=4 * 2**20)
    assert connection.json("GET", "/openapi.json", {}, limit=2**20)["info"]["title"] == "dtxeth storage node"
    connection.close()


def test_the_manual_names_every_header_and_resource() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    for name in wire.FORMS:
        assert f"| `{name}` |" in manual
    for name in wire.REFUSALS:
        assert name in manual
    for status in set(STATUS.values()):
        assert str(status) in manual
    for method, path in STORAGE:
        assert f"`{method.upper()} {path}" in manual
    for method, path in OWNER:
        assert f"`{method.upper()} {path.replace('{authorization}', '{number}')}" in manual
