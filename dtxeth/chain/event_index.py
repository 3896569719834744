"""An index of all events of a deployment, in SQLite: what list queries are answered from.

The cursor follows the chain block by block and remembers block hashes, so it survives restarts and notices
re-organisations: events of blocks that are no longer in the chain disappear from the index at the next
:meth:`EventIndex.sync`. Blocks far below the head are read many at a time.

Lists (:meth:`EventIndex.page`) are SQL views over the events, so they follow whatever happens to these: there is no
state beside them that could go out of step.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from dtxeth.chain.abi import Event, Log
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.deploy import Deployment
from dtxeth.chain.event_tables import KINDS, TOPICS, insertion, position, schema
from dtxeth.chain.filters import condition
from dtxeth.chain.rows import R
from dtxeth.errors import ChainError, InputError

E = TypeVar("E", bound=Event)

SETTLED = 64
"""Blocks at this depth and more are read in spans."""
SPAN = 1000
"""Most blocks read at a time."""

_SCHEMA = f"""
CREATE TABLE deployment (identity TEXT, slot_seconds INTEGER, lost_slots INTEGER, lost_misses INTEGER);
CREATE TABLE cursor (block INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL);
CREATE TABLE logs (
    block INTEGER, number INTEGER, hash BLOB, "transaction" BLOB, address TEXT, data BLOB,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, PRIMARY KEY (block, number)
);
CREATE INDEX logs_by_topic ON logs (topic0, topic1);
{schema()}
"""


@dataclass(frozen=True)
class Page(Generic[R]):
    """A part of a list; iterates over its rows.

    Attributes:
        rows: The rows.
        total: How many the whole list has.
        next: Offset of the next page, None after the last one.
    """

    rows: tuple[R, ...]
    total: int
    next: int | None

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> R:
        return self.rows[number]


@dataclass(frozen=True)
class _Block:
    number: int
    hash: bytes
    time: int


class EventIndex:
    """All events of a deployment, by kind and arguments, and the lists that they add up to. Thread-safe.

    Args:
        contracts: The contracts to follow.
        path: The SQLite file; by default the index lives in memory. A file of another deployment, or of another
            version of this class, is emptied.

    Raises:
        ChainError: If the file is no such index.
    """

    def __init__(self, contracts: Contracts, path: Path | str = ":memory:") -> None:
        self._chain = contracts.chain
        self._addresses = sorted(contracts.deployment.addresses.values())
        self._start = contracts.deployment.block
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._prepare(contracts.deployment)
        except sqlite3.Error as error:
            raise ChainError(
                f"event index {path} cannot be opened: {error}; remove the file, it is rebuilt"
            ) from error

    def _prepare(self, deployment: Deployment) -> None:
        """Empty the file unless it is this deployment's, with these tables."""
        whose = f"{deployment.chain_id} {self._start} {' '.join(self._addresses)}"
        identity = f"{whose} {hashlib.sha256(_SCHEMA.encode()).hexdigest()}"
        there = self._database.execute("SELECT type, name FROM sqlite_master WHERE sql NOT NULL").fetchall()
        if there:
            if ("table", "deployment") not in there:
                raise sqlite3.DatabaseError("it is another program's database")
            known = self._database.execute("SELECT identity FROM deployment").fetchone()
            if known == (identity,):
                return
        old = "".join(f'DROP {kind} "{name}";' for kind, name in there if kind in ("table", "view"))
        self._database.executescript(f"BEGIN; {old} {_SCHEMA} COMMIT;")
        rules = deployment.parameters
        with self._database:
            self._database.execute(
                "INSERT INTO deployment VALUES (?, ?, ?, ?)",
                (identity, rules.slot_seconds, rules.lost_slots, rules.lost_misses),
            )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @property
    def block(self) -> int:
        """The last block that has been read."""
        with self._lock:
            newest = self._newest()
        return self._start if newest is None else newest.number

    def sync(self) -> int:
        """Read all new blocks, after forgetting those that the chain has dropped.

        Returns:
            The last block read.
        """
        with self._lock:
            head = self._block("latest")
            if self._newest() == head:
                return head.number  # nothing happened, which is what mostly happens
            self._forget_dropped(head.number)
            while (last := self.block) < head.number:
                step = max(1, min(SPAN, head.number - SETTLED - last))
                self._read(last + 1, last + step)
            return last

    def events(
        self,
        kind: type[E],
        /,
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

    def page(
        self,
        kind: type[R],
        /,
        *,
        limit: int | None = None,
        offset: int = 0,
        newest: bool = False,
        **filters: Any,
    ) -> Page[R]:
        """Return a part of a list, as of the last :meth:`sync`, in the order in which its things came to be.

        Args:
            kind: Class of the rows, of :mod:`dtxeth.chain.rows`, which says what filters there are.
            limit: How many rows to return at most; all by default.
            offset: How many to leave out at the beginning.
            newest: Whether to begin with the newest.
            **filters: What the rows must have; all of it.

        Raises:
            InputError: There is no such filter, a value does not fit it, or the page begins or ends nowhere.
        """
        for name, number in (("limit", limit), ("offset", offset)):
            if number is not None and not 0 <= number < 1 << 63:
                raise InputError(f"the {name} of a list cannot be {number}: give 0 or more")
        given = [condition(kind.filters, name, value, kind.view) for name, value in filters.items()]
        source = " AND ".join([f"FROM {kind.view} WHERE true", *(sql for sql, _ in given)])
        values = [value for _, value in given]
        columns = ", ".join(f'"{column}"' for column in kind.columns())
        order = "DESC" if newest else "ASC"
        with self._lock:
            (total,) = self._database.execute(f"SELECT count(*) {source}", values).fetchone()
            found = self._database.execute(
                f"SELECT {columns} {source} ORDER BY position {order} LIMIT ? OFFSET ?",
                (*values, -1 if limit is None else limit, offset),
            ).fetchall()
        rows = tuple(kind.from_values(row) for row in found)
        end = offset + len(rows)
        return Page(rows, total, end if rows and end < total else None)

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
        for place, name in enumerate(kind.indexed, start=1):
            if name in arguments:
                conditions[f"topic{place}"] = kind.topic_of(name, arguments[name])
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

    def _newest(self) -> _Block | None:
        row = self._database.execute(
            "SELECT block, hash, time FROM cursor ORDER BY block DESC LIMIT 1"
        ).fetchone()
        return None if row is None else _Block(*row)

    def _forget_dropped(self, head: int) -> None:
        while (newest := self._newest()) is not None:
            if newest.number <= head and self._block(newest.number) == newest:
                return
            with self._database:
                self._database.execute("DELETE FROM cursor WHERE block = ?", (newest.number,))
                self._database.execute("DELETE FROM logs WHERE block > ?", (self.block,))
                for kind in KINDS:
                    self._database.execute(
                        f"DELETE FROM {kind.__name__} WHERE position >= ?",  # noqa: S608 - our own names
                        (position(self.block + 1),),
                    )

    def _block(self, number: int | str) -> _Block:
        block = self._chain.block(number)
        return _Block(int(block["number"], 16), bytes.fromhex(block["hash"][2:]), int(block["timestamp"], 16))

    def _read(self, first: int, last: int) -> None:
        # The hash comes before the logs: if the chain is re-organised in between, it will not match.
        cursor = self._block(last)
        query = {"fromBlock": hex(first), "toBlock": hex(last), "address": self._addresses}
        logs = [Log.from_json(log) for log in self._chain.request("eth_getLogs", query)]
        times = {last: cursor.time}
        with self._database:
            for log in logs:
                self._database.execute("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(log))
                if log.topics[0] not in TOPICS:
                    continue
                if log.block_number not in times:
                    times[log.block_number] = self._block(log.block_number).time
                event = TOPICS[log.topics[0]].from_log(log)
                self._database.execute(*insertion(event, times[log.block_number]))
            self._database.execute(
                "INSERT INTO cursor VALUES (?, ?, ?)", (cursor.number, cursor.hash, cursor.time)
            )
            self._database.execute("DELETE FROM cursor WHERE block < ?", (last - SPAN,))


def _row(log: Log) -> tuple[Any, ...]:
    topics = (*log.topics, *(None,) * (4 - len(log.topics)))
    place = (log.block_number, log.index, log.block_hash, log.transaction_hash)
    return (*place, log.address, log.data, *topics)
