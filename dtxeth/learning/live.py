"""Live evaluation: how a model does on held-out rows while it is trained.

Every so many rounds the parties' parts of z on the held-out rows meet at the active party, as in prediction. It
measures, and tells the others two bits: whether this round is the best so far, and whether to stop. Every party
keeps its own weights of the best round.

Each evaluation shows the active party one more linear function of the passive features on the same rows. As many
of them as a passive party has features would determine these features, so there are fewer: :func:`check_views`
refuses the task otherwise, before anything is sent, unless the party's owner lets scores be shown.
"""

from __future__ import annotations

from typing import Any

from dtxeth.errors import PolicyError
from dtxeth.learning.metrics import LOSSES, measure
from dtxeth.learning.part import ModelPart
from dtxeth.learning.predict import open_predictions
from dtxeth.learning.settings import Live
from dtxeth.learning.table import Matrix, Table
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send


class Verdict(Message):
    """What the active party made of an evaluation."""

    best: bool
    stop: bool


class LiveEvaluation:
    """One party's side of the live evaluation of one model.

    Args:
        channel: This party's channel.
        active: The party that has the label.
        live: What the spec asks for.
        held_out: This party's held-out rows.

    Attributes:
        curve: The metrics of every evaluation with its ``round``, at the active party.
        best: The best round and this party's share of the model after it.
    """

    def __init__(
        self,
        channel: Channel,
        active: str,
        live: Live,
        held_out: Table,
    ) -> None:
        self._channel = channel
        self._active = active
        self._live = live
        self._held_out = held_out
        self._lowest = float("inf")
        self.curve: list[dict[str, Any]] = []
        self.best: tuple[int, ModelPart] | None = None

    def turn(self, done: int, ended: bool) -> bool:
        """Whether it is to be evaluated after round ``done``, which may be the last."""
        return ended or done % self._live.every == 0

    def evaluate(self, done: int, part: ModelPart) -> bool:
        """Evaluate the model after round ``done``; return whether training is to stop.

        Args:
            done: Rounds done.
            part: This party's share of the model, as it is now.

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed.
        """
        predicted = open_predictions(self._channel, self._active, part, self._held_out.values)
        if predicted is None:
            verdict = receive(self._channel, self._active, "verdict", Verdict)
        else:
            verdict = self._judge(done, predicted)
            for peer in self._channel.peers:
                send(self._channel, peer, "verdict", verdict)
        if verdict.best or self.best is None:
            self.best = done, part
        return verdict.stop

    def state(self) -> dict[str, Any]:
        """Return all that changes from evaluation to evaluation."""
        best = None if self.best is None else [self.best[0], self.best[1].to_bytes()]
        return {"curve": self.curve, "lowest": self._lowest, "best": best}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` returned."""
        self.curve, self._lowest, best = state["curve"], state["lowest"], state["best"]
        self.best = None if best is None else (best[0], ModelPart.from_bytes(best[1]))

    def _judge(self, done: int, predicted: Matrix) -> Verdict:
        assert self._held_out.label is not None  # only the active party has predictions
        binary = self._held_out.classes is not None
        measured = measure(self._held_out.label, predicted, binary)
        self.curve.append({"round": done} | {k: v for k, v in measured.items() if isinstance(v, float)})
        losses = [point[LOSSES[binary]] for point in self.curve]
        best = losses[-1] < self._lowest
        self._lowest = min(losses)
        since = len(losses) - 1 - losses.index(self._lowest)
        return Verdict(best=best, stop=self._live.patience is not None and since >= self._live.patience)


def evaluations_of(live: Live, max_rounds: int) -> int:
    """Return how many evaluations of the held-out rows a model takes at most."""
    return -(-max_rounds // live.every)


def check_views(live: Live | None, evaluated: bool, max_rounds: int, features: int) -> None:
    """At a passive party: refuse a task that would show the active party too much of the own features.

    Args:
        live: Live evaluation, if any.
        evaluated: Whether the model is evaluated afterwards, which shows every row once more.
        max_rounds: Rounds at most.
        features: Number of columns of the party's file.

    Raises:
        PolicyError: Some row would be shown as often as the file has features, or oftener.
    """
    views = int(evaluated) + (evaluations_of(live, max_rounds) if live is not None else 0)
    if views and views >= features:
        remedy = "raise live.every or lower max_rounds" if live is not None else "bring more features"
        raise PolicyError(
            f"evaluation would show the label holder {views} scores of a row, and the file has {features} "
            f"features: stay below that, {remedy}"
        )
