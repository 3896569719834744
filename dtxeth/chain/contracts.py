"""All contracts of a deployment, bound."""

from __future__ import annotations

from dtxeth.chain.bindings.file_authorization import FileAuthorization
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.chain.bindings.key_registry import KeyRegistry
from dtxeth.chain.bindings.node_registry import NodeRegistry
from dtxeth.chain.bindings.storage_challenge import StorageChallenge
from dtxeth.chain.bindings.task_registry import TaskRegistry
from dtxeth.chain.chain import Chain
from dtxeth.chain.deploy import Deployment


class Contracts:
    """The contracts of a deployment.

    Args:
        chain: The chain it is on.
        deployment: Where they are; ``load_deployment`` and ``deploy`` return verified ones.
    """

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        address = deployment.addresses
        self.chain = chain
        self.deployment = deployment
        self.key_registry = KeyRegistry(chain, address["KeyRegistry"])
        self.node_registry = NodeRegistry(chain, address["NodeRegistry"])
        self.file_registry = FileRegistry(chain, address["FileRegistry"])
        self.file_authorization = FileAuthorization(chain, address["FileAuthorization"])
        self.task_registry = TaskRegistry(chain, address["TaskRegistry"])
        self.storage_challenge = StorageChallenge(chain, address["StorageChallenge"])
