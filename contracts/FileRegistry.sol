// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";

/// @title Namespaces, files and holdings
contract FileRegistry is IFileRegistry, EIP712 {
    uint256 private constant MAX_HOLDINGS = 64;
    uint256 private constant MAX_NAME = 64;
    uint256 private constant MAX_WRAPPED_KEY = 256;
    bytes32 private constant ACKNOWLEDGEMENT_TYPEHASH =
        keccak256(
            "Acknowledgement(bytes32 fileId,address owner,address node,bytes32 root,"
            "uint32 leafCount,uint64 size,uint64 expiresAt,uint64 deadline)"
        );

    INodeRegistry private immutable NODE_REGISTRY;

    mapping(bytes32 namespaceId => Namespace) private _namespaces;
    mapping(bytes32 fileId => File) private _files;
    mapping(bytes32 fileId => uint256[]) private _holdingIds;
    mapping(bytes32 fileId => mapping(address node => uint256 holdingId)) private _holdingOn;
    mapping(uint256 holdingId => Holding) private _holdings;
    uint256 private _holdingCount;

    constructor(INodeRegistry nodeRegistry) EIP712("dtxeth FileRegistry", "1") {
        NODE_REGISTRY = nodeRegistry;
    }

    /*//////////////////////////////////////////////////////////////
                               NAMESPACES
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileRegistry
    function addNamespace(string calldata name, uint8 replicas) external returns (bytes32 namespaceId) {
        uint256 length = bytes(name).length;
        require(length >= 1 && length <= MAX_NAME, InvalidNamespaceName(length, MAX_NAME));
        _requireReplicas(replicas);
        namespaceId = namespaceIdOf(msg.sender, name);
        require(_namespaces[namespaceId].owner == address(0), NamespaceExists(name));

        _namespaces[namespaceId] = Namespace(msg.sender, replicas, uint64(block.timestamp), name);
        emit NamespaceAdded(namespaceId, msg.sender, name, replicas);
    }

    /// @inheritdoc IFileRegistry
    function setReplicas(bytes32 namespaceId, uint8 replicas) external {
        Namespace storage namespace = _ownNamespace(namespaceId);
        _requireReplicas(replicas);
        namespace.replicas = replicas;
        emit ReplicasChanged(namespaceId, msg.sender, replicas);
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
        uint256 replicas = _ownNamespace(publication.namespaceId).replicas;
        uint256 given = acknowledgements.length;
        require(given >= replicas, TooFewAcknowledgements(given, replicas));
        _record(fileId, publication);
        _addHoldings(fileId, publication.expiresAt, acknowledgements);
    }

    /// @inheritdoc IFileRegistry
    function addHoldings(
        bytes32 fileId,
        bytes32 manifestDigest,
        Acknowledgement[] calldata acknowledgements
    ) external {
        (address owner, uint64 expiresAt) = requireLive(fileId);
        require(msg.sender == owner, NotFileOwner(fileId, msg.sender, owner));
        require(acknowledgements.length > 0, TooFewAcknowledgements(0, 1));
        require(manifestDigest != 0, ZeroManifestDigest());

        _files[fileId].manifestDigest = manifestDigest;
        emit ManifestReplaced(fileId, manifestDigest);
        _addHoldings(fileId, expiresAt, acknowledgements);
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
        return block.timestamp <= _file(fileId).expiresAt;
    }

    /// @inheritdoc IFileRegistry
    function requireLive(bytes32 fileId) public view returns (address owner, uint64 expiresAt) {
        File storage file = _file(fileId);
        (owner, expiresAt) = (file.owner, file.expiresAt);
        require(block.timestamp <= expiresAt, FileExpired(fileId, expiresAt));
    }

    /*//////////////////////////////////////////////////////////////
                                HOLDINGS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IFileRegistry
    function holding(uint256 holdingId) external view returns (Holding memory record) {
        record = _holdings[holdingId];
        require(record.node != address(0), UnknownHolding(holdingId));
    }

    /// @inheritdoc IFileRegistry
    function holdingsOf(bytes32 fileId) external view returns (uint256[] memory holdingIds) {
        _file(fileId);
        return _holdingIds[fileId];
    }

    /// @inheritdoc IFileRegistry
    function holdingOn(bytes32 fileId, address node) external view returns (uint256 holdingId) {
        return _holdingOn[fileId][node];
    }

    /// @inheritdoc IFileRegistry
    function maxHoldings() external pure returns (uint256 maximum) {
        return MAX_HOLDINGS;
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _record(bytes32 fileId, Publication calldata publication) private {
        uint64 current = uint64(block.timestamp);
        require(publication.expiresAt > current, ExpiryNotInFuture(publication.expiresAt, current));
        require(publication.size > 0, EmptyFile());
        require(publication.manifestDigest != 0, ZeroManifestDigest());
        uint256 keyLength = publication.wrappedKey.length;
        require(
            keyLength >= 1 && keyLength <= MAX_WRAPPED_KEY,
            InvalidWrappedKey(keyLength, MAX_WRAPPED_KEY)
        );

        _files[fileId] = File({
            owner: msg.sender,
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
            publication.manifestDigest,
            publication.sealedInfo
        );
    }

    /// @dev Adds one holding for each acknowledgement, or reverts. An acknowledgement counts once, for a node has one holding
    /// of a file; it counts for this file, owner, expiry, contract and chain only, for the node has signed them.
    function _addHoldings(
        bytes32 fileId,
        uint64 expiresAt,
        Acknowledgement[] calldata acknowledgements
    ) private {
        uint256[] storage holdingIds = _holdingIds[fileId];
        uint256 total = holdingIds.length + acknowledgements.length;
        require(total <= MAX_HOLDINGS, TooManyHoldings(total, MAX_HOLDINGS));
        for (uint256 i = 0; i < acknowledgements.length; ++i) {
            Acknowledgement calldata given = acknowledgements[i];
            _requireAcknowledged(fileId, expiresAt, given);
            uint256 holdingId = ++_holdingCount;
            _holdings[holdingId] = Holding(fileId, given.node, given.root, given.leafCount, given.size);
            _holdingOn[fileId][given.node] = holdingId;
            holdingIds.push(holdingId);
            emit HoldingAdded(holdingId, fileId, given.node, given.root, given.leafCount, given.size);
        }
    }

    /// @dev A leaf has 1 to LEAF_SIZE bytes, which bounds the bytes of a holding from both sides.
    function _requireAcknowledged(
        bytes32 fileId,
        uint64 expiresAt,
        Acknowledgement calldata given
    ) private view {
        address node = given.node;
        NODE_REGISTRY.requireOnline(node, INodeRegistry.Role.Storage);
        require(_holdingOn[fileId][node] == 0, AlreadyHolding(fileId, node));
        require(block.timestamp <= given.deadline, AcknowledgementExpired(node, given.deadline));
        bool possible = given.leafCount >= 1 &&
            given.size >= given.leafCount &&
            given.size <= given.leafCount * MerkleTree.LEAF_SIZE;
        require(possible, InvalidHolding(node, given.leafCount, given.size));

        bytes32 structHash = keccak256(
            abi.encode(
                ACKNOWLEDGEMENT_TYPEHASH,
                fileId,
                msg.sender,
                node,
                given.root,
                given.leafCount,
                given.size,
                expiresAt,
                given.deadline
            )
        );
        (address signer, , ) = ECDSA.tryRecover(_hashTypedDataV4(structHash), given.signature);
        require(signer == node, InvalidAcknowledgement(node, signer));
    }

    function _ownNamespace(bytes32 namespaceId) private view returns (Namespace storage namespace) {
        namespace = _namespaces[namespaceId];
        address owner = namespace.owner;
        require(owner != address(0), UnknownNamespace(namespaceId));
        require(msg.sender == owner, NotNamespaceOwner(namespaceId, msg.sender, owner));
    }

    function _requireReplicas(uint8 replicas) private pure {
        require(replicas >= 1 && replicas <= MAX_HOLDINGS, InvalidReplicas(replicas, MAX_HOLDINGS));
    }

    function _file(bytes32 fileId) private view returns (File storage file) {
        file = _files[fileId];
        require(file.owner != address(0), UnknownFile(fileId));
    }
}
