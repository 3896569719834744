// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {KzgProof} from "../libraries/KzgProof.sol";

/// @title The KZG library, open to tests
contract KzgHarness {
    /// @notice Whether an answer proves the drawn blobs of a holding.
    /// @param commitmentsRoot Root over the holding's commitments.
    /// @param blobCount How many they are.
    /// @param indices Numbers of the drawn blobs.
    /// @param seed The challenge's.
    /// @param answer See there.
    /// @return True if it does.
    function verify(
        bytes32 commitmentsRoot,
        uint32 blobCount,
        uint32[] calldata indices,
        bytes32 seed,
        bytes calldata answer
    ) external view returns (bool) {
        return KzgProof.verify(commitmentsRoot, blobCount, indices, seed, answer);
    }

    /// @notice The same, with only so much gas.
    /// @param available That much.
    /// @param commitmentsRoot Root over the holding's commitments.
    /// @param blobCount How many they are.
    /// @param indices Numbers of the drawn blobs.
    /// @param seed The challenge's.
    /// @param answer See there.
    /// @return True if it does.
    function verifyWithin(
        uint256 available,
        bytes32 commitmentsRoot,
        uint32 blobCount,
        uint32[] calldata indices,
        bytes32 seed,
        bytes calldata answer
    ) external view returns (bool) {
        return this.verify{gas: available}(commitmentsRoot, blobCount, indices, seed, answer);
    }
}
