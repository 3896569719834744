"""Deploying once, and refusing what is not ours."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import MappingProxyType

import pytest
from eth_utils import keccak

from dtxeth.chain import (
    Account,
    Chain,
    Contracts,
    Deployment,
    Parameters,
    Receipt,
    create_keystore,
    deploy,
    load_deployment,
    open_chain,
    reverts,
)
from dtxeth.chain.abi import Call
from dtxeth.chain.deploy import NAMES, artifact
from dtxeth.errors import DeploymentError, InputError
from scripts.deploy import main


def _put(chain: Chain, account: Account, code: bytes) -> str:
    """Create a contract that has exactly this code."""
    size = len(code).to_bytes(2, "big").hex()
    creation = bytes.fromhex(f"61{size}80600a3d393df3") + code  # returns what follows these ten bytes
    created = chain.transact(account, Call(None, creation)).contract
    assert created is not None
    assert chain.code(created) == code
    return created


def _replaced(deployment: Deployment, name: str, address: str, code: bytes) -> Deployment:
    return dataclasses.replace(
        deployment,
        addresses=MappingProxyType({**deployment.addresses, name: address}),
        code_hashes=MappingProxyType({**deployment.code_hashes, name: bytes(keccak(code))}),
    )


def test_deploying_twice_changes_nothing(each_chain: Chain, accounts: list[Account], tmp_path: Path) -> None:
    deployment = deploy(each_chain, accounts[0], directory=tmp_path)
    block, record = each_chain.block_number, (tmp_path / f"{each_chain.chain_id}.json").read_bytes()
    assert deploy(each_chain, accounts[1], directory=tmp_path) == deployment
    assert each_chain.block_number == block
    assert (tmp_path / f"{each_chain.chain_id}.json").read_bytes() == record
    assert load_deployment(each_chain, tmp_path) == deployment
    assert [path.name for path in tmp_path.iterdir()] == [f"{each_chain.chain_id}.json"]


def test_the_contracts_are_told_the_parameters(chain: Chain, accounts: list[Account]) -> None:
    parameters = Parameters(60, 2**30, 3, 100, 10, 5, 30, 7, 8, 9, 11, 12)
    contracts = Contracts(chain, deploy(chain, accounts[0], parameters))
    challenges, nodes = contracts.storage_challenge, contracts.node_registry
    told = dataclasses.asdict(challenges.rules()) | dataclasses.asdict(challenges.health_rules())
    told |= {"slot_seconds": nodes.slot_seconds(), "stake_per_gib": nodes.stake_for(2**30)}
    assert told == dataclasses.asdict(parameters)


def test_parameters_out_of_range_are_refused_by_the_constructor(
    chain: Chain, accounts: list[Account]
) -> None:
    with pytest.raises(reverts.InvalidRules):
        deploy(chain, accounts[0], Parameters(draw_delay=1))
    with pytest.raises(reverts.InvalidSlotSeconds):
        deploy(chain, accounts[0], Parameters(slot_seconds=0))
    with pytest.raises(reverts.InvalidHealthRules):
        deploy(chain, accounts[0], Parameters(lost_misses=0))
    with pytest.raises(InputError):
        deploy(chain, accounts[0], Parameters(slot_seconds=-1))


def test_other_parameters_than_recorded_are_refused(
    chain: Chain, accounts: list[Account], tmp_path: Path
) -> None:
    deploy(chain, accounts[0], directory=tmp_path)
    block = chain.block_number
    with pytest.raises(DeploymentError, match="give the same"):
        deploy(chain, accounts[0], Parameters(slot_seconds=7), tmp_path)
    assert chain.block_number == block


def test_a_development_chain_started_afresh_is_deployed_to_anew(
    accounts: list[Account], tmp_path: Path
) -> None:
    for _ in range(2):
        with open_chain() as chain:
            chain.faucet(accounts[0].address, 10**18)
            assert chain.code(deploy(chain, accounts[0], directory=tmp_path).addresses["TaskRegistry"])


def test_no_deployment(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="no record of a deployment"):
        load_deployment(chain, tmp_path)


def test_a_record_of_a_chain_that_has_none(chain: Chain, accounts: list[Account], tmp_path: Path) -> None:
    mark = chain.snapshot()
    deploy(chain, accounts[0], directory=tmp_path)
    chain.rollback(mark)
    with pytest.raises(DeploymentError, match=r"there is no KeyRegistry at 0x.*deploy with"):
        load_deployment(chain, tmp_path)


def test_a_deployment_of_another_chain(contracts: Contracts) -> None:
    elsewhere = dataclasses.replace(contracts.deployment, chain_id=5)
    with pytest.raises(DeploymentError, match="is on chain 5, not"):
        elsewhere.verify(contracts.chain)


@pytest.mark.parametrize("name", NAMES)
def test_one_altered_byte_of_code_is_refused(
    contracts: Contracts, accounts: list[Account], name: str
) -> None:
    """Even if the record has the altered code's hash."""
    chain, deployment = contracts.chain, contracts.deployment
    code = bytearray(chain.code(deployment.addresses[name]))
    faithful = _replaced(deployment, name, _put(chain, accounts[0], bytes(code)), bytes(code))
    if name in ("KeyRegistry", "TaskRegistry"):
        faithful.verify(chain)  # nobody else is told where it is: a copy is as good
    code[len(code) // 2] ^= 1
    address = _put(chain, accounts[0], bytes(code))
    with pytest.raises(
        DeploymentError, match="is not our"
    ):  # itself, or one that should know another address
        _replaced(deployment, name, address, bytes(code)).verify(chain)


def test_code_that_is_longer_is_refused(contracts: Contracts, accounts: list[Account]) -> None:
    chain, deployment = contracts.chain, contracts.deployment
    code = chain.code(deployment.addresses["KeyRegistry"]) + b"\0"
    altered = _replaced(deployment, "KeyRegistry", _put(chain, accounts[0], code), code)
    with pytest.raises(DeploymentError, match="is not our KeyRegistry"):
        altered.verify(chain)


def test_our_code_told_of_a_foreign_contract_is_refused(chain: Chain, accounts: list[Account]) -> None:
    """Two honest deployments, mixed: the task registry of one asks the file registry of the other."""
    ours, theirs = deploy(chain, accounts[0]), deploy(chain, accounts[1])
    mixed = _replaced(
        ours, "TaskRegistry", theirs.addresses["TaskRegistry"], chain.code(theirs.addresses["TaskRegistry"])
    )
    with pytest.raises(DeploymentError, match="is not our TaskRegistry"):
        mixed.verify(chain)


@pytest.mark.parametrize("name", ["NodeRegistry", "FileRegistry", "StorageChallenge"])
def test_contracts_that_name_each_other_are_checked_both_ways(
    chain: Chain, accounts: list[Account], name: str
) -> None:
    """One contract of another deployment among ours: it lets others count, slash and challenge."""
    ours, theirs = deploy(chain, accounts[0]), deploy(chain, accounts[1])
    foreign = theirs.addresses[name]
    with pytest.raises(DeploymentError, match="is not our"):
        _replaced(ours, name, foreign, chain.code(foreign)).verify(chain)


def test_a_transaction_in_between_is_noticed(
    chain: Chain, accounts: list[Account], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contracts' addresses follow from the account's nonce: nothing else may use it meanwhile."""
    transact, sent = chain.transact, []

    def interlope(account: Account, call: Call, value: int = 0) -> Receipt:
        sent.append(call)
        if len(sent) == 3:
            transact(account, Call(accounts[1].address, b""), 1)
        return transact(account, call, value)

    monkeypatch.setattr(chain, "transact", interlope)
    with pytest.raises(DeploymentError, match=r"FileRegistry came to 0x.*let nothing else use account"):
        deploy(chain, accounts[0], directory=tmp_path)
    assert len(sent) == 3, "it stops at once"
    assert list(tmp_path.iterdir()) == [], "and records nothing"
    monkeypatch.undo()
    assert deploy(chain, accounts[0], directory=tmp_path) == load_deployment(chain, tmp_path)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        *(({"answer_window": 1}, "StorageChallenge"), ({"slash_percent": 24}, "StorageChallenge")),
        *(({"lost_slots": 7}, "StorageChallenge"), ({"deposit_per_blob": 0}, "StorageChallenge")),
        *(({"slot_seconds": 1}, "NodeRegistry"), ({"stake_per_gib": 1}, "NodeRegistry")),
    ],
)
def test_a_record_with_other_parameters_than_the_code_is_refused(
    contracts: Contracts, changes: dict[str, int], name: str
) -> None:
    altered = dataclasses.replace(contracts.deployment, parameters=Parameters(**changes))
    with pytest.raises(DeploymentError, match=f"is not our {name}"):
        altered.verify(contracts.chain)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chainId": 1}', "null"])
def test_a_broken_record(chain: Chain, tmp_path: Path, text: str) -> None:
    (tmp_path / f"{chain.chain_id}.json").write_text(text)
    with pytest.raises(DeploymentError, match="is broken"):
        load_deployment(chain, tmp_path)


def test_artifacts_have_code_and_fit_the_limit() -> None:
    for name in NAMES:
        assert 0 < len(artifact(name)["deployedBytecode"]) // 2 <= 24_576


@pytest.mark.anvil
def test_the_script_deploys_once(
    anvil: str,
    accounts: list[Account],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keystore = create_keystore(tmp_path / "keys", "password", "payer", account=accounts[0], scrypt_n=16)
    options = ["--url", anvil, "--keystore", str(keystore.path), "--directory", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["deploy.py", *options, "--answer-window", "77"])

    def run(password: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DTXETH_PASSWORD", password)
        return main(), *capsys.readouterr()

    with open_chain(anvil) as chain:
        chain.faucet(accounts[0].address, 10**18)
        first, block = run("password"), chain.block_number
        assert first[0] == 0
        record = json.loads((tmp_path / f"{chain.chain_id}.json").read_text())
        assert record["parameters"]["answer_window"] == 77
        assert all(contract["address"] in first[1] for contract in record["contracts"].values())
        assert run("password") == first
        status, printed, complaint = run("passw0rd")
        assert (status, printed, complaint.count("\n")) == (2, "", 1)
        assert "the password does not open keystore" in complaint
        assert chain.block_number == block
