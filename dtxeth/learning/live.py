"""Live evaluation: how a model does on held-out rows while it is trained."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Live(BaseModel):
    """Evaluation on held-out rows while a model is trained; the model of the best round is kept.

    Attributes:
        every: Rounds between two evaluations.
        share: Share of the rows that is held out; the model is trained on the others.
        patience: Evaluations without a better one after which training stops; ``None``: it goes on to the end.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    every: int = Field(default=5, ge=1)
    share: float = Field(default=0.2, ge=0.01, le=0.5)
    patience: int | None = Field(default=None, ge=1)
