// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IKeyRegistry} from "./interfaces/IKeyRegistry.sol";

/// @title Encryption keys of accounts
contract KeyRegistry is IKeyRegistry {
    struct VersionedKey {
        bytes32 key;
        uint64 version;
    }

    mapping(address account => VersionedKey) private _keys;

    /// @inheritdoc IKeyRegistry
    function publish(bytes32 key) external returns (uint64 version) {
        require(key != 0, ZeroKey());
        VersionedKey storage current = _keys[msg.sender];
        version = current.version + 1;
        current.key = key;
        current.version = version;
        emit KeyPublished(msg.sender, key, version);
    }

    /// @inheritdoc IKeyRegistry
    function keyOf(address account) external view returns (bytes32 key, uint64 version) {
        VersionedKey storage current = _keys[account];
        return (current.key, current.version);
    }
}
