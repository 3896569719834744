// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IFileAuthorization} from "./interfaces/IFileAuthorization.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";

/// @title Authorizations to read a file for a task
contract FileAuthorization is IFileAuthorization {
    uint256 private constant MAX_WRAPPED_KEY = 256;
    uint256 private constant MAX_REASON = 256;

    IFileRegistry private immutable FILE_REGISTRY;

    mapping(uint256 authorizationId => Authorization) private _authorizations;
    mapping(bytes32 fileId => mapping(address applier => mapping(uint256 taskId => uint256 authorizationId)))
        private _latest;
    uint256 private _authorizationCount;

    constructor(IFileRegistry fileRegistry) {
        FILE_REGISTRY = fileRegistry;
    }

    /*//////////////////////////////////////////////////////////////
                            FOR THE APPLIER
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileAuthorization
    function applyFor(bytes32 fileId, uint256 taskId) external returns (uint256 authorizationId) {
        (address owner, ) = FILE_REGISTRY.requireLive(fileId);
        authorizationId = _create(fileId, owner, msg.sender, taskId);
        emit AuthorizationApplied(authorizationId, fileId, msg.sender, owner, taskId);
    }

    /*//////////////////////////////////////////////////////////////
                          FOR THE FILE'S OWNER
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileAuthorization
    function approve(uint256 authorizationId, bytes calldata wrappedKey, uint64 expiresAt) external {
        Authorization storage record = _decidable(authorizationId, AuthorizationStatus.Unapproved);
        (, uint64 latest) = FILE_REGISTRY.requireLive(record.fileId);
        _approve(authorizationId, wrappedKey, expiresAt, latest);
    }

    /// @inheritdoc IFileAuthorization
    function reject(uint256 authorizationId, string calldata reason) external {
        Authorization storage record = _decidable(authorizationId, AuthorizationStatus.Unapproved);
        _requireReason(reason);
        record.status = AuthorizationStatus.Rejected;
        emit AuthorizationRejected(authorizationId, record.fileId, record.applier, reason);
    }

    /// @inheritdoc IFileAuthorization
    function revoke(uint256 authorizationId, string calldata reason) external {
        Authorization storage record = _decidable(authorizationId, AuthorizationStatus.Approved);
        _requireReason(reason);
        record.status = AuthorizationStatus.Revoked;
        delete record.expiresAt;
        delete record.wrappedKey;
        emit AuthorizationRevoked(authorizationId, record.fileId, record.applier, reason);
    }

    /// @inheritdoc IFileAuthorization
    function grant(
        bytes32 fileId,
        address applier,
        uint256 taskId,
        bytes calldata wrappedKey,
        uint64 expiresAt
    ) external returns (uint256 authorizationId) {
        (address owner, uint64 latest) = FILE_REGISTRY.requireLive(fileId);
        require(msg.sender == owner, IFileRegistry.NotFileOwner(fileId, msg.sender, owner));
        require(applier != address(0), ZeroApplier());
        authorizationId = _latest[fileId][applier][taskId];
        if (_authorizations[authorizationId].status != AuthorizationStatus.Unapproved) {
            authorizationId = _create(fileId, owner, applier, taskId);
        }
        _approve(authorizationId, wrappedKey, expiresAt, latest);
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileAuthorization
    function authorization(uint256 authorizationId) external view returns (Authorization memory record) {
        return _existing(authorizationId);
    }

    /// @inheritdoc IFileAuthorization
    function latestOf(
        bytes32 fileId,
        address applier,
        uint256 taskId
    ) external view returns (uint256 authorizationId) {
        return _latest[fileId][applier][taskId];
    }

    /// @inheritdoc IFileAuthorization
    function isCurrent(
        uint256 authorizationId,
        address account,
        bytes32 fileId
    ) external view returns (bool current) {
        Authorization storage record = _authorizations[authorizationId];
        return
            record.applier == account &&
            record.fileId == fileId &&
            _isApprovedNow(record) &&
            FILE_REGISTRY.isLive(fileId);
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _create(
        bytes32 fileId,
        address owner,
        address applier,
        uint256 taskId
    ) private returns (uint256 authorizationId) {
        require(applier != owner, OwnerNeedsNoAuthorization(fileId, owner));
        uint256 previousId = _latest[fileId][applier][taskId];
        Authorization storage previous = _authorizations[previousId];
        bool open = previous.status == AuthorizationStatus.Unapproved || _isApprovedNow(previous);
        require(!open, AuthorizationOpen(previousId));

        authorizationId = ++_authorizationCount;
        _latest[fileId][applier][taskId] = authorizationId;
        Authorization storage record = _authorizations[authorizationId];
        record.fileId = fileId;
        record.applier = applier;
        record.taskId = taskId;
        record.status = AuthorizationStatus.Unapproved;
    }

    function _approve(
        uint256 authorizationId,
        bytes calldata wrappedKey,
        uint64 expiresAt,
        uint64 latest
    ) private {
        uint64 current = uint64(block.timestamp);
        require(
            expiresAt > current && expiresAt <= latest,
            InvalidAuthorizationExpiry(expiresAt, current, latest)
        );
        uint256 length = wrappedKey.length;
        require(length >= 1 && length <= MAX_WRAPPED_KEY, InvalidGrantedKey(length, MAX_WRAPPED_KEY));

        Authorization storage record = _authorizations[authorizationId];
        record.status = AuthorizationStatus.Approved;
        record.expiresAt = expiresAt;
        record.wrappedKey = wrappedKey;
        emit AuthorizationApproved(
            authorizationId,
            record.fileId,
            record.applier,
            msg.sender,
            record.taskId,
            expiresAt
        );
    }

    /// @dev The authorization, if it has the expected status and the sender owns its file.
    function _decidable(
        uint256 authorizationId,
        AuthorizationStatus expected
    ) private view returns (Authorization storage record) {
        record = _existing(authorizationId);
        address owner = FILE_REGISTRY.ownerOf(record.fileId);
        require(msg.sender == owner, NotAuthorizationOwner(authorizationId, msg.sender, owner));
        AuthorizationStatus status = record.status;
        require(status == expected, WrongAuthorizationStatus(authorizationId, status, expected));
    }

    function _existing(uint256 authorizationId) private view returns (Authorization storage record) {
        record = _authorizations[authorizationId];
        require(record.status != AuthorizationStatus.None, UnknownAuthorization(authorizationId));
    }

    function _isApprovedNow(Authorization storage record) private view returns (bool) {
        return record.status == AuthorizationStatus.Approved && block.timestamp <= record.expiresAt;
    }

    function _requireReason(string calldata reason) private pure {
        uint256 length = bytes(reason).length;
        require(length <= MAX_REASON, AuthorizationReasonTooLong(length, MAX_REASON));
    }
}
