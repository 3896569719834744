"""Channels between the parties of a protocol."""

from dtxeth.transport.channel import Channel, Link, memory_channels
from dtxeth.transport.isolation import run_in_process

__all__ = ["Channel", "Link", "memory_channels", "run_in_process"]
