// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PullPayments} from "./PullPayments.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {IStorageChallenge} from "./interfaces/IStorageChallenge.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";

/// @title Proofs that a storage node still has the bytes
contract StorageChallenge is IStorageChallenge, PullPayments {
    uint256 private constant MAX_LEAVES = 32;
    /// @dev How many of the latest blocks' hashes the EVM knows.
    uint256 private constant BLOCK_HASHES = 256;

    IFileRegistry private immutable FILE_REGISTRY;
    uint64 private immutable DRAW_DELAY;
    uint64 private immutable ANSWER_WINDOW;
    uint64 private immutable MIN_INTERVAL;
    uint32 private immutable MAX_OPEN_PER_NODE;
    uint256 private immutable DEPOSIT_PER_LEAF;

    mapping(uint256 challengeId => Challenge) private _challenges;
    mapping(uint256 holdingId => uint64 time) private _nextAt;
    mapping(address challenger => mapping(address node => uint256 count)) private _openCount;
    uint256 private _challengeCount;

    constructor(IFileRegistry fileRegistry, Rules memory rules_) {
        require(
            rules_.drawDelay >= 2 && rules_.answerWindow >= 1 && rules_.maxOpenPerNode >= 1,
            InvalidRules(rules_.drawDelay, rules_.answerWindow, rules_.maxOpenPerNode)
        );
        FILE_REGISTRY = fileRegistry;
        DRAW_DELAY = rules_.drawDelay;
        ANSWER_WINDOW = rules_.answerWindow;
        MIN_INTERVAL = rules_.minInterval;
        MAX_OPEN_PER_NODE = rules_.maxOpenPerNode;
        DEPOSIT_PER_LEAF = rules_.depositPerLeaf;
    }

    /*//////////////////////////////////////////////////////////////
                           OPEN, DRAW, PROVE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IStorageChallenge
    function open(uint256 holdingId, uint8 leaves) external payable returns (uint256 challengeId) {
        require(leaves >= 1 && leaves <= MAX_LEAVES, InvalidLeaves(leaves, MAX_LEAVES));
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(holdingId);
        (address owner, ) = FILE_REGISTRY.requireLive(held.fileId);
        require(msg.sender == owner, NotHoldingOwner(holdingId, msg.sender, owner));
        uint256 required = depositFor(leaves);
        require(msg.value >= required, DepositTooSmall(msg.value, required));
        uint64 nextAt = _nextAt[holdingId];
        require(block.timestamp >= nextAt, ChallengedTooSoon(holdingId, nextAt));
        uint256 openCount = _openCount[msg.sender][held.node];
        require(openCount < MAX_OPEN_PER_NODE, TooManyOpenChallenges(held.node, openCount));

        challengeId = ++_challengeCount;
        _nextAt[holdingId] = uint64(block.timestamp) + MIN_INTERVAL;
        _openCount[msg.sender][held.node] = openCount + 1;
        Challenge storage record = _challenges[challengeId];
        record.holdingId = holdingId;
        record.node = held.node;
        record.leaves = leaves;
        record.status = ChallengeStatus.Opened;
        record.challenger = msg.sender;
        record.openedBlock = uint64(block.number);
        record.deposit = msg.value;
        emit ChallengeOpened(
            challengeId,
            holdingId,
            held.node,
            held.fileId,
            msg.sender,
            leaves,
            uint64(block.number) + DRAW_DELAY,
            msg.value
        );
    }

    /// @inheritdoc IStorageChallenge
    function draw(uint256 challengeId) external {
        Challenge storage record = _inStatus(challengeId, ChallengeStatus.Opened);
        uint256 drawBlock = record.openedBlock + DRAW_DELAY;
        require(block.number > drawBlock, DrawTooEarly(challengeId, drawBlock + 1));
        bytes32 drawn = blockhash(drawBlock);
        require(drawn != 0, DrawTooLate(challengeId, drawBlock + BLOCK_HASHES));
        uint64 deadline = uint64(block.timestamp) + ANSWER_WINDOW;
        _requireLiveUntil(FILE_REGISTRY.holding(record.holdingId).fileId, deadline);

        bytes32 seed = keccak256(abi.encode(drawn, challengeId));
        record.seed = seed;
        record.deadline = deadline;
        record.status = ChallengeStatus.ToProve;
        emit ChallengeDrawn(challengeId, record.node, seed, deadline);
    }

    /// @inheritdoc IStorageChallenge
    function prove(uint256 challengeId, bytes[] calldata leaves, bytes32[] calldata proof) external {
        Challenge storage record = _inStatus(challengeId, ChallengeStatus.ToProve);
        address node = record.node;
        require(msg.sender == node, NotChallengedNode(challengeId, msg.sender, node));
        require(block.timestamp <= record.deadline, AnswerTooLate(challengeId, record.deadline));
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(record.holdingId);
        uint32[] memory indices = _drawIndices(record.seed, held.leafCount, record.leaves);
        bytes32[] memory hashes = _hashLeaves(leaves, indices.length);

        if (MerkleTree.root(hashes, indices, held.leafCount, proof) == held.root) {
            _end(record, ChallengeStatus.Proved, node);
            emit ChallengeProved(challengeId, node);
        } else {
            _fail(challengeId, record, Fault.Wrong);
        }
    }

    /// @inheritdoc IStorageChallenge
    function close(uint256 challengeId) external {
        Challenge storage record = _existing(challengeId);
        if (record.status == ChallengeStatus.Opened) {
            uint256 lastBlock = record.openedBlock + DRAW_DELAY + BLOCK_HASHES;
            require(block.number > lastBlock, ChallengeStillOpen(challengeId));
            _end(record, ChallengeStatus.Void, record.challenger);
            emit ChallengeVoided(challengeId, record.node);
        } else {
            _inStatus(challengeId, ChallengeStatus.ToProve);
            require(block.timestamp > record.deadline, ChallengeStillOpen(challengeId));
            _fail(challengeId, record, Fault.Missed);
        }
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IStorageChallenge
    function challenge(uint256 challengeId) external view returns (Challenge memory record) {
        return _existing(challengeId);
    }

    /// @inheritdoc IStorageChallenge
    function leafIndices(uint256 challengeId) external view returns (uint32[] memory indices) {
        Challenge storage record = _existing(challengeId);
        bytes32 seed = record.seed;
        require(seed != 0, WrongChallengeStatus(challengeId, record.status, ChallengeStatus.ToProve));
        uint32 leafCount = FILE_REGISTRY.holding(record.holdingId).leafCount;
        return _drawIndices(seed, leafCount, record.leaves);
    }

    /// @inheritdoc IStorageChallenge
    function openChallengesOf(address challenger, address node) external view returns (uint256 count) {
        return _openCount[challenger][node];
    }

    /// @inheritdoc IStorageChallenge
    function depositFor(uint8 leaves) public view returns (uint256 amount) {
        return leaves * DEPOSIT_PER_LEAF;
    }

    /// @inheritdoc IStorageChallenge
    function rules() external view returns (Rules memory record) {
        return Rules(DRAW_DELAY, ANSWER_WINDOW, MIN_INTERVAL, MAX_OPEN_PER_NODE, DEPOSIT_PER_LEAF);
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    /// @dev One leaf from each of `leaves` equal stretches: ascending and distinct by construction, and no more likely to miss
    /// altered leaves than independent draws (the product of the stretches' chances is at most the power of their mean). A
    /// stretch is shorter than 2^32, so the bias of the modulo is below 2^-224.
    function _drawIndices(
        bytes32 seed,
        uint256 leafCount,
        uint256 leaves
    ) private pure returns (uint32[] memory indices) {
        uint256 count = leaves < leafCount ? leaves : leafCount;
        indices = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 first = (i * leafCount) / count;
            uint256 end = ((i + 1) * leafCount) / count;
            indices[i] = uint32(first + (uint256(keccak256(abi.encode(seed, i))) % (end - first)));
        }
    }

    function _hashLeaves(
        bytes[] calldata leaves,
        uint256 expected
    ) private pure returns (bytes32[] memory hashes) {
        require(leaves.length == expected, WrongLeafCount(leaves.length, expected));
        hashes = new bytes32[](expected);
        for (uint256 i = 0; i < expected; ++i) {
            uint256 length = leaves[i].length;
            require(
                length >= 1 && length <= MerkleTree.LEAF_SIZE,
                InvalidLeafSize(i, length, MerkleTree.LEAF_SIZE)
            );
            hashes[i] = MerkleTree.leafHash(leaves[i]);
        }
    }

    function _fail(uint256 challengeId, Challenge storage record, Fault fault) private {
        record.fault = fault;
        _end(record, ChallengeStatus.Failed, record.challenger);
        emit ChallengeFailed(challengeId, record.node, fault);
    }

    /// @dev The one way into a final state, hence taken once a challenge: hands out the deposit.
    function _end(Challenge storage record, ChallengeStatus status, address payee) private {
        record.status = status;
        --_openCount[record.challenger][record.node];
        _credit(payee, record.deposit);
    }

    function _existing(uint256 challengeId) private view returns (Challenge storage record) {
        record = _challenges[challengeId];
        require(record.status != ChallengeStatus.None, UnknownChallenge(challengeId));
    }

    function _inStatus(
        uint256 challengeId,
        ChallengeStatus expected
    ) private view returns (Challenge storage record) {
        record = _existing(challengeId);
        ChallengeStatus status = record.status;
        require(status == expected, WrongChallengeStatus(challengeId, status, expected));
    }

    function _requireLiveUntil(bytes32 fileId, uint64 deadline) private view {
        (, uint64 expiresAt) = FILE_REGISTRY.requireLive(fileId);
        require(deadline <= expiresAt, FileExpiresBeforeAnswer(fileId, expiresAt, deadline));
    }
}
