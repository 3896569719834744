"""Row sets: whether two tasks learned from nearly the same rows, told from two short sketches of the sets.

Two tasks whose rows differ by a few say something about these few: the difference of their sums, or of the
models that they end in. Owners therefore refuse a row set that differs from an earlier one by fewer than
:data:`LEAST_DIFFERENCE` rows, unless it is the same. To know, one has to remember earlier sets; ids in the
clear would be a second copy of the id column. A sketch is enough: the power sums

    s_k = Σ_row h(row)^k  mod q,   k = 1 … 2·CAPACITY,   q = 2³¹ − 1,

of keyed hashes of the ids. The difference of two sketches is Σ ±h^k over the rows of one set only, a sequence
whose shortest linear recurrence is exactly as long as there are such rows, up to CAPACITY of them (the
recurrence's roots are the hashes); Berlekamp–Massey finds it. Beyond CAPACITY the length found is CAPACITY,
less than LEAST_DIFFERENCE with a probability below q^−(CAPACITY − LEAST_DIFFERENCE), for hashes that nobody
without the key can choose. Rows whose hashes meet count as one or not at all: two of 255 do with a probability
below 2⁻¹⁵, which makes a set look closer, or of a pair one on each side, farther from refusal by two.

To whom has no key a sketch is noise; it travels sealed all the same, for the difference of two noises is not.

Source: Y. Minsky, A. Trachtenberg, R. Zippel, IEEE Trans. Inf. Theory 49 (2003), set reconciliation; J. Massey,
IEEE Trans. Inf. Theory 15 (1969).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtxeth.errors import DataError

LEAST_DIFFERENCE: Final = 256
"""Row sets that differ by fewer rows than this, and at all, are too alike."""

CAPACITY: Final = LEAST_DIFFERENCE + 8
SKETCH_BYTES: Final = 4 * 2 * CAPACITY
KEY_BYTES: Final = 32

_MODULUS: Final = np.uint64((1 << 31) - 1)
_DOMAIN: Final = b"dtxeth row v1"


def sketch(key: bytes, ids: Iterable[str]) -> bytes:
    """Sketch a set of rows.

    Args:
        key: 32 bytes, the same for all sets that are to be compared.
        ids: Ids of the rows.

    Returns:
        :data:`SKETCH_BYTES` bytes, whatever the number of rows.
    """
    hashes = np.fromiter((_hash(key, row) for row in ids), dtype=np.uint64)
    powers = np.ones_like(hashes)
    sums = np.empty(2 * CAPACITY, dtype=np.uint64)
    for k in range(len(sums)):
        powers = powers * hashes % _MODULUS
        sums[k] = powers.sum() % _MODULUS
    return sums.astype("<u4").tobytes()


def difference(first: bytes, second: bytes) -> int:
    """Count the rows that are in one of two sets only; :data:`CAPACITY` stands for that many or more.

    Raises:
        DataError: These are not two sketches.
    """
    sequence = (_parse(first) + _MODULUS - _parse(second)) % _MODULUS
    return min(_recurrence(sequence), CAPACITY)


def _hash(key: bytes, row: str) -> int:
    """Map a row to 1 … q − 1, up to a bias below 2⁻³²."""
    digest = hashlib.blake2b(row.encode(), digest_size=8, key=key, person=_DOMAIN).digest()
    return 1 + int.from_bytes(digest) % (int(_MODULUS) - 1)


def _parse(data: bytes) -> NDArray[np.uint64]:
    values = np.frombuffer(data, dtype="<u4").astype(np.uint64) if len(data) == SKETCH_BYTES else None
    if values is None or np.any(values >= _MODULUS):
        raise DataError(f"{len(data)} bytes are no sketch of a row set: it was made by another version")
    return values


def _recurrence(sequence: NDArray[np.uint64]) -> int:
    """Length of the shortest linear recurrence of ``sequence`` modulo q (Berlekamp–Massey)."""
    q = int(_MODULUS)
    count = len(sequence)
    current, earlier = np.zeros(count + 1, dtype=np.uint64), np.zeros(count + 1, dtype=np.uint64)
    current[0] = earlier[0] = 1
    length, shift, last = 0, 1, 1
    for at in range(count):
        window = sequence[at - length : at + 1][::-1]
        discrepancy = int((current[: length + 1] * window % _MODULUS).sum()) % q
        if discrepancy == 0:
            shift += 1
            continue
        factor = np.uint64(q - discrepancy * pow(last, -1, q) % q)
        changed = current.copy()
        changed[shift:] = (changed[shift:] + factor * earlier[: count + 1 - shift]) % _MODULUS
        if 2 * length <= at:
            earlier, length, last, shift = current, at + 1 - length, discrepancy, 0
        current = changed
        shift += 1
    return length
