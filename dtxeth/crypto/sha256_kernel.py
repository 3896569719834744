"""The compression function of SHA-256 over x86's SHA extensions, as LLVM's assembly.

Sean Gulley et al., *Intel SHA Extensions* (2013): ``sha256rnds2`` does two of the 64 rounds, on a state that lies in
two vectors, ABEF and CDGH; ``sha256msg1`` and ``sha256msg2`` make four words of the message schedule from the sixteen
before them. Two messages are hashed abreast, because an instruction's result takes twice as long as the next may start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gmpy2
from llvmlite import ir

_LANES: Final = 2
_INT, _LONG, _POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
_VECTOR = ir.VectorType(_INT, 4)


def assembly() -> str:
    """Write ``void digests(messages, count, blocks, digests)``, see :func:`dtxeth.crypto.sha256.digests`."""
    module = ir.Module()
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [_POINTER, _LONG, _LONG, _POINTER]), "digests"
    )
    messages, count, blocks, out = function.args
    entry, pair, block, after, done = map(
        function.append_basic_block, ("entry", "pair", "block", "after", "done")
    )
    code = _Code(module, entry)
    code.branch(pair)

    code.position_at_end(pair)
    first = code.phi(_LONG)
    first.add_incoming(_LONG(0), entry)
    code.branch(block)

    code.position_at_end(block)
    number = code.phi(_LONG)
    number.add_incoming(_LONG(0), pair)
    before = [[code.phi(_VECTOR), code.phi(_VECTOR)] for _ in range(_LANES)]
    rows = [code.add(first, _LONG(lane)) for lane in range(_LANES)]
    words = [code.load_swapped(messages, code.add(code.mul(row, blocks), number), 4) for row in rows]
    states = code.compress(before, words)
    a, b, c, d, e, f, g, h = _initial_state()
    for lane in range(_LANES):
        for phi, initial, state in zip(
            before[lane], (_vector([f, e, b, a]), _vector([h, g, d, c])), states[lane], strict=True
        ):
            phi.add_incoming(initial, pair)
            phi.add_incoming(state, block)
    number_next = code.add(number, _LONG(1))
    number.add_incoming(number_next, block)
    code.cbranch(code.icmp_unsigned("<", number_next, blocks), block, after)

    code.position_at_end(after)
    for row, (abef, cdgh) in zip(rows, states, strict=True):
        abcd, efgh = code.shuffle(abef, cdgh, [3, 2, 7, 6]), code.shuffle(abef, cdgh, [1, 0, 5, 4])
        code.store_swapped([abcd, efgh], out, row)
    first_next = code.add(first, _LONG(_LANES))
    first.add_incoming(first_next, after)
    code.cbranch(code.icmp_unsigned("<", first_next, count), pair, done)

    code.position_at_end(done)
    code.ret_void()
    return str(module)


class _Code(ir.IRBuilder):  # type: ignore[misc]  # llvmlite has no types
    """A builder that knows the instructions; vectors are of four 32-bit words, the lowest one first."""

    def __init__(self, module: Any, block: Any) -> None:
        super().__init__(block)

        def instruction(name: str, arguments: int) -> Any:
            return ir.Function(module, ir.FunctionType(_VECTOR, [_VECTOR] * arguments), f"llvm.{name}")

        self._rounds = instruction("x86.sha256rnds2", 3)
        self._msg1, self._msg2 = instruction("x86.sha256msg1", 2), instruction("x86.sha256msg2", 2)
        self._swap = instruction("bswap.v4i32", 1)

    def compress(self, states: Sequence[Sequence[Any]], words: Sequence[list[Any]]) -> list[list[Any]]:
        """Return the states, each an ABEF and a CDGH, after one more block of 16 words."""
        current = [list(state) for state in states]
        for quad in range(16):
            constants = _vector(_round_constants()[4 * quad : 4 * quad + 4])
            for state, schedule in zip(current, words, strict=True):
                if quad >= 4:
                    schedule.append(self._extended(*schedule[-4:]))
                summed = self.add(schedule[quad], constants)
                upper = self.shuffle(summed, summed, [2, 3, 0, 0])
                state[1] = self.call(self._rounds, [state[1], state[0], summed])
                state[0] = self.call(self._rounds, [state[0], state[1], upper])
        return [
            [self.add(old, new) for old, new in zip(*pair, strict=True)]
            for pair in zip(states, current, strict=True)
        ]

    def _extended(self, w0: Any, w4: Any, w8: Any, w12: Any) -> Any:
        """Return the next four words of the schedule."""
        part = self.add(self.call(self._msg1, [w0, w4]), self.shuffle(w8, w12, [1, 2, 3, 4]))
        return self.call(self._msg2, [part, w12])

    def shuffle(self, left: Any, right: Any, places: Sequence[int]) -> Any:
        """Pick words of two vectors."""
        return self.shuffle_vector(left, right, _vector(places))

    def load_swapped(self, base: Any, index: Any, count: int) -> list[Any]:
        """Read big-endian vectors, the ``index``-th ``count`` of them."""
        return [
            self.call(self._swap, [self.load(at, align=1, typ=_VECTOR)])
            for at in self._at(base, index, count)
        ]

    def store_swapped(self, vectors: Sequence[Any], base: Any, index: Any) -> None:
        """Write vectors big-endian, where :meth:`load_swapped` would find them."""
        for vector, at in zip(vectors, self._at(base, index, len(vectors)), strict=True):
            self.store(self.call(self._swap, [vector]), at, align=1)

    def _at(self, base: Any, index: Any, count: int) -> list[Any]:
        start = self.mul(index, _LONG(count))
        return [
            self.gep(base, [self.add(start, _LONG(offset))], source_etype=_VECTOR) for offset in range(count)
        ]


def _vector(words: Sequence[int]) -> Any:
    return ir.Constant(_VECTOR, list(words))


def _initial_state() -> list[int]:
    """The first 32 bits of the fractional parts of the square roots of the first 8 primes (FIPS 180-4, §5.3.3)."""
    return [int(gmpy2.isqrt(prime << 64)) & 0xFFFFFFFF for prime in _primes(8)]


def _round_constants() -> list[int]:
    """The same of the cube roots of the first 64 primes (FIPS 180-4, §4.2.2)."""
    return [int(gmpy2.iroot(prime << 96, 3)[0]) & 0xFFFFFFFF for prime in _primes(64)]


def _primes(count: int) -> list[Any]:
    prime, primes = gmpy2.mpz(1), list[Any]()
    while len(primes) < count:
        prime = gmpy2.next_prime(prime)
        primes.append(prime)
    return primes
