"""One full-batch logistic round, 455 × (15 + 15), 2048 bits, both parties, against phe; then larger tables.

    python scripts/bench/vertical.py [--json FILE] [--cores N] [--repeats N] [--large]

* *textbook*: gradients of single samples, as the reference system computes them: 7 encryptions a row, and one
  product, one addition and one decryption for each row and feature. Measured on a few rows and scaled to 455.
* *phe*: this very protocol with phe's EncryptedNumber. What is done for each row is measured on a few rows
  and scaled.

Both work on the same fixed-point numbers as ours does, which is kinder to phe than floats.

With ``--large``, instead: rows a second of one round on tables up to 100,000 rows, half of the features at each
party, and the most memory that a process needed, each in a process of its own.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import phe.paillier as phe
from _harness import Case, Options, measure, options, report
from sklearn.datasets import load_breast_cancer

from dtxeth.crypto import CipherVector, Encryptor, generate_keypair, matvec, set_jobs
from dtxeth.learning import fixedpoint
from dtxeth.learning.journal import MemoryJournal
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import TRIGONOMETRIC, Link
from dtxeth.learning.vertical import GradientProtocol
from dtxeth.transport import memory_channels

ROWS, FEATURES, BITS, PRECISION = 455, 15, 2048, 24
TEXTBOOK_ROWS, PHE_ROWS = 2, 20
LARGE = (1_000, 10), (1_000, 100), (10_000, 10), (10_000, 100), (100_000, 10)
ONE = "--one"
PARTIES = ("active", "passive")


def main() -> None:
    """Measure and report."""
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(_large_round(*map(int, sys.argv[2:]))))
        return
    large = "--large" in sys.argv
    if large:
        sys.argv.remove("--large")
    asked = options(__doc__ or "", repeats=3, cores=2 if large else 1)
    if large:
        _report_large(asked)
        return
    set_jobs(asked.cores)
    values = load_breast_cancer().data[:ROWS]
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    encoded = fixedpoint.encode(values, PRECISION)
    shares = np.random.default_rng(1).standard_normal((2, ROWS))

    seconds = measure(
        {
            "ours": Case(_round(Link(0.25), shares, encoded)),
            "trigonometric": Case(_round(TRIGONOMETRIC[3], shares, encoded)),
            "textbook": _textbook(encoded),
            "phe rows": _phe_rows(encoded),
        }
        | {"phe sums": _phe_sums()}
        | {f"stage {name}": Case(run) for name, run in _stages(shares[0], encoded[:, :FEATURES]).items()},
        asked.repeats,
        asked.clock,
    )
    ours = seconds["ours"]
    textbook = ROWS * seconds["textbook"]
    same = ROWS * seconds["phe rows"] + seconds["phe sums"]
    stages = {name[6:]: round(2000 * time, 1) for name, time in seconds.items() if name.startswith("stage ")}
    figures = {
        "speedup_vs_textbook": round(textbook / ours, 1),
        "speedup_vs_phe": round(same / ours, 1),
        "trigonometric_ratio": round(seconds["trigonometric"] / ours, 2),
        "stages_ms": stages,
    }
    rows = [
        ["a round, ours", f"{1000 * ours:,.0f}", "1"],
        [
            "a round with the trigonometric sigmoid",
            f"{1000 * seconds['trigonometric']:,.0f}",
            f"{seconds['trigonometric'] / ours:.1f}",
        ],
        ["this protocol by phe", f"{1000 * same:,.0f}", f"{same / ours:.1f}"],
        ["textbook by phe", f"{1000 * textbook:,.0f}", f"{textbook / ours:.1f}"],
        *([f"  ours: {name}", f"{time:,.1f}", ""] for name, time in stages.items()),
    ]
    title = f"One round, {ROWS} × ({FEATURES} + {FEATURES}), {BITS} bits"
    report(title, ["", "ms", "× ours"], rows, figures, asked.json)


def _report_large(asked: Options) -> None:
    rows, figures = [], {}
    for size, features in LARGE:
        command = [sys.executable, __file__, ONE, str(size), str(features), str(asked.cores)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        seconds, peak = json.loads(ran.stdout)
        cells = [f"{size:,} × {features}", f"{seconds:,.1f}", f"{size / seconds:,.0f}"]
        rows.append([*cells, f"{size * features / seconds:,.0f}", f"{peak:,.0f}"])
        figures[f"{size}x{features}"] = {
            "seconds": round(seconds, 2),
            "rows_per_second": round(size / seconds, 1),
            "peak_mib": round(peak),
        }
    title = f"One round of both parties, {BITS} bits, {asked.cores} cores"
    columns = ["rows × features", "s", "rows/s", "cells/s", "peak MiB"]
    report(title, columns, rows, figures, asked.json)


def _large_round(rows: int, features: int, cores: int) -> tuple[float, float]:
    """Return the seconds of one round, and the peak memory of this process and its largest worker, in MiB."""
    set_jobs(cores)
    random = np.random.default_rng(1)
    encoded = fixedpoint.encode(random.standard_normal((rows, features)), PRECISION)
    run = _round(Link(0.25), random.standard_normal((2, rows)), encoded)
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return seconds, sum(usage) / 1024


def _round(link: Link, shares: np.ndarray, encoded: np.ndarray) -> Callable[[], None]:
    """Return one round of the real protocol, the parties as threads over channels in memory."""
    features, numbers = encoded.shape[1] // 2, itertools.count()
    channels = memory_channels(PARTIES)
    keys = [generate_keypair(BITS) for _ in PARTIES]
    public = tuple(key.public_key for key in keys)
    protocols = [
        GradientProtocol(
            Ring(channels[name], PARTIES, public, (features, features), key, PARTIES[0]),
            link,
            PRECISION,
            TaskSecrets(bytes(32), b"bench"),
            MemoryJournal(),
        )
        for name, key in zip(PARTIES, keys, strict=True)
    ]
    first, second = encoded[:, :features], encoded[:, features : 2 * features]
    if link.amplitudes:  # the active party trains an intercept
        first = np.column_stack([first, np.full(len(first), 1 << PRECISION)])
    halves = first, second

    def run() -> None:
        number = next(numbers)
        with ThreadPoolExecutor(len(PARTIES)) as pool:
            jobs = zip(protocols, shares, halves, strict=True)
            # "last": what is computed ahead, while waiting, would be missing from the next round's time
            for future in [pool.submit(p.run, number, z, None, half, last=True) for p, z, half in jobs]:
                future.result()

    return run


def _stages(share: np.ndarray, encoded: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return the steps of one party's round, to be timed one by one."""
    key = generate_keypair(BITS)
    owner, other = Encryptor(key), Encryptor(key.public_key)
    numbers = fixedpoint.encode_residual(share, PRECISION, PRECISION)
    residual = owner.encrypt(numbers)
    wire = residual.to_bytes()
    sums = matvec(residual, encoded)
    masks = TaskSecrets(bytes(32), b"bench").integers(FEATURES, int(key.public_key.n), "mask")
    return {
        "encrypt the share": lambda: owner.encrypt(fixedpoint.encode_residual(share, PRECISION, PRECISION)),
        "send, check, add": lambda: CipherVector.from_bytes(key.public_key, wire, ROWS) + numbers,
        "multiply and sum": lambda: matvec(residual, encoded),
        "mask, re-randomise": lambda: (sums + masks).rerandomize(other),
        "decrypt, round off": lambda: fixedpoint.round_off(key.decrypt_raw(sums), 20),
    }


