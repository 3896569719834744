"""Channels between the parties of a protocol.

:mod:`dtxeth.transport.rpc` has those over gRPC; it is imported by who needs it, since a party's own process does not.
"""

from dtxeth.transport.channel import Channel, Link, memory_channels
from dtxeth.transport.identity import Identity, Peer
from dtxeth.transport.isolation import run_in_process
from dtxeth.transport.transport import MemoryTransport, Transport

__all__ = [
    "Channel",
    "Identity",
    "Link",
    "MemoryTransport",
    "Peer",
    "Transport",
    "memory_channels",
    "run_in_process",
]
