"""Samples: from the bytes of a stored file to a party's training, the roles found out on the way."""

from __future__ import annotations

import csv
import io

from dtxeth.errors import DataError
from dtxeth.learning.agreement import NoteRows
from dtxeth.learning.handshake import TaskContext, find_active
from dtxeth.learning.journal import Journal
from dtxeth.learning.mpc.session import LOCAL, NetworkTraining, Site, train_network
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Policy
from dtxeth.learning.progress import Watcher
from dtxeth.learning.session import Training, train
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Table
from dtxeth.transport.channel import Channel

_LONGEST_HEADER = 1 << 20


def train_on_sample(
    channel: Channel,
    sample: bytes,
    spec: TaskSpec,
    policy: Policy,
    context: TaskContext,
    secret: bytes | None = None,
    warm: ModelPart | None = None,
    journal: Journal | None = None,
    site: Site = LOCAL,
    progress: Watcher | None = None,
    note_rows: NoteRows | None = None,
) -> Training | NetworkTraining:
    """Train on a CSV file; the party whose file has the label column is the active one.

    Args:
        channel: Connects this party with its peers, fresh for this task.
        sample: The file, UTF-8 with a header line.
        spec: The task's spec, as on chain.
        policy: The data owner's rules.
        context: What the chain says.
        secret: As for :func:`~dtxeth.learning.session.train`.
        warm: This party's part of the model that ``spec.warm_start`` names.
        journal: As for :func:`~dtxeth.learning.session.train`, and
            :func:`~dtxeth.learning.mpc.session.train_network`.
        site: This party's machine, for a network.
        progress: Called after every round of every model.
        note_rows: Told of the rows before anything is learned from them; may refuse them.

    Raises:
        DataError: The file is not a table that fits the spec; or not exactly one party has the label.
        DtxethError: As :func:`~dtxeth.learning.session.train` does.
    """
    active = find_active(channel, spec.label in read_header(sample))
    label = spec.label if active == channel.name else None
    table = Table.from_csv(
        sample,
        spec.id,
        label,
        binary=label is not None and spec.logistic,
        words=None if spec.categorical == "one-hot" else (),
        missing=spec.missing != "refuse",
    )
    if spec.network is not None:
        return train_network(
            channel,
            active,
            table,
            spec,
            policy,
            context,
            site,
            journal=journal,
            secret=secret,
            progress=progress,
            note_rows=note_rows,
        )
    return train(
        channel,
        active,
        table,
        spec,
        policy,
        context,
        progress=progress,
        secret=secret,
        warm=warm,
        journal=journal,
        note_rows=note_rows,
    )


def read_header(sample: bytes) -> list[str]:
    """Name the columns of a CSV file, given its bytes or the first of them.

    Raises:
        DataError: It is not CSV.
    """
    try:
        text = sample[:_LONGEST_HEADER].decode("utf-8-sig", errors="replace")
        return [column.strip() for column in next(csv.reader(io.StringIO(text)), [])]
    except csv.Error:
        raise DataError("the sample is not CSV with a header line: upload it anew") from None
