"""Channels between the parties of a protocol."""
