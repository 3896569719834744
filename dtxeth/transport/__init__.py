"""Channels between the parties of a protocol."""

from dtxeth.transport.channel import Channel, Link, memory_channels

__all__ = ["Channel", "Link", "memory_channels"]
