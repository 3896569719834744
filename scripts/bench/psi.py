"""Masked identifiers beside bare calls of the same libsodium.

    python scripts/bench/psi.py [--json FILE] [--cores N] [--repeats N]

The figures are times over that of one scalar multiplication in libsodium, called through ctypes with nothing
around it: what validation, batches and Python cost. With N cores, N processes work.
"""

from __future__ import annotations

import ctypes

import rbcl.rbcl
from _harness import Case, measure, options, report

from dtxeth.crypto import psi, set_jobs

IDS = 2000


def main() -> None:
    """Measure and report."""
    asked = options(__doc__ or "")
    set_jobs(asked.cores)
    ids = [b"%d" % number for number in range(IDS)]
    points = psi.hash_ids(ids, b"task")
    mask = psi.Mask()
    data = b"".join(mask.apply(points))

    library, scalar, product = rbcl.rbcl._sodium, mask._scalar, ctypes.create_string_buffer(32)
    multiply = library.crypto_scalarmult_ristretto255
    seconds = measure(
        {
            "libsodium": Case(lambda: [multiply(product, scalar, point) for point in points], IDS),
            "hash": Case(lambda: psi.hash_ids(ids, b"task"), IDS),
            "mask": Case(lambda: mask.apply(points), IDS),
            "check": Case(lambda: psi.parse_points(data, IDS), IDS),
        },
        asked.repeats,
    )
    bare = seconds.pop("libsodium")
    figures = {f"{name}_vs_libsodium": round(time / bare, 3) for name, time in seconds.items()}
    rows = [["libsodium's multiplication", f"{1e6 * bare:.1f}", "1.00"]]
    rows += [[name, f"{1e6 * time:.1f}", f"{time / bare:.2f}"] for name, time in seconds.items()]
    report("ristretto255", ["one identifier", "µs", "× libsodium"], rows, figures, asked.json)


if __name__ == "__main__":
    main()
