"""One executor's run of one task: fetch the sample, train or predict with the peers, say what goes on chain."""

from __future__ import annotations

import csv
import io
import secrets
import threading
from typing import TYPE_CHECKING, Any, Final

import msgpack
import structlog
from pydantic_core import from_json

from dtxeth.chain.bindings.events import PartyInvited, TaskPublished
from dtxeth.chain.bindings.types import Kind
from dtxeth.errors import CryptoError, DtxethError, PeerError, PeerRestarted, PolicyError, TaskError
from dtxeth.learning.columns import read_inputs
from dtxeth.learning.handshake import TaskContext, find_active
from dtxeth.learning.mpc.part import NetworkPart
from dtxeth.learning.mpc.session import NetworkTraining, predict_network
from dtxeth.learning.part import ModelPart
from dtxeth.learning.policy import Policy
from dtxeth.learning.predict import Prediction
from dtxeth.learning.progress import Step
from dtxeth.learning.sample import train_on_sample
from dtxeth.learning.secrets import SECRET_BYTES
from dtxeth.learning.session import predict
from dtxeth.learning.spec import TaskSpec, canonical_json
from dtxeth.roles.peers import PeersOnChain, session_id
from dtxeth.roles.row_notes import RowNotes
from dtxeth.transport import Channel, run_in_process
from dtxeth.transport.channel import TIMEOUT

if TYPE_CHECKING:
    from dtxeth.roles.executor import Executor

NO_FILE: Final = bytes(32)
_SEED: Final = "seed"
_OUTCOME: Final = "outcome"

log = structlog.get_logger(__name__)


