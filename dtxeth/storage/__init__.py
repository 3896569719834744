"""Sealing, slicing, placement, block stores and possession proofs.

::

    signer = RequestSigner(owner, contracts.file_registry)
    terms = Terms("patients.csv", namespace_id, expires_at=chain.now() + 30 * 86_400)
    with open("patients.csv", "rb") as reader:
        stored = upload(reader, terms, signer, public_key, nodes)        # nodes: address -> StorageNodeApi
    contracts.file_registry.publish(stored.publication, stored.acknowledgements, sender=owner)

    file_key = owned_file_key(owner, contracts.file_registry, stored.file_id)
    RemoteFile(stored.file_id, file_key, signer, nodes).save(Path("copy.csv"))
"""

from __future__ import annotations

from dtxeth.storage.api import Claim, NodeStatus, StorageNodeApi
from dtxeth.storage.coding import Redundancy
from dtxeth.storage.downloader import RemoteFile
from dtxeth.storage.info import FileInfo, seal_info, unseal_info
from dtxeth.storage.keys import (
    authorized_file_key,
    owned_file_key,
    public_key_of,
    wrap_context,
    wrap_file_key,
)
from dtxeth.storage.limits import NodeLimits
from dtxeth.storage.manifest import Manifest
from dtxeth.storage.node import StorageNode
from dtxeth.storage.placement import Candidate, candidate
from dtxeth.storage.prover import Proof
from dtxeth.storage.pusher import Progress
from dtxeth.storage.requests import Credentials, RequestSigner
from dtxeth.storage.revision import Change, Revised, prepare_revision
from dtxeth.storage.uploader import Terms, Upload, upload

__all__ = [
    "Candidate",
    "Change",
    "Claim",
    "Credentials",
    "FileInfo",
    "Manifest",
    "NodeLimits",
    "NodeStatus",
    "Progress",
    "Proof",
    "Redundancy",
    "RemoteFile",
    "RequestSigner",
    "Revised",
    "StorageNode",
    "StorageNodeApi",
    "Terms",
    "Upload",
    "authorized_file_key",
    "candidate",
    "owned_file_key",
    "prepare_revision",
    "public_key_of",
    "seal_info",
    "unseal_info",
    "upload",
    "wrap_context",
    "wrap_file_key",
]
