"""Vertical linear and logistic regression under Paillier encryption, for two and more parties.

Party p holds the columns X_p and weights w_p; the active party also holds the target t. With z = Σ_p X_p w_p
the residual is d = c·z − t = Σ_p u_p, where u_p = c·X_p w_p, and the active party subtracts t from its own:

* linear: c = 1, t = the standardised label;
* logistic: c = 1/4, t = y − ȳ. This is the first-order sigmoid σ(z) ≈ z/4 + 1/2 with the intercept in closed
  form: the columns are centred, so 4(ȳ − 1/2) minimises the loss over the intercept whatever the weights are.

**One round**, at every party alike. The parties stand in a ring; the key under which p computes is held by
its successor.

1. A chain towards each p starts at its successor, which encrypts its u under its own key, and goes once round
   the ring; each party adds its own u in the clear. It ends at p, which then holds [[d]] and cannot open it.
2. p computes [[X_pᵀd]], a *batch sum*, by multi-exponentiation, adds a mask uniform in Z_n, re-randomises and
   sends it to its successor, to whom it is noise; the successor decrypts, rounds off (see
   :mod:`dtxeth.learning.fixedpoint`) and returns it.
3. p unmasks its mean gradient and steps. Each party tells the others one bit: whether its gradient is below
   tolerance.

What p learns is its own batch-summed gradient in every round, and nothing else. Its start weights are secret
and random with std(X_p w_p) ≥ 1, never 0: from w = 0 a gradient would be a subset sum of the labels.
Mini-batches are one fixed partition: reshuffled, they would yield new equations about the same rows without
end. Parties are semi-honest and do not collude; among three and more, a party and its successor together
could open [[d]], the residual of every row.

Sources: P. Paillier, EUROCRYPT 1999; S. Hardy et al., arXiv:1711.10677 (first-order sigmoid, with an arbiter,
which is replaced here by the ring); design §5.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtxeth.crypto import CipherVector, Encryptor, PrivateKey, PublicKey, matvec
from dtxeth.errors import CryptoError, PeerError
from dtxeth.learning import fixedpoint
from dtxeth.learning.optimiser import Optimiser
from dtxeth.learning.privacy import Mechanism
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

CURVATURE: Final = {"linear-vl": 1.0, "logistic-vl": 0.25}
"""Second derivative of the loss by z: the slope c of the residual."""

Progress = Callable[[int, int, float], None]
"""Called after every round with (rounds done, rounds at most, seconds since the start)."""

Watch = Callable[[int, Matrix, bool], bool]
"""Called after every round with (rounds done, own weights, whether it was the last); the same at every party."""


class Ciphers(Message):
    """A vector of ciphertexts, fixed width, under the key that the protocol prescribes at this point."""

    ciphers: bytes


class Rounded(Message):
    """Decrypted masked sums without their low bits, big-endian, as wide as the modulus."""

    sums: bytes


class Vote(Message):
    """Whether the sender's gradient is below tolerance."""

    converged: bool


@dataclass(frozen=True)
class Ring:
    """A party's place among the others.

    Attributes:
        channel: Its channel.
        parties: All parties in the order that everybody uses; the ring closes from the last to the first.
        public_keys: Their public keys, in that order.
        features: Their numbers of features, in that order: nobody gets more sums decrypted than that.
        key: The party's own private key: its predecessor computes under it.
    """

    channel: Channel
    parties: tuple[str, ...]
    public_keys: tuple[PublicKey, ...]
    features: tuple[int, ...]
    key: PrivateKey = field(repr=False)

    @property
    def position(self) -> int:
        """Index of this party."""
        return self.parties.index(self.channel.name)

    @property
    def successor(self) -> str:
        """Holder of the key under which this party computes."""
        return self.parties[(self.position + 1) % len(self.parties)]

    @property
    def successor_key(self) -> PublicKey:
        """The key under which this party computes."""
        return self.public_keys[(self.position + 1) % len(self.parties)]

    @property
    def predecessor(self) -> str:
        """The party that computes under this party's key."""
        return self.parties[self.position - 1]


@dataclass(frozen=True)
class Fit:
    """Outcome of training at one party.

    Attributes:
        start: Its start weights; secret.
        weights: Its weights on standardised features; secret.
        rounds: Rounds run.
        converged: Whether all gradients fell below tolerance.
    """

    start: Matrix = field(repr=False)
    weights: Matrix = field(repr=False)
    rounds: int
    converged: bool


def fit(
    ring: Ring,
    values: Matrix,
    target: Matrix | None,
    spec: TaskSpec,
    secrets: TaskSecrets,
    progress: Progress | None = None,
    watch: Watch | None = None,
    start: Matrix | None = None,
) -> Fit:
    """Train this party's weights together with the others.

    Args:
        ring: The parties and keys.
        values: Standardised features of the common rows, in the common order; shape (rows, features).
        target: The target t of each row at the active party, ``None`` elsewhere.
        spec: Task settings.
        secrets: Source of start weights and masks.
        progress: Called after every round.
        watch: Decides after every round whether to stop.
        start: Secret start weights; default :func:`start_weights`.

    Raises:
        ConfigError: The fixed-point sums could overflow the key.
        PeerError: A peer was silent, gave up, or sent something malformed or out of range.
        TaskError: Training diverged.
    """
    fixedpoint.check_headroom(values, spec.precision, len(ring.parties), ring.successor_key.bits)
    began = time.perf_counter()
    curvature = CURVATURE[spec.algorithm]
    optimiser = Optimiser(values, curvature, len(ring.parties), spec)
    encoded = fixedpoint.encode(values, spec.precision)
    batches = partition(len(values), spec.batch_size)
    mechanism = Mechanism.of(spec, ring.features, len(batches))
    if mechanism is not None:
        encoded = mechanism.clip_rows(encoded)
    gradients = GradientProtocol(ring, spec.precision, secrets, mechanism)
    start = weights = start_weights(values, secrets) if start is None else start
    converged = False
    done = 0
    while not converged and done < spec.max_rounds:
        rows = batches[done % len(batches)]
        share = curvature * (values[rows] @ weights)
        if target is not None:
            share = share - target[rows]
        gradient = optimiser.gradient(weights, gradients.run(done, share, encoded[rows]))
        weights = optimiser.step(weights, gradient)
        converged = _unanimous(ring, done, bool(np.linalg.norm(gradient) < spec.tolerance))
        done += 1
        if progress is not None:
            progress(done, spec.max_rounds, time.perf_counter() - began)
        if watch is not None and watch(done, weights, converged or done == spec.max_rounds):
            break
    return Fit(start, weights, done, converged)


