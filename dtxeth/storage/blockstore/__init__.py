"""Block stores: where a node keeps its pieces, behind one interface shaped like Kubo's RPC.

- :class:`EmbeddedBlockStore`: a directory; nothing else to install.
- :class:`IpfsBlockStore`: any IPFS daemon, through ``ipfshttpclient``.
- :func:`kubo_app`: the embedded store over Kubo's RPC paths, so that stock IPFS tools talk to it.
"""

from __future__ import annotations

from dtxeth.storage.blockstore.base import MAX_BLOCK_SIZE, BlockStore, RepoStat
from dtxeth.storage.blockstore.cid import cid_of, cid_of_digest, digest_of_cid
from dtxeth.storage.blockstore.embedded import EmbeddedBlockStore
from dtxeth.storage.blockstore.ipfs import IpfsBlockStore
from dtxeth.storage.blockstore.kubo_server import kubo_app

__all__ = [
    "MAX_BLOCK_SIZE",
    "BlockStore",
    "EmbeddedBlockStore",
    "IpfsBlockStore",
    "RepoStat",
    "cid_of",
    "cid_of_digest",
    "digest_of_cid",
    "kubo_app",
]
