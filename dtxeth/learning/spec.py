"""Task specification: what a requester publishes on chain and every executor follows.

The spec travels as canonical JSON (sorted keys, no spaces, no NaN), so that its hash is the same for
everybody.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, Self

from eth_utils.crypto import keccak
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from dtxeth.errors import ConfigError, UnknownNameError
from dtxeth.learning.mpc.network import Network, check_network
from dtxeth.learning.privacy import Privacy, check_combination
from dtxeth.learning.settings import Evaluation, Live

ALGORITHMS: Final = ("linear-vl", "logistic-vl", "dnn-vl")
"""Vertical linear regression, vertical logistic regression, and a neural network on the shares of three parties."""


class TaskSpec(BaseModel):
    """Settings of one training or prediction task.

    The loss is the mean over the rows of (z − y)²/2 (linear, y in units of its standard deviation) or of the
    second-order expansion of the logistic loss, plus ``l1``·|w|₁ + ``l2``·|w|₂²/2 on standardised features.

    Raises:
        UnknownNameError: ``algorithm`` is not one of :data:`ALGORITHMS`.
        ConfigError: Another setting is unknown, missing, or out of range; named with its value.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    algorithm: str
    """One of :data:`ALGORITHMS`."""
    id: str = Field(min_length=1, max_length=256)
    """Column that names a row in every party's table."""
    label: str = Field(min_length=1, max_length=256)
    """Column that the active party predicts."""
    kind: Literal["train", "predict"] = "train"
    learning_rate: float | None = Field(default=None, gt=0, le=100)
    """Step length of plain gradient descent; ``None``: every party steps by its local curvature."""
    momentum: float | None = Field(default=None, ge=0, lt=1)
    """Heavy-ball momentum, applied by every party to its own weights; ``None``: accelerated steps, or 0.7 beside
    a learning rate and with mini-batches."""
    l1: float = Field(default=0.0, ge=0, le=1e3)
    l2: float = Field(default=0.01, ge=0, le=1e3)
    batch_size: int | None = Field(default=None, ge=1, le=2**31)
    """Least rows in one batch of the fixed partition; ``None``: full batch."""
    tolerance: float = Field(default=1e-4, ge=0, le=1)
    """Training stops when the mean gradient of every party has a norm below this."""
    precision: int = Field(default=24, ge=16, le=28)
    """Fractional bits of features and residuals under encryption."""
    max_rounds: int = Field(default=40, ge=1, le=100_000)
    key_bits: Literal[2048, 3072] = 2048
    """Length of the Paillier modulus."""
    sigmoid: Literal["first-order", "trigonometric"] = "first-order"
    """How a logistic model's sigmoid is evaluated under encryption."""
    sigmoid_terms: int = Field(default=3, ge=1, le=5)
    """Sine terms of the trigonometric sigmoid."""
    evaluation: Evaluation | None = None
    """How the model is evaluated; ``None``: not at all."""
    live: Live | None = None
    """Evaluation on held-out rows while the model is trained."""
    missing: Literal["refuse", "mean", "median", "most-frequent"] = "refuse"
    """What every party fills its own missing values with."""
    categorical: Literal["refuse", "one-hot"] = "refuse"
    """What becomes of columns that hold words: refused, or one column of 0 and 1 for each category."""
    class_weight: Literal["balanced"] | Annotated[float, Field(ge=1e-3, le=1e3)] | None = None
    """How many rows of the first class a row of the second counts as; ``"balanced"``: as many as there are."""
    warm_start: int | None = Field(default=None, ge=1)
    """Number of the training task whose model this one starts from."""
    checkpoint_every: int = Field(default=10, ge=1, le=100_000)
    """Rounds between two checkpoints, from which an interrupted task goes on."""
    privacy: Privacy | None = None
    """Differential privacy of the gradients; ``None``: none."""
    network: Network | None = None
    """The neural network of ``dnn-vl``, and how it is trained."""

    def __init__(self, **settings: Any) -> None:
        algorithm = settings.get("algorithm")
        if algorithm not in ALGORITHMS:
            raise UnknownNameError(f"unknown algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ConfigError(f"task setting {_first_complaint(error)}") from None
        check_combination(self)
        if self.id == self.label:
            raise ConfigError(f"task setting label is {self.label!r}, the id column too: name another column")
        if self.evaluation is not None and self.evaluation.stratified and not self.logistic:
            raise ConfigError(
                "task setting evaluation.stratified is True: quantities have no classes, drop it"
            )
        if self.class_weight is not None and not self.logistic:
            raise ConfigError(
                f"task setting class_weight is {self.class_weight!r}: quantities have no classes"
            )
        check_network(self)

    def to_json(self) -> bytes:
        """Encode as canonical JSON: equal specs give equal bytes."""
        return canonical_json(self.model_dump())

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Decode canonical JSON.

        Raises:
            UnknownNameError: Unknown algorithm.
            ConfigError: Not JSON, not canonical, or a setting that the constructor refuses.
        """
        try:
            # not json.loads: py-evm raises the recursion limit so far that deep nesting overflows the C stack
            settings = from_json(data)
        except ValueError:
            settings = None
        if not isinstance(settings, dict):
            raise ConfigError("the task spec is not a JSON object: publish TaskSpec.to_json()")
        spec = cls(**settings)
        if spec.to_json() != data:
            raise ConfigError("the task spec is not canonical JSON: publish TaskSpec.to_json()")
        return spec

    @property
    def digest(self) -> bytes:
        """Keccak-256 of the canonical JSON, as the task registry stores it (32 bytes)."""
        return keccak(self.to_json())

    @property
    def logistic(self) -> bool:
        """Whether the label is a class rather than a quantity."""
        return self.algorithm == "logistic-vl" or (self.network is not None and self.network.logistic)


def _first_complaint(error: ValidationError) -> str:
    """Name the first setting that is wrong, its value, and what all alternatives of its type ask for."""
    errors = error.errors(include_url=False)
    first = errors[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    # a union names its alternatives behind the setting: all of them say why not
    union = first["loc"] and str(first["loc"][-1]).startswith(("literal[", "constrained-"))
    same = [one for one in errors if one["loc"][:1] == first["loc"][:1]] if union else [first]
    path = name if union else ".".join(str(part) for part in first["loc"])
    value = "" if first["type"] == "missing" else f" is {first['input']!r}"
    wrong = " or ".join(one["msg"].lower().removeprefix("value error, ") for one in same)
    return f"{path}{value}: {wrong}"


def canonical_json(value: Any) -> bytes:
    """Encode ``value`` with sorted keys, no spaces and no NaN: equal values give equal bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode()
