"""Vertical linear and logistic regression under Paillier encryption, for two and more parties.

Party p holds the columns X_p and weights w_p; the active party also holds the target t. With z = Σ_p X_p w_p the
residual is d = a·z + Σ_k b_k sin(kωz) − t; :mod:`dtxeth.learning.sigmoid` says which constants make it that of
linear regression (d = z − t), of logistic regression to the first order, or of a closer one.

**One round**, at every party alike. The parties stand in a ring; the key under which p computes is held by
its successor.

1. A chain towards each p starts at its successor, which encrypts its share a·X w under its own key, and with
   sines also its [[sin kωXw]] and [[cos kωXw]]; and goes once round the ring. Each party adds its own share,
   rotates the pairs by its own angles and re-randomises, so that what came in and what went out do not tell what
   was added. The chain ends at p, which then holds [[d]] and cannot open it.
2. p computes [[X_pᵀd]], a *batch sum*, by multi-exponentiation, adds a mask uniform in Z_n, re-randomises and
   sends it to its successor, to whom it is noise; the successor decrypts, rounds off (see
   :mod:`dtxeth.learning.fixedpoint`) and returns it.
3. p unmasks its mean gradient and steps. Each party tells the others one bit: whether its gradient is below
   tolerance.

What p learns is its own batch-summed gradient in every round, and nothing else. Its start weights are secret
and random with std(X_p w_p) ≥ 1, never 0: from w = 0 a gradient would be a subset sum of the labels.
Mini-batches are one fixed partition: reshuffled, they would yield new equations about the same rows without
end. Parties are semi-honest and do not collude; among three and more, a party and its successor together
could open [[d]], the residual of every row, and whoever starts a chain what another party of it holds.

All that is random follows from the party's secret, encryption too: a run that is interrupted goes on from a
checkpoint (:mod:`dtxeth.learning.journal`) and ends the same, bit for bit.

Sources: P. Paillier, EUROCRYPT 1999; S. Hardy et al., arXiv:1711.10677 (first-order sigmoid, with an arbiter,
which is replaced here by the ring); design §5.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dtxeth.crypto import CipherVector, Encryptor, PublicKey, matvec
from dtxeth.errors import PeerError
from dtxeth.learning import fixedpoint
from dtxeth.learning.journal import Checkpoints, Journal, MemoryJournal, Promises, Section
from dtxeth.learning.learner import Fit, Learner, check_headroom
from dtxeth.learning.privacy import Mechanism
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import Link
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix
from dtxeth.transport.messages import Message, receive, send

_POOL_STEP: Final = 8


class Rounded(Message):
    """Decrypted masked sums without their low bits, big-endian, as wide as the modulus."""

    sums: bytes


class Vote(Message):
    """Whether the sender's gradient is below tolerance."""

    converged: bool


class Watch(Protocol):
    """Looks on after every round, at every party alike."""

    def __call__(self, fit: Fit, ended: bool) -> bool:
        """Return whether to stop, given the model after a round and whether training ends anyway."""

    def state(self) -> Any:
        """Return what a resumed training must know of the rounds before; msgpack can hold it."""

    def restore(self, state: Any) -> None:
        """Take up what :meth:`state` returned."""


def fit(
    ring: Ring,
    values: Matrix,
    target: Matrix | None,
    spec: TaskSpec,
    secrets: TaskSecrets,
    watch: Watch | None = None,
    start: Matrix | None = None,
    journal: Journal | None = None,
) -> Fit:
    """Train this party's weights together with the others.

    Args:
        ring: The parties and keys.
        values: Standardised features of the common rows, in the common order; shape (rows, features).
        target: The target t of each row at the active party, ``None`` elsewhere.
        spec: Task settings.
        secrets: Source of all that is random. A secret must not serve two runs, unless the second goes on
            with the journal of the first.
        watch: Decides after every round whether to stop.
        start: Secret start weights; default :func:`~dtxeth.learning.learner.start_weights`.
        journal: Where this party writes down what it needs to go on after a crash; default nowhere.

    Raises:
        ConfigError: The fixed-point sums could overflow the key.
        PeerError: A peer was silent, gave up, or sent something malformed or out of range.
        TaskError: Training diverged, or cannot be taken up again.
    """
    check_headroom(values, spec, len(ring.parties), ring.successor_key.bits)
    journal = journal or MemoryJournal()
    learner = Learner(values, target, spec, len(ring.parties), secrets, start)
    mechanism = Mechanism.of(spec, ring.features, len(learner.batches))
    if mechanism is not None:
        learner.encoded = mechanism.clip_rows(learner.encoded)
    gradients = GradientProtocol(ring, learner.link, spec.precision, secrets, journal, mechanism)
    checkpoints = Checkpoints(journal, spec.checkpoint_every)
    done, state = checkpoints.rejoin(ring.channel)
    ended = False
    if state is not None:
        ended = state["ended"]
        learner.restore(state["learner"])
        if watch is not None:
            watch.restore(state["watch"])
    resumed = done
    while not ended:
        rows = learner.batches[done % len(learner.batches)]
        goal = None if target is None else target[rows]
        last = done + 1 == spec.max_rounds
        mean = gradients.run(done, learner.score(rows), goal, learner.encoded[rows], last)
        learner.converged = _unanimous(ring, done, learner.learn(mean))
        done += 1
        ended = learner.converged or last
        if watch is not None:
            ended |= watch(learner.fit(done), ended)
        if ended or checkpoints.due(done):
            seen = None if watch is None else watch.state()
            checkpoints.save(done, {"ended": ended, "learner": learner.state(), "watch": seen})
    return learner.fit(done, resumed, gradients.prepared)


