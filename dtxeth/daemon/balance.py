"""An eye on the account's money: a node that cannot pay for gas misses challenges and loses its stake."""

from __future__ import annotations

import time

import structlog

from dtxeth.chain import Chain

log = structlog.get_logger(__name__)

EVERY = 300.0
"""Seconds between two looks."""


class BalanceWatch:
    """Warns when an account's balance is low: a :class:`~dtxeth.roles.network.Worker`.

    Args:
        chain: The chain.
        address: The account.
        least: Wei below which it warns.
    """

    busy = False
    due = None

    def __init__(self, chain: Chain, address: str, least: int) -> None:
        self._chain, self._address, self._least = chain, address, least
        self._next = 0.0

    def step(self) -> bool:
        """Look, if it is time."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY
        balance = self._chain.balance(self._address)
        if balance < self._least:
            log.warning(
                "the balance is low: send money", account=self._address, wei=balance, least=self._least
            )
        return False
