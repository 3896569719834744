"""Model parts: one party's share of a trained model, which never leaves its executor."""

from __future__ import annotations

import hashlib
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtxeth.errors import DataError
from dtxeth.learning.columns import Column, fill
from dtxeth.learning.spec import canonical_json
from dtxeth.learning.table import Matrix, refuse_constant

_COMMITMENT_DOMAIN: Final = b"dtxeth model part v1\0"


class Moments(BaseModel):
    """Means and standard deviations of a party's columns over the training rows; they stay local."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    means: list[float] = Field(repr=False)
    deviations: list[float] = Field(repr=False)

    @classmethod
    def of(cls, values: Matrix, features: tuple[str, ...], what: str) -> Self:
        """Measure ``values``, shape (rows, features); ``what`` names the rows in the message.

        Raises:
            DataError: A column is constant over these rows.
        """
        refuse_constant(values, features, "the common rows", what)
        return cls(means=values.mean(axis=0).tolist(), deviations=values.std(axis=0).tolist())

    def standardise(self, values: Matrix) -> Matrix:
        """Return ``values`` with mean 0 and deviation 1, as measured on the training rows."""
        return np.asarray((values - np.array(self.means)) / np.array(self.deviations), dtype=np.float64)


class Label(BaseModel):
    """How the active party turns z into a prediction: ``offset + scale·z``, in label units or as a logit."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    column: str
    offset: float = Field(repr=False)
    scale: float = Field(repr=False)
    classes: tuple[str, str] | None = None


class ModelPart(BaseModel):
    """One party's share of a model. Secret: anything but the names stays out of ``repr``.

    Attributes:
        algorithm: What it was trained with.
        task: The training task, as hex.
        features: Names of the features, in the order of the weights.
        columns: The columns of the file that they come of.
        weights: Weights on standardised features.
        moments: Standardisation of the features.
        label: At the active party only.
        salt: Hides the contents in the commitment; 32 bytes as hex.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    algorithm: str
    task: str
    features: list[str]
    columns: list[Column]
    weights: list[float] = Field(repr=False)
    moments: Moments = Field(repr=False)
    label: Label | None = None
    salt: str = Field(repr=False, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _same_lengths(self) -> Self:
        lengths = {
            len(self.weights),
            len(self.moments.means),
            len(self.moments.deviations),
            len(self.features),
        }
        named = [feature for column in self.columns for feature in column.features]
        if len(lengths) != 1 or named != self.features or min(self.moments.deviations) <= 0:
            raise ValueError("features, weights and moments do not fit each other")
        return self

    def score(self, values: Matrix) -> Matrix:
        """Return this party's part of z for ``values``, shape (rows, features), in original units, NaN if missing."""
        values = fill(self.columns, values)
        return np.asarray(self.moments.standardise(values) @ np.array(self.weights), dtype=np.float64)

    def coefficients(self) -> dict[str, float]:
        """Return the weight of each feature in its original unit, on the logit or the standardised label."""
        scaled = np.array(self.weights) / np.array(self.moments.deviations)
        return dict(zip(self.features, scaled.tolist(), strict=True))

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` made.

        Raises:
            DataError: Not a model part of this version.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            raise DataError("the stored model part is broken: restore it, or train again") from None

    @property
    def commitment(self) -> bytes:
        """Salted SHA-256 of the part (32 bytes): binds its holder to it, tells nothing about it."""
        return hashlib.sha256(_COMMITMENT_DOMAIN + self.to_bytes()).digest()
