"""Acknowledgements: EIP-712, in the domain of the FileRegistry that verifies them on chain."""

from __future__ import annotations

from typing import Final

from dtxeth.chain.accounts import Account, recover_digest
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.types import Acknowledgement
from dtxeth.chain.typed import FlatStruct, domain_separator
from dtxeth.storage.api import Claim

_ACKNOWLEDGEMENT: Final = FlatStruct(
    "Acknowledgement",
    (
        ("bytes32", "fileId"),
        ("uint32", "version"),
        ("address", "owner"),
        ("address", "node"),
        ("bytes32", "root"),
        ("uint32", "leafCount"),
        ("bytes32", "commitmentsRoot"),
        ("uint32", "blobCount"),
        ("uint64", "size"),
        ("uint64", "expiresAt"),
        ("uint64", "deadline"),
    ),
)


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
    digest = _digest(file_registry, file_id, owner, node.address, claim, deadline)
    return Acknowledgement(
        node=node.address,
        root=claim.root,
        leaf_count=claim.leaf_count,
        commitments_root=claim.commitments_root,
        blob_count=claim.blob_count,
        size=claim.size,
        deadline=deadline,
        signature=node.sign_digest(digest),
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
    digest = _digest(file_registry, file_id, owner, node, claim, given.deadline)
    return recover_digest(digest, given.signature) == node


def _digest(
    file_registry: FileRegistry, file_id: bytes, owner: str, node: str, claim: Claim, deadline: int
) -> bytes:
    return _ACKNOWLEDGEMENT.digest(
        domain_separator("dtxeth FileRegistry", file_registry.chain.chain_id, file_registry.address),
        file_id,
        claim.version,
        owner,
        node,
        claim.root,
        claim.leaf_count,
        claim.commitments_root,
        claim.blob_count,
        claim.size,
        claim.expires_at,
        deadline,
    )
