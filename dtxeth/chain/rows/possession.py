"""Rows about challenges."""

from __future__ import annotations

from dataclasses import dataclass

from dtxeth.chain.bindings.types import Algorithm, Fault
from dtxeth.chain.filters import ADDRESS, DIGEST, NUMBER, known_filters, words
from dtxeth.chain.rows.row import Row


@dataclass(frozen=True)
class ChallengeRow(Row):
    """A possession challenge.

    Attributes:
        challenge: Its number.
        status: ``opened``, ``to_prove``, ``lapsed`` (its time is over, and nobody has closed it), ``proved``,
            ``failed`` or ``void``.
        fault: Why it failed: ``none``, ``wrong`` or ``missed``.
        node: Address of the storage node.
        node_name: Its label.
        owner: Owner of the file, who opened it.
        file: The file.
        holding: The holding.
        algorithm: ``merkle`` or ``kzg``.
        count: Leaves or blobs to prove.
        deposit: In wei.
        opened_at: When it was opened.
        answer_by: Last second at which the node may answer, once it is drawn.
        settled_at: When it was proved, failed or void.
    """

    view = "challenges"
    filters = known_filters(
        ("opened", "settled"),
        challenge=NUMBER,
        status=words("opened", "to_prove", "lapsed", "proved", "failed", "void"),
        fault=words(Fault),
        node=ADDRESS,
        owner=ADDRESS,
        file=DIGEST,
        holding=NUMBER,
        algorithm=words(Algorithm),
    )

    challenge: int
    status: str
    fault: str
    node: str
    node_name: str
    owner: str
    file: bytes
    holding: int
    algorithm: str
    count: int
    deposit: int
    opened_at: int
    answer_by: int | None
    settled_at: int | None
