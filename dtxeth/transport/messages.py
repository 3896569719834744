"""Messages: typed, strict, hostile-safe MessagePack for what protocols say to each other.

A message is a frozen pydantic model. On the wire it is one MessagePack map of its fields; decoding checks
every type, range and length, allows no unknown or missing field and builds no Python objects other than the
model.
"""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

import msgpack
from pydantic import BaseModel, ConfigDict, ValidationError

from dtxeth.errors import PeerError
from dtxeth.transport.channel import MAX_PAYLOAD, Channel

_MAX_ITEMS: Final = 1 << 20

M = TypeVar("M", bound="Message")


class Message(BaseModel):
    """Base of all messages: immutable, strict types, no unknown fields.

    Fields are ``int`` (64 bits), ``float``, ``bool``, ``str``, ``bytes`` and lists of these; limits are
    declared with :func:`pydantic.Field`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """Encode as one MessagePack map."""
        encoded: bytes = msgpack.packb(self.model_dump())
        return encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` made.

        Raises:
            ValueError: Not MessagePack, or fields of another name, type, range or length.
        """
        try:
            fields: Any = msgpack.unpackb(
                data,
                strict_map_key=True,
                max_bin_len=MAX_PAYLOAD,
                max_str_len=1 << 16,
                max_array_len=_MAX_ITEMS,
                max_map_len=len(cls.model_fields),
                max_ext_len=0,
            )
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:40]
            raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None
        except (ValueError, RecursionError, msgpack.UnpackException) as error:
            raise ValueError(f"not a MessagePack map ({type(error).__name__})") from None


def send(channel: Channel, peer: str, tag: str, message: Message) -> None:
    """Send ``message`` to ``peer`` under ``tag``; raises as :meth:`Channel.send`."""
    channel.send(peer, tag, message.to_bytes())


def receive(channel: Channel, peer: str, tag: str, kind: type[M]) -> M:
    """Receive the message ``tag`` of ``peer`` as a ``kind``.

    Raises:
        PeerError: As :meth:`Channel.recv`, and when the payload is not a valid ``kind``.
    """
    payload = channel.recv(peer, tag)
    try:
        return kind.from_bytes(payload)
    except ValueError as error:
        raise PeerError(peer, f"sent a malformed {tag!r}: {error}") from None
