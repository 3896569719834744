"""Parts of a shared network: one executor's shares of the weights, and how its own columns were standardised."""

from __future__ import annotations

import hashlib
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from dtxeth.errors import DataError
from dtxeth.learning.columns import Column
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.part import Label, ModelPart, Moments
from dtxeth.learning.spec import canonical_json

_COMMITMENT_DOMAIN: Final = b"dtxeth network part v1\0"


class NetworkPart(BaseModel):
    """What one of three executors keeps of a network: without two of these, nobody knows a weight.

    Attributes:
        algorithm: As in the task's spec.
        task: Identifies the training task.
        parties: All three, in the order of their ranks in SPU.
        features: Names of this party's features.
        columns: The columns of its file that they come of.
        widths: Number of features of each party, by rank.
        network: The network.
        moments: Standardisation of this party's columns.
        label: How outputs become predictions, at the active party.
        shares: This party's shares of the weights, as hexadecimal.
        salt: Hides the contents in the commitment; 32 bytes as hexadecimal.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    algorithm: str
    task: str
    parties: list[str] = Field(min_length=3, max_length=3)
    features: list[str] = Field(min_length=1)
    columns: list[Column]
    widths: list[int] = Field(min_length=3, max_length=3)
    network: Network
    moments: Moments = Field(repr=False)
    label: Label | None = None
    shares: str = Field(repr=False, pattern="^([0-9a-f]{2})+$")
    salt: str = Field(repr=False, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _same_lengths(self) -> Self:
        named = [feature for column in self.columns for feature in column.features]
        lengths = {len(self.moments.means), len(self.moments.deviations), len(self.features)}
        if len(lengths) != 1 or named != self.features or min(self.widths) < 1:
            raise ValueError("features, columns and moments do not fit each other")
        return self

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` made.

        Raises:
            DataError: Not a part of a network of this version.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            raise DataError("the stored part of the network is broken: restore it, or train again") from None

    @property
    def commitment(self) -> bytes:
        """Salted SHA-256 of the part (32 bytes): binds its holder to it, tells nothing about it."""
        return hashlib.sha256(_COMMITMENT_DOMAIN + self.to_bytes()).digest()


def read_part(data: bytes) -> ModelPart | NetworkPart:
    """Decode an executor's part of a model of any algorithm.

    Raises:
        DataError: Not a part of this version.
    """
    try:
        network = "shares" in from_json(data)
    except (ValueError, TypeError):
        network = False
    return NetworkPart.from_bytes(data) if network else ModelPart.from_bytes(data)
