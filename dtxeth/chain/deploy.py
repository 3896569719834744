"""Deploys the contracts, records where they are, and verifies that the code there is ours.

The record of a deployment is ``<directory>/<chain id>.json``. Verification compares the code on chain with
the shipped artifact byte by byte, all but the immutables; immutables that name a contract or a parameter must
have the recorded value.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rlp
from eth_utils import keccak, to_canonical_address, to_checksum_address

from dtxeth.chain.abi import Call, canonical, encode, snake
from dtxeth.chain.accounts import Account
from dtxeth.chain.chain import Chain
from dtxeth.errors import DeploymentError

NAMES = (
    "KeyRegistry",
    "NodeRegistry",
    "FileRegistry",
    "FileAuthorization",
    "TaskRegistry",
    "StorageChallenge",
)
"""The contracts, in the order of their deployment."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Parameters:
    """What the constructors are told; it holds for good.

    Attributes:
        slot_seconds: At most one heartbeat in so many seconds counts.
        stake_per_gib: Wei that a storage node has at stake for each GiB that it offers.
        draw_delay: Blocks between opening a challenge and the block whose hash draws its leaves, at least 2.
        answer_window: Seconds that a node has to answer a challenge.
        min_interval: Least seconds between two challenges of one holding.
        max_open_per_node: Most open challenges that one owner may have on one node.
        slash_percent: What a failed challenge takes, in percent of the holding's part of the stake.
        deposit_per_leaf: Wei that a challenger deposits for each leaf: what an answer of 10 leaves out of 1 GiB
            costs at 1 gwei.
        deposit_per_proof: Wei that a challenger deposits for a KZG answer, whatever the number of blobs.
        deposit_per_blob: Wei that a challenger deposits for each blob of it.
        lost_slots: A node without a heartbeat for so many slots counts as lost.
        lost_misses: A node that missed so many challenges in a row counts as lost.
    """

    slot_seconds: int = 3600
    stake_per_gib: int = 10**16
    draw_delay: int = 2
    answer_window: int = 600
    min_interval: int = 60
    max_open_per_node: int = 16
    slash_percent: int = 25
    deposit_per_leaf: int = 45_000 * 10**9
    deposit_per_proof: int = 110_000 * 10**9
    deposit_per_blob: int = 25_000 * 10**9
    lost_slots: int = 6
    lost_misses: int = 3


