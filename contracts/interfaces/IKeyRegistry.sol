// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Encryption keys of accounts
/// @notice Where anybody finds the X25519 public key to wrap a secret for an account.
/// @dev An encryption key is never the signing key. Publishing again rotates it: the version counts up from 1, and what was
/// wrapped for an older version stays wrapped for it.
interface IKeyRegistry {
    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The encryption key is zero; publish the 32 bytes of an X25519 public key.
    error ZeroKey();

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice An account published its first or its next encryption key.
    /// @param account The account whose key it is.
    /// @param key X25519 public key.
    /// @param version 1 for the first key, one more at each rotation.
    event KeyPublished(address indexed account, bytes32 key, uint64 version);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Publish or rotate the sender's encryption key.
    /// @param key X25519 public key, not zero.
    /// @return version Version of the key just published.
    function publish(bytes32 key) external returns (uint64 version);

    /// @notice The current encryption key of an account.
    /// @param account Any account.
    /// @return key X25519 public key, zero if none was ever published.
    /// @return version Its version, 0 if none was ever published.
    function keyOf(address account) external view returns (bytes32 key, uint64 version);
}
