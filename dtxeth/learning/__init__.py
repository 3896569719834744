"""The protocols: alignment, vertical linear and logistic regression, prediction."""

from dtxeth.learning.handshake import TaskContext
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Policy
from dtxeth.learning.predict import Prediction
from dtxeth.learning.session import Training, predict, train
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table

__all__ = [
    "ModelPart",
    "Policy",
    "Prediction",
    "Table",
    "TaskContext",
    "TaskSpec",
    "Training",
    "predict",
    "train",
]
