"""The HTTP faces of storage nodes and owners, and the server that they run in.

::

    with serve(storage_node_app(service), "127.0.0.1", 8080) as server:
        node = HttpStorageNode(server.url)
"""

from __future__ import annotations

from dtxeth.web.client import OwnerClient
from dtxeth.web.limits import Limits
from dtxeth.web.local import LocalServers
from dtxeth.web.owner import owner_app
from dtxeth.web.server import Server, serve
from dtxeth.web.storage_node import storage_node_app

__all__ = ["Limits", "LocalServers", "OwnerClient", "Server", "owner_app", "serve", "storage_node_app"]