class Run:
    """A task in the hands of one executor, worked on by a thread of its own.

    What it does follows from the task's secret, which is written down before anything is said: doing it again, after
    a crash here or at a peer, comes to the same. The outcome is written down before it is reported. From then on
    nothing is left to do here, but a peer that crashed may still need this party to do it all again with it.

    Args:
        executor: Who runs it.
        invitation: Its part in the task.

    Attributes:
        outcome: Once it is done: the result for the chain, the same from every executor; and the id of the file with
            the prediction, or zero.
        error: Why it could not be done; the peers have been told.
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
        self.session = session_id(executor.network, self.task_id)
        self.journal = executor.journal(self.task_id)
        self.outcome: tuple[bytes, bytes] | None = None
        self.error: BaseException | None = None
        self._peers = PeersOnChain(
            contracts, [party.executor for party in self.parties if party.executor != executor.address]
        )
        self._left = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        kept = self.journal.load(_OUTCOME)
        if kept is None:
            self._start()
        else:
            self.outcome = _unpack(kept)
            executor.transport.stand_by(self.session, executor.address, self._peers)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def away(self) -> tuple[str, ...]:
        """The peers that this run waits for and that cannot be reached."""
        return self.executor.transport.away(self.session) if self.is_alive else ()

    def go_on(self) -> bool:
        """Do it again, if a peer needs that; returns whether one does."""
        if not self.executor.transport.wanted(self.session):
            return False
        self._start()
        return True

    def leave(self) -> None:
        """Stop where it is; what is written down stays."""
        with self._lock:
            self._left = True
            self.executor.transport.forget(self.session)

    def _start(self) -> None:
        name = f"{self.executor.name} task {self.task_id}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            outcome = self._execute()
            self.journal.save(_OUTCOME, _pack(outcome))
            self.outcome = outcome
        except DtxethError as error:
            if not self._left:
                log.warning("task failed", executor=self.executor.name, task=self.task_id, reason=str(error))
                self.error = error
        except BaseException as error:
            self.error = error  # nobody is to wait for this executor because of our own mistake
            raise
        finally:
            self.executor.network.wake()

    def _execute(self) -> tuple[bytes, bytes]:
        """Do the work, as often as peers come back from a crash."""
        if self.journal.load(_SEED) is None:
            self.journal.save(_SEED, secrets.token_bytes(SECRET_BYTES))
        while True:
            self.channel = self._open()
            try:
                file, policy = self.executor.open_file(self.file_id, self.task_id)
                work = self._train if self.record.kind is Kind.TRAIN else self._predict
                outcome = work(file.read(), policy)
                self.channel.close()
                return outcome
            except PeerRestarted as restart:
                log.info(
                    "a peer restarted", executor=self.executor.name, task=self.task_id, peer=restart.peer
                )
            except BaseException as error:
                if not self._left:
                    self.channel.abort(type(error).__name__)
                raise
            finally:
                self.executor.bytes_to_peers += self.channel.bytes_sent

    def _open(self) -> Channel:
        # A peer that crashed has until the task's deadline to come back.
        patience = max(TIMEOUT, float(self.record.finish_by - self.executor.network.chain.now()))
        with self._lock:
            if self._left:
                raise TaskError(f"task {self.task_id} was left here: see its status on the chain")
            return self.executor.transport.open(
                self.session, self.executor.address, self._peers, timeout=patience
            )

    @property
    def _secret(self) -> bytes:
        secret = self.journal.load(_SEED)
        if secret is None:
            raise CryptoError(
                f"the secret of task {self.task_id} is gone from {self.journal.folder}: restore it"
            )
        return secret

    def _train(self, sample: bytes, policy: Policy) -> tuple[bytes, bytes]:
        # In a process of its own: big-number arithmetic holds the interpreter lock, and the peer computes too.
        training = run_in_process(
            train_on_sample,
            self.channel,
            sample,
            self.spec,
            policy,
            self._context(),
            self._secret,
            self._warm_part(),
            self.journal,
            self.executor.site,
            progress=self._progress,
            note_rows=RowNotes(self.executor, self.task_id, self.file_id, policy).note,
        )
        self.executor.keep(self.task_id, training)
        result: dict[str, Any] = from_json(training.result)
        if isinstance(training, NetworkTraining) or "report" not in result:
            return training.result, NO_FILE
        file_id = self._deliver(training.active, training.evaluation, "report.json")
        return canonical_json(result | {"report_file": file_id.hex()}), NO_FILE

    def _warm_part(self) -> ModelPart | None:
        """The part to start from, of a model of the same requester's."""
        former = self.spec.warm_start
        if former is None:
            return None
        if self.executor.contracts.task_registry.task_of(former).requester != self.record.requester:
            raise PolicyError(
                f"the model of task {former} is another requester's: start from one of your own"
            )
        part = self.executor.part(former)
        if not isinstance(part, ModelPart):
            raise PolicyError(f"the model of task {former} is a network: a task starts from a linear model")
        return part

    def _predict(self, sample: bytes, policy: Policy) -> tuple[bytes, bytes]:
        part = self.executor.part(self.record.model_task_id)
        active = find_active(self.channel, part.label is not None)
        table = read_inputs(sample, self.spec.id, part.columns)
        context = self._context()
        if isinstance(part, NetworkPart):
            prediction = run_in_process(  # SPU needs a process of its own
                predict_network,
                self.channel,
                active,
                table,
                part,
                self.spec,
                policy,
                context,
                self.executor.site,
                self._secret,
                self.journal,
            )
        else:
            prediction = predict(
                self.channel, active, table, part, self.spec, policy, context, self._secret, self.journal
            )
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
        earlier = self.executor.tasks_before(self.file_id, self.task_id, self.record.kind)
        return TaskContext(self.session, self.record.requester, rows, earlier)


def _to_csv(id: str, prediction: Prediction) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([id, prediction.label])
    writer.writerows(zip(prediction.ids, (repr(float(value)) for value in prediction.values), strict=True))
    return text.getvalue().encode()


def _pack(outcome: tuple[bytes, bytes]) -> bytes:
    packed: bytes = msgpack.packb(outcome)
    return packed


def _unpack(data: bytes) -> tuple[bytes, bytes]:
    result, file_id = msgpack.unpackb(data)
    return result, file_id
