"""Shared fixtures: chains with our contracts on them, and accounts with money.

``chain`` and ``contracts`` are in-process; ``each_chain`` and ``each_contracts`` run a test twice, in-process
and on anvil. A test starts from the state just after the deployment, whatever the tests before it did.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_utils import keccak

from dtxeth.chain import Account, Chain, Contracts, deploy, open_chain
from dtxeth.chain.chain import DEVELOPER
from dtxeth.roles.care import Care

TOOLCHAIN = Path(__file__).parents[1] / "hardhat-free-env"
ACCOUNTS = 10


@dataclass(frozen=True)
class Network:
    """A chain with our contracts, and funded accounts."""

    chain: Chain
    contracts: Contracts

    @classmethod
    def on(cls, chain: Chain, accounts: list[Account]) -> Network:
        for account in accounts:
            chain.faucet(account.address, 1000 * 10**18)
        return cls(chain, Contracts(chain, deploy(chain, DEVELOPER)))


@pytest.fixture(scope="session", autouse=True)
def calm() -> Iterator[None]:
    """Owners challenge at random times only where a test says how often: nothing is left to luck."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dtxeth.roles.members.DEFAULT_CARE", Care(challenges_per_day=0))
        yield


@pytest.fixture(scope="session")
def accounts() -> list[Account]:
    """Ten accounts, each with 1000 ether on every chain."""
    return [Account.from_key(keccak(text=f"dtxeth test account {number}")) for number in range(ACCOUNTS)]


@pytest.fixture(scope="session")
def toolchain() -> Path:
    """The npm packages of hardhat-free-env, installed if they are missing."""
    if not (TOOLCHAIN / "node_modules" / ".package-lock.json").exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed; the Solidity toolchain and anvil need it")
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=TOOLCHAIN, check=True, capture_output=True
        )
    return TOOLCHAIN


@pytest.fixture(scope="session")
def anvil(toolchain: Path) -> Iterator[str]:
    """The URL of an anvil on a free port."""
    command = [toolchain / "node_modules" / ".bin" / "anvil", "--port", "0", "--hardfork", "prague"]
    with subprocess.Popen([*command, "--balance", "1000000"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = next((line for line in process.stdout if line.startswith("Listening on ")), None)
            assert line is not None, f"anvil ended with {process.wait()}"
            drain = threading.Thread(target=process.stdout.read, daemon=True)  # a full pipe would stop anvil
            drain.start()
            yield f"http://{line.split()[-1]}"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def local_network(accounts: list[Account]) -> Iterator[Network]:
    with open_chain() as chain:
        yield Network.on(chain, accounts)


@pytest.fixture(scope="session")
def anvil_network(anvil: str, accounts: list[Account]) -> Iterator[Network]:
    with open_chain(anvil) as chain:
        yield Network.on(chain, accounts)


@pytest.fixture
def chain(local_network: Network) -> Iterator[Chain]:
    """The in-process chain."""
    yield from _rolled_back(local_network.chain)


@pytest.fixture
def contracts(chain: Chain, local_network: Network) -> Contracts:
    """The contracts on ``chain``."""
    return local_network.contracts


@pytest.fixture
def anvil_contracts(anvil_network: Network) -> Iterator[Contracts]:
    """The contracts on anvil."""
    for _ in _rolled_back(anvil_network.chain):
        yield anvil_network.contracts


@pytest.fixture(params=["in-process", pytest.param("anvil", marks=pytest.mark.anvil)])
def each_network(request: pytest.FixtureRequest) -> Network:
    fixture = "anvil_network" if request.param == "anvil" else "local_network"
    network: Network = request.getfixturevalue(fixture)
    return network


@pytest.fixture
def each_chain(each_network: Network) -> Iterator[Chain]:
    """The in-process chain, then anvil."""
    yield from _rolled_back(each_network.chain)


@pytest.fixture
def each_contracts(each_chain: Chain, each_network: Network) -> Contracts:
    """The contracts on ``each_chain``."""
    return each_network.contracts


def _rolled_back(chain: Chain) -> Iterator[Chain]:
    mark = chain.snapshot()
    yield chain
    chain.rollback(mark)
