"""Reading stripes: any k shards of each that are good, a few stripes ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from dtxeth.storage.client import NodeClient
from dtxeth.storage.coding import decode
from dtxeth.storage.hedging import NodePool, Race
from dtxeth.storage.manifest import Manifest, Piece
from dtxeth.storage.pieces import encrypt_piece

_SLICES_AHEAD = 12  # of 1 MiB each, fetched and not yet used: this and the stripe in hand bound the memory

_Source = tuple[int, str, Callable[[NodeClient], bytes]]


@dataclass(frozen=True)
class StripeReader:
    """Reads a file stripe by stripe.

    Attributes:
        file_id: The file.
        file_key: Its key.
        manifest: Its manifest.
        nodes: Whom to ask.
        authorization_id: What to read by, 0 as the owner.
    """

    file_id: bytes
    file_key: bytes
    manifest: Manifest
    nodes: NodePool
    authorization_id: int = 0

    def stripes(self, numbers: Iterable[int]) -> Iterator[tuple[bytes, ...]]:
        """Yield the slices of stripes, those of the last one padded.

        Raises:
            NotEnoughNodesError: A stripe of which too few nodes have a shard; says why of each.
        """
        places, needed = self.manifest.shards(), self.manifest.redundancy.needed
        waiting = iter(numbers)
        races = deque(self._race(number, places) for number in islice(waiting, 1 + _SLICES_AHEAD // needed))
        try:
            while races:
                shards = races.popleft().result(races)
                races.extend(self._race(number, places) for number in islice(waiting, 1))
                yield decode(shards, needed)
        finally:
            self.nodes.close()

    def _race(self, stripe: int, places: list[dict[int, tuple[str, Piece]]]) -> Race[int, bytes]:
        needed, left = self.manifest.redundancy.needed, dict(places[stripe])

        def rank(shard: int) -> tuple[bool, bool, bool, float]:
            """Without faults, then without decoding, then the fastest."""
            node, _ = left[shard]
            return *self.nodes.rank(node), 1 < needed <= shard, self.nodes.load(node)

        def following() -> _Source | None:
            if not left:
                return None
            shard = min(left, key=rank)
            node, piece = left.pop(shard)
            return shard, node, lambda client: self._fetch(client, piece)

        what = f"stripe {stripe} of file 0x{self.file_id.hex()} cannot be read"
        return Race(self.nodes, needed, following, what)

    def _fetch(self, client: NodeClient, piece: Piece) -> bytes:
        data = client.get_piece(self.file_id, piece.digest, self.authorization_id)
        return encrypt_piece(self.file_key, piece.piece_id, client.address, self.manifest.generation, data)
