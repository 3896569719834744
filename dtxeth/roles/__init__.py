"""What each actor does: requester, data owner, storage node, executor; and all of them in one process."""

from __future__ import annotations

from dtxeth.roles.care import Care
from dtxeth.roles.data_owner import ChallengeResult, DataOwner
from dtxeth.roles.executor import Executor
from dtxeth.roles.files import StoredFile
from dtxeth.roles.health import FileHealth, NamespaceHealth, NetworkHealth, NodeHealth
from dtxeth.roles.local import LocalNetwork
from dtxeth.roles.members import MemberNetwork
from dtxeth.roles.repair import Repair
from dtxeth.roles.requester import Deadlines, Requester
from dtxeth.roles.storage_node import StorageNode
from dtxeth.roles.tasks import Task, TrainedModel

__all__ = [
    "Care",
    "ChallengeResult",
    "DataOwner",
    "Deadlines",
    "Executor",
    "FileHealth",
    "LocalNetwork",
    "MemberNetwork",
    "NamespaceHealth",
    "NetworkHealth",
    "NodeHealth",
    "Repair",
    "Requester",
    "StorageNode",
    "StoredFile",
    "Task",
    "TrainedModel",
]
