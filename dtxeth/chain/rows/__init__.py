"""What lists are made of: a frozen dataclass for a row of each, and the filters that it knows.

Each class names a view of ``views.sql``. Addresses are checksummed, ids and digests bytes, times seconds (None
where the thing has not happened), sizes bytes, money wei; a status is a word.
"""

from dtxeth.chain.rows.files import FileHealthRow, FileRow, HoldingRow, MigrationRow, NamespaceRow
from dtxeth.chain.rows.nodes import NodeRow, SlashRow
from dtxeth.chain.rows.possession import ChallengeRow
from dtxeth.chain.rows.row import R, Row
from dtxeth.chain.rows.tasks import AuthorizationRow, TaskRow

__all__ = [
    "AuthorizationRow",
    "ChallengeRow",
    "FileHealthRow",
    "FileRow",
    "HoldingRow",
    "MigrationRow",
    "NamespaceRow",
    "NodeRow",
    "R",
    "Row",
    "SlashRow",
    "TaskRow",
]
