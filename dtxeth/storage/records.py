"""A storage node's own records, in SQLite: which pieces it has, of which holding, in which order."""

from __future__ import annotations

import enum
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS holding (
    file BLOB, owner TEXT, state INTEGER NOT NULL, touched INTEGER NOT NULL, deadline INTEGER NOT NULL,
    root BLOB NOT NULL, leaf_count INTEGER NOT NULL, subtrees BLOB NOT NULL,
    PRIMARY KEY (file, owner)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS piece (
    file BLOB, owner TEXT, position INTEGER, cid TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
    PRIMARY KEY (file, owner, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS piece_by_cid ON piece (cid);
"""


class HoldingState(enum.IntEnum):
    """Where a holding stands with its node."""

    STAGED = 0
    ACKNOWLEDGED = 1
    PUBLISHED = 2


@dataclass(frozen=True)
class StoredHolding:
    """A holding as its node keeps it.

    Attributes:
        file_id: The file.
        owner: Who staged it.
        state: Staged, acknowledged, or found on chain.
        touched: Chain time of the last change.
        deadline: Until when its acknowledgement may be published.
        root: Its Merkle root; empty while staged, as the following.
        leaf_count: Number of leaves.
        subtrees: Roots of the aligned subtrees of 4096 leaves.
    """

    file_id: bytes
    owner: str
    state: HoldingState
    touched: int
    deadline: int = 0
    root: bytes = b""
    leaf_count: int = 0
    subtrees: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class StoredPiece:
    """A piece as its node keeps it.

    Attributes:
        cid: Its block.
        size: Its bytes.
        root: Merkle root of its own leaves.
    """

    cid: str
    size: int
    root: bytes


class Records:
    """The database. Thread-safe; every method is one transaction.

    Args:
        path: File, or None for memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.RLock()
        self.database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        # Enough against a crash of the process; `save` syncs before anything is signed.
        self.database.execute("PRAGMA synchronous = NORMAL")
        self.database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.database.close()

    def save(self, holding: StoredHolding) -> None:
        """Insert or replace a holding, durably."""
        row = (
            holding.file_id, holding.owner, int(holding.state), holding.touched, holding.deadline,
            holding.root, holding.leaf_count, b"".join(holding.subtrees),
        )  # fmt: skip
        with self.lock:
            self.database.execute("INSERT OR REPLACE INTO holding VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if holding.state is not HoldingState.STAGED:
                self.database.execute("PRAGMA wal_checkpoint(FULL)")

    def holding(self, file_id: bytes, owner: str) -> StoredHolding | None:
        """Find a holding."""
        return next((found for found in self.holdings_of(file_id) if found.owner == owner), None)

    def holdings_of(self, file_id: bytes) -> list[StoredHolding]:
        """List what anybody has staged or published under a file id."""
        return self._holdings("WHERE file = ?", file_id)

    def holdings(self, state: HoldingState | None = None) -> list[StoredHolding]:
        """List holdings, of one state or all."""
        return self._holdings("") if state is None else self._holdings("WHERE state = ?", int(state))

    def add_piece(self, file_id: bytes, owner: str, position: int, piece: StoredPiece) -> None:
        """Note a piece at the end of a holding."""
        row = (file_id, owner, position, piece.cid, piece.size, piece.root)
        with self.lock:
            self.database.execute("INSERT INTO piece VALUES (?, ?, ?, ?, ?, ?)", row)

    def pieces(self, file_id: bytes, owner: str) -> list[StoredPiece]:
        """List the pieces of a holding, in order."""
        query = "SELECT cid, size, root FROM piece WHERE file = ? AND owner = ? ORDER BY position"
        with self.lock:
            return [StoredPiece(*row) for row in self.database.execute(query, (file_id, owner))]

    def last_pieces(self, file_id: bytes, owner: str) -> tuple[int, list[StoredPiece]]:
        """Count the pieces of a holding, and return the last two of them, newest first."""
        query = (
            "SELECT position, cid, size, root FROM piece WHERE file = ? AND owner = ? "
            "ORDER BY position DESC LIMIT 2"
        )
        with self.lock:
            rows = self.database.execute(query, (file_id, owner)).fetchall()
        return (rows[0][0] + 1 if rows else 0), [StoredPiece(*row[1:]) for row in rows]

    def has_piece(self, file_id: bytes, owner: str, cid: str) -> bool:
        """Tell whether a block is a piece of this very holding."""
        query = "SELECT 1 FROM piece WHERE cid = ? AND file = ? AND owner = ?"
        with self.lock:
            return self.database.execute(query, (cid, file_id, owner)).fetchone() is not None

    def remove(self, file_id: bytes, owner: str) -> set[str]:
        """Forget a holding; returns the blocks that no other holding needs."""
        key = (file_id, owner)
        with self.lock:
            cids = {piece.cid for piece in self.pieces(*key)}
            self.database.execute("DELETE FROM piece WHERE file = ? AND owner = ?", key)
            self.database.execute("DELETE FROM holding WHERE file = ? AND owner = ?", key)
            return {cid for cid in cids if not self._needed(cid)}

    def used(self) -> int:
        """Bytes of all pieces."""
        with self.lock:
            (used,) = self.database.execute("SELECT coalesce(sum(size), 0) FROM piece").fetchone()
        return int(used)

    def _needed(self, cid: str) -> bool:
        return self.database.execute("SELECT 1 FROM piece WHERE cid = ?", (cid,)).fetchone() is not None

    def _holdings(self, where: str, *values: object) -> list[StoredHolding]:
        query = f"SELECT * FROM holding {where}"  # noqa: S608 - the callers' constants
        with self.lock:
            rows = self.database.execute(query, values).fetchall()
        return [
            StoredHolding(
                file_id, owner, HoldingState(state), touched, deadline, root, leaf_count,
                tuple(subtrees[start : start + 32] for start in range(0, len(subtrees), 32)),
            )
            for file_id, owner, state, touched, deadline, root, leaf_count, subtrees in rows
        ]  # fmt: skip
