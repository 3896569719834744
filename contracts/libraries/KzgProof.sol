// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title KZG proofs of possession
library KzgProof {
    /// @notice Data bytes of a blob: 4096 field elements of 31 bytes.
    uint256 internal constant BLOB_SIZE = 126_976;

    /// @notice An answer: one opening for all the drawn blobs.
    /// @param points Commitments of the blobs, in order.
    /// @param path Multiproof of these commitments under the holding's root.
    /// @param value Value of the folded polynomial at the challenge's point, big-endian.
    /// @param opening KZG proof of that value, 48 bytes.
    struct Answer {
        bytes points;
        bytes32[] path;
        bytes32 value;
        bytes opening;
    }

    function verify(
        bytes32,
        uint32,
        uint32[] memory,
        bytes32,
        Answer calldata
    ) internal pure returns (bool) {
        return false;
    }
}
