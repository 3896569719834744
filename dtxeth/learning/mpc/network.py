"""Networks: the checked description of a neural network that a task trains on secret shares.

A network is a list of dense layers, or the SHA-256 of a StableHLO program (see
:mod:`dtxeth.learning.mpc.program`) that every owner has approved; it is never code that someone pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dtxeth.errors import ConfigError

if TYPE_CHECKING:
    from dtxeth.learning.spec import TaskSpec

MAX_WEIGHTS: Final = 1_000_000
"""Most weights of a network, features of any width aside: the secret shares of each are 32 bytes a party."""


class Layer(BaseModel):
    """A dense layer: ``activation(x·W + b)``."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    units: int = Field(ge=1, le=4096)
    activation: Literal["relu", "tanh", "sigmoid", "linear"] = "relu"


class Network(BaseModel):
    """A network and how it is trained.

    The loss is the mean over a batch of (z − y)²/2, y in units of its standard deviation (``output`` linear), or
    the logistic loss (``output`` sigmoid), plus ``l2``·|W|²/2 over all weights but the biases.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    layers: tuple[Layer, ...] = Field(default=(), max_length=16, strict=False)
    """From the first hidden layer to the output, which has one unit: linear for a quantity, sigmoid for two classes."""
    program: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """SHA-256 of a StableHLO program, instead of layers."""
    output: Literal["linear", "sigmoid"] = "linear"
    """What a program predicts: a quantity, or the probability of the second class; layers say it themselves."""
    optimiser: Literal["sgd", "momentum", "adam"] = "momentum"
    learning_rate: float = Field(default=0.05, gt=0, le=10)
    epochs: int = Field(default=100, ge=1, le=10_000)
    batch_size: int | None = Field(default=None, ge=1, le=2**31)
    """Rows of a batch of the fixed random partition; ``None``: all rows."""
    l2: float = Field(default=1e-4, ge=0, le=1e3)
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Start weights and the partition into batches follow from it; both are public."""

    @model_validator(mode="after")
    def _makes_a_network(self) -> Self:
        if (self.program is None) == (not self.layers):
            raise ValueError("a network has either layers or a program")
        if self.program is not None:
            return self
        *_, last = self.layers
        if last.units != 1 or last.activation not in ("linear", "sigmoid"):
            raise ValueError(
                f"the last layer has {last.units} units and is {last.activation}: a network ends in 1 unit, linear "
                "for a quantity or sigmoid for two classes"
            )
        weights = sum(a.units * b.units for a, b in zip(self.layers, self.layers[1:], strict=False))
        if weights > MAX_WEIGHTS:
            raise ValueError(
                f"the layers have {weights} weights between them, at most {MAX_WEIGHTS} are allowed"
            )
        return self

    @property
    def logistic(self) -> bool:
        """Whether the network predicts a class rather than a quantity."""
        return (self.layers[-1].activation if self.layers else self.output) == "sigmoid"

    def rate(self, step: int) -> float:
        """Return the step length of step ``step``, from 1: for Adam with the correction of its zero start.

        Source: D. Kingma, J. Ba, ICLR 2015, section 2.
        """
        if self.optimiser != "adam":
            return self.learning_rate
        return float(self.learning_rate * (1 - BETA2**step) ** 0.5 / (1 - BETA1**step))


BETA1: Final = 0.9
"""Decay of the mean gradient, for momentum and Adam."""
BETA2: Final = 0.999
"""Decay of the mean squared gradient, for Adam."""
EPSILON: Final = 1e-4
"""Added to the root of the mean squared gradient; above what fixed point tells from zero."""


def check_network(spec: TaskSpec) -> None:
    """Refuse a spec whose network and algorithm do not go together, or that asks of a network what it does not do.

    Raises:
        ConfigError: There is a network without ``dnn-vl`` or the other way round; or a setting is for others.
    """
    if spec.algorithm != "dnn-vl":
        if spec.network is not None:
            raise ConfigError(f"task setting network is for dnn-vl, the algorithm is {spec.algorithm}")
        return
    if spec.network is None:
        raise ConfigError("task setting network is missing: dnn-vl needs layers, or the hash of a program")
    own = ("algorithm", "id", "label", "kind", "checkpoint_every", "missing", "categorical", "network")
    for name, field in type(spec).model_fields.items():
        if name not in own and getattr(spec, name) != field.default:
            value = getattr(spec, name)
            raise ConfigError(
                f"task setting {name} is {value!r}: dnn-vl has its settings in network, leave it out"
            )
