"""A storage node's own records, in SQLite: which blocks it has, and of which draft or holding they are pieces.

A block may be a piece of several drafts and holdings; it is counted once, and goes when nothing refers to it.
Its row is written before the block goes into the store and deleted after it has left: whatever instant a process
dies at, a block that is in the store has a row, and one that nothing refers to is found by :meth:`Records.garbage`.
"""

from __future__ import annotations

import enum
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dtxeth.errors import StorageError
from dtxeth.storage.api import Claim

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS holding (
    number INTEGER PRIMARY KEY, file BLOB NOT NULL, owner TEXT NOT NULL, draft BLOB NOT NULL,
    stage INTEGER NOT NULL, touched INTEGER NOT NULL, size INTEGER NOT NULL, committing INTEGER NOT NULL,
    claim BLOB NOT NULL, deadline INTEGER NOT NULL, since INTEGER NOT NULL, tail BLOB NOT NULL,
    holding_id INTEGER NOT NULL, manifest BLOB NOT NULL,
    UNIQUE (file, owner, draft)
);
CREATE INDEX IF NOT EXISTS holding_by_id ON holding (holding_id);
CREATE INDEX IF NOT EXISTS holding_by_owner ON holding (owner, stage);
CREATE TABLE IF NOT EXISTS piece (
    holding INTEGER, position INTEGER, cid TEXT NOT NULL, PRIMARY KEY (holding, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS piece_by_cid ON piece (cid);
CREATE TABLE IF NOT EXISTS block (
    cid TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB, commitments BLOB
) WITHOUT ROWID;
"""


class Stage(enum.IntEnum):
    """How far a draft or holding has come with its node."""

    STAGED = 0
    ACKNOWLEDGED = 1
    LIVE = 2
    ENDED = 3


@dataclass(frozen=True)
class StoredHolding:
    """A draft, or the holding that it has become, as its node keeps it.

    Attributes:
        number: Its number in these records.
        file_id: The file.
        owner: Who staged it.
        draft: The draft's 16-byte id.
        stage: Staged, acknowledged, live on chain, or ended there and not yet released.
        touched: Chain time of the last change while it was staged.
        size: Bytes of its pieces.
        committing: Whether KZG commitments are wanted.
        claim: What was acknowledged; None while staged.
        deadline: Until when its acknowledgement may be published.
        since: Block after which it can have been published.
        tail: Roots of the aligned subtrees of 4096 leaves over its last, short pieces.
        holding_id: Its number on chain, 0 before.
        manifest_digest: SHA-256 of the sealed manifest that came with it; empty if not known.
    """

    number: int
    file_id: bytes
    owner: str
    draft: bytes
    stage: Stage = Stage.STAGED
    touched: int = 0
    size: int = 0
    committing: bool = False
    claim: Claim | None = None
    deadline: int = 0
    since: int = 0
    tail: tuple[bytes, ...] = ()
    holding_id: int = 0
    manifest_digest: bytes = b""

    @property
    def is_draft(self) -> bool:
        """Whether it is not on chain yet."""
        return self.stage in (Stage.STAGED, Stage.ACKNOWLEDGED)


@dataclass(frozen=True)
class StoredPiece:
    """A piece as its node keeps it.

    Attributes:
        cid: Its block.
        size: Its bytes.
        root: Merkle root of its own leaves; None until it is needed.
        commitments: KZG commitments of its blobs, 48 bytes each; None until they are needed.
    """

    cid: str
    size: int
    root: bytes | None
    commitments: bytes | None


class Records:
    """The database. Thread-safe; every method is one transaction, those within :meth:`transaction` are one together.

    Args:
        path: File, or None for memory.

    Raises:
        StorageError: The file cannot be used; likewise below, and then nothing has changed.
    """

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.RLock()
        self._depth = 0
        try:
            self.database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
            self.database.execute("PRAGMA journal_mode = WAL")
            # Enough against a crash of the process; `save` syncs before anything is signed.
            self.database.execute("PRAGMA synchronous = NORMAL")
            self.database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageError(f"records {path} cannot be opened: {error}; give a writable file") from error

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all or nothing of what is done within; gives the connection."""
        with self.lock:
            try:
                if self._depth == 0:
                    self.database.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield self.database
                finally:
                    self._depth -= 1
                if self._depth == 0:
                    self.database.execute("COMMIT")
            except BaseException as error:
                if self._depth == 0 and self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError) or not isinstance(error, sqlite3.Error):
                    raise
                raise StorageError(
                    f"the node's records cannot be used: {error}; make room for them"
                ) from error

    # --- drafts and holdings ---

    def draft(self, file_id: bytes, owner: str, draft: bytes) -> StoredHolding | None:
        """Find a draft, whatever it has become."""
        found = self._holdings("WHERE file = ? AND owner = ? AND draft = ?", file_id, owner, draft)
        return found[0] if found else None

    def holdings(self, *stages: Stage) -> list[StoredHolding]:
        """List drafts and holdings at some stages, or all."""
        wanted = stages or tuple(Stage)
        return self._holdings(f"WHERE stage IN ({', '.join(map(str, map(int, wanted)))})")

    def holdings_of(self, file_id: bytes) -> list[StoredHolding]:
        """List what anybody has staged or published under a file id, newest first."""
        return self._holdings("WHERE file = ? ORDER BY number DESC", file_id)

    def with_piece(self, file_id: bytes, cid: str) -> list[StoredHolding]:
        """List the drafts and holdings of a file that have a block as a piece."""
        where = "WHERE file = ? AND number IN (SELECT holding FROM piece WHERE cid = ?)"
        return self._holdings(where, file_id, cid)

    def staged_by(self, owner: str) -> tuple[int, int]:
        """Count an account's drafts, and their bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM holding WHERE owner = ? AND stage < ?"
        drafts, size = self._rows(query, owner, int(Stage.LIVE))[0]
        return int(drafts), int(size)

    def add(self, file_id: bytes, owner: str, draft: bytes) -> StoredHolding:
        """Begin a draft."""
        row = (file_id, owner, draft, int(Stage.STAGED))
        with self.transaction() as database:
            cursor = database.execute(
                "INSERT INTO holding VALUES (NULL, ?, ?, ?, ?, 0, 0, 0, x'', 0, 0, x'', 0, x'')", row
            )
        return StoredHolding(int(cursor.lastrowid or 0), file_id, owner, draft)

    def save(self, holding: StoredHolding, *, durably: bool = False) -> None:
        """Note changes of a draft or holding.

        Args:
            holding: With a number that is in these records.
            durably: Whether it must survive a failure of the machine: before something is signed.
        """
        row = (
            int(holding.stage), holding.touched, holding.size, int(holding.committing),
            holding.claim.to_bytes() if holding.claim else b"", holding.deadline, holding.since,
            b"".join(holding.tail), holding.holding_id, holding.manifest_digest, holding.number,
        )  # fmt: skip
        with self.transaction() as database:
            database.execute(
                "UPDATE holding SET stage = ?, touched = ?, size = ?, committing = ?, claim = ?, deadline = ?, "
                "since = ?, tail = ?, holding_id = ?, manifest = ? WHERE number = ?",
                row,
            )
        if durably:
            self._rows("PRAGMA wal_checkpoint(FULL)")

    def remove(self, holding: StoredHolding) -> list[str]:
        """Forget a draft or holding; returns the CIDs of its pieces."""
        with self.transaction() as database:
            cids = [cid for (cid,) in self._rows("SELECT cid FROM piece WHERE holding = ?", holding.number)]
            database.execute("DELETE FROM piece WHERE holding = ?", (holding.number,))
            database.execute("DELETE FROM holding WHERE number = ?", (holding.number,))
        return cids

    # --- pieces ---

    def append(self, holding: StoredHolding, position: int, cids: Sequence[str]) -> None:
        """Note blocks as the next pieces of a draft."""
        rows = [(holding.number, position + offset, cid) for offset, cid in enumerate(cids)]
        with self.transaction() as database:
            database.executemany("INSERT INTO piece VALUES (?, ?, ?)", rows)

    def pieces(self, holding: StoredHolding) -> list[StoredPiece]:
        """List the pieces of a draft or holding, in order."""
        query = (
            "SELECT cid, size, root, commitments FROM piece JOIN block USING (cid) "
            "WHERE holding = ? ORDER BY position"
        )
        return [StoredPiece(*row) for row in self._rows(query, holding.number)]

    def last_sizes(self, holding: StoredHolding) -> tuple[int, list[int]]:
        """Count the pieces of a draft, and return the sizes of the last two, newest first."""
        query = (
            "SELECT position, size FROM piece JOIN block USING (cid) "
            "WHERE holding = ? ORDER BY position DESC LIMIT 2"
        )
        rows = self._rows(query, holding.number)
        return (rows[0][0] + 1 if rows else 0), [size for _, size in rows]

    def last_cid(self, holding: StoredHolding) -> str:
        """CID of the last piece: the manifest of what has been acknowledged."""
        query = "SELECT cid FROM piece WHERE holding = ? ORDER BY position DESC LIMIT 1"
        return str(self._rows(query, holding.number)[0][0])

    # --- blocks ---

    def expect(self, cid: str, size: int) -> bool:
        """Note a block that is about to go into the store; tells whether it is new."""
        with self.transaction() as database:
            cursor = database.execute("INSERT OR IGNORE INTO block VALUES (?, ?, NULL, NULL)", (cid, size))
            return cursor.rowcount == 1

    def block(self, cid: str) -> StoredPiece | None:
        """Find a block."""
        rows = self._rows("SELECT cid, size, root, commitments FROM block WHERE cid = ?", cid)
        return StoredPiece(*rows[0]) if rows else None

    def measured(self, cid: str, *, root: bytes | None = None, commitments: bytes | None = None) -> None:
        """Note what was computed from a block."""
        with self.transaction() as database:
            database.execute(
                "UPDATE block SET root = coalesce(?, root), commitments = coalesce(?, commitments) WHERE cid = ?",
                (root, commitments, cid),
            )

    def is_promised(self, cid: str) -> bool:
        """Tell whether a block is a piece of what was signed for."""
        query = "SELECT 1 FROM piece JOIN holding ON holding = number WHERE cid = ? AND stage > ? LIMIT 1"
        return bool(self._rows(query, cid, int(Stage.STAGED)))

    def is_needed(self, cid: str) -> bool:
        """Tell whether a block is anybody's piece."""
        return bool(self._rows("SELECT 1 FROM piece WHERE cid = ? LIMIT 1", cid))

    def garbage(self) -> list[StoredPiece]:
        """List the blocks that nothing refers to."""
        query = "SELECT cid, size, root, commitments FROM block WHERE cid NOT IN (SELECT cid FROM piece)"
        return [StoredPiece(*row) for row in self._rows(query)]

    def forget_block(self, cid: str) -> None:
        """Delete a block that has left the store."""
        with self.transaction() as database:
            database.execute("DELETE FROM block WHERE cid = ?", (cid,))

    def cids(self) -> set[str]:
        """CIDs of all blocks."""
        return {cid for (cid,) in self._rows("SELECT cid FROM block")}

    def used(self) -> int:
        """Bytes of all blocks, each counted once."""
        return int(self._rows("SELECT coalesce(sum(size), 0) FROM block")[0][0])

    def _holdings(self, where: str, *values: object) -> list[StoredHolding]:
        return [_holding(row) for row in self._rows(f"SELECT * FROM holding {where}", *values)]  # noqa: S608 - the callers' constants

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self.lock:
            try:
                return self.database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StorageError(
                    f"the node's records cannot be read: {error}; is the file whole?"
                ) from error


def _holding(row: tuple[Any, ...]) -> StoredHolding:
    (
        number,
        file_id,
        owner,
        draft,
        stage,
        touched,
        size,
        committing,
        claim,
        deadline,
        since,
        tail,
        holding_id,
        manifest,
    ) = row
    return StoredHolding(
        number, file_id, owner, draft, Stage(stage), touched, size, bool(committing),
        Claim.from_bytes(claim) if claim else None, deadline, since,
        tuple(tail[start : start + 32] for start in range(0, len(tail), 32)), holding_id, manifest,
    )  # fmt: skip