def start_weights(values: Matrix, secrets: TaskSecrets) -> Matrix:
    """Return secret random start weights w, scaled so that std(values @ w) is uniform in [1, 2)."""
    weights = 2 * secrets.uniform(values.shape[1], "start weights") - 1
    deviation = 1 + secrets.uniform(1, "start deviation")[0]
    return np.asarray(weights * (deviation / float(np.std(values @ weights))), dtype=np.float64)


def partition(rows: int, batch_size: int | None) -> list[slice]:
    """Cut 0..rows−1 into the task's batches: consecutive, each of at least ``batch_size`` rows."""
    count = max(1, rows // (batch_size or rows))
    bounds = [rows * i // count for i in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(bounds)]


class GradientProtocol:
    """Steps 1 and 2 of a round.

    Args:
        ring: The parties and keys.
        precision: Fractional bits of features and residuals.
        secrets: Source of masks and noise.
        mechanism: Makes the gradients differentially private, if the task asks for it.
    """

    def __init__(
        self, ring: Ring, precision: int, secrets: TaskSecrets, mechanism: Mechanism | None = None
    ) -> None:
        self._ring = ring
        self._mechanism = mechanism
        self._precision = precision
        self._secrets = secrets
        self._own = Encryptor(ring.key)
        self._successor = Encryptor(ring.successor_key)

    def run(self, number: int, share: Matrix, encoded: NDArray[np.int64]) -> Matrix:
        """Return this party's mean gradient of the data term.

        Args:
            number: Number of the round, from 0.
            share: This party's share u of the residuals, shape (rows,).
            encoded: This party's features of the same rows, encoded; shape (rows, features).

        Raises:
            PeerError: A peer was silent, gave up, or sent something malformed or out of range.
            TaskError: Training diverged.
        """
        shift = fixedpoint.dropped_bits(len(share), self._precision)
        own = fixedpoint.encode_residual(share, self._precision)
        residual = self._chains(number, own if self._mechanism is None else self._mechanism.clip_share(own))
        sums = self._unmasked(number, matvec(residual, encoded), residual.to_bytes(), shift)
        largest = len(self._ring.parties) * int(fixedpoint.MAX_RESIDUAL) << self._precision
        if max(map(abs, sums)) > largest * len(share) * int(np.abs(encoded).max()) + (1 << shift):
            raise PeerError(self._ring.successor, f"returned a gradient out of range in round {number}")
        return fixedpoint.decode_mean(sums, len(share), self._precision)

    def _chains(self, number: int, share: list[int]) -> CipherVector:
        """Take part in the chain towards every party; return [[d]], where the own chain ends."""
        ring = self._ring
        chain = self._own.encrypt(share)
        for hop in range(1, len(ring.parties)):
            tag = f"{number} chain {hop}"
            send(ring.channel, ring.successor, tag, Ciphers(ciphers=chain.to_bytes()))
            starter = ring.public_keys[(ring.position - hop) % len(ring.parties)]
            chain = self._receive(ring.predecessor, tag, starter, len(share)) + share
        return chain

    def _unmasked(self, number: int, sums: CipherVector, residual: bytes, shift: int) -> list[int]:
        """Let the successor decrypt ``sums`` under a mask, and decrypt for the predecessor meanwhile."""
        ring = self._ring
        key = ring.successor_key
        masks = self._secrets.integers(
            len(sums), int(key.n), "mask", number, hashlib.sha256(residual).digest()
        )
        masked = (sums + masks).rerandomize(self._successor)
        send(ring.channel, ring.successor, f"{number} masked", Ciphers(ciphers=masked.to_bytes()))

        features = ring.features[ring.position - 1]
        theirs = self._receive(ring.predecessor, f"{number} masked", ring.key.public_key, features)
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

    def _receive(self, peer: str, tag: str, key: PublicKey, length: int) -> CipherVector:
        data = receive(self._ring.channel, peer, tag, Ciphers).ciphers
        try:
            return CipherVector.from_bytes(key, data, length)
        except CryptoError as error:
            raise PeerError(peer, f"sent a malformed {tag!r}: {error}") from None


def _unanimous(ring: Ring, number: int, converged: bool) -> bool:
    """Exchange one bit with every other party; return whether all are set."""
    others = [party for party in ring.parties if party != ring.channel.name]
    for party in others:
        send(ring.channel, party, f"{number} vote", Vote(converged=converged))
    votes = [receive(ring.channel, party, f"{number} vote", Vote).converged for party in others]
    return converged and all(votes)