def _textbook(encoded: np.ndarray) -> Case:
    public, private = phe.generate_paillier_keypair(n_length=BITS)
    rows = encoded[:TEXTBOOK_ROWS].tolist()

    def run() -> None:
        for row in rows:
            residual, *_ = (public.encrypt(row[i]) for i in range(7))
            for x in row:
                private.decrypt(residual * x + 12345)

    return Case(run, TEXTBOOK_ROWS)


def _phe_rows(encoded: np.ndarray) -> Case:
    """Return what both parties do for each row: encrypt, add, multiply, sum."""
    public, _ = phe.generate_paillier_keypair(n_length=BITS)
    halves = encoded[:PHE_ROWS, :FEATURES], encoded[:PHE_ROWS, FEATURES:]

    def run() -> None:
        for half in halves:
            residual = [public.encrypt(u) + u for u in half[:, 0].tolist()]
            for column in half.T.tolist():
                _sum([d * x for d, x in zip(residual, column, strict=True)])

    return Case(run, PHE_ROWS)


def _phe_sums() -> Case:
    """Return what both parties do once a round for each feature: mask, re-randomise, decrypt."""
    public, private = phe.generate_paillier_keypair(n_length=BITS)
    sums = [public.encrypt(number) for number in range(2 * FEATURES)]

    def run() -> None:
        for cipher in sums:
            masked = cipher + 12345
            masked.obfuscate()
            private.decrypt(masked)

    return Case(run)


def _sum(terms: Sequence[phe.EncryptedNumber]) -> phe.EncryptedNumber:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


if __name__ == "__main__":
    main()
