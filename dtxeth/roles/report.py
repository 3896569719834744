"""Reports: what evaluation found, for the requester alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic_core import from_json

from dtxeth.errors import IntegrityError


@dataclass(frozen=True)
class EvaluationReport:
    """What the active party found out about a model.

    Attributes:
        data: The whole report; docs/protocols/evaluation.md says what is in it.
    """

    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, content: bytes, digest: str) -> Self:
        """Read a report whose SHA-256 the executors agreed on.

        Raises:
            IntegrityError: It is another one, or no JSON object.
        """
        if hashlib.sha256(content).hexdigest() != digest:
            raise IntegrityError(
                f"the stored report is not the one with hash {digest} on chain: do not use it"
            )
        try:
            data = from_json(content)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise IntegrityError("the stored report is no JSON object: do not use it")
        return cls(data)

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each metric over the folds; empty without evaluation."""
        return dict((self.data["evaluation"] or {}).get("mean", {}))

    @property
    def deviation(self) -> dict[str, float]:
        """Standard deviation of each metric over the folds; empty without evaluation."""
        return dict((self.data["evaluation"] or {}).get("deviation", {}))

    @property
    def pooled(self) -> dict[str, Any]:
        """Metrics of all tested rows together; empty without evaluation."""
        return dict((self.data["evaluation"] or {}).get("pooled", {}))

    @property
    def roc(self) -> list[tuple[float, float]]:
        """Corners of the pooled ROC curve: false and true positive rates."""
        return [(x, y) for x, y in (self.data["evaluation"] or {}).get("roc", [])]

    @property
    def curve(self) -> list[dict[str, float]]:
        """What live evaluation found: metrics with their ``round``."""
        return list((self.data["live"] or {}).get("curve", []))

    @property
    def best_round(self) -> int | None:
        """The round whose model was kept; None without live evaluation."""
        return (self.data["live"] or {}).get("best_round")
