"""Rows about namespaces, files, and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain.bindings.types import Cause, Fault, HoldingState, Level, Possession
from dtxeth.chain.filters import ADDRESS, DIGEST, FLAG, HEX, NUMBER, TEXT, Filter, known_filters, words
from dtxeth.chain.rows.row import Row


@dataclass(frozen=True)
class NamespaceRow(Row):
    """A namespace.

    Attributes:
        name: Unique for its owner.
        owner: Whose it is.
        namespace: Its id.
        needed: Shards that give a stripe back; 1 for copies.
        total: Shards of each stripe.
        possession: ``merkle``, ``kzg`` or ``both``.
        files: Live files in it.
        added_at: When it was added.
    """

    view = "namespaces"
    filters = known_filters(
        ("added",), owner=ADDRESS, name=TEXT, namespace=DIGEST, possession=words(Possession)
    )

    name: str
    owner: str
    namespace: bytes
    needed: int
    total: int
    possession: str
    files: int
    added_at: int


@dataclass(frozen=True)
class FileRow(Row):
    """A file.

    Attributes:
        file: Its id.
        owner: Who published it.
        namespace: Name of its namespace.
        version: How often it was published or revised.
        needed: Shards that give a stripe back.
        total: Shards of each stripe.
        possession: ``merkle``, ``kzg`` or ``both``.
        size: Bytes of the sealed file.
        rows: Rows of the table in it, 0 if it is no table.
        status: ``live``; ``retained``: expired, still renewable; ``lapsed``: its nodes may free the space;
            ``cleared``: they have; ``deleted``.
        expired: Whether its time is over and its owner has not deleted it.
        published_at: When it was published.
        revised_at: When it was last revised.
        expires_at: Last second for which the nodes keep it.
        deleted_at: When its owner deleted it.
        manifest_digest: SHA-256 of the sealed manifest.
        sealed_info: Name and columns, sealed under the file key.
    """

    view = "files"
    filters = known_filters(
        ("published", "revised", "expires", "deleted"),
        file=DIGEST,
        prefix=Filter("instr(hex(file), ?) = 1", HEX),
        owner=ADDRESS,
        namespace=TEXT,
        status=words("live", "retained", "lapsed", "cleared", "deleted"),
        expired=FLAG,
        node=Filter("file IN (SELECT h.file FROM holdings h WHERE h.state = 'live' AND h.node = ?)", ADDRESS),
        level=Filter("file IN (SELECT h.file FROM file_health h WHERE h.level = ?)", words(Level)),
    )

    file: bytes
    owner: str
    namespace: str
    version: int
    needed: int
    total: int
    possession: str
    size: int
    rows: int
    status: str
    expired: bool
    published_at: int
    revised_at: int | None
    expires_at: int
    deleted_at: int | None
    manifest_digest: bytes
    sealed_info: bytes


@dataclass(frozen=True)
class FileHealthRow(Row):
    """How healthy a file is.

    Attributes:
        file: Its id.
        owner: Who published it.
        namespace: Name of its namespace.
        status: As in :class:`FileRow`.
        needed: Shards that give a stripe back.
        total: Shards of each stripe.
        holdings: Live ones.
        unsound: Live ones that cannot be relied on, and those missing from the total.
        level: ``green``, ``yellow`` or ``red``.
    """

    view = "file_health"
    filters = known_filters(
        file=DIGEST,
        owner=ADDRESS,
        namespace=TEXT,
        status=words("live", "retained", "lapsed", "cleared", "deleted"),
        level=words(Level),
    )

    file: bytes
    owner: str
    namespace: str
    status: str
    needed: int
    total: int
    holdings: int
    unsound: int
    level: str


@dataclass(frozen=True)
class HoldingRow(Row):
    """What one node holds of one file.

    Attributes:
        holding: Its number.
        file: The file.
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file.
        state: ``live``, ``releasing`` or ``released``.
        version: Version of the file that it came with.
        size: Bytes of its pieces.
        fault: Why its node last failed a challenge on it: ``none``, ``wrong`` or ``missed``.
        root: Merkle root, or zero.
        commitments_root: Root over its KZG commitments, or zero.
        added_at: When it came.
        expires_at: Last second for which the node has promised to keep it.
        ended_at: When it ended: its node owes no new proofs.
        released_at: When its node could free the space.
    """

    view = "holdings"
    filters = known_filters(
        ("added", "ended", "released"),
        holding=NUMBER,
        file=DIGEST,
        node=ADDRESS,
        owner=ADDRESS,
        state=words(HoldingState),
        fault=words(Fault),
    )

    holding: int
    file: bytes
    node: str
    node_name: str
    owner: str
    state: str
    version: int
    size: int
    fault: str
    root: bytes
    commitments_root: bytes
    added_at: int
    expires_at: int
    ended_at: int | None
    released_at: int | None


@dataclass(frozen=True)
class MigrationRow(Row):
    """A revision after which other nodes hold a file.

    Attributes:
        file: The file.
        owner: Its owner.
        version: Its version from then on.
        cause: ``repair``, ``drain``, ``recode``, ``renewal`` or ``refresh``.
        left: Nodes that held it and no longer do.
        joined: Nodes that hold it since.
        revised_at: When.
    """

    view = "migrations"
    filters = known_filters(
        ("revised",),
        file=DIGEST,
        owner=ADDRESS,
        cause=words(Cause),
        node=Filter(
            '? IN (SELECT value FROM json_each("left") UNION ALL SELECT value FROM json_each(joined))',
            ADDRESS,
        ),
    )

    file: bytes
    owner: str
    version: int
    cause: str
    left: tuple[str, ...]
    joined: tuple[str, ...]
    revised_at: int
