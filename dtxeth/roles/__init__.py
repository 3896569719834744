"""What each actor does: requester, data owner, storage node, executor; and all of them in one process."""

from __future__ import annotations

from dtxeth.roles.data_owner import ChallengeResult, DataOwner
from dtxeth.roles.executor import Executor
from dtxeth.roles.files import StoredFile
from dtxeth.roles.local import LocalNetwork
from dtxeth.roles.requester import Deadlines, Requester
from dtxeth.roles.storage_node import StorageNode
from dtxeth.roles.tasks import Task, TrainedModel

__all__ = [
    "ChallengeResult",
    "DataOwner",
    "Deadlines",
    "Executor",
    "LocalNetwork",
    "Requester",
    "StorageNode",
    "StoredFile",
    "Task",
    "TrainedModel",
]
