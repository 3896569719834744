"""How a daemon is: ``/health`` for whoever restarts it, ``/metrics`` for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dtxeth.chain.abi import Call
from dtxeth.chain.receipt import Receipt
from dtxeth.errors import ChainError
from dtxeth.learning.progress import Step
from dtxeth.roles import Executor, StorageNode
from dtxeth.roles.actor import Actor
from dtxeth.roles.network import Network
from dtxeth.web.guard import Guard
from dtxeth.web.limits import Limits

log = structlog.get_logger(__name__)

MODEL: Final = "model"
"""Stage of a training that makes the model, not one of its evaluation."""

STUCK_SECONDS: Final = 120.0
"""A node whose workers have not come to an end for so long is not healthy: a step takes seconds."""


class Monitor(Collector):
    """What can be said about a running node.

    Args:
        network: Its surroundings.
        actor: The actor.
        role: ``storage``, ``owner`` or ``executor``.
    """

    def __init__(self, network: Network, actor: Actor, role: str) -> None:
        self._network, self._actor, self._role = network, actor, role
        self._transactions = self._gas = 0
        self._tasks: dict[int, dict[str, int]] = {}
        network.chain.on_transaction = self._count
        network.on_progress = self._follow

    def health(self) -> dict[str, Any]:
        """The state in short; ``status`` is ``ok``, ``chain away`` or ``stuck``.

        An executor names the ``tasks`` that it trained since its start: the ``first`` round that it did, the ``rounds``
        done and the ``most``.
        """
        head = self._head()
        idle = time.monotonic() - self._network.seen_at
        status = "chain away" if head is None else "stuck" if idle > STUCK_SECONDS else "ok"
        return {
            "status": status,
            "role": self._role,
            "name": self._actor.name,
            "account": self._actor.address,
            "version": version("dtxeth"),
            "chain_id": self._network.chain.chain_id,
            "now": None if head is None else int(head["timestamp"], 16),
            "block": None if head is None else int(head["number"], 16),
            "lag": None if head is None else round(time.time() - int(head["timestamp"], 16)),
            "busy": self._actor.busy,
            **self._training(),
        }

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: prometheus_client would collect to find out."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks for them."""
        info = {"role": self._role, "name": self._actor.name, "version": version("dtxeth")}
        yield InfoMetricFamily("dtxeth_node", "Who this is.", value=info)
        yield _gauge("step_age_seconds", "Since the last look at the chain.", _since(self._network.seen_at))
        yield _gauge("busy", "Whether a task runs.", self._actor.busy)
        yield CounterMetricFamily("dtxeth_transactions", "Sent.", value=self._transactions)
        yield CounterMetricFamily("dtxeth_gas_used", "By these.", value=self._gas)
        head = self._head()
        yield _gauge("chain_up", "Whether the chain answers.", head is not None)
        if head is not None:
            yield from self._from_chain(head)

    def _from_chain(self, head: dict[str, Any]) -> Iterator[Metric]:
        chain = self._network.chain
        yield _gauge("chain_block", "Number of the newest block.", int(head["number"], 16))
        yield _gauge(
            "chain_lag_seconds", "Age of the newest block.", time.time() - int(head["timestamp"], 16)
        )
        yield _gauge("index_block", "Number of the newest block that was read.", self._network.index.block)
        yield _gauge("balance_wei", "Of the account.", chain.balance(self._actor.address))
        if isinstance(self._actor, Executor):
            sent = self._actor.bytes_to_peers
            yield CounterMetricFamily("dtxeth_peer_bytes", "Sent to other executors.", value=sent)
        if isinstance(self._actor, StorageNode):
            status = self._actor.service.status()
            pledge = self._network.contracts.node_registry.pledge_of(self._actor.address)
            yield _gauge("storage_capacity_bytes", "Offered.", status.capacity)
            yield _gauge("storage_used_bytes", "Held or staged.", status.used)
            yield _gauge("storage_holdings", "Not released.", pledge.holdings)
            yield _gauge("storage_stake_wei", "At stake.", pledge.stake)

    def _head(self) -> dict[str, Any] | None:
        try:
            return self._network.chain.block("latest")
        except ChainError:
            return None

    def _training(self) -> dict[str, Any]:
        if not isinstance(self._actor, Executor):
            return {}
        return {"tasks": dict(self._tasks), "bytes_to_peers": self._actor.bytes_to_peers}

    def _follow(self, task_id: int, step: Step) -> None:
        if step.stage != MODEL:
            return
        known = self._tasks.setdefault(task_id, {"first": step.rounds})
        if step.rounds == known["first"]:
            log.info("a task trains", task=task_id, round=step.rounds, of=step.most)
        known |= {"rounds": step.rounds, "most": step.most}

    def _count(self, call: Call, receipt: Receipt) -> None:
        self._transactions += 1
        self._gas += receipt.gas_used


def monitor_app(monitor: Monitor) -> ASGIApp:
    """Make the ASGI application with ``/health`` and ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(monitor)
    ProcessCollector(registry=registry)

    def health(request: Request) -> Response:
        state = monitor.health()
        return JSONResponse(state, status_code=200 if state["status"] == "ok" else 503)

    def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Guard(Starlette(routes=[Route("/health", health), Route("/metrics", metrics)]), Limits())


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dtxeth_{name}", what, value=float(value))


def _since(moment: float) -> float:
    return time.monotonic() - moment
