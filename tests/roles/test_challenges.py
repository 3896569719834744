"""Possession challenges from owner to node and back: proved, wrong, missed, and drawn by whoever is there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.types import Algorithm, ChallengeStatus, Fault
from dtxeth.chain.rows import ChallengeRow
from dtxeth.errors import ContractRevert
from dtxeth.roles import DataOwner, LocalNetwork, StorageNode, StoredFile
from dtxeth.roles.care import Care
from dtxeth.roles.challenges import BLOCK_HASHES

SIZE = 3000


@pytest.fixture
def network() -> Iterator[LocalNetwork]:
    with LocalNetwork(storage_nodes=2, executors=0) as made:
        yield made


@pytest.fixture
def owner(network: LocalNetwork) -> DataOwner:
    return network.data_owner("owner", care=Care(challenges_per_day=0))


@pytest.fixture
def file(owner: DataOwner, tmp_path: Path) -> StoredFile:
    (tmp_path / "data").write_bytes(secrets.token_bytes(SIZE))
    return owner.upload(tmp_path / "data", "any")


def alter(node: StorageNode) -> None:
    """Flip every bit of everything that a node has on disk."""
    for path in node.home.glob("blocks/blocks/*/*"):
        path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def test_honest_nodes_prove_and_are_paid(network: LocalNetwork, owner: DataOwner, file: StoredFile) -> None:
    results = owner.challenge(file, count=4)
    assert {result.node for result in results} == {node.address for node in network.storage_nodes}
    assert {(result.status, result.fault) for result in results} == {(ChallengeStatus.PROVED, Fault.NONE)}
    challenges = network.contracts.storage_challenge
    for node in network.storage_nodes:
        assert challenges.credit_of(node.address) == challenges.deposit_for(Algorithm.MERKLE, 4)
    assert [row.status for row in network.find(ChallengeRow)] == ["proved", "proved"]


def test_a_node_that_notices_its_damage_misses(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    alter(network.storage_nodes[0])
    honest, damaged = sorted(owner.challenge(file), key=lambda result: result.status)
    assert (honest.node, honest.status) == (network.storage_nodes[1].address, ChallengeStatus.PROVED)
    assert damaged.node == network.storage_nodes[0].address
    assert (damaged.status, damaged.fault) == (ChallengeStatus.FAILED, Fault.MISSED)
    assert network.contracts.storage_challenge.credit_of(owner.address) > 0  # the deposit comes back


def test_a_node_that_answers_with_altered_leaves_is_wrong(
    network: LocalNetwork, owner: DataOwner, file: StoredFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheat = network.storage_nodes[0]
    honest_answer = cheat.service.answer

    def answer(*arguments: Any) -> bytes:
        honest = bytearray(honest_answer(*arguments))
        honest[1] ^= 1  # of the first leaf; before it comes its length
        return bytes(honest)

    monkeypatch.setattr(cheat.service, "answer", answer)
    by_node = {result.node: result for result in owner.challenge(file)}
    assert by_node[cheat.address].status is ChallengeStatus.FAILED
    assert by_node[cheat.address].fault is Fault.WRONG
    assert by_node[network.storage_nodes[1].address].status is ChallengeStatus.PROVED


def test_a_dead_node_misses_what_the_owner_draws(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    dead = network.storage_nodes[0]
    dead.stop()
    by_node = {result.node: result for result in owner.challenge(file)}
    assert by_node[dead.address].fault is Fault.MISSED
    assert by_node[network.storage_nodes[1].address].status is ChallengeStatus.PROVED


def test_a_challenge_that_nobody_draws_in_time_is_void(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    holding = network.contracts.file_registry.holdings_of(file.id)[0]
    challenge = owner.open_challenge(holding, 2)
    network.chain.mine(BLOCK_HASHES + 5)
    while network.pump():
        pass
    record = network.contracts.storage_challenge.challenge(challenge)
    assert (record.status, record.fault) == (ChallengeStatus.VOID, Fault.NONE)


def test_only_the_owner_challenges_and_not_at_once_again(
    network: LocalNetwork, owner: DataOwner, file: StoredFile
) -> None:
    with pytest.raises(ContractRevert, match="owner"):
        network.data_owner("other").challenge(file)
    owner.challenge(file, count=1)
    with pytest.raises(reverts.ChallengedTooSoon):
        owner.challenge(file, count=1)


def test_heartbeats_count_once_a_slot(network: LocalNetwork) -> None:
    node = network.storage_nodes[0]
    node.heartbeat()
    with pytest.raises(reverts.HeartbeatTooSoon):
        node.heartbeat()
    network.chain.advance(3600)
    node.heartbeat()
    assert network.node_named(node.name).last_heartbeat_at == network.chain.now()
