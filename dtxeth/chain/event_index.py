"""An index of all events of a deployment, in SQLite: what list queries are answered from.

The cursor follows the chain block by block and remembers block hashes, so it survives restarts and notices
re-organisations: events of blocks that are no longer in the chain disappear from the index at the next
:meth:`EventIndex.sync`. Blocks far below the head are read many at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dtxeth.chain.abi import Event, Log
from dtxeth.chain.contracts import Contracts
from dtxeth.errors import ChainError, InputError

E = TypeVar("E", bound=Event)

SETTLED = 64
"""Blocks at this depth and more are read in spans."""
SPAN = 1000
"""Most blocks read at a time."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployment (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (block INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS logs (
    block INTEGER, number INTEGER, hash BLOB, "transaction" BLOB, address TEXT, data BLOB,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, PRIMARY KEY (block, number)
);
CREATE INDEX IF NOT EXISTS logs_by_topic ON logs (topic0, topic1);
"""


class EventIndex:
    """All events of a deployment, by kind and arguments. Thread-safe.

    Args:
        contracts: The contracts to follow.
        path: The SQLite file; by default the index lives in memory. A file of another deployment is emptied.

    Raises:
        ChainError: If the file is no such index.
    """

    def __init__(self, contracts: Contracts, path: Path | str = ":memory:") -> None:
        self._chain = contracts.chain
        self._addresses = sorted(contracts.deployment.addresses.values())
        self._start = contracts.deployment.block
        self._lock = threading.RLock()
        identity = f"{contracts.deployment.chain_id} {self._start} {' '.join(self._addresses)}"
        try:
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.executescript(_SCHEMA)
            known = self._database.execute("SELECT identity FROM deployment").fetchone()
            if known != (identity,):
                for table in ("deployment", "cursor", "logs"):
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
                self._database.execute("INSERT INTO deployment VALUES (?)", (identity,))
            self._database.commit()
        except sqlite3.Error as error:
            raise ChainError(
                f"event index {path} cannot be opened: {error}; remove the file, it is rebuilt"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @property
    def block(self) -> int:
        """The last block that has been read."""
        with self._lock:
            newest = self._newest()
        return self._start if newest is None else newest[0]

    def sync(self) -> int:
        """Read all new blocks, after forgetting those that the chain has dropped.

        Returns:
            The last block read.
        """
        with self._lock:
            head, head_hash = self._block("latest")
            if self._newest() == (head, head_hash):
                return head  # nothing happened, which is what mostly happens
            self._forget_dropped(head)
            while (last := self.block) < head:
                step = max(1, min(SPAN, head - SETTLED - last))
                self._read(last + 1, last + step)
            return last

    def events(
        self,
        kind: type[E],
        *,
        contract: str | None = None,
        after: int = 0,
        newest_first: bool = False,
        offset: int = 0,
        limit: int | None = None,
        **arguments: Any,
    ) -> list[E]:
        """Return the events of a kind, in the chain's order, as of the last :meth:`sync`.

        Args:
            kind: Class of the events, of :mod:`dtxeth.chain.bindings.events`.
            contract: Address of the contract that emitted them; any by default.
            after: Only events of later blocks than this one.
            newest_first: Whether to turn the order around.
            offset: How many to leave out at the beginning.
            limit: How many to return at most; all by default.
            **arguments: Values that arguments of the event must have.

        Raises:
            InputError: If the event has no such argument, or a value does not fit.
        """
        unknown = sorted(arguments.keys() - kind.kinds.keys())
        if unknown:
            raise InputError(
                f"{kind.__name__} has no argument {unknown[0]!r}; it has {', '.join(kind.kinds)}"
            )
        matching = (
            event
            for event in self._of_kind(kind, contract, after, arguments, newest_first)
            if all(getattr(event, name) == value for name, value in arguments.items())
        )
        with self._lock:
            return list(islice(matching, offset, None if limit is None else offset + limit))

    def _of_kind(
        self,
        kind: type[E],
        contract: str | None,
        after: int,
        arguments: dict[str, Any],
        newest_first: bool,
    ) -> Iterator[E]:
        """Narrow down by what SQL can: topics, contract and block."""
        conditions: dict[str, Any] = {"topic0": kind.topic}
        if contract is not None:
            conditions["address"] = contract
        for position, name in enumerate(kind.indexed, start=1):
            if name in arguments:
                conditions[f"topic{position}"] = kind.topic_of(name, arguments[name])
        order = "DESC" if newest_first else "ASC"
        columns = 'address, topic0, topic1, topic2, topic3, data, block, hash, "transaction", number'
        where = " AND ".join(f"{column} = ?" for column in conditions)
        rows = self._database.execute(
            f"SELECT {columns} FROM logs WHERE block > ? AND {where} ORDER BY block {order}, number {order}",  # noqa: S608
            (after, *conditions.values()),
        )
        for address, *topics, data, block, block_hash, transaction, number in rows:
            present = tuple(topic for topic in topics if topic is not None)
            yield kind.from_log(Log(address, present, data, block, block_hash, transaction, number))

    def _newest(self) -> tuple[int, bytes] | None:
        row: tuple[int, bytes] | None = self._database.execute(
            "SELECT block, hash FROM cursor ORDER BY block DESC LIMIT 1"
        ).fetchone()
        return row

    def _forget_dropped(self, head: int) -> None:
        while (newest := self._newest()) is not None:
            block, _ = newest
            if block <= head and self._block(block) == newest:
                return
            self._database.execute("DELETE FROM cursor WHERE block = ?", (block,))
            self._database.execute("DELETE FROM logs WHERE block > ?", (self.block,))
            self._database.commit()

    def _block(self, number: int | str) -> tuple[int, bytes]:
        block = self._chain.block(number)
        return int(block["number"], 16), bytes.fromhex(block["hash"][2:])

    def _read(self, first: int, last: int) -> None:
        # The hash comes before the logs: if the chain is re-organised in between, it will not match.
        cursor = self._block(last)
        query = {"fromBlock": hex(first), "toBlock": hex(last), "address": self._addresses}
        logs = [Log.from_json(log) for log in self._chain.request("eth_getLogs", query)]
        self._database.executemany(
            "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [_row(log) for log in logs]
        )
        self._database.execute("INSERT INTO cursor VALUES (?, ?)", cursor)
        self._database.execute("DELETE FROM cursor WHERE block < ?", (last - SPAN,))
        self._database.commit()


def _row(log: Log) -> tuple[Any, ...]:
    topics = (*log.topics, *(None,) * (4 - len(log.topics)))
    place = (log.block_number, log.index, log.block_hash, log.transaction_hash)
    return (*place, log.address, log.data, *topics)