class _Hop(NamedTuple):
    """What a party needs to pass on one of the chains."""

    encryptor: Encryptor
    promises: Promises


class GradientProtocol:
    """Steps 1 and 2 of a round.

    Args:
        ring: The parties and keys.
        link: How d follows from z.
        precision: Fractional bits of features and residuals.
        secrets: Source of masks, of noise and of the randomness of encryption.
        journal: Where this party writes down what it encrypted.
        mechanism: Makes the gradients differentially private, if the task asks for it.
    """

    def __init__(
        self,
        ring: Ring,
        link: Link,
        precision: int,
        secrets: TaskSecrets,
        journal: Journal,
        mechanism: Mechanism | None = None,
    ) -> None:
        self._ring = ring
        self._mechanism = mechanism
        self._link = link
        self._precision = precision
        self._scale = link.scale(precision, len(ring.parties))
        self._largest = int(link.largest(len(ring.parties))) + 1 << self._scale
        self._secrets = secrets
        self._promises = Promises(journal)
        self._own = Encryptor(ring.key, secrets.derive(32, "encryption base"))
        self._successor = Encryptor(ring.successor_key, secrets.derive(32, "rerandomisation base"))
        # of three parties, the neighbours of a hop are the key's holder and the chain's end, who open everything anyway
        refreshed = range(1, len(ring.parties) - 1) if len(ring.parties) > 3 else ()
        self._hops = {
            hop: _Hop(
                Encryptor(self._starter(hop), secrets.derive(32, "chain base", hop)),
                Promises(Section(journal, f"chain {hop}")),
            )
            for hop in refreshed
        }

    @property
    def prepared(self) -> float:
        """The share of the encryption's randomness that was computed while waiting for peers."""
        return self._own.prepared / max(self._own.used, 1)

    def run(
        self, number: int, z: Matrix, target: Matrix | None, encoded: NDArray[np.int64], last: bool = False
    ) -> Matrix:
        """Return this party's mean gradient of the data term.

        Args:
            number: Number of the round, from 0.
            z: This party's part of z, shape (rows,).
            target: The target of the same rows at the active party, ``None`` elsewhere.
            encoded: This party's features of the same rows, encoded; shape (rows, features).
            last: No round follows for which to compute randomness ahead.

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed or out of range.
            TaskError: Training diverged, or the round is not what it was before an interruption.
        """
        scale = self._scale + self._precision
        shift = fixedpoint.dropped_bits(len(z), scale)
        share = self._link.slope * z if target is None else self._link.slope * z - target
        own = fixedpoint.encode_residual(share, self._precision, self._scale)
        if self._mechanism is not None:
            own = self._mechanism.clip_share(own)
        residual = self._chains(number, own, z, last)
        sums = self._unmasked(number, matvec(residual, encoded), residual.to_bytes(), shift)
        if max(map(abs, sums)) > self._largest * len(z) * int(np.abs(encoded).max()) + (1 << shift):
            raise PeerError(self._ring.successor, f"returned a gradient out of range in round {number}")
        return fixedpoint.decode_mean(sums, len(z), scale)

    def _chains(self, number: int, share: list[int], z: Matrix, last: bool) -> CipherVector:
        """Take part in the chain towards every party; return [[d]], where the own chain ends."""
        ring, link, rows = self._ring, self._link, len(share)
        count = link.width * rows
        parts = self._encrypt(number, [share, *(wave.tolist() for wave in link.start(z, self._precision))])
        for hop in range(1, len(ring.parties)):
            tags = [f"{number} chain {hop}" + f" wave {wave}" * (wave > 0) for wave in range(link.width)]
            for tag, part in zip(tags, parts, strict=True):
                ring.pass_on(tag, part)
            if hop in self._hops:
                self._prepare_while_waiting(self._hops[hop].encryptor, self._hop_seed(number, hop), count)
            if not last:
                self._prepare_while_waiting(self._own, self._seed(number + 1), count)
            parts = [ring.take(tag, self._starter(hop), rows) for tag in tags]
            parts[0] += share
            if hop < len(ring.parties) - 1:
                parts[1:] = link.rotate(parts[1:], z)
            if hop in self._hops:
                parts = self._rerandomize(number, hop, parts)
        return parts[0] + link.close(parts[1:], z) if link.amplitudes else parts[0]

    def _starter(self, hop: int) -> PublicKey:
        """The key of the chain that arrives here as the given hop."""
        return self._ring.public_keys[(self._ring.position - hop) % len(self._ring.parties)]

    def _encrypt(self, number: int, parts: list[list[int]]) -> list[CipherVector]:
        """Encrypt vectors of one length under the own key."""
        flat = [plaintext for part in parts for plaintext in part]
        self._promises.keep(number, hashlib.sha256(repr(flat).encode()).digest())
        return _split(self._own.encrypt(flat, self._seed(number)), len(parts[0]))

    def _rerandomize(self, number: int, hop: int, parts: list[CipherVector]) -> list[CipherVector]:
        """Bring fresh randomness to what the next party gets.

        It need not hide from the key's holder, who can open what the next party has in any case.
        """
        encryptor, promises = self._hops[hop]
        # of all that is passed on, not of the own share alone: another vector that came in, turned by the same
        # angles under the same randomness, would show these in the quotient of the two
        promises.keep(number, hashlib.sha256(b"".join(part.to_bytes() for part in parts)).digest())
        rows = len(parts[0])
        zeros = encryptor.encrypt([0] * (len(parts) * rows), self._hop_seed(number, hop))
        return [part + fresh for part, fresh in zip(parts, _split(zeros, rows), strict=True)]

    def _seed(self, number: int) -> bytes:
        return self._secrets.derive(32, "encryption", number)

    def _hop_seed(self, number: int, hop: int) -> bytes:
        return self._secrets.derive(32, "chain", hop, number)

    def _prepare_while_waiting(self, encryptor: Encryptor, seed: bytes, count: int) -> None:
        """Compute randomness ahead until the predecessor's message is there."""
        ring = self._ring
        while not ring.channel.pending(ring.predecessor):
            if encryptor.prepare(seed, count, _POOL_STEP):
                return

    def _unmasked(self, number: int, sums: CipherVector, residual: bytes, shift: int) -> list[int]:
        """Let the successor decrypt ``sums`` under a mask, and decrypt for the predecessor meanwhile."""
        ring = self._ring
        key = ring.successor_key
        # whatever goes into the sums goes into these paths: another sum never gets the same mask
        digest = hashlib.sha256(residual).digest()
        masks = self._secrets.integers(len(sums), int(key.n), "mask", number, digest)
        fresh = self._secrets.derive(32, "rerandomisation", number, digest)
        ring.pass_on(f"{number} masked", (sums + masks).rerandomize(self._successor, fresh))

        features = ring.features[ring.position - 1]
        features += bool(self._link.amplitudes) and ring.predecessor == ring.active
        theirs = ring.take(f"{number} masked", ring.key.public_key, features)
        opened = ring.key.decrypt_raw(theirs)
        if self._mechanism is not None:
            opened = self._mechanism.add_noise(
                opened, int(ring.key.public_key.n), self._secrets, number, theirs.to_bytes()
            )
        rounded = fixedpoint.round_off(opened, shift)
        width = ring.key.public_key.ciphertext_bytes // 2
        reply = Rounded(sums=b"".join(h.to_bytes(width) for h in rounded))
        send(ring.channel, ring.predecessor, f"{number} rounded", reply)

        data = receive(ring.channel, ring.successor, f"{number} rounded", Rounded).sums
        width = key.ciphertext_bytes // 2
        returned = [int.from_bytes(data[at : at + width]) for at in range(0, len(data), width)]
        if len(data) != width * len(sums) or max(returned) > (key.n >> shift) + 1:
            raise PeerError(ring.successor, f"returned sums of another number or range in round {number}")
        return fixedpoint.unmask(returned, masks, int(key.n), shift)


def _split(ciphers: CipherVector, rows: int) -> list[CipherVector]:
    return [ciphers[start : start + rows] for start in range(0, len(ciphers), rows)]


def _unanimous(ring: Ring, number: int, converged: bool) -> bool:
    """Exchange one bit with every other party; return whether all are set."""
    others = [party for party in ring.parties if party != ring.channel.name]
    for party in others:
        send(ring.channel, party, f"{number} vote", Vote(converged=converged))
    votes = [receive(ring.channel, party, f"{number} vote", Vote).converged for party in others]
    return converged and all(votes)
