"""Differential privacy: noise on every gradient that a party gets, for tasks that ask for it.

**What is promised.** Replace one common row by any other, in all tables at once: the distribution of all that
a party sees of the others' data while training changes by at most (ε, δ). The number of rows, which ids are
common, and the moments by which columns are standardised count as public; so does the label's mean. What a
party knows of its own rows it knows anyway.

**How.** Let R_p bound the Euclidean norm of a row of party p, B each party's share of a residual, both clipped
where they belong, before anything is encrypted, on the encoded integers themselves. Then |d_i| ≤ P·B for P
parties, and replacing row i moves the batch sums (G_1, …, G_P) of one round together by at most

    Δ = 2·√(Σ_p R_p²)·P·B,   with R_p = row_clip·√(features of p), all in units of 2^−2·precision.

This is exact in fixed point: integers are clipped, not reals, and products and sums of integers are not
rounded. The holder of the key under which p computes adds to each decrypted, still masked sum an integer from
N_Z(0, σ²), σ = noise multiplier·Δ; only then it drops the low bits. All that p gets is a function of G_p plus
noise and of its own mask, so the rounding and the residues modulo n cost nothing (post-processing). A round is
1/(2·multiplier²)-zCDP (Canonne, Kamath, Steinke 2020, for integer sums coordinate by coordinate). As the noise
lies on *all* gradients, and parties step by a fixed learning rate, every party's weights are functions of
noisy sums and of single rows: rounds compose, ρ adds up. In a fixed partition a row is in one batch only, so
only the rounds of its own batch count. Rounds are counted to the most that the task may run: when it stops
early was decided by outputs.

Clipping is done by semi-honest parties, and noise by the key holder: it protects nothing if that one and p
put their heads together. Nothing here covers alignment, prediction, evaluation on held-out rows, or the
model's use.

Sources: M. Bun, T. Steinke, TCC 2016 (zCDP); C. Canonne, G. Kamath, T. Steinke, NeurIPS 2020 (discrete
Gaussian, conversion to (ε, δ): proposition 12); M. Abadi et al., CCS 2016 (clipping and noise in training).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from dtxeth.crypto import discrete_gaussian
from dtxeth.errors import ConfigError
from dtxeth.learning.secrets import TaskSecrets

if TYPE_CHECKING:
    from dtxeth.learning.spec import TaskSpec

REPORT_DELTA: Final = 1e-5
"""The δ at which owners' policies and comparisons of tasks measure ε."""

_MARGIN: Final = 1 - 2.0**-40
"""Covers the rounding of a norm in float64: a sum of k squares is off by less than (k + 2)·2⁻⁵³."""


