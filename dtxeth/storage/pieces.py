"""Slices and pieces: the sealed file is cut into slices, coded into shards, and each is encrypted for its node.

A slice is 1,015,808 bytes: below the 1 MiB of an IPFS block, 8 polynomials of 126,976 bytes for the pairing
proofs, and 4096 = 2^12 leaves for the Merkle ones. A holding has its full pieces first; each then is a
perfect, aligned subtree of the holding's tree, for which a node need keep 32 bytes. Only a shard of the last
stripe and the manifest may be shorter; they come last, in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from eth_utils.address import to_canonical_address

from dtxeth.crypto import merkle
from dtxeth.errors import InputError
from dtxeth.storage.seal import derive_key

SLICE_SIZE = 1_015_808
"""Bytes of a slice, hence of a full piece."""
FULL_LEAVES = SLICE_SIZE // merkle.LEAF_SIZE
"""Leaves of a full piece: 4096."""
PIECE_ID_SIZE = 16
"""Bytes of a piece id; drawn at random for every piece."""


def encrypt_piece(file_key: bytes, piece_id: bytes, node: str, generation: int, data: bytes) -> bytes:
    """Turn a shard into the piece for one node, or back: AES-256-CTR is its own inverse.

    The key is HKDF(file key, piece id, node, generation). The random piece id makes it fresh for every piece,
    so it encrypts one text only and the counter may start at zero: no two pieces share keystream, on whatever
    nodes, in whatever generation of the redundancy. What is inside is authenticated already; this layer
    only sees to it that no two nodes store the same bytes.

    Args:
        file_key: The 32-byte file key.
        piece_id: The piece's random id.
        node: Address of the node.
        generation: The file's, as the manifest has it.
        data: The shard or the piece.
    """
    key = derive_key(file_key, b"piece", piece_id, to_canonical_address(node), generation.to_bytes(4, "big"))
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(data)


def manifest_piece_id(manifest_digest: bytes) -> bytes:
    """Piece id of a sealed manifest: the start of its digest, known to whoever has read the chain.

    As fresh as a random one: the manifest is sealed under a random nonce, so each has a digest of its own.
    """
    return manifest_digest[:PIECE_ID_SIZE]


def leaf_count(piece_size: int) -> int:
    """Leaves of a piece."""
    return -(-piece_size // merkle.LEAF_SIZE)


def subtree_roots(full_roots: Sequence[bytes], short_pieces: Sequence[bytes]) -> list[bytes]:
    """Roots of a holding's aligned subtrees of 4096 leaves, the last one of whatever is left.

    Args:
        full_roots: Roots of its full pieces, in order.
        short_pieces: Bytes of the pieces after them.
    """
    rest = [leaf for piece in short_pieces for leaf in merkle.leaf_hashes(piece)]
    return [
        *full_roots,
        *(merkle.root(rest[start : start + FULL_LEAVES]) for start in range(0, len(rest), FULL_LEAVES)),
    ]


def holding_root(subtrees: Sequence[bytes]) -> bytes:
    """Root of a holding: the subtrees are perfect but for the last, so their roots are one level of its tree.

    Raises:
        InputError: There are none.
    """
    if not subtrees:
        raise InputError("a holding without pieces has no root")
    return merkle.root(subtrees)
