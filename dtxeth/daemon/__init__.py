"""Nodes that run as processes of their own: storage nodes, data owners, executors; and a whole network of them."""

from __future__ import annotations

from dtxeth.daemon.devnet import Devnet
from dtxeth.daemon.node import NodeDaemon
from dtxeth.daemon.pidfile import PidFile

__all__ = ["Devnet", "NodeDaemon", "PidFile"]
