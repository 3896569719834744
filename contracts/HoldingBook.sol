// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IStorageChallenge} from "./interfaces/IStorageChallenge.sol";
import {KzgProof} from "./libraries/KzgProof.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";

/// @title What every node holds
/// @dev The state machine of a holding; FileRegistry decides when a file's holdings come and end.
abstract contract HoldingBook is IFileRegistry, EIP712 {
    uint256 internal constant MAX_HOLDINGS = 64;
    uint64 internal constant RETENTION = 7 days;
    bytes32 private constant ACKNOWLEDGEMENT_TYPEHASH =
        keccak256(
            "Acknowledgement(bytes32 fileId,uint32 version,address owner,address node,bytes32 root,uint32 leafCount,"
            "bytes32 commitmentsRoot,uint32 blobCount,uint64 size,uint64 expiresAt,uint64 deadline)"
        );

    INodeRegistry private immutable NODE_REGISTRY;
    IStorageChallenge private immutable STORAGE_CHALLENGE;

    mapping(bytes32 fileId => uint256[]) private _live;
    mapping(bytes32 fileId => mapping(address node => uint256 holdingId)) private _liveOn;
    mapping(uint256 holdingId => Holding) private _holdings;
    uint256 private _holdingCount;

    constructor(
        INodeRegistry nodeRegistry,
        IStorageChallenge storageChallenge
    ) EIP712("dtxeth FileRegistry", "1") {
        NODE_REGISTRY = nodeRegistry;
        STORAGE_CHALLENGE = storageChallenge;
    }

    /// @inheritdoc IFileRegistry
    function release(uint256[] calldata holdingIds) external {
        for (uint256 i = 0; i < holdingIds.length; ++i) {
            uint256 holdingId = holdingIds[i];
            Holding storage held = _existing(holdingId);
            HoldingState state = held.state;
            if (state == HoldingState.Released) continue;
            bool lapsed = state == HoldingState.Live && block.timestamp > held.expiresAt + RETENTION;
            bool settled = state == HoldingState.Releasing &&
                STORAGE_CHALLENGE.openChallengeOn(holdingId) == 0;
            require(lapsed || settled, HoldingNotReleasable(holdingId, state));
            if (lapsed) {
                _unlist(held.fileId, holdingId);
                _end(holdingId, _versionOf(held.fileId));
            } else {
                _release(holdingId, held);
            }
        }
    }

    /// @inheritdoc IFileRegistry
    function holding(uint256 holdingId) external view returns (Holding memory record) {
        return _existing(holdingId);
    }

    /// @inheritdoc IFileRegistry
    function merkleTarget(
        uint256 holdingId
    ) external view returns (address node, uint32 leafCount, bytes32 root) {
        Holding storage held = _existing(holdingId);
        return (held.node, held.leafCount, held.root);
    }

    /// @inheritdoc IFileRegistry
    function kzgTarget(
        uint256 holdingId
    ) external view returns (address node, uint32 blobCount, bytes32 commitmentsRoot) {
        Holding storage held = _existing(holdingId);
        return (held.node, held.blobCount, held.commitmentsRoot);
    }

    /// @inheritdoc IFileRegistry
    function holdingsOf(bytes32 fileId) external view returns (uint256[] memory holdingIds) {
        _versionOf(fileId);
        return _live[fileId];
    }

    /// @inheritdoc IFileRegistry
    function holdingOn(bytes32 fileId, address node) external view returns (uint256 holdingId) {
        return _liveOn[fileId][node];
    }

    /// @inheritdoc IFileRegistry
    function maxHoldings() external pure returns (uint256 maximum) {
        return MAX_HOLDINGS;
    }

    /// @inheritdoc IFileRegistry
    function retention() external pure returns (uint64 seconds_) {
        return RETENTION;
    }

    /*//////////////////////////////////////////////////////////////
                           FOR FILE REGISTRY
    //////////////////////////////////////////////////////////////*/

    /// @dev Adds one holding for each acknowledgement, in the place of the one that its node has, or reverts. An
    /// acknowledgement counts once, and for this file, version, owner, expiry, contract and chain only, for the node has signed
    /// them.
    function _addHoldings(
        bytes32 fileId,
        uint32 version,
        uint64 expiresAt,
        Possession possession,
        Acknowledgement[] calldata acknowledgements
    ) internal {
        uint256[] storage live = _live[fileId];
        for (uint256 i = 0; i < acknowledgements.length; ++i) {
            Acknowledgement calldata given = acknowledgements[i];
            _requireAcknowledged(fileId, version, expiresAt, possession, given);
            uint256 holdingId = ++_holdingCount;
            uint256 previous = _liveOn[fileId][given.node];
            if (previous == 0) {
                live.push(holdingId);
            } else {
                require(_holdings[previous].version != version, AlreadyHolding(fileId, given.node));
                live[_placeOf(live, previous)] = holdingId;
                _end(previous, version);
            }
            _add(holdingId, fileId, version, expiresAt, given);
        }
        require(live.length <= MAX_HOLDINGS, TooManyHoldings(live.length, MAX_HOLDINGS));
    }

    /// @dev Ends some live holdings of a file.
    function _dropHoldings(bytes32 fileId, uint32 version, uint256[] calldata holdingIds) internal {
        for (uint256 i = 0; i < holdingIds.length; ++i) {
            uint256 holdingId = holdingIds[i];
            Holding storage held = _holdings[holdingId];
            bool live = held.state == HoldingState.Live && held.fileId == fileId;
            require(live, NotLiveHolding(holdingId, fileId));
            _unlist(fileId, holdingId);
            _end(holdingId, version);
        }
    }

    /// @dev Ends all live holdings of a file.
    function _endHoldings(bytes32 fileId, uint32 version) internal {
        uint256[] memory live = _live[fileId];
        delete _live[fileId];
        for (uint256 i = 0; i < live.length; ++i) {
            _end(live[i], version);
        }
    }

    function _liveCount(bytes32 fileId) internal view returns (uint256 count) {
        return _live[fileId].length;
    }

    /// @dev The version of a file; reverts with UnknownFile if there is none.
    function _versionOf(bytes32 fileId) internal view virtual returns (uint32 version);

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _add(
        uint256 holdingId,
        bytes32 fileId,
        uint32 version,
        uint64 expiresAt,
        Acknowledgement calldata given
    ) private {
        _holdings[holdingId] = Holding({
            fileId: fileId,
            node: given.node,
            leafCount: given.leafCount,
            blobCount: given.blobCount,
            state: HoldingState.Live,
            size: given.size,
            expiresAt: expiresAt,
            version: version,
            root: given.root,
            commitmentsRoot: given.commitmentsRoot
        });
        _liveOn[fileId][given.node] = holdingId;
        emit HoldingAdded(
            holdingId,
            fileId,
            given.node,
            version,
            given.size,
            given.root,
            given.commitmentsRoot
        );
        NODE_REGISTRY.hold(given.node, given.size);
    }

    /// @dev The one way out of Live. The caller has taken the holding off the list.
    function _end(uint256 holdingId, uint32 version) private {
        Holding storage held = _holdings[holdingId];
        (bytes32 fileId, address node) = (held.fileId, held.node);
        delete _liveOn[fileId][node];
        emit HoldingEnded(holdingId, fileId, node, version);
        if (STORAGE_CHALLENGE.openChallengeOn(holdingId) == 0) {
            _release(holdingId, held);
        } else {
            held.state = HoldingState.Releasing;
        }
    }

    function _release(uint256 holdingId, Holding storage held) private {
        held.state = HoldingState.Released;
        emit HoldingReleased(holdingId, held.fileId, held.node);
        NODE_REGISTRY.free(held.node, held.size);
    }

    function _unlist(bytes32 fileId, uint256 holdingId) private {
        uint256[] storage live = _live[fileId];
        live[_placeOf(live, holdingId)] = live[live.length - 1];
        live.pop();
    }

    /// @dev Only for a holding that is on the list, which has at most MAX_HOLDINGS entries.
    function _placeOf(uint256[] storage live, uint256 holdingId) private view returns (uint256 place) {
        while (live[place] != holdingId) ++place;
    }

    function _existing(uint256 holdingId) private view returns (Holding storage record) {
        record = _holdings[holdingId];
        require(record.node != address(0), UnknownHolding(holdingId));
    }

    function _requireAcknowledged(
        bytes32 fileId,
        uint32 version,
        uint64 expiresAt,
        Possession possession,
        Acknowledgement calldata given
    ) private view {
        address node = given.node;
        require(block.timestamp <= given.deadline, AcknowledgementExpired(node, given.deadline));
        require(
            _isPossible(possession, given),
            InvalidHolding(node, given.leafCount, given.blobCount, given.size)
        );
        bytes32 structHash = keccak256(
            abi.encode(
                ACKNOWLEDGEMENT_TYPEHASH,
                fileId,
                version,
                msg.sender,
                node,
                given.root,
                given.leafCount,
                given.commitmentsRoot,
                given.blobCount,
                given.size,
                expiresAt,
                given.deadline
            )
        );
        (address signer, , ) = ECDSA.tryRecover(_hashTypedDataV4(structHash), given.signature);
        require(signer == node, InvalidAcknowledgement(node, signer));
    }

    /// @dev Each asked-for proof has its root, the other is absent. A leaf and a blob have at least one byte and at most their
    /// size, which bounds the bytes of a holding from both sides.
    function _isPossible(Possession possession, Acknowledgement calldata given) private pure returns (bool) {
        return
            _fits(possession != Possession.Kzg, given.root, given.leafCount, given.size, MerkleTree.LEAF_SIZE) &&
            _fits(
                possession != Possession.Merkle,
                given.commitmentsRoot,
                given.blobCount,
                given.size,
                KzgProof.BLOB_SIZE
            );
    }

    function _fits(
        bool asked,
        bytes32 root,
        uint256 count,
        uint256 size,
        uint256 unit
    ) private pure returns (bool) {
        if (!asked) return root == 0 && count == 0;
        return root != 0 && count >= 1 && size >= count && size <= count * unit;
    }
}
