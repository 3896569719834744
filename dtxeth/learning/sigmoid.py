"""Links: how the residual d follows from z, and how to compute it on encrypted parts of z.

A residual is d = a·z + Σ_{k≤K} b_k sin(kωz) − t, where the active party knows the target t.

* linear: a = 1, K = 0, t = the standardised label;
* logistic, first order: a = 1/4, K = 0, t = y − ȳ. This is σ(z) ≈ z/4 + 1/2 with the intercept in closed form:
  the columns are centred, so 4(ȳ − 1/2) minimises the loss over the intercept whatever the weights are;
* logistic, trigonometric: t = y − 1/2; a, ω and the b_k are the least-squares fit of σ(z) − 1/2 on [−24, 24].
  The active party has one more column, of ones, for the intercept.

**Rotation.** With s the sum of some parties' parts of z, whoever has [[sin kωs]] and [[cos kωs]] and knows its
own part z makes [[sin kω(s + z)]] and [[cos kω(s + z)]] of them, by four products with sin kωz and cos kωz: so
the pairs turn along a chain of any number of parties, exactly. The end of the chain needs the sum over k of the
sines only, two products a pair. Beyond [−24, 24] the sines come back, but a·z grows on and pushes z back.

**Scales.** A pair starts with ``precision`` fractional bits, and each rotation adds :data:`ROTATION`, those of
its multipliers. a·z − t travels in the clear on top of one ciphertext, at the final scale from the start.

Source: design §5; angle addition, Ptolemy, Almagest I.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtxeth.crypto import CipherVector, weighted_sum
from dtxeth.learning import fixedpoint
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

ROTATION: Final = 16
"""Fractional bits of the multipliers that rotate: an error of 2⁻¹⁷ is nothing beside that of the fit."""


@dataclass(frozen=True)
class Link:
    """A residual as a function of z.

    Attributes:
        slope: a.
        frequency: ω.
        amplitudes: The b_k; none where the residual is linear in z.
    """

    slope: float
    frequency: float = 0.0
    amplitudes: tuple[float, ...] = ()

    @classmethod
    def of(cls, spec: TaskSpec) -> Link:
        """Return the link of a task."""
        if not spec.logistic:
            return cls(1.0)
        return TRIGONOMETRIC[spec.sigmoid_terms] if spec.sigmoid == "trigonometric" else cls(0.25)

    @property
    def curvature(self) -> float:
        """A bound of the derivative of d by z."""
        return self.slope + self.frequency * sum(k * abs(b) for k, b in enumerate(self.amplitudes, start=1))

    def largest(self, parties: int) -> float:
        """Return a bound of |d| over so many parties, rounding errors included."""
        return parties * fixedpoint.MAX_RESIDUAL + 2 * sum(map(abs, self.amplitudes))

    @property
    def width(self) -> int:
        """Ciphertexts a row that travel."""
        return 1 + 2 * len(self.amplitudes)

    def scale(self, precision: int, parties: int) -> int:
        """Fractional bits of d at the end of a chain of so many parties."""
        return precision + (ROTATION * (parties - 1) if self.amplitudes else 0)

    def value(self, z: Matrix) -> Matrix:
        """Return d + t."""
        waves = sum(b * np.sin(k * self.frequency * z) for k, b in enumerate(self.amplitudes, start=1))
        return np.asarray(self.slope * z + waves, dtype=np.float64)

    def start(self, z: Matrix, precision: int) -> list[NDArray[np.int64]]:
        """Return the sine and the cosine for each k in turn, encoded with ``precision`` fractional bits."""
        angles = [k * self.frequency * z for k in range(1, len(self.amplitudes) + 1)]
        return [fixedpoint.encode(f(angle), precision) for angle in angles for f in (np.sin, np.cos)]

    def rotate(self, pairs: Sequence[CipherVector], z: Matrix) -> list[CipherVector]:
        """Turn encrypted pairs by this party's own angles."""
        turned = []
        for k, (sine, cosine) in enumerate(zip(*[iter(self.start(z, ROTATION))] * 2, strict=True)):
            pair = pairs[2 * k : 2 * k + 2]
            turned.append(weighted_sum(pair, np.column_stack([cosine, sine])))
            turned.append(weighted_sum(pair, np.column_stack([-sine, cosine])))
        return turned

    def close(self, pairs: Sequence[CipherVector], z: Matrix) -> CipherVector:
        """Turn encrypted pairs by this party's own angles and add up the sines, each times its b_k."""
        return weighted_sum(pairs, self.closing(z))

    def closing(self, z: Matrix) -> NDArray[np.int64]:
        """Return the multipliers of :meth:`close`, shape (rows, pairs × 2)."""
        angles = [k * self.frequency * z for k in range(1, len(self.amplitudes) + 1)]
        columns = [
            b * f(angle) for b, angle in zip(self.amplitudes, angles, strict=True) for f in (np.cos, np.sin)
        ]
        return fixedpoint.encode(np.column_stack(columns), ROTATION)


TRIGONOMETRIC: Final = {
    1: Link(0.035616, 0.22, (0.275463,)),
    2: Link(0.036656, 0.229, (0.28877, 0.105082)),
    3: Link(0.03685, 0.2316, (0.29211, 0.113008, 0.048632)),
    4: Link(0.036642, 0.2309, (0.293298, 0.116155, 0.052655, 0.022637)),
    5: Link(0.035974, 0.2267, (0.29414, 0.117672, 0.054639, 0.024894, 0.010528)),
}
"""Largest errors on [−24, 24]: 0.19, 0.10, 0.05, 0.024 and 0.014."""
