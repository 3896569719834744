"""The engine: one party's SPU, whose values are secret shares that this party holds.

ABY3 keeps a value v of Z₂^128 as v = s₀ + s₁ + s₂; party i holds (sᵢ, sᵢ₊₁), so one party alone sees noise and any
two see v. Real numbers have 40 fractional bits: products keep 48 bits before the point, and squares of gradients
down to 10⁻⁶ are told from 0, which 64-bit rings with 18 fractional bits do not do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgpack
import numpy as np
from pydantic import Field

from dtxeth.errors import PeerError, TaskError
from dtxeth.learning.mpc.link import first_line
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send

NAME: Final = "spu 0.9.5 aby3 fm128 f40"
"""Engine as reports name it."""
FRACTION_BITS: Final = 40
_ELEMENT: Final = 32  # two of three summands, 16 bytes each


class Shares(Message):
    """One party's share of a value."""

    data: bytes


class Outline(Message):
    """SHA-256 of the programs that the sender is about to run."""

    digest: Annotated[bytes, Field(min_length=32, max_length=32)]


class Engine:
    """SPU at one party of three.

    Args:
        channel: The task's channel: inputs and outputs travel on it.
        parties: All parties, in the order of their ranks.
        link: SPU's link, see :func:`dtxeth.learning.mpc.link.linked`.
    """

    def __init__(self, channel: Channel, parties: tuple[str, ...], link: Any) -> None:
        import spu

        self._channel = channel
        self._parties = parties
        self._rank = parties.index(channel.name)
        config = spu.RuntimeConfig()
        config.protocol = spu.ProtocolKind.ABY3
        config.field = spu.FieldType.FM128
        config.fxp_fraction_bits = FRACTION_BITS
        self._spu = spu
        self._io = spu.Io(len(parties), config)
        self._runtime = spu.Runtime(link, config)

    def share(self, name: str, owner: str, shape: tuple[int, ...], value: Any | None) -> None:
        """Split a value of ``owner`` among the parties.

        Args:
            name: What programs call it.
            owner: The party that has it.
            shape: Its shape, which all parties know.
            value: The value at its owner, ``None`` elsewhere.

        Raises:
            PeerError: The owner was silent, gave up, or sent a share of another size.
        """
        secret = self._spu.Visibility.VIS_SECRET
        if owner != self._channel.name:
            blank = self._io.make_shares(np.zeros(shape, dtype=np.float32), secret)[self._rank]
            data = receive(self._channel, owner, f"share {name}", Shares).data
            self._runtime.set_var(name, self._filled(blank, data, shape, owner))
            return
        shares = self._io.make_shares(np.ascontiguousarray(value, dtype=np.float32), secret)
        for rank, party in enumerate(self._parties):
            if party != owner:
                send(self._channel, party, f"share {name}", Shares(data=_content(shares[rank], shape)))
        self._runtime.set_var(name, shares[self._rank])

    def publish(self, name: str, value: float) -> None:
        """Set a number that all parties know."""
        public = self._io.make_shares(np.asarray(value, dtype=np.float32), self._spu.Visibility.VIS_PUBLIC)
        self._runtime.set_var(name, public[self._rank])

    def run(self, code: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Run a compiled program on named values, together with the peers.

        Raises:
            PeerError: A peer went away; :class:`~dtxeth.errors.PeerRestarted` once it has come back.
            TaskError: SPU cannot compute this, or its links broke.
        """
        executable = self._spu.Executable(
            name="program", input_names=list(inputs), output_names=list(outputs), code=code
        )
        try:
            self._runtime.run(executable)
        except RuntimeError as error:
            # if a peer crashed, the channel tells so, once it is back; those who are still here wait for it together
            for peer in self._channel.peers:
                self._channel.send(peer, "halted", b"")
            for peer in self._channel.peers:
                self._channel.recv(peer, "halted")
            raise TaskError(f"SPU gave up at all three parties: {first_line(error)}") from None

    def local(self, name: str) -> Any:
        """Return a value that a program computed from public numbers alone, as an array."""
        return self._io.reconstruct([self._runtime.get_var(name)] * len(self._parties))

    def open(self, name: str, to: str, shape: tuple[int, ...]) -> Any | None:
        """Show a value to one party, and to nobody else.

        Returns:
            It, with shape ``shape``, at ``to``; ``None`` elsewhere.

        Raises:
            PeerError: A peer was silent, gave up, or sent a share of another size.
        """
        own = self._runtime.get_var(name)
        if to != self._channel.name:
            send(self._channel, to, f"open {name}", Shares(data=_content(own, shape)))
            return None
        shares = []
        for party in self._parties:
            if party == to:
                shares.append(own)
                continue
            data = receive(self._channel, party, f"open {name}", Shares).data
            shares.append(self._filled(own, data, shape, party))
        return self._io.reconstruct(shares)

    def save(self, names: Sequence[str]) -> bytes:
        """Return this party's shares of the named values, for :meth:`load`."""
        held = {name: self._runtime.get_var(name) for name in names}
        encoded: bytes = msgpack.packb(
            {name: [share.meta, list(share.share_chunks)] for name, share in held.items()}
        )
        return encoded

    def load(self, data: bytes) -> None:
        """Take up shares that :meth:`save` returned, here or in an earlier process of the same party."""
        held: Mapping[str, Any] = msgpack.unpackb(data)
        for name, (meta, chunks) in held.items():
            self._runtime.set_var(name, self._share(meta, chunks))

    def _filled(self, like: Any, data: bytes, shape: tuple[int, ...], peer: str) -> Any:
        """Return a share with the type and shape of ``like`` and the contents ``data``, whose size is checked."""
        due = _size(shape)
        if len(data) != due:
            raise PeerError(peer, f"sent a share of {len(data)} bytes, {due} were due for shape {shape}")
        (chunk,) = like.share_chunks
        return self._share(like.meta, [chunk[: len(chunk) - due] + data])

    def _share(self, meta: bytes, chunks: list[bytes]) -> Any:
        share = self._spu.libspu.Share()
        share.meta, share.share_chunks = meta, chunks
        return share


def agree(channel: Channel, digest: bytes) -> None:
    """Make sure that all parties are about to run the same programs.

    Raises:
        PeerError: A peer was silent, gave up, or compiled something else.
    """
    for peer in channel.peers:
        send(channel, peer, "program", Outline(digest=digest))
    for peer in channel.peers:
        if receive(channel, peer, "program", Outline).digest != digest:
            raise PeerError(
                peer, "compiled another program: all parties need the same versions of dtxeth and jax"
            )


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * _ELEMENT


def _content(share: Any, shape: tuple[int, ...]) -> bytes:
    """Return the ring elements of a share; they end its only chunk."""
    chunks: list[bytes] = share.share_chunks
    if len(chunks) != 1 or len(chunks[0]) < _size(shape):
        raise TaskError(f"SPU cut a value of shape {shape} into {len(chunks)} chunks: use smaller batches")
    return chunks[0][len(chunks[0]) - _size(shape) :]
