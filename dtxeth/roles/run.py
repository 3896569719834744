"""One executor's run of one task: fetch the sample, train or predict with the peers, say what goes on chain."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json

from dtxeth.chain.bindings.events import PartyInvited, TaskPublished
from dtxeth.chain.bindings.types import Kind
from dtxeth.errors import PeerError
from dtxeth.learning.columns import read_inputs
from dtxeth.learning.handshake import TaskContext, find_active
from dtxeth.learning.policy import Policy
from dtxeth.learning.predict import Prediction
from dtxeth.learning.progress import Step
from dtxeth.learning.sample import train_on_sample
from dtxeth.learning.session import predict
from dtxeth.learning.spec import TaskSpec, canonical_json
from dtxeth.roles.peers import PeersOnChain, session_id
from dtxeth.transport import run_in_process

if TYPE_CHECKING:
    from dtxeth.roles.executor import Executor

NO_FILE: Final = bytes(32)


class Run:
    """A task in the hands of one executor.

    Args:
        executor: Who runs it.
        invitation: Its part in the task.
    """

    def __init__(self, executor: Executor, invitation: PartyInvited) -> None:
        self.executor = executor
        self.task_id = invitation.task_id
        self.file_id = invitation.file_id
        contracts, index = executor.contracts, executor.network.index
        self.record = contracts.task_registry.task_of(self.task_id)
        self.parties = contracts.task_registry.parties_of(self.task_id)
        (published,) = index.events(TaskPublished, task_id=self.task_id)
        self.spec = TaskSpec.from_json(published.spec)
        self.channel = executor.transport.open(
            session_id(executor.network, self.task_id),
            executor.address,
            PeersOnChain(contracts, [p.executor for p in self.parties if p.executor != executor.address]),
        )

    def execute(self) -> tuple[bytes, bytes]:
        """Do the work.

        Returns:
            The result for the chain, the same from every executor; and the id of the file with the prediction, or zero.

        Raises:
            DtxethError: It could not be done; the peers have been told.
        """
        try:
            file, policy = self.executor.open_file(self.file_id, self.task_id)
            work = self._train if self.record.kind is Kind.TRAIN else self._predict
            return work(file.read(), policy)
        except BaseException as error:
            self.channel.abort(type(error).__name__)
            raise

    def _train(self, sample: bytes, policy: Policy) -> tuple[bytes, bytes]:
        # In a process of its own: big-number arithmetic holds the interpreter lock, and the peer computes too.
        training = run_in_process(
            train_on_sample, self.channel, sample, self.spec, policy, self._context(), progress=self._progress
        )
        self.executor.keep(self.task_id, training)
        result: dict[str, Any] = from_json(training.result)
        if "report" not in result:
            return training.result, NO_FILE
        file_id = self._deliver(training.active, training.evaluation, "report.json")
        return canonical_json(result | {"report_file": file_id.hex()}), NO_FILE

    def _predict(self, sample: bytes, policy: Policy) -> tuple[bytes, bytes]:
        part = self.executor.part(self.record.model_task_id)
        active = find_active(self.channel, part.label is not None)
        table = read_inputs(sample, self.spec.id, part.columns)
        prediction = predict(self.channel, active, table, part, self.spec, policy, self._context())
        content = None if prediction is None else _to_csv(self.spec.id, prediction)
        file_id = self._deliver(active, content, "prediction.csv")
        return canonical_json({"file": file_id.hex(), "task": self.task_id}), file_id

    def _deliver(self, active: str, content: bytes | None, name: str) -> bytes:
        """Store a file for the requester, at the active party; return its id at every party."""
        if content is not None:
            file_id = self.executor.deliver(
                content, name, self.record.requester, self.task_id, self.record.finish_by
            )
            for peer in self.channel.peers:
                self.channel.send(peer, "delivered", file_id)
            return file_id
        file_id = self.channel.recv(active, "delivered")
        files = self.executor.contracts.file_registry
        if (
            len(file_id) != len(NO_FILE)
            or not files.is_live(file_id)
            or files.file_of(file_id).owner != active
        ):
            raise PeerError(active, "names a result that it did not store; the task cannot be reported")
        return file_id

    def _progress(self, step: Step) -> None:
        self.executor.network.tell_progress(self.task_id, step)

    def _context(self) -> TaskContext:
        files = self.executor.contracts.file_registry
        rows = {party.executor: files.file_of(party.file_id).rows for party in self.parties}
        session = session_id(self.executor.network, self.task_id)
        earlier = self.executor.tasks_before(self.file_id, self.task_id, self.record.kind)
        return TaskContext(session, self.record.requester, rows, earlier)


def _to_csv(id: str, prediction: Prediction) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([id, prediction.label])
    writer.writerows(zip(prediction.ids, (repr(float(value)) for value in prediction.values), strict=True))
    return text.getvalue().encode()
