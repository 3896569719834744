// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleTree} from "../libraries/MerkleTree.sol";

/// @title The Merkle library, open to tests
contract MerkleHarness {
    /// @notice The root that leaves and a multiproof give.
    /// @param answer The proven leaves and the multiproof, packed.
    /// @param indices The leaves' numbers.
    /// @param leafCount Number of leaves in the tree.
    /// @return The root.
    function root(
        bytes calldata answer,
        uint32[] calldata indices,
        uint32 leafCount
    ) external view returns (bytes32) {
        (bytes32[] memory hashes, bytes calldata proof) = MerkleTree.leafHashes(answer, indices.length);
        return MerkleTree.root(hashes, indices, leafCount, proof);
    }
}
