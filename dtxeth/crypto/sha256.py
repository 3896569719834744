"""SHA-256 of many short messages at once, by the processor's own instructions.

One call of hashlib costs as much as hashing a kilobyte, and a leaf of a Merkle tree has a quarter of one; besides, it
keeps the interpreter lock. So what hashes whole batches is compiled here, in a few milliseconds and when it is first
needed, by llvmlite for the SHA extensions that x86 processors have had since AMD's Zen (2017) and Intel's Ice Lake
(2019). It is five times as fast, and lets go of the lock, so that threads use all cores. Other processors and small
batches are served by hashlib; the digests are the same.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np

DIGEST_SIZE: Final = 32
"""Bytes of a digest."""
BLOCK_SIZE: Final = 64
"""Bytes that the compression function takes at a time."""
_PADDING: Final = 9  # a one bit in a byte of its own, and the length in 64 bits
_SMALL: Final = 48  # messages: hashlib has hashed so many while arrays are laid out

Kernel: TypeAlias = Callable[[int, int, int, int], None]


def digests(tag: bytes, data: bytes | memoryview, size: int) -> bytes:
    """Hash messages of one length, each behind the same tag.

    Args:
        tag: What each message is prefixed with.
        data: The messages, one after the other.
        size: Bytes of a message; divides the bytes of ``data``.

    Returns:
        ``SHA-256(tag ‖ message)`` of each, 32 bytes, one after the other.
    """
    count = len(data) // size
    kernel = None if count < _SMALL else _kernel()
    if kernel is None:
        starts = range(0, len(data), size)
        return b"".join([hashlib.sha256(tag + data[start : start + size]).digest() for start in starts])
    padded = _padded(tag, data, size)
    out = np.empty((len(padded), DIGEST_SIZE), np.uint8)
    kernel(padded.ctypes.data, len(padded), padded.shape[1] // BLOCK_SIZE, out.ctypes.data)
    return out[:count].tobytes()


def engine() -> str:
    """Name what hashes batches on this machine: ``SHA extensions`` or ``hashlib``."""
    return "SHA extensions" if _kernel() else "hashlib"


def _padded(tag: bytes, data: bytes | memoryview, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Lay messages out as rows of whole blocks, padded (FIPS 180-4, §5.1.1); an even number of rows."""
    messages = np.frombuffer(data, np.uint8).reshape(-1, size)
    end = len(tag) + size
    rows = np.zeros(
        (len(messages) + len(messages) % 2, -(-(end + _PADDING) // BLOCK_SIZE) * BLOCK_SIZE), np.uint8
    )
    rows[:, : len(tag)] = list(tag)
    rows[: len(messages), len(tag) : end] = messages
    rows[:, end] = 0x80
    rows[:, -8:] = list((8 * end).to_bytes(8, "big"))
    return rows


@cache
def _kernel() -> Kernel | None:
    """Compile the kernel, or return None if the processor has no SHA extensions.

    It takes the address of padded messages, their even number, the blocks of each, and the address for the digests.
    """
    # Here, for it takes a moment and tens of megabytes: a command that stores nothing need not have it.
    import llvmlite.binding as llvm

    from dtxeth.crypto.sha256_kernel import assembly

    features = llvm.get_host_cpu_features()
    if not features.get("sha"):
        return None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=2, jit=True
    )
    code = llvm.create_mcjit_compiler(llvm.parse_assembly(assembly()), target)
    code.finalize_object()
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    function = prototype(
        code.get_function_address("digests")
    )  # lets go of the interpreter lock while it runs

    def kernel(messages: int, count: int, blocks: int, out: int, code: Any = code) -> None:
        function(messages, count, blocks, out)  # `code` lives as long as this does

    return kernel
