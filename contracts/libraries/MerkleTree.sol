// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Merkle trees of RFC 9162
/// @notice Computes a root from some leaves of a tree and a multiproof.
/// @dev SHA-256 by its precompile: a leaf is SHA-256(0x00 ‖ data), an inner node SHA-256(0x01 ‖ left ‖ right), and a node
/// without a sibling is promoted to the next level as it is. The tags keep a node from passing for a leaf; promotion keeps two
/// leaf lists from having one root. dtxeth/crypto/merkle.py is the twin that builds trees and proofs.
///
/// What comes from outside is packed, for an answer's price is its calldata (EIP-7623): a word of the ABI's costs as much as
/// a third of a hash and says nothing. An answer is its leaves, each behind one byte that says its length, then the hashes of
/// the multiproof.
///
/// Scratch data is written past the free memory pointer without moving it: a proof hashes hundreds of nodes, and memory costs
/// more the more of it there is. The precompile fails only for want of gas; then everything is undone.
library MerkleTree {
    /// @notice Bytes of a leaf; the last leaf of a piece may be shorter.
    uint256 internal constant LEAF_SIZE = 248;

    /// @notice The proof has {length} bytes, this tree and these leaves need {expected}; make the proof again.
    error InvalidProofLength(uint256 length, uint256 expected);
    /// @notice Leaf {position} of the answer has {length} bytes, or is cut off; a leaf has 1 to {maximum}.
    error InvalidLeaf(uint256 position, uint256 length, uint256 maximum);

    /// @notice Hashes the leaves that an answer begins with.
    /// @param answer For each leaf its length in one byte and its bytes; then the multiproof.
    /// @param count How many leaves.
    /// @return hashes SHA-256(0x00 ‖ data) of each.
    /// @return proof The rest of the answer.
    function leafHashes(
        bytes calldata answer,
        uint256 count
    ) internal view returns (bytes32[] memory hashes, bytes calldata proof) {
        hashes = new bytes32[](count);
        uint256 start;
        for (uint256 i = 0; i < count; ++i) {
            uint256 length = start < answer.length ? uint8(answer[start]) : 0;
            require(
                length >= 1 && length <= LEAF_SIZE && start + 1 + length <= answer.length,
                InvalidLeaf(i, length, LEAF_SIZE)
            );
            hashes[i] = leafHash(answer[start + 1:start + 1 + length]);
            start += 1 + length;
        }
        proof = answer[start:];
    }

    /// @notice The hash of a leaf.
    /// @param data Its bytes.
    /// @return hash SHA-256(0x00 ‖ data).
    function leafHash(bytes calldata data) internal view returns (bytes32 hash) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0x00)
            calldatacopy(add(buffer, 1), data.offset, data.length)
            if iszero(staticcall(gas(), 0x02, buffer, add(data.length, 1), 0x00, 32)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }

    /// @notice The root that leaves and a multiproof give.
    /// @dev Climbs level by level in place: `hashes` and `indices` are overwritten. At most 32 levels, for leafCount is a uint32.
    /// @param hashes Hashes of the proven leaves, at least one.
    /// @param indices As many numbers of leaves, ascending, distinct and below leafCount: what the caller has drawn, so not
    /// checked here.
    /// @param leafCount Number of leaves in the tree.
    /// @param proof The hashes that are missing, one behind the other; reverts unless every one is used.
    /// @return The root.
    function root(
        bytes32[] memory hashes,
        uint32[] memory indices,
        uint32 leafCount,
        bytes calldata proof
    ) internal view returns (bytes32) {
        uint256 known = hashes.length;
        uint256 start;
        // solhint-disable-next-line no-inline-assembly
        assembly {
            start := proof.offset
        }
        uint256 next = start;
        unchecked {
            for (uint256 width = leafCount; width > 1; width = (width + 1) / 2) {
                (known, next) = _climb(hashes, indices, known, width, next);
            }
        }
        require(next - start == proof.length, InvalidProofLength(proof.length, next - start));
        return hashes[0];
    }

    /// @dev Replaces the known nodes of a level by their parents, left to right. Takes a hash from the proof only for a sibling
    /// that is neither known nor missing. In assembly, for bounds checks would cost more than the hashing; they are not needed:
    /// the arrays are read at positions below `known`, at most their length, and written at or before the position read last
    /// (what the comparison with a position `known` reads does not count). A proof read past its end gives whatever lies there,
    /// so that the climb goes on and can tell how much it needs.
    /// @param hashes Hashes of the known nodes, in place.
    /// @param indices Their numbers in the level, in place.
    /// @param known How many they are.
    /// @param width Nodes in the level.
    /// @param next Where in the calldata the unused hashes begin.
    /// @return parents How many parents there are.
    /// @return rest Where in the calldata the unused hashes begin.
    function _climb(
        bytes32[] memory hashes,
        uint32[] memory indices,
        uint256 known,
        uint256 width,
        uint256 next
    ) private view returns (uint256 parents, uint256 rest) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let node := mload(0x40) // 0x01 ‖ left ‖ right
            mstore8(node, 0x01)
            let ahead := sub(indices, hashes) // from a node's hash to its index
            let source := add(hashes, 32)
            let end := add(source, shl(5, known))
            let target := source
            rest := next
            for { } lt(source, end) { source := add(source, 32) } {
                let index := mload(add(source, ahead))
                let hash := mload(source)
                if lt(xor(index, 1), width) {
                    switch and(index, 1)
                    case 1 {
                        mstore(add(node, 1), calldataload(rest))
                        mstore(add(node, 33), hash)
                        rest := add(rest, 32)
                    }
                    default {
                        mstore(add(node, 1), hash)
                        let right := add(source, 32)
                        switch and(lt(right, end), eq(mload(add(right, ahead)), add(index, 1)))
                        case 1 {
                            mstore(add(node, 33), mload(right))
                            source := right
                        }
                        default {
                            mstore(add(node, 33), calldataload(rest))
                            rest := add(rest, 32)
                        }
                    }
                    if iszero(staticcall(gas(), 0x02, node, 65, 0x00, 32)) { revert(0, 0) }
                    hash := mload(0x00)
                }
                mstore(add(target, ahead), shr(1, index))
                mstore(target, hash)
                target := add(target, 32)
            }
            parents := shr(5, sub(sub(target, hashes), 32))
        }
    }
}
