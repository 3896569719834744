"""Estimates: what a training task will take and show, before it is published.

Bytes follow from the protocol. Seconds follow from a short calibration of Paillier on this machine, and hold for
executors like it, one core each unless more are set; they leave out the network. What is shown is the list of what
docs/protocols says, with this task's numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtxeth.errors import InputError
from dtxeth.learning.live import evaluations_of
from dtxeth.learning.policy import default_rows
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.splits import models_of

_SAMPLE = 64


@dataclass(frozen=True)
class Calibration:
    """Seconds that this machine takes under keys of one length.

    Attributes:
        encrypt: One number, under the own key.
        multiply: One ciphertext by one feature, within a product of a matrix and a vector.
        decrypt: One ciphertext.
        turn: One ciphertext by one multiplier, where sines and cosines are rotated.
        refresh: Fresh randomness for one ciphertext under another's key.
    """

    encrypt: float
    multiply: float
    decrypt: float
    turn: float
    refresh: float

    @classmethod
    def measure(cls, key_bits: int) -> Calibration:
        """Measure, in a few seconds."""
        from dtxeth.crypto import Encryptor, generate_keypair, matvec, weighted_sum
        from dtxeth.crypto.paillier import MIN_BITS

        key = generate_keypair(key_bits, insecure_test_key=key_bits < MIN_BITS)
        encryptor = Encryptor(key)
        other = Encryptor(key.public_key)
        for each in (encryptor, other):
            each.encrypt([1])  # tables are made once
        random = np.random.default_rng(0)
        ciphers = encryptor.encrypt(random.integers(-(1 << 30), 1 << 30, _SAMPLE).tolist())
        features = random.integers(-(1 << 26), 1 << 26, (_SAMPLE, 4))
        turns = random.integers(-(1 << 16), 1 << 16, (_SAMPLE, 2))
        return cls(
            encrypt=_seconds(lambda: encryptor.encrypt(range(_SAMPLE))) / _SAMPLE,
            multiply=_seconds(lambda: matvec(ciphers, features)) / features.size,
            decrypt=_seconds(lambda: key.decrypt_raw(ciphers)) / _SAMPLE,
            turn=_seconds(lambda: weighted_sum([ciphers, ciphers], turns)) / turns.size,
            refresh=_seconds(lambda: other.encrypt([0] * _SAMPLE)) / _SAMPLE,
        )


@dataclass(frozen=True)
class Estimate:
    """What a training task will take and show at most.

    Attributes:
        models: Models that are trained: the task's and those of its evaluation.
        rounds: Encrypted rounds, of all models together.
        seconds: For all of them, at executors like this machine.
        bytes_sent: By each party, in the order given.
        leakage: What who learns, one sentence each.
        refusals: Why owners with default policies would refuse it; empty if they would not.
    """

    models: int
    rounds: int
    seconds: float
    bytes_sent: tuple[int, ...]
    leakage: tuple[str, ...]
    refusals: tuple[str, ...]


def estimate(
    spec: TaskSpec, rows: int, features: Sequence[int], calibration: Calibration | None = None
) -> Estimate:
    """Estimate a training task.

    Args:
        spec: Its spec.
        rows: Common rows.
        features: Number of features of each party, the label holder first.
        calibration: Speed of the executors; default this machine's, measured now.

    Raises:
        InputError: Fewer than two parties, a party without features, or no rows.
        DataError: More folds than rows.
    """
    if len(features) < 2 or min(features) < 1 or rows < 1:
        raise InputError(
            f"{rows} rows and {list(features)} features: give rows, and features of two parties or more"
        )
    speed = Calibration.measure(spec.key_bits) if calibration is None else calibration
    sizes = [rows] if spec.live is None else [rows - round(spec.live.share * rows)]
    if spec.evaluation is not None:
        tested = {
            "split": spec.evaluation.share,
            "folds": 1 / spec.evaluation.folds,
            "leave-one-out": 1 / rows,
        }
        count = models_of(spec.evaluation, rows)
        sizes += [rows - max(1, round(tested[spec.evaluation.method] * rows))] * count
    batches = [max(1, size // (spec.batch_size or size)) for size in sizes]
    batch = [size / count for size, count in zip(sizes, batches, strict=True)]
    parties = len(features)
    terms = spec.sigmoid_terms if spec.logistic and spec.sigmoid == "trigonometric" else 0
    # a pair of ciphertexts a term; of the chain towards each other party a hop turns them, its end adds them up
    per_row, turns = 2 * terms + 1, 4 * terms * (parties - 2) + 2 * terms
    # each party starts one chain, and of four and more passes on, refreshed, those that neither start nor end at it
    refreshed = parties - 2 if parties > 3 else 0
    encrypt = speed.encrypt + refreshed * speed.refresh
    cipher = spec.key_bits // 4
    # who holds the key decrypts as many sums as its predecessor in the ring has features
    sent = tuple(
        int(
            sum(
                spec.max_rounds
                * (size * per_row * (parties - 1) * cipher + own * cipher + features[number - 1] * cipher / 2)
                for size in batch
            )
        )
        for number, own in enumerate(features)
    )
    most = max(features)
    # of each sum one is decrypted for the predecessor, and the own masked one re-randomised, which takes as long
    seconds = sum(
        spec.max_rounds
        * (size * (per_row * encrypt + turns * speed.turn + most * speed.multiply) + 2 * most * speed.decrypt)
        for size in batch
    )
    views = int(spec.evaluation is not None)
    views += 0 if spec.live is None else evaluations_of(spec.live, spec.max_rounds)
    return Estimate(
        len(sizes),
        len(sizes) * spec.max_rounds,
        seconds,
        sent,
        tuple(_leakage(spec, len(sizes), views, features)),
        tuple(_refusals(int(min(batch)), views, features)),
    )


def _leakage(spec: TaskSpec, models: int, views: int, features: Sequence[int]) -> list[str]:
    said = [
        "every party learns which of its rows all have in common",
        f"every party learns the mean gradient of its own features in {spec.max_rounds} rounds of {models} models",
    ]
    if views:
        said.append(
            f"the label holder sees {views} sums of the others' parts of z for a row, who have "
            f"{sum(features[1:])} features"
        )
    if spec.evaluation is not None and spec.logistic and spec.evaluation.stratified is not False:
        said.append("every party learns that the folds have equal shares of the classes")
    if spec.live is not None:
        said.append("every party learns after each live evaluation whether it was the best so far")
    if spec.missing != "refuse":
        said.append("the chain shows how many values each party lacks")
    if spec.privacy is not None:
        said.append("gradients are noisy: the result states the privacy account")
    said.append("the chain shows spec, parties, row counts, feature counts, rounds and commitments")
    return said


def _refusals(batch: int, views: int, features: Sequence[int]) -> list[str]:
    found = []
    floor = default_rows(max(features))
    if batch < floor:
        found.append(f"the smallest batch has {batch} rows, owners ask for {floor}")
    least = min(features[1:])
    if views and views >= least:
        found.append(f"{views} scores of a row would be shown, and a party has {least} features")
    return found


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of the faster of two runs."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)
