"""Blobs as polynomials: 4096 field elements of 31 bytes each, and their linear combinations.

The field is that of BLS12-381's group order. 31 bytes are always below it, so every text is a blob and no two
texts are one: a scheme that reduced longer chunks modulo the order would let a node keep the residues.
"""

from __future__ import annotations

from typing import Final

import gmpy2
import numpy as np

from dtxeth.errors import CryptoError

ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of BLS12-381's groups, hence of the field (EIP-4844: ``BLS_MODULUS``)."""
ELEMENTS: Final = 4096
"""Field elements of a blob (EIP-4844: ``FIELD_ELEMENTS_PER_BLOB``)."""
ELEMENT_DATA: Final = 31
"""Bytes of data in a field element."""
BLOB_DATA: Final = ELEMENTS * ELEMENT_DATA
"""Bytes of data in a blob: 126,976."""

_ELEMENT_SIZE: Final = 32
_LANE_SIZE: Final = 64
_BINARY_POSITIVE: Final = b"\x01\x01"  # gmpy2.from_binary: a positive mpz, little endian


def field_elements(data: bytes) -> bytes:
    """Encode a blob as EIP-4844 has it.

    Args:
        data: :data:`BLOB_DATA` bytes.

    Returns:
        131,072 bytes: each 31 bytes of data behind a zero byte.

    Raises:
        CryptoError: Another length.
    """
    elements = np.zeros((ELEMENTS, _ELEMENT_SIZE), np.uint8)
    elements[:, 1:] = _rows(data)
    return elements.tobytes()


class Fold:
    """A linear combination of blobs, one blob at a time: Σ cᵢ·Pᵢ.

    All 4096 elements are multiplied at once, as lanes of 512 bits in one big integer: an element has 248 bits
    and a coefficient at most 255, so the lanes hold sums of 512 products. With coefficients of 128 bits, of
    2¹³⁶. The modulus is taken once, at the end.
    """

    def __init__(self) -> None:
        self._lanes = np.zeros((ELEMENTS, _LANE_SIZE), np.uint8)
        self._sum = gmpy2.mpz(0)

    def add(self, coefficient: int, data: bytes) -> None:
        """Add a blob.

        Args:
            coefficient: Below :data:`ORDER`, not negative.
            data: :data:`BLOB_DATA` bytes.

        Raises:
            CryptoError: Another length.
        """
        self._lanes[:, :ELEMENT_DATA] = _rows(data)[:, ::-1]
        self._sum += gmpy2.from_binary(_BINARY_POSITIVE + self._lanes.tobytes()) * coefficient

    def polynomial(self) -> bytes:
        """Reduce the combination.

        Returns:
            131,072 bytes: 4096 field elements of 32 bytes, big endian.
        """
        lanes = gmpy2.to_binary(self._sum)[len(_BINARY_POSITIVE) :].ljust(ELEMENTS * _LANE_SIZE, b"\0")
        return b"".join(
            (int.from_bytes(lanes[start : start + _LANE_SIZE], "little") % ORDER).to_bytes(
                _ELEMENT_SIZE, "big"
            )
            for start in range(0, len(lanes), _LANE_SIZE)
        )


def _rows(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if len(data) != BLOB_DATA:
        raise CryptoError(f"a blob has {BLOB_DATA} bytes, got {len(data)}; pad the piece's last with zeros")
    return np.frombuffer(data, np.uint8).reshape(ELEMENTS, ELEMENT_DATA)