class Privacy(BaseModel):
    """What a task's spec says about differential privacy: either how much noise, or what it has to achieve."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    epsilon: float | None = Field(default=None, gt=0, le=100)
    """The guarantee to reach at ``delta``; the noise follows from it and the number of rounds."""
    delta: float = Field(default=REPORT_DELTA, gt=0, lt=1)
    noise_multiplier: float | None = Field(default=None, gt=0, le=1000)
    """Standard deviation of the noise in units of the sensitivity; ε follows from it."""
    row_clip: float = Field(default=1.0, gt=0, le=100)
    """Longest row of standardised features, in units of the root of the party's number of features."""
    residual_clip: float = Field(default=1.0, gt=0, le=100)
    """Largest share of one party in a residual, in units of a class or of the label's standard deviation."""

    def multiplier(self, releases: int) -> float:
        """The noise multiplier when each row takes part in ``releases`` rounds."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        return math.sqrt(releases / (2 * rho_of(self.epsilon or 0.0, self.delta)))


def check_combination(spec: TaskSpec) -> None:
    """Refuse what would reveal more than the account of ``spec.privacy`` says.

    Raises:
        ConfigError: A setting that does not go together with privacy.
    """
    if spec.privacy is None:
        return
    if (spec.privacy.epsilon is None) == (spec.privacy.noise_multiplier is None):
        raise ConfigError(
            "task setting privacy has both or none of epsilon and noise_multiplier: give one of them"
        )
    if spec.learning_rate is None:
        raise ConfigError(
            "task setting privacy needs a learning_rate: steps by local curvature look at data without noise"
        )
    excluded = {
        "kind": spec.kind != "train",
        "algorithm": spec.algorithm not in ("linear-vl", "logistic-vl"),
        "sigmoid": spec.sigmoid != "first-order",
        "class_weight": spec.class_weight is not None,
        "evaluation": spec.evaluation is not None,
        "live": spec.live is not None,
        "warm_start": spec.warm_start is not None,
    }
    for name in (name for name, clash in excluded.items() if clash):
        raise ConfigError(
            f"task setting privacy does not cover {name} {getattr(spec, name)!r}: leave one of them out"
        )


def rho_of(epsilon: float, delta: float) -> float:
    """The largest ρ for which ρ-zCDP is (ε, δ)-differential privacy."""
    low, high = 0.0, epsilon  # ρ-zCDP is never better than (ρ, δ) for δ below one half
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low


def epsilon_of(rho: float, delta: float) -> float:
    """The ε at δ of a ρ-zCDP mechanism; any order α gives a bound, the best of many is taken."""
    if rho == 0:
        return 0.0
    best = 1 + math.sqrt(math.log(1 / delta) / rho)
    orders = 1 + (best - 1) * np.geomspace(0.05, 20, 4001)
    bounds = orders * rho + (math.log(1 / delta) + (orders - 1) * np.log1p(-1 / orders) - np.log(orders)) / (
        orders - 1
    )
    return max(0.0, float(bounds.min()))


@dataclass(frozen=True)
class Account:
    """What training costs in privacy.

    Attributes:
        epsilon: At ``delta``.
        delta: As asked for.
        rho: In zero-concentrated differential privacy; adds up over tasks on the same rows.
        noise_multiplier: Standard deviation of the noise over the sensitivity.
        releases: Rounds in which each row takes part, at most.
    """

    epsilon: float
    delta: float
    rho: float
    noise_multiplier: float
    releases: int

    @classmethod
    def of(cls, privacy: Privacy, max_rounds: int, batches: int = 1) -> Account:
        """Account for a task of at most ``max_rounds`` over a fixed partition into ``batches``."""
        releases = -(-max_rounds // batches)
        multiplier = privacy.multiplier(releases)
        rho = releases / (2 * multiplier**2)
        return cls(epsilon_of(rho, privacy.delta), privacy.delta, rho, multiplier, releases)


class Mechanism:
    """Clips what a party puts in, and makes the noise that it adds as a key holder.

    Args:
        privacy: What the spec asks for.
        spec: The task's spec.
        features: Number of features of each party.
        batches: Number of batches of the fixed partition.
    """

    @classmethod
    def of(cls, spec: TaskSpec, features: Sequence[int], batches: int) -> Mechanism | None:
        """The mechanism of a task, ``None`` if it asks for none."""
        return None if spec.privacy is None else cls(spec.privacy, spec, features, batches)

    def __init__(self, privacy: Privacy, spec: TaskSpec, features: Sequence[int], batches: int) -> None:
        self.account = Account.of(privacy, spec.max_rounds, batches)
        self._row_clip = privacy.row_clip
        self._unit = 1 << spec.precision
        self._share = int(privacy.residual_clip * self._unit)
        rows = Fraction(privacy.row_clip) ** 2 * sum(features) * self._unit**2
        sensitivity = 4 * rows * (len(features) * self._share) ** 2
        self.variance = math.ceil(sensitivity * Fraction(self.account.noise_multiplier) ** 2)
        """σ², in squared units of a batch sum of encoded numbers."""

    def clip_rows(self, encoded: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shorten the rows of ``encoded``, shape (rows, features), that are too long."""
        limit = self._row_clip * math.sqrt(encoded.shape[1]) * self._unit * _MARGIN
        norms = np.sqrt(np.square(encoded.astype(np.float64)).sum(axis=1))
        long = norms > limit
        shortened = encoded.copy()
        shortened[long] = np.trunc(encoded[long] * (limit * _MARGIN / norms[long])[:, None]).astype(np.int64)
        return shortened

    def clip_share(self, share: Sequence[int]) -> list[int]:
        """Clip a party's encoded share of the residuals."""
        return [min(max(u, -self._share), self._share) for u in share]

    def add_noise(
        self, sums: Sequence[int], n: int, secrets: TaskSecrets, number: int, ciphers: bytes
    ) -> list[int]:
        """At the key holder: add noise to decrypted masked sums, residues modulo ``n``.

        Args:
            sums: The residues.
            n: The modulus.
            secrets: The key holder's.
            number: Number of the round.
            ciphers: What the residues were decrypted from: the same once more gets the same noise, so that
                asking again averages nothing out; anything else gets other noise.
        """
        digest = hashlib.sha256(ciphers).digest()
        stream = _Stream(secrets, "noise", number, digest)
        return [(m + discrete_gaussian.sample(self.variance, stream.below)) % n for m in sums]


class _Stream:
    """Uniform integers from a party's secrets."""

    _CHUNK = 4096

    def __init__(self, secrets: TaskSecrets, *path: str | int | bytes) -> None:
        self._secrets = secrets
        self._path = path
        self._chunks = 0
        self._bytes = b""

    def below(self, bound: int) -> int:
        """Return an integer uniform in 0..bound−1, exactly: what does not fit is drawn again."""
        bits = (bound - 1).bit_length()
        while True:
            value = int.from_bytes(self._take((bits + 7) // 8)) & ((1 << bits) - 1)
            if value < bound:
                return value

    def _take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            self._bytes += self._secrets.derive(self._CHUNK, *self._path, self._chunks)
            self._chunks += 1
        taken, self._bytes = self._bytes[:count], self._bytes[count:]
        return taken
