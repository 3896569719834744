"""Decentralised storage and privacy-preserving machine learning on an EVM chain.

::

    with dtxeth.LocalNetwork(storage_nodes=4, executors=2) as net:
        hospital, bank, lab = net.data_owner("hospital"), net.data_owner("bank"), net.requester("lab")
        files = [hospital.upload("patients.csv", namespace="study"), bank.upload("accounts.csv", namespace="study")]
        model = lab.train("logistic-vl", files=files, id="id", label="target").result()

``dtxeth.connect(url, keystore=…)`` opens the same objects on a real network.

Names are imported when they are first used: a party's process needs only the protocols, not the whole house.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dtxeth.errors import DtxethError
    from dtxeth.learning.estimators import VerticalLinearRegression, VerticalLogisticRegression
    from dtxeth.learning.mpc.estimators import VerticalMLPClassifier, VerticalMLPRegressor
    from dtxeth.learning.policy import Policy
    from dtxeth.roles import (
        ChallengeResult,
        DataOwner,
        Deadlines,
        Executor,
        LocalNetwork,
        Requester,
        StorageNode,
        StoredFile,
        Task,
        TrainedModel,
    )
    from dtxeth.roles.connection import connect

__all__ = [
    "ChallengeResult",
    "DataOwner",
    "Deadlines",
    "DtxethError",
    "Executor",
    "LocalNetwork",
    "Policy",
    "Requester",
    "StorageNode",
    "StoredFile",
    "Task",
    "TrainedModel",
    "VerticalLinearRegression",
    "VerticalLogisticRegression",
    "VerticalMLPClassifier",
    "VerticalMLPRegressor",
    "connect",
]

_HOMES = {
    "connect": "dtxeth.roles.connection",
    "DtxethError": "dtxeth.errors",
    "Policy": "dtxeth.learning.policy",
    "VerticalLinearRegression": "dtxeth.learning.estimators",
    "VerticalLogisticRegression": "dtxeth.learning.estimators",
    "VerticalMLPClassifier": "dtxeth.learning.mpc.estimators",
    "VerticalMLPRegressor": "dtxeth.learning.mpc.estimators",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'dtxeth' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES.get(name, "dtxeth.roles")), name)


def __dir__() -> list[str]:
    return __all__
