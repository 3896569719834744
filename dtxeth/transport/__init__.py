"""Channels between the parties of a protocol."""

from dtxeth.transport.channel import Channel, Link, memory_channels
from dtxeth.transport.identity import Identity, Peer
from dtxeth.transport.isolation import run_in_process
from dtxeth.transport.rpc import GrpcTransport
from dtxeth.transport.transport import MemoryTransport, Transport

__all__ = [
    "Channel",
    "GrpcTransport",
    "Identity",
    "Link",
    "MemoryTransport",
    "Peer",
    "Transport",
    "memory_channels",
    "run_in_process",
]
