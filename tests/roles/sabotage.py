"""Faults at any step: every call that an owner makes to a node or to the chain can be made to go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dtxeth.errors import ChainUnavailableError, StorageError
from dtxeth.roles import LocalNetwork

METHODS = (
    "status",
    "get_manifest",
    "get_piece",
    "put_piece",
    "keep_pieces",
    "outline",
    "commitments",
    "acknowledge",
    "abandon",
)


class Killed(BaseException):
    """The process ends here."""


class Sabotage:
    """Stands between an owner and the network: counts calls, and spoils the one that it is told to.

    Attributes:
        calls: Names of the calls so far.
        before: Asked before each call, with its number, node and method.
        after: Asked after each call, with its number, node, method and result; returns the result.
    """

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.calls: list[str] = []
        self.before: Callable[[int, str, str], None] = lambda number, node, method: None
        self.after: Callable[[int, str, str, Any], Any] = lambda number, node, method, result: result
        self._lock = threading.Lock()
        self._doors = dict(network._doors)
        self._transact = network.chain.transact

    def __enter__(self) -> Sabotage:
        for address, api in self._doors.items():
            self.network.open_door(address, _Node(self, address, api))  # type: ignore[arg-type]
        self.network.chain.transact = (  # type: ignore[method-assign]
            lambda *arguments: self.call("chain", "transact", lambda: self._transact(*arguments))
        )
        return self

    def __exit__(self, *_: object) -> None:
        for address, api in self._doors.items():
            self.network.open_door(address, api)
        del self.network.chain.transact  # type: ignore[method-assign]

    def call(self, node: str, method: str, request: Callable[[], Any]) -> Any:
        with self._lock:
            number = len(self.calls)
            self.calls.append(method)
        self.before(number, node, method)
        return self.after(number, node, method, request())


class _Node:
    def __init__(self, sabotage: Sabotage, address: str, api: Any) -> None:
        self._sabotage, self._address, self._api = sabotage, address, api

    def __getattr__(self, method: str) -> Callable[..., Any]:
        function = getattr(self._api, method)
        return lambda *arguments: self._sabotage.call(self._address, method, lambda: function(*arguments))


def _dies(result: Any) -> Any:
    raise ConnectionError("connection refused")


def _hangs(result: Any) -> Any:
    raise TimeoutError("no answer within 30 s")


def _is_full(result: Any) -> Any:
    raise StorageError("No space left on device")


def _flips(result: Any) -> Any:
    return bytes([result[0] ^ 1]) + result[1:] if isinstance(result, bytes) and result else result


def _truncates(result: Any) -> Any:
    return result[: len(result) // 2] if isinstance(result, bytes) else result


FAULTS: dict[str, Callable[[Any], Any]] = {
    "dies": _dies,
    "hangs": _hangs,
    "disk full": _is_full,
    "flips a bit": _flips,
    "truncates": _truncates,
}
"""What a node may do to the result of a call."""


def chain_away(*_: object) -> None:
    raise ChainUnavailableError("no chain answers: start one")
