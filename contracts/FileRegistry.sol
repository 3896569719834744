// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {HoldingBook} from "./HoldingBook.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IStorageChallenge} from "./interfaces/IStorageChallenge.sol";

/// @title Namespaces, files and holdings
contract FileRegistry is HoldingBook {
    uint256 private constant MAX_NAME = 64;
    uint256 private constant MAX_WRAPPED_KEY = 256;
    uint64 private constant MAX_LIFETIME = 36_525 days;

    mapping(bytes32 namespaceId => Namespace) private _namespaces;
    mapping(bytes32 fileId => File) private _files;

    constructor(
        INodeRegistry nodeRegistry,
        IStorageChallenge storageChallenge
    ) HoldingBook(nodeRegistry, storageChallenge) {}

    /*//////////////////////////////////////////////////////////////
                               NAMESPACES
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileRegistry
    function addNamespace(
        string calldata name,
        uint8 needed,
        uint8 total,
        Possession possession
    ) external returns (bytes32 namespaceId) {
        uint256 length = bytes(name).length;
        require(length >= 1 && length <= MAX_NAME, InvalidNamespaceName(length, MAX_NAME));
        _requireRedundancy(needed, total);
        require(possession != Possession.None, NoPossession());
        namespaceId = namespaceIdOf(msg.sender, name);
        require(_namespaces[namespaceId].owner == address(0), NamespaceExists(name));

        _namespaces[namespaceId] = Namespace(
            msg.sender,
            needed,
            total,
            possession,
            uint64(block.timestamp),
            name
        );
        emit NamespaceAdded(namespaceId, msg.sender, name, needed, total, possession);
    }

    /// @inheritdoc IFileRegistry
    function setRedundancy(bytes32 namespaceId, uint8 needed, uint8 total) external {
        Namespace storage namespace = _ownNamespace(namespaceId);
        _requireRedundancy(needed, total);
        namespace.needed = needed;
        namespace.total = total;
        emit RedundancyChanged(namespaceId, msg.sender, needed, total);
    }

    /// @inheritdoc IFileRegistry
    function namespaceOf(bytes32 namespaceId) external view returns (Namespace memory namespace) {
        namespace = _namespaces[namespaceId];
        require(namespace.owner != address(0), UnknownNamespace(namespaceId));
    }

    /// @inheritdoc IFileRegistry
    function namespaceIdOf(address owner, string calldata name) public pure returns (bytes32 namespaceId) {
        return keccak256(abi.encode(owner, name));
    }

    /*//////////////////////////////////////////////////////////////
                                 FILES
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileRegistry
    function publish(
        Publication calldata publication,
        Acknowledgement[] calldata acknowledgements
    ) external returns (bytes32 fileId) {
        fileId = fileIdOf(msg.sender, publication.salt);
        require(_files[fileId].owner == address(0), FileExists(fileId));
        Namespace storage namespace = _ownNamespace(publication.namespaceId);
        (uint8 needed, uint8 total) = (namespace.needed, namespace.total);
        uint256 given = acknowledgements.length;
        require(given >= total, TooFewAcknowledgements(given, total));
        _record(fileId, needed, total, publication);
        _addHoldings(fileId, 1, publication.expiresAt, namespace.possession, acknowledgements);
    }

    /// @inheritdoc IFileRegistry
    function revise(Revision calldata revision, Acknowledgement[] calldata acknowledgements) external {
        bytes32 fileId = revision.fileId;
        File storage file = _ownFile(fileId);
        _requireRevisable(file, revision, acknowledgements.length);
        uint32 version = ++file.version;
        (file.needed, file.total) = (revision.needed, revision.total);
        file.expiresAt = revision.expiresAt;
        file.manifestDigest = revision.manifestDigest;
        emit FileRevised(
            fileId,
            msg.sender,
            revision.cause,
            version,
            uint64(block.timestamp),
            revision.expiresAt,
            revision.needed,
            revision.total,
            revision.manifestDigest
        );

        _dropHoldings(fileId, version, revision.dropped);
        Possession possession = _namespaces[file.namespaceId].possession;
        _addHoldings(fileId, version, revision.expiresAt, possession, acknowledgements);
        uint256 left = _liveCount(fileId);
        require(left >= revision.needed, TooFewHoldings(left, revision.needed));
    }

    /// @inheritdoc IFileRegistry
    function deleteFile(bytes32 fileId) external {
        File storage file = _ownFile(fileId);
        file.deleted = true;
        emit FileDeleted(fileId, msg.sender);
        _endHoldings(fileId, file.version);
    }

    /// @inheritdoc IFileRegistry
    function fileIdOf(address owner, bytes32 salt) public pure returns (bytes32 fileId) {
        return keccak256(abi.encode(owner, salt));
    }

    /// @inheritdoc IFileRegistry
    function fileOf(bytes32 fileId) external view returns (File memory file) {
        return _file(fileId);
    }

    /// @inheritdoc IFileRegistry
    function ownerOf(bytes32 fileId) external view returns (address owner) {
        return _file(fileId).owner;
    }

    /// @inheritdoc IFileRegistry
    function isLive(bytes32 fileId) external view returns (bool live) {
        File storage file = _file(fileId);
        return !file.deleted && block.timestamp <= file.expiresAt;
    }

    /// @inheritdoc IFileRegistry
    function requireLive(bytes32 fileId) external view returns (address owner, uint64 expiresAt) {
        File storage file = _file(fileId);
        (owner, expiresAt) = (file.owner, file.expiresAt);
        require(!file.deleted, FileDeletedAlready(fileId));
        require(block.timestamp <= expiresAt, FileExpired(fileId, expiresAt));
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _record(bytes32 fileId, uint8 needed, uint8 total, Publication calldata publication) private {
        uint64 current = uint64(block.timestamp);
        _requireExpiry(publication.expiresAt, current);
        require(publication.size > 0, EmptyFile());
        require(publication.manifestDigest != 0, ZeroManifestDigest());
        uint256 keyLength = publication.wrappedKey.length;
        require(
            keyLength >= 1 && keyLength <= MAX_WRAPPED_KEY,
            InvalidWrappedKey(keyLength, MAX_WRAPPED_KEY)
        );

        _files[fileId] = File({
            owner: msg.sender,
            version: 1,
            needed: needed,
            total: total,
            deleted: false,
            namespaceId: publication.namespaceId,
            size: publication.size,
            rows: publication.rows,
            publishedAt: current,
            expiresAt: publication.expiresAt,
            manifestDigest: publication.manifestDigest,
            wrappedKey: publication.wrappedKey
        });
        emit FilePublished(
            fileId,
            msg.sender,
            publication.namespaceId,
            publication.size,
            publication.rows,
            current,
            publication.expiresAt,
            needed,
            total,
            publication.manifestDigest,
            publication.sealedInfo
        );
    }

    /// @dev An expired file can be renewed during its retention, not otherwise revised. A file's expiry is what enough nodes
    /// to read it have promised.
    function _requireRevisable(File storage file, Revision calldata revision, uint256 given) private view {
        uint64 current = uint64(block.timestamp);
        uint64 expiresAt = file.expiresAt;
        uint64 endedAt = expiresAt + RETENTION;
        require(current <= endedAt, RetentionOver(revision.fileId, endedAt));
        _requireExpiry(revision.expiresAt, current);
        require(
            revision.expiresAt >= expiresAt,
            ExpiryShortened(revision.fileId, revision.expiresAt, expiresAt)
        );
        require(revision.cause != Cause.None, NoCause());
        require(revision.manifestDigest != 0, ZeroManifestDigest());
        _requireRedundancy(revision.needed, revision.total);
        bool enough = given >= revision.needed || revision.expiresAt == expiresAt;
        require(enough, TooFewAcknowledgements(given, revision.needed));
    }

    function _ownNamespace(bytes32 namespaceId) private view returns (Namespace storage namespace) {
        namespace = _namespaces[namespaceId];
        address owner = namespace.owner;
        require(owner != address(0), UnknownNamespace(namespaceId));
        require(msg.sender == owner, NotNamespaceOwner(namespaceId, msg.sender, owner));
    }

    function _ownFile(bytes32 fileId) private view returns (File storage file) {
        file = _file(fileId);
        address owner = file.owner;
        require(msg.sender == owner, NotFileOwner(fileId, msg.sender, owner));
        require(!file.deleted, FileDeletedAlready(fileId));
    }

    function _file(bytes32 fileId) private view returns (File storage file) {
        file = _files[fileId];
        require(file.owner != address(0), UnknownFile(fileId));
    }

    function _versionOf(bytes32 fileId) internal view override returns (uint32 version) {
        return _file(fileId).version;
    }

    function _requireExpiry(uint64 expiresAt, uint64 current) private pure {
        require(expiresAt > current, ExpiryNotInFuture(expiresAt, current));
        uint64 latest = current + MAX_LIFETIME;
        require(expiresAt <= latest, ExpiryTooFar(expiresAt, latest));
    }

    function _requireRedundancy(uint8 needed, uint8 total) private pure {
        require(
            needed >= 1 && needed <= total && total <= MAX_HOLDINGS,
            InvalidRedundancy(needed, total, MAX_HOLDINGS)
        );
    }
}
