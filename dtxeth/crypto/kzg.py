"""Pairing-based possession: a node shows that it has whole blobs by opening their polynomials at one point.

A *blob* is 126,976 bytes of a piece: 4096 field elements of 31 bytes each, the values of a polynomial P of
degree below 4096, committed to as in EIP-4844 (Kate, Zaverucha, Goldberg, ASIACRYPT 2010) under Ethereum's
own trusted setup. A holding's commitments are the 48-byte leaves of a Merkle tree, whose root is on chain.

A challenge's seed draws m blobs and gives two scalars: the coefficient γ and the point z. The node folds
P = Σ γⁱ·Pᵢ over the drawn blobs and answers y = P(z) with a proof of it. The verifier folds the commitments
likewise and checks one pairing equation. A wrong byte anywhere in a drawn blob is a wrong polynomial, which
meets the right one at a random (γ, z) with a chance below 2⁻²⁴¹.

The verifier on chain is ``contracts/libraries/KzgProof.sol``; :func:`verify` is its twin.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import ckzg
from eth_utils.crypto import keccak
from py_arkworks_bls12381 import G1Point, Scalar

from dtxeth.crypto import merkle
from dtxeth.crypto.parallel import map_chunks
from dtxeth.crypto.polynomial import BLOB_DATA, ORDER, Fold, field_elements
from dtxeth.errors import CryptoError

POINT_SIZE: Final = 48
"""Bytes of a commitment or a proof: a compressed point of BLS12-381's G1."""
SETUP_SHA256: Final = "d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7"
"""SHA-256 of the trusted setup: the ``trusted_setup.txt`` of ethereum/c-kzg-4844, from the KZG ceremony."""

_SETUP: Final = Path(__file__).with_name("trusted_setup.txt")
_AFFINE_SIZE: Final = 96
_SCALAR_SIZE: Final = 32
_OPENING_SIZE: Final = _SCALAR_SIZE + POINT_SIZE
_BATCH: Final = 64  # blobs that are on their way to the processes at a time: 8 MiB

_loading = threading.Lock()


def trusted_setup() -> Any:
    """Load Ethereum's trusted setup, once a process; it takes about 2.5 s.

    Returns:
        What ``ckzg`` calls a trusted setup.

    Raises:
        CryptoError: The file that ships with the package is not the one whose hash we know.
    """
    with _loading:  # not by several threads at once
        return _load_setup()


@cache
def _load_setup() -> Any:
    digest = hashlib.sha256(_SETUP.read_bytes()).hexdigest()
    if digest != SETUP_SHA256:
        raise CryptoError(f"{_SETUP} has SHA-256 {digest}, expected {SETUP_SHA256}; install dtxeth anew")
    return ckzg.load_trusted_setup(str(_SETUP), 0)


