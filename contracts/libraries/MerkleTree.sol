// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Merkle trees of RFC 9162
/// @notice Computes a root from some leaves of a tree and a multiproof.
/// @dev SHA-256 by its precompile: a leaf is SHA-256(0x00 ‖ data), an inner node SHA-256(0x01 ‖ left ‖ right), and a node
/// without a sibling is promoted to the next level as it is. The tags keep a node from passing for a leaf; promotion keeps two
/// leaf lists from having one root. dtxeth/crypto/merkle.py is the twin that builds trees and proofs.
library MerkleTree {
    /// @notice Bytes of a leaf; the last leaf of a piece may be shorter.
    uint256 internal constant LEAF_SIZE = 248;

    /// @notice The proof has {length} hashes, this tree and these leaves need {expected}; make the proof again.
    error InvalidProofLength(uint256 length, uint256 expected);

    /// @notice The hash of a leaf.
    /// @param data Its bytes.
    /// @return SHA-256(0x00 ‖ data).
    function leafHash(bytes calldata data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), data));
    }

    /// @notice The root that leaves and a multiproof give.
    /// @dev Climbs level by level, left to right, in place: `hashes` and `indices` are overwritten. A level takes a hash from
    /// the proof only for a sibling that is neither computed nor missing. At most 32 levels, for leafCount is a uint32.
    /// @param hashes Hashes of the proven leaves, at least one.
    /// @param indices Their numbers, ascending, distinct and below leafCount: what the caller has drawn, so not checked here.
    /// @param leafCount Number of leaves in the tree.
    /// @param proof The hashes that are missing; reverts unless every one is used.
    /// @return The root.
    function root(
        bytes32[] memory hashes,
        uint32[] memory indices,
        uint32 leafCount,
        bytes32[] calldata proof
    ) internal view returns (bytes32) {
        uint256 known = hashes.length;
        uint256 used;
        unchecked {
            // No counter passes 2^33: there are at most 32 levels, and a level has no more nodes than leaves were proven.
            for (uint256 width = leafCount; width > 1; width = (width + 1) / 2) {
                uint256 parents;
                for (uint256 i = 0; i < known; ++i) {
                    uint256 index = indices[i];
                    bytes32 hash = hashes[i];
                    if (index % 2 == 1) {
                        hash = _nodeHash(_at(proof, used++), hash);
                    } else if (i + 1 < known && indices[i + 1] == index + 1) {
                        hash = _nodeHash(hash, hashes[++i]);
                    } else if (index + 1 < width) {
                        hash = _nodeHash(hash, _at(proof, used++));
                    }
                    indices[parents] = uint32(index / 2);
                    hashes[parents++] = hash;
                }
                known = parents;
            }
        }
        require(used == proof.length, InvalidProofLength(proof.length, used));
        return hashes[0];
    }

    /// @dev The next hash of the proof; zero past its end, so that the climb goes on and can tell how many it needs.
    function _at(bytes32[] calldata proof, uint256 position) private pure returns (bytes32) {
        return position < proof.length ? proof[position] : bytes32(0);
    }

    /// @dev SHA-256(0x01 ‖ left ‖ right), written past the free memory pointer without moving it: a proof hashes hundreds of
    /// nodes and memory costs more the more of it there is. The precompile fails only for want of gas.
    function _nodeHash(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0x01)
            mstore(add(buffer, 1), left)
            mstore(add(buffer, 33), right)
            if iszero(staticcall(gas(), 0x02, buffer, 65, 0x00, 32)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }
}
