"""A key-value database in one SQLite file, beneath py-evm's own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from eth.db.backends.base import BaseDB

from dtxeth.errors import ChainError


class SqliteDB(BaseDB):
    """What py-evm writes, block by block, to a file.

    Writes become durable together at :meth:`commit`, so a crash leaves the chain at a whole block. The file
    belongs to one process at a time.

    Args:
        path: The file; created if it does not exist.

    Raises:
        ChainError: If another process has the file open, or it is not such a database.
    """

    def __init__(self, path: Path) -> None:
        try:
            # One thread at a time uses it (the provider's lock), but not always the same.
            self._connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
            self.commit()
        except sqlite3.Error as error:
            raise ChainError(
                f"chain file {path} cannot be opened: {error}; end the process that uses it, or take another"
            ) from error

    def commit(self) -> None:
        """Make all writes so far durable."""
        self._connection.commit()

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._connection.close()

    def __getitem__(self, key: bytes) -> bytes:
        row = self._connection.execute("SELECT value FROM pairs WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        value: bytes = row[0]
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO pairs VALUES (?, ?)", (key, value))

    def __delitem__(self, key: bytes) -> None:
        if self._connection.execute("DELETE FROM pairs WHERE key = ?", (key,)).rowcount == 0:
            raise KeyError(key)

    def _exists(self, key: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM pairs WHERE key = ?", (key,)).fetchone() is not None