def blob_count(size: int) -> int:
    """Blobs of a piece of so many bytes."""
    return -(-size // BLOB_DATA)


def blobs(piece: bytes) -> list[bytes]:
    """Cut a piece into blobs.

    Args:
        piece: Any bytes; the last blob is padded with zeros.

    Returns:
        Blobs of :data:`BLOB_DATA` bytes, in order; none for an empty piece.
    """
    return [
        piece[start : start + BLOB_DATA].ljust(BLOB_DATA, b"\0") for start in range(0, len(piece), BLOB_DATA)
    ]


def commit(pieces: Iterable[bytes]) -> list[bytes]:
    """Commit to the blobs of pieces, on all cores.

    By processes, for ckzg holds the interpreter lock; they stay for the next call (as long as joblib lets
    them idle, 5 minutes), so pieces may come one by one. All cores unless something else is set: what limits
    a storage node is this, at 2 MB/s a core, and a machine that stores for a living has nothing better to do.

    Args:
        pieces: Pieces of any length, taken in as they are needed: at most 8 MiB ahead.

    Returns:
        One commitment of 48 bytes a blob, pieces and blobs in order.
    """
    waiting = (blob for piece in pieces for blob in blobs(piece))
    commitments: list[bytes] = []
    while batch := list(islice(waiting, _BATCH)):
        commitments += map_chunks(_commit, batch, smallest=2, default=-1)
    return commitments


def _commit(batch: Sequence[bytes]) -> list[bytes]:
    setup = trusted_setup()
    return [ckzg.blob_to_kzg_commitment(field_elements(blob), setup) for blob in batch]


def commitments_root(commitments: Sequence[bytes]) -> bytes:
    """Compute the root over a holding's commitments, as it stands on chain.

    Args:
        commitments: At least one commitment of 48 bytes.

    Returns:
        Root of the RFC 9162 tree whose leaves they are.

    Raises:
        CryptoError: There are none, or one of another length.
    """
    return merkle.root(_leaf_hashes(commitments))


def challenge_scalars(seed: bytes) -> tuple[int, int]:
    """Derive the fold's coefficient γ and the point z from a challenge's seed.

    Each is ``uint256(keccak256(abi.encode(seed, tag))) % ORDER``. No value is 1.4 times likelier than among
    uniform ones, for 2²⁵⁶ is 2.2 orders; the bounds of a chance grow by as much and no more.

    Args:
        seed: 32 bytes.

    Returns:
        γ and z, below :data:`ORDER`.
    """
    tags = (b"kzg.coefficient", b"kzg.point")
    gamma, z = (int.from_bytes(keccak(seed + tag.ljust(32, b"\0")), "big") % ORDER for tag in tags)
    return gamma, z


def prove(seed: bytes, indices: Sequence[int], drawn: Sequence[bytes], commitments: Sequence[bytes]) -> bytes:
    """Answer a challenge.

    Args:
        seed: The challenge's 32 bytes.
        indices: Numbers of the drawn blobs in the holding, ascending and distinct.
        drawn: These blobs, :data:`BLOB_DATA` bytes each.
        commitments: The holding's commitments, all of them.

    Returns:
        The answer as it is posted: y (32 bytes), the proof (48), the drawn commitments, and the hashes of the
        commitments' multiproof. A single commitment is posted as it is, several as affine coordinates of
        48 + 48 bytes each: the contract cannot decompress a point, and need not to pass on one.

    Raises:
        CryptoError: The indices, a blob's length or a commitment do not fit.
    """
    if len(drawn) != len(indices):
        raise CryptoError(f"{len(drawn)} blobs for {len(indices)} indices; give each drawn blob")
    path = merkle.multiproof(_leaf_hashes(commitments), indices)
    gamma, z = challenge_scalars(seed)
    fold = Fold()
    for power, blob in enumerate(drawn):
        fold.add(pow(gamma, power, ORDER), blob)
    proof, y = ckzg.compute_kzg_proof(fold.polynomial(), z.to_bytes(_SCALAR_SIZE, "big"), trusted_setup())
    points = [commitments[index] for index in indices]
    if len(points) > 1:
        points = [decode_point(point).to_xy_bytes_be() for point in points]
    return b"".join([y, proof, *points, *path])


def verify(answer: bytes, seed: bytes, root: bytes, count: int, indices: Sequence[int]) -> bool:
    """Check an answer the way the contract does.

    Args:
        answer: What :func:`prove` gave.
        seed: The challenge's 32 bytes.
        root: Root over the holding's commitments.
        count: How many they are.
        indices: Numbers of the drawn blobs, ascending and distinct.

    Returns:
        True if the answer proves these blobs; False otherwise, whatever the bytes are.
    """
    size, decode = (POINT_SIZE, decode_point) if len(indices) == 1 else (_AFFINE_SIZE, _decode_affine)
    y, proof = answer[:_SCALAR_SIZE], answer[_SCALAR_SIZE:_OPENING_SIZE]
    path = _OPENING_SIZE + len(indices) * size
    if len(answer) < path or (len(answer) - path) % 32:
        return False
    hashes = [answer[start : start + 32] for start in range(path, len(answer), 32)]
    try:
        points = [decode(answer[start : start + size]) for start in range(_OPENING_SIZE, path, size)]
        leaves = [point.to_compressed_bytes() for point in points]
        if not merkle.verify_multiproof(root, count, indices, leaves, hashes):
            return False
        gamma, z = challenge_scalars(seed)
        powers = [Scalar(pow(gamma, power, ORDER)) for power in range(len(points))]
        folded = G1Point.multiexp_unchecked(points, powers).to_compressed_bytes()
        return bool(ckzg.verify_kzg_proof(folded, z.to_bytes(_SCALAR_SIZE, "big"), y, proof, trusted_setup()))
    except (CryptoError, RuntimeError):  # ckzg's word for a proof that is no point, and a y that is no scalar
        return False


def decode_point(data: bytes) -> G1Point:
    """Decode a compressed point, strictly.

    Args:
        data: A commitment or a proof, from whomever.

    Returns:
        A point of the group of order :data:`ORDER`.

    Raises:
        CryptoError: Not 48 bytes, not on the curve, not in the group, or not the only encoding of its point.
    """
    return _decode(data, G1Point.from_compressed_bytes, G1Point.to_compressed_bytes)


def _decode_affine(data: bytes) -> G1Point:
    return _decode(data, G1Point.from_xy_bytes_be, G1Point.to_xy_bytes_be)


def _decode(data: bytes, decode: Callable[[bytes], G1Point], encode: Callable[[G1Point], bytes]) -> G1Point:
    try:
        point = decode(data)  # checks that it is on the curve and in the group
    except ValueError as error:
        raise CryptoError(f"{data.hex()} is no point of BLS12-381's G1: {error}; do not trust it") from error
    if encode(point) != data:  # arkworks overlooks stray flags on the point at infinity
        raise CryptoError(f"{data.hex()} is not how a point of BLS12-381's G1 is written; do not trust it")
    return point


def _leaf_hashes(commitments: Sequence[bytes]) -> list[bytes]:
    for number, commitment in enumerate(commitments):
        if len(commitment) != POINT_SIZE:
            raise CryptoError(f"commitment {number} has {len(commitment)} bytes, expected {POINT_SIZE}")
    return [merkle.leaf_hash(commitment) for commitment in commitments]
