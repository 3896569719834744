"""Row notes: how an owner's executors remember which rows earlier tasks learned from, whoever ran them.

Before the first ciphertext, an executor puts a sketch of the rows on chain (:mod:`dtxeth.learning.rowsets`), sealed
under a key that the owner hands to its executors alone, and compares it with what was noted before for any of the
owner's files. The chain is the one memory that outlives executors, cannot be taken back by failing the task, and
puts two tasks that run at the same time in an order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from dtxeth.chain.bindings.events import RowsNoted
from dtxeth.errors import CryptoError, PolicyError, TaskError
from dtxeth.learning.policy import Policy
from dtxeth.learning.rowsets import SKETCH_BYTES, sketch
from dtxeth.storage.seal import seal_bytes, unseal_bytes

if TYPE_CHECKING:
    from dtxeth.roles.executor import Executor

log = structlog.get_logger(__name__)

PATIENCE: Final = 600.0
"""Seconds to wait until the index has an own note: a chain may take as long to confirm it."""


class RowNotes:
    """The notes on one owner's files, as one of its executors reads and writes them.

    Args:
        executor: Who takes part in the task.
        task_id: The task.
        file_id: Its file.
        policy: The owner's rules, with the key of the notes.
    """

    def __init__(self, executor: Executor, task_id: int, file_id: bytes, policy: Policy) -> None:
        self._executor = executor
        self._task_id = task_id
        self._owner = executor.contracts.file_registry.file_of(file_id).owner
        self._policy = policy

    def note(self, ids: Sequence[str]) -> None:
        """Note the rows that a task is about to learn from; a task that goes on after a crash notes nothing new.

        Raises:
            PolicyError: They differ from those of an earlier task on the owner's files by too few.
            TaskError: They are not those that this very task noted before.
        """
        if self._policy.row_key is None:
            raise PolicyError("the owner's grant has no key for noting rows: ask the owner to approve again")
        rows = sketch(self._policy.row_key, ids)
        mine = self._mine(self._events())
        if mine is None:
            sealed = seal_bytes(
                self._policy.row_key, self._purpose(self._task_id, self._executor.address), rows
            )
            self._executor.contracts.task_registry.note_rows(
                self._task_id, sealed, sender=self._executor.account
            )
            mine = self._await_own()
        elif self._open(mine) != rows:
            raise TaskError(f"task {self._task_id} began with other common rows: publish it again")
        earlier = []
        for event in self._events():
            if event == mine:
                break
            past = self._open(event)
            if event.task_id != self._task_id and past is not None:
                earlier.append((event.task_id, past))
        self._policy.check_difference(rows, earlier)

    def _events(self) -> list[RowsNoted]:
        self._executor.network.index.sync()
        return self._executor.network.index.events(RowsNoted, owner=self._owner)

    def _mine(self, events: list[RowsNoted]) -> RowsNoted | None:
        me = (self._task_id, self._executor.address)
        return next((event for event in events if (event.task_id, event.executor) == me), None)

    def _await_own(self) -> RowsNoted:
        end = time.monotonic() + PATIENCE
        while (mine := self._mine(self._events())) is None:
            if time.monotonic() > end:
                raise TaskError(
                    f"the note of the rows of task {self._task_id} is not confirmed: look at the chain"
                )
            time.sleep(0.5)
        return mine

    def _open(self, event: RowsNoted) -> bytes | None:
        """The sketch in a note; None for what cannot be read, which only an executor of the owner's can have left."""
        assert self._policy.row_key is not None
        try:
            rows = unseal_bytes(
                self._policy.row_key, self._purpose(event.task_id, event.executor), event.note
            )
        except CryptoError:
            rows = b""
        if len(rows) != SKETCH_BYTES:
            log.warning("a note of rows cannot be read", task=event.task_id, executor=event.executor)
            return None
        return rows

    def _purpose(self, task_id: int, executor: str) -> bytes:
        """Binds a note to its chain, registry, task and author."""
        chain, registry = self._executor.network.chain, self._executor.contracts.task_registry
        return f"rows {chain.chain_id} {registry.address} {task_id} {executor}".encode()
