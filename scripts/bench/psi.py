"""Alignment of two tables, beside bare calls of the same libsodium.

    python scripts/bench/psi.py [--json FILE] [--cores N] [--repeats N] [--ids N]

First the steps, one identifier at a time. The unit is libsodium's scalar multiplication, called through ctypes with
nothing around it: what validation, batches and Python cost. Then the whole alignment of two parties with as many ids
each as asked for (a million by default), a tenth of them common, beside what libsodium alone would take on those cores
for it: a hash to the group and two multiplications an id of each party.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import rbcl.rbcl
from _harness import Case, measure, options, report

from dtxeth.crypto import psi, set_jobs
from dtxeth.crypto.parallel import map_chunks
from dtxeth.learning.alignment import align
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport import memory_channels

STEPS, BARE, PARTIES = 2000, 20_000, ("active", "passive")


def main() -> None:
    """Measure and report."""
    count = 1_000_000
    if "--ids" in sys.argv:
        place = sys.argv.index("--ids")
        count = int(sys.argv[place + 1])
        del sys.argv[place : place + 2]
    asked = options(__doc__ or "", repeats=3, cores=2)
    set_jobs(1)
    ids = [b"%d" % number for number in range(STEPS)]
    points = psi.hash_ids(ids, b"task")
    mask = psi.Mask()
    data = b"".join(mask.apply(points))
    scalar = mask._scalar
    seconds = measure(
        {
            "libsodium": Case(lambda: _multiplied(scalar, points), STEPS),
            "hash": Case(lambda: psi.hash_ids(ids, b"task"), STEPS),
            "mask": Case(lambda: mask.apply(points), STEPS),
            "check": Case(lambda: psi.parse_points(data, STEPS), STEPS),
        },
        asked.repeats,
        time.process_time,
    )
    bare = seconds.pop("libsodium")
    figures = {f"{name}_vs_libsodium": round(time / bare, 3) for name, time in seconds.items()}
    rows = [["libsodium's multiplication", f"{1e6 * bare:.1f}", "1.00"]]
    rows += [[name, f"{1e6 * time:.1f}", f"{time / bare:.2f}"] for name, time in seconds.items()]

    set_jobs(asked.cores)
    whole = measure(
        {
            "bare": Case(lambda: map_chunks(_bare, [b"%d" % number for number in range(BARE)]), BARE),
            "align": Case(lambda: _align(count), 2 * count),
        },
        1 if count > STEPS else asked.repeats,
    )
    ratio = whole["align"] / whole["bare"]
    rows.append([f"libsodium alone, {asked.cores} cores", f"{1e6 * whole['bare']:.1f}", ""])
    rows.append([f"alignment, {count:,} × {count:,}", f"{1e6 * whole['align']:.1f}", f"{ratio:.2f} × that"])
    figures |= {
        "ids": count,
        "align_seconds": round(2 * count * whole["align"], 1),
        "align_vs_bare": round(ratio, 3),
    }
    report("ristretto255", ["an identifier", "µs", "× libsodium"], rows, figures, asked.json)


def _multiplied(scalar: bytes, points: Sequence[bytes]) -> list[bytes]:
    multiply = rbcl.rbcl._sodium.crypto_scalarmult_ristretto255
    product, products = ctypes.create_string_buffer(32), []
    for point in points:
        multiply(product, scalar, point)
        products.append(product.raw)
    return products


def _bare(ids: Sequence[bytes]) -> list[bytes]:
    """Hash to the group and multiply twice, by libsodium, with nothing around it."""
    from_hash = rbcl.rbcl._sodium.crypto_core_ristretto255_from_hash
    point, points = ctypes.create_string_buffer(32), []
    for identifier in ids:
        from_hash(point, hashlib.sha512(identifier).digest())
        points.append(point.raw)
    scalar = bytes([7, *bytes(30), 8])
    return _multiplied(scalar, _multiplied(scalar, points))


def _align(count: int) -> None:
    channels = memory_channels(PARTIES, timeout=3600)
    sets = [[f"{party} {number}" for number in range(count - count // 10)] for party in PARTIES]
    common = [f"common {number}" for number in range(count // 10)]

    def run(party: str, own: list[str]) -> list[str]:
        secrets = TaskSecrets(hashlib.sha256(party.encode()).digest(), b"bench")
        sizes = dict.fromkeys(PARTIES, count)
        return align(channels[party], own + common, sizes, b"bench", secrets)

    with ThreadPoolExecutor(len(PARTIES)) as pool:
        found = list(pool.map(run, PARTIES, sets))
    assert found[0] == found[1]
    assert sorted(found[0]) == sorted(common)


if __name__ == "__main__":
    main()
