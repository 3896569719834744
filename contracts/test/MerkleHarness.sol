// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleTree} from "../libraries/MerkleTree.sol";

/// @title The Merkle library, open to tests
contract MerkleHarness {
    /// @notice The root that leaves and a multiproof give.
    /// @param leaves The proven leaves.
    /// @param indices Their numbers.
    /// @param leafCount Number of leaves in the tree.
    /// @param proof The multiproof.
    /// @return The root.
    function root(
        bytes[] calldata leaves,
        uint32[] calldata indices,
        uint32 leafCount,
        bytes32[] calldata proof
    ) external view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            hashes[i] = MerkleTree.leafHash(leaves[i]);
        }
        return MerkleTree.root(hashes, indices, leafCount, proof);
    }
}
