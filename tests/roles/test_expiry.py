"""The end of a file: renewed, expired, deleted, released; and what nodes do with the space."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtxeth.chain import Parameters, reverts
from dtxeth.chain.bindings.events import HoldingReleased
from dtxeth.chain.bindings.types import Cause, Revision
from dtxeth.errors import InputError
from dtxeth.roles import DataOwner, LocalNetwork, StoredFile
from dtxeth.roles.care import Care

DAY = 24 * 3600
PARAMETERS = Parameters(slot_seconds=DAY, lost_slots=30)
DATA = secrets.token_bytes(3000)


@pytest.fixture
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(storage_nodes=4, executors=0, parameters=PARAMETERS) as made:
        yield made


@pytest.fixture
def owner(network: LocalNetwork) -> DataOwner:
    owner = network.data_owner("owner", care=Care(challenges_per_day=0))
    owner.add_namespace("any")
    return owner


@pytest.fixture
def file(owner: DataOwner, tmp_path: Path) -> StoredFile:
    (tmp_path / "data").write_bytes(DATA)
    return owner.upload(tmp_path / "data", "any", days=2)


def check(owner: DataOwner, file: StoredFile, folder: Path) -> None:
    owner.download(file, folder / "copy")
    assert (folder / "copy").read_bytes() == DATA


def used(network: LocalNetwork) -> list[int]:
    return [node.service.status().used for node in network.storage_nodes]


def test_a_file_is_renewed_before_and_after_its_expiry(
    network: LocalNetwork, owner: DataOwner, file: StoredFile, tmp_path: Path
) -> None:
    renewed = owner.renew(file, 1)
    assert renewed.expires_at == file.expires_at + DAY
    network.pass_time(5 * DAY)
    assert owner.expired() == [renewed]
    assert owner.repairs() == []
    again = owner.renew(file, 3)
    assert abs(again.expires_at - (network.chain.now() + 3 * DAY)) < 60
    assert owner.expired() == []
    files = owner.contracts.file_registry
    assert {files.holding(number).expires_at for number in files.holdings_of(file.id)} == {again.expires_at}
    assert owner.migrations() == []
    network.pass_time(DAY)
    check(owner, file, tmp_path)


def test_a_renewal_replaces_who_is_not_there(
    network: LocalNetwork, owner: DataOwner, file: StoredFile, tmp_path: Path
) -> None:
    files = owner.contracts.file_registry
    away = files.holding(files.holdings_of(file.id)[0]).node
    next(node for node in network.storage_nodes if node.address == away).go_offline()
    owner.renew(file, 30)
    (migration,) = owner.migrations(file)
    assert (migration.cause, migration.left) == ("renewal", (away,))
    check(owner, file, tmp_path)


def test_a_renewal_without_other_nodes_keeps_what_is_left(
    network: LocalNetwork, owner: DataOwner, file: StoredFile, tmp_path: Path
) -> None:
    files = owner.contracts.file_registry
    stays = files.holding(files.holdings_of(file.id)[0]).node
    for node in network.storage_nodes:
        if node.address != stays:
            node.drain()
    renewed = owner.renew(file, 30)
    holdings = [files.holding(number) for number in files.holdings_of(file.id)]
    assert [(held.node, held.expires_at) for held in holdings] == [(stays, renewed.expires_at)]
    assert [repair.cause for repair in owner.repairs()] == [Cause.REPAIR]
    for node in network.storage_nodes:
        node.drain(False)
    network.pass_time(200)
    assert len(files.holdings_of(file.id)) == 2
    check(owner, file, tmp_path)


def test_an_expired_file_cannot_be_authorised(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    reader = network.requester("reader")
    authorizations = network.contracts.file_authorization
    authorizations.apply_for(file.id, 1, sender=reader.account)
    network.remove_worker(owner)
    network.pass_time(3 * DAY)
    with pytest.raises(reverts.FileExpired, match="renew it within 7 days, or publish it anew"):
        owner.approve(1)
    with pytest.raises(reverts.FileExpired):
        authorizations.apply_for(file.id, 2, sender=reader.account)


def test_after_seven_days_the_space_is_free(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    assert sum(size > 0 for size in used(network)) == 2
    network.pass_time(8 * DAY)
    assert sum(size > 0 for size in used(network)) == 2
    assert owner.expired() == owner.files()
    network.pass_time(3 * DAY)
    assert used(network) == [0] * 4
    network.index.sync()
    assert len(network.index.events(HoldingReleased, file_id=file.id)) == 2
    with pytest.raises(reverts.RetentionOver, match="publish it anew"):
        owner.contracts.file_registry.revise(_revival(owner, file), [], sender=owner.account)
    with pytest.raises(InputError, match="its retention is over: publish it anew"):
        owner.renew(file, 1)


def _revival(owner: DataOwner, file: StoredFile) -> Revision:
    later = owner.network.chain.now() + DAY
    return Revision(file.id, Cause.RENEWAL, 1, 2, later, b"\1" * 32, ())


def test_a_deleted_file_is_gone_at_once(network: LocalNetwork, owner: DataOwner, file: StoredFile) -> None:
    owner.delete(file)
    network.pass_time(1)
    assert (owner.files(), owner.repairs(), used(network)) == ([], [], [0] * 4)
    with pytest.raises(reverts.FileDeletedAlready):
        owner.delete(file)
    with pytest.raises(InputError, match="deleted"):
        owner.renew(file, 1)


def test_bad_terms_change_nothing(network: LocalNetwork, owner: DataOwner, file: StoredFile) -> None:
    block, stranger = network.chain.block_number, network.data_owner("stranger")
    for days in (0, -1, 40_000):
        with pytest.raises(InputError, match="give at least 1"):
            owner.renew(file, days)
    with pytest.raises(InputError, match="belongs to"):
        stranger.renew(file, 1)
    with pytest.raises(reverts.UnknownFile):
        owner.renew(bytes(32), 1)
    with pytest.raises(reverts.NotFileOwner):
        stranger.delete(file)
    assert network.chain.block_number <= block + 2  # the stranger's joining
