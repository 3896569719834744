"""The integer twin: the vertical protocol on the same integers, without encryption, all parties in one program.

Every party is what it is in the protocol: its learner, its fixed point, its chain around the ring, its masks and
what the holder of the key rounds off. Only nothing is hidden, so it runs a thousand times faster: for simulation,
and to judge models of many parties. With the masks and moduli of an encrypted run its weights are those of that
run, bit for bit; with others they differ in the last bits that a gradient has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtxeth.learning import fixedpoint
from dtxeth.learning.learner import Fit, Learner, check_headroom
from dtxeth.learning.privacy import Mechanism
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import ROTATION
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.table import Matrix

Integers = NDArray[np.object_]

Masks = Callable[[str, int, int, int], list[int]]
"""Called with (party, round, count, modulus); returns the masks that the party adds to its sums."""

Look = Callable[[int, Mapping[str, Fit]], bool]
"""Called after every round with (rounds done, models of all parties); returns whether to stop."""


def fit_twin(
    values: Mapping[str, Matrix],
    active: str,
    target: Matrix,
    spec: TaskSpec,
    secrets: Mapping[str, TaskSecrets],
    *,
    moduli: Mapping[str, int] | None = None,
    masks: Masks | None = None,
    look: Look | None = None,
) -> dict[str, Fit]:
    """Train all parties' weights, as :func:`dtxeth.learning.vertical.fit` would at each of them.

    Args:
        values: Each party's standardised features of the same rows in the same order; shape (rows, features).
        active: The party that has the label.
        target: The target t of each row.
        spec: Task settings.
        secrets: Each party's source of start weights, and of masks where none are given.
        moduli: The modulus of each party's key; default numbers of the spec's length.
        masks: The masks to use; default from the secrets.
        look: Called after every round.

    Raises:
        ConfigError: The fixed-point sums could overflow the key.
        TaskError: Training diverged.
    """
    parties = sorted(values)
    for party in parties:
        check_headroom(values[party], spec, len(parties), spec.key_bits)
    learners = {
        p: Learner(values[p], target if p == active else None, spec, len(parties), secrets[p])
        for p in parties
    }
    mechanism = Mechanism.of(spec, [values[p].shape[1] for p in parties], len(learners[active].batches))
    if mechanism is not None:
        for learner in learners.values():
            learner.encoded = mechanism.clip_rows(learner.encoded)
    twin = _Twin(
        parties,
        learners,
        spec.precision,
        moduli or dict.fromkeys(parties, (1 << spec.key_bits) - 1),
        masks or (lambda party, number, count, n: secrets[party].integers(count, n, "twin mask", number)),
        mechanism,
        secrets,
    )
    done, ended = 0, False
    while not ended:
        goals = {active: target}
        small = [twin.learn(done, party, mean) for party, mean in twin.means(done, goals).items()]
        done += 1
        for learner in twin.learners.values():
            learner.converged = all(small)
        fits = {party: learner.fit(done) for party, learner in twin.learners.items()}
        ended = all(small) or done == spec.max_rounds
        if look is not None:
            ended |= look(done, fits)
    return fits


@dataclass(frozen=True)
class _Twin:
    parties: list[str]
    learners: Mapping[str, Learner] = field(repr=False)
    precision: int
    moduli: Mapping[str, int]
    masks: Masks
    mechanism: Mechanism | None = None
    secrets: Mapping[str, TaskSecrets] = field(default_factory=dict, repr=False)

    def learn(self, number: int, party: str, mean: Matrix) -> bool:
        return self.learners[party].learn(mean)

    def means(self, number: int, goals: Mapping[str, Matrix]) -> dict[str, Matrix]:
        """Return every party's mean gradient in one round."""
        first = self.learners[self.parties[0]]
        rows = first.batches[number % len(first.batches)]
        link, parties = first.link, len(self.parties)
        scale = link.scale(self.precision, parties)
        z = {party: learner.score(rows) for party, learner in self.learners.items()}
        total: Any = 0
        for party, part in z.items():
            share = link.slope * part
            if party in goals:
                share = share - goals[party][rows]
            encoded = fixedpoint.encode_residual(share, self.precision, scale)
            if self.mechanism is not None:
                encoded = self.mechanism.clip_share(encoded)
            total = total + np.array(encoded, dtype=object)
        return {
            party: self._mean(number, party, total + self._waves(party, z), rows, scale + self.precision)
            for party in self.parties
        }

    def _waves(self, party: str, z: Mapping[str, Matrix]) -> Any:
        """Return Σ b_k sin(kωz) in fixed point, as it arrives at a party."""
        link = self.learners[party].link
        if not link.amplitudes:
            return 0
        start = self.parties.index(party) + 1
        starter, *others = (
            self.parties[(start + i) % len(self.parties)] for i in range(len(self.parties) - 1)
        )
        pairs = _objects(link.start(z[starter], self.precision))
        for other in others:
            own = _objects(link.start(z[other], ROTATION))
            for k in range(0, len(pairs), 2):
                (sine, cosine), (s, c) = pairs[k : k + 2], own[k : k + 2]
                pairs[k : k + 2] = sine * c + cosine * s, cosine * c - sine * s
        return sum(
            pair * weight for pair, weight in zip(pairs, _objects(link.closing(z[party]).T), strict=True)
        )

    def _mean(self, number: int, party: str, residual: Integers, rows: slice, scale: int) -> Matrix:
        holder = self.parties[(self.parties.index(party) + 1) % len(self.parties)]
        n = self.moduli[holder]
        encoded = self.learners[party].encoded[rows].astype(object)
        sums = [int(total) for total in residual @ encoded]
        masks = self.masks(party, number, len(sums), n)
        shift = fixedpoint.dropped_bits(len(residual), scale)
        masked = [(total + mask) % n for total, mask in zip(sums, masks, strict=True)]
        if self.mechanism is not None:
            # no ciphertexts here that the noise could follow from: as much of it, but other numbers
            masked = self.mechanism.add_noise(masked, n, self.secrets[holder], number, b"")
        returned = fixedpoint.unmask(fixedpoint.round_off(masked, shift), masks, n, shift)
        return fixedpoint.decode_mean(returned, len(residual), scale)


def _objects(rows: Any) -> list[Integers]:
    return [row.astype(object) for row in rows]
