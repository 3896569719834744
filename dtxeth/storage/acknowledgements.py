"""Acknowledgements: EIP-712, in the domain of the FileRegistry that verifies them on chain."""

from __future__ import annotations

from typing import Any

from dtxeth.chain.accounts import Account, recover_typed
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.storage.api import Claim

_TYPES = {
    "Acknowledgement": [
        {"name": "fileId", "type": "bytes32"},
        {"name": "version", "type": "uint32"},
        {"name": "owner", "type": "address"},
        {"name": "node", "type": "address"},
        {"name": "root", "type": "bytes32"},
        {"name": "leafCount", "type": "uint32"},
        {"name": "commitmentsRoot", "type": "bytes32"},
        {"name": "blobCount", "type": "uint32"},
        {"name": "size", "type": "uint64"},
        {"name": "expiresAt", "type": "uint64"},
        {"name": "deadline", "type": "uint64"},
    ]
}


def sign_acknowledgement(
    node: Account, file_registry: FileRegistry, file_id: bytes, owner: str, claim: Claim, deadline: int
) -> Acknowledgement:
    """Sign for a holding; the caller has made sure that it is held.

    Args:
        node: The storage node's account.
        file_registry: Where it will be published.
        file_id: The file.
        owner: Who may publish it.
        claim: Version, roots and their counts, size, expiry.
        deadline: Last second at which the acknowledgement may be used.
    """
    message = _message(file_id, owner, node.address, claim, deadline)
    signature = node.sign_typed(_domain(file_registry), _TYPES, message)
    return Acknowledgement(
        node=node.address,
        root=claim.root,
        leaf_count=claim.leaf_count,
        commitments_root=claim.commitments_root,
        blob_count=claim.blob_count,
        size=claim.size,
        deadline=deadline,
        signature=signature,
    )


def acknowledges(
    acknowledgement: Acknowledgement,
    file_registry: FileRegistry,
    file_id: bytes,
    owner: str,
    node: str,
    claim: Claim,
) -> bool:
    """Check whether this is the node's acknowledgement of this claim, as the contract will."""
    given = acknowledgement
    held = (given.node, given.root, given.leaf_count, given.commitments_root, given.blob_count, given.size)
    claimed = (claim.root, claim.leaf_count, claim.commitments_root, claim.blob_count, claim.size)
    if held != (node, *claimed):
        return False
    message = _message(file_id, owner, node, claim, acknowledgement.deadline)
    return recover_typed(_domain(file_registry), _TYPES, message, acknowledgement.signature) == node


def _domain(file_registry: FileRegistry) -> dict[str, Any]:
    return {
        "name": "dtxeth FileRegistry",
        "version": "1",
        "chainId": file_registry.chain.chain_id,
        "verifyingContract": file_registry.address,
    }


def _message(file_id: bytes, owner: str, node: str, claim: Claim, deadline: int) -> dict[str, Any]:
    return {
        "fileId": file_id,
        "version": claim.version,
        "owner": owner,
        "node": node,
        "root": claim.root,
        "leafCount": claim.leaf_count,
        "commitmentsRoot": claim.commitments_root,
        "blobCount": claim.blob_count,
        "size": claim.size,
        "expiresAt": claim.expires_at,
        "deadline": deadline,
    }