@dataclass(frozen=True)
class Deployment:
    """Where our contracts are on one chain.

    Attributes:
        chain_id: The chain.
        block: The last block without any of them; their events come later.
        parameters: What their constructors were told.
        addresses: Address of each contract, by name.
        code_hashes: Keccak-256 of the code on chain, by name.
    """

    chain_id: int
    block: int
    parameters: Parameters
    addresses: Mapping[str, str]
    code_hashes: Mapping[str, bytes] = field(repr=False)

    def verify(self, chain: Chain) -> None:
        """Check that the code on chain is ours and was told what the record says.

        Raises:
            DeploymentError: If not.
        """
        if chain.chain_id != self.chain_id:
            raise DeploymentError(
                f"the deployment is on chain {self.chain_id}, not {chain.chain_id}; change the URL"
            )
        for name in NAMES:
            code, where = (
                chain.code(self.addresses[name]),
                f"at {self.addresses[name]}, chain {self.chain_id}",
            )
            if not code:
                raise DeploymentError(f"there is no {name} {where}; deploy with scripts/deploy.py")
            if keccak(code) != self.code_hashes[name] or not _is_ours(name, code, self._known()):
                raise DeploymentError(
                    f"the code {where}, is not our {name}; use the dtxeth that deployed it, or deploy anew"
                )

    def save(self, directory: Path) -> Path:
        """Write the record, and return its path."""
        record = {
            "chainId": self.chain_id,
            "block": self.block,
            "parameters": asdict(self.parameters),
            "contracts": {
                name: {"address": self.addresses[name], "codeHash": self.code_hashes[name].hex()}
                for name in NAMES
            },
        }
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.chain_id}.json"
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
        return path

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """Read a record; it is not verified.

        Raises:
            DeploymentError: If there is none, or it is broken.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            contracts = record["contracts"]
            return cls(
                chain_id=int(record["chainId"]),
                block=int(record["block"]),
                parameters=Parameters(**record["parameters"]),
                addresses=MappingProxyType({name: str(contracts[name]["address"]) for name in NAMES}),
                code_hashes=MappingProxyType(
                    {name: bytes.fromhex(contracts[name]["codeHash"]) for name in NAMES}
                ),
            )
        except OSError as error:
            raise DeploymentError(
                f"no record of a deployment at {path} ({error.strerror}); deploy with scripts/deploy.py"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeploymentError(
                f"deployment record {path} is broken; restore it, or deploy anew"
            ) from error

    def _known(self) -> Json:
        return asdict(self.parameters) | {snake(name): address for name, address in self.addresses.items()}


def deploy(
    chain: Chain, account: Account, parameters: Parameters | None = None, directory: Path | None = None
) -> Deployment:
    """Deploy the contracts, unless the record shows that they are there already.

    Args:
        chain: Where to.
        account: Who pays; it gets no powers.
        parameters: What the constructors are told.
        directory: Where the record is or goes; None keeps none.

    Raises:
        DeploymentError: If a record exists, but other code or other parameters. A development chain that was
            started afresh is deployed to anew.
        ContractRevert: If a constructor refuses a parameter.
    """
    parameters = parameters or Parameters()
    path = None if directory is None else directory / f"{chain.chain_id}.json"
    if path is not None and path.exists():
        present = Deployment.read(path)
        restarted = chain.is_development and not any(
            chain.code(address) for address in present.addresses.values()
        )
        if not restarted:
            present.verify(chain)
            if present.parameters != parameters:
                raise DeploymentError(f"{path} has {present.parameters}; give the same, or another directory")
            return present
    block = chain.block_number
    addresses = _predict(account, chain.nonce(account.address))
    known: Json = asdict(parameters) | {snake(name): address for name, address in addresses.items()}
    for name in NAMES:
        receipt = chain.transact(account, Call(None, _creation_code(name, known)))
        if receipt.contract != addresses[name]:
            raise DeploymentError(
                f"{name} came to {receipt.contract}, not to {addresses[name]}: "
                f"let nothing else use account {account.address} while it deploys, and start anew"
            )
    hashes = {name: bytes(keccak(chain.code(address))) for name, address in addresses.items()}
    deployment = Deployment(
        chain.chain_id, block, parameters, MappingProxyType(addresses), MappingProxyType(hashes)
    )
    deployment.verify(chain)
    if directory is not None:
        deployment.save(directory)
    return deployment


def _predict(account: Account, nonce: int) -> dict[str, str]:
    """Addresses that the next contracts of an account get: some of them name each other, which no order allows for."""
    sender = to_canonical_address(account.address)
    return {
        name: to_checksum_address(keccak(rlp.encode([sender, nonce + place]))[12:])
        for place, name in enumerate(NAMES)
    }


def load_deployment(chain: Chain, directory: Path) -> Deployment:
    """Read the record of a chain's deployment and verify it.

    Raises:
        DeploymentError: If there is none, or other code.
    """
    deployment = Deployment.read(directory / f"{chain.chain_id}.json")
    deployment.verify(chain)
    return deployment


@functools.cache
def artifact(name: str) -> Json:
    """Return the shipped artifact of a contract."""
    path = Path(__file__).parent / "artifacts" / f"{name}.json"
    loaded: Json = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _creation_code(name: str, known: Json) -> bytes:
    """Return the code that creates a contract; constructors' arguments are found by their names."""
    inputs: list[Json] = next(
        (entry["inputs"] for entry in artifact(name)["abi"] if entry["type"] == "constructor"), []
    )
    arguments = encode([canonical(item) for item in inputs], [_argument(item, known) for item in inputs])
    return bytes.fromhex(artifact(name)["bytecode"]) + arguments


def _argument(item: Json, known: Json) -> Any:
    if "components" in item:
        return tuple(_argument(component, known) for component in item["components"])
    return known[snake(item["name"]).strip("_")]


def _is_ours(name: str, code: bytes, known: Json) -> bool:
    expected = bytearray.fromhex(artifact(name)["deployedBytecode"])
    if len(code) != len(expected):
        return False
    for variable, starts in artifact(name)["immutables"].items():
        value = known.get(variable.strip("_").lower())
        for start in starts:
            word = code[start : start + 32]
            if value is not None and word != _word(value):
                return False
            expected[start : start + 32] = word
    return code == expected


def _word(value: int | str) -> bytes:
    return (value if isinstance(value, int) else int(value, 16)).to_bytes(32, "big")
