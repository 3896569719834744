"""Settings of a task that come in groups; :class:`~dtxeth.learning.spec.TaskSpec` holds one of each."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_FOLDS: Final = 100


class Evaluation(BaseModel):
    """How a model is evaluated: by models of the same kind, trained beside it on some of the rows.

    Attributes:
        method: One random ``"split"``, ``"folds"``, or ``"leave-one-out"``, which every owner's policy must allow.
        folds: Number of folds; every row is tested once.
        share: Share of the rows that a split tests.
        stratified: Whether every part has its share of both classes; ``None``: for logistic models.
        shuffle: Whether rows are drawn at random; otherwise parts are consecutive in the common order, which is
            random to everybody already. Stratified parts are always drawn at random.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["split", "folds", "leave-one-out"] = "folds"
    folds: int = Field(default=5, ge=2, le=MAX_FOLDS)
    share: float = Field(default=0.2, ge=0.01, le=0.5)
    stratified: bool | None = None
    shuffle: bool = True

    @model_validator(mode="after")
    def _stratified_is_shuffled(self) -> Evaluation:
        if self.stratified and not self.shuffle:
            raise ValueError("stratified parts are drawn at random: in order they would tell the classes")
        return self


class Live(BaseModel):
    """Evaluation on held-out rows while a model is trained; the model of the best round is kept.

    Attributes:
        every: Rounds between two evaluations; the last round is evaluated in any case.
        share: Share of the rows that is held out; the model is trained on the others.
        patience: Evaluations without a better one after which training stops; ``None``: it goes on to the end.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    every: int = Field(default=5, ge=1)
    share: float = Field(default=0.2, ge=0.01, le=0.5)
    patience: int | None = Field(default=None, ge=1)
