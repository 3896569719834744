// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {HealthBook} from "./HealthBook.sol";
import {PullPayments} from "./PullPayments.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IStorageChallenge} from "./interfaces/IStorageChallenge.sol";
import {KzgProof} from "./libraries/KzgProof.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";

/// @title Proofs that a storage node still has the bytes
contract StorageChallenge is IStorageChallenge, HealthBook, PullPayments {
    uint256 private constant MAX_LEAVES = 32;
    uint256 private constant MAX_BLOBS = 16;
    /// @dev How many of the latest blocks' hashes the EVM knows.
    uint256 private constant BLOCK_HASHES = 256;

    /// @dev What is remembered about a holding beyond its last challenge.
    struct Watch {
        uint64 lastChallenge;
        uint64 nextAt;
        Fault fault;
        uint96 slashed;
    }

    uint64 private immutable DRAW_DELAY;
    uint64 private immutable ANSWER_WINDOW;
    uint64 private immutable MIN_INTERVAL;
    uint32 private immutable MAX_OPEN_PER_NODE;
    uint8 private immutable SLASH_PERCENT;
    uint256 private immutable DEPOSIT_PER_LEAF;
    uint256 private immutable DEPOSIT_PER_PROOF;
    uint256 private immutable DEPOSIT_PER_BLOB;

    mapping(uint256 challengeId => Challenge) private _challenges;
    mapping(uint256 holdingId => Watch) private _watches;
    uint64 private _challengeCount;

    constructor(
        INodeRegistry nodeRegistry,
        IFileRegistry fileRegistry,
        Rules memory rules_,
        HealthRules memory healthRules_
    ) HealthBook(nodeRegistry, fileRegistry, healthRules_) {
        require(
            rules_.drawDelay >= 2 &&
                rules_.answerWindow >= 1 &&
                rules_.maxOpenPerNode >= 1 &&
                rules_.slashPercent <= 100,
            InvalidRules(rules_.drawDelay, rules_.answerWindow, rules_.maxOpenPerNode, rules_.slashPercent)
        );
        DRAW_DELAY = rules_.drawDelay;
        ANSWER_WINDOW = rules_.answerWindow;
        MIN_INTERVAL = rules_.minInterval;
        MAX_OPEN_PER_NODE = rules_.maxOpenPerNode;
        SLASH_PERCENT = rules_.slashPercent;
        DEPOSIT_PER_LEAF = rules_.depositPerLeaf;
        DEPOSIT_PER_PROOF = rules_.depositPerProof;
        DEPOSIT_PER_BLOB = rules_.depositPerBlob;
    }

    /*//////////////////////////////////////////////////////////////
                           OPEN, DRAW, PROVE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc IStorageChallenge
    function open(
        uint256 holdingId,
        Algorithm algorithm,
        uint8 count
    ) external payable returns (uint256 challengeId) {
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(holdingId);
        _requireChallengeable(holdingId, held, algorithm, count);
        uint256 required = depositFor(algorithm, count);
        uint256 maximum = type(uint80).max;
        require(
            msg.value >= required && msg.value <= maximum,
            InvalidDeposit(msg.value, required, maximum)
        );
        uint256 openCount = _ledgers[held.node][msg.sender].open;
        require(openCount < MAX_OPEN_PER_NODE, TooManyOpenChallenges(held.node, openCount));

        challengeId = ++_challengeCount;
        ++_ledgers[held.node][msg.sender].open;
        Watch storage watch = _watches[holdingId];
        watch.lastChallenge = uint64(challengeId);
        watch.nextAt = uint64(block.timestamp) + MIN_INTERVAL;
        _challenges[challengeId] = Challenge({
            holdingId: uint64(holdingId),
            openedBlock: uint40(block.number),
            deadline: 0,
            count: count,
            algorithm: algorithm,
            status: ChallengeStatus.Opened,
            fault: Fault.None,
            deposit: uint80(msg.value),
            challenger: msg.sender,
            seed: 0
        });
        emit ChallengeOpened(
            challengeId,
            holdingId,
            held.node,
            held.fileId,
            msg.sender,
            algorithm,
            count,
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
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(record.holdingId);
        uint64 deadline = _requireTime(record.holdingId, held.expiresAt);

        bytes32 seed = keccak256(abi.encode(drawn, challengeId));
        record.seed = seed;
        record.deadline = uint40(deadline);
        record.status = ChallengeStatus.ToProve;
        emit ChallengeDrawn(challengeId, held.node, seed, deadline);
    }

    /// @inheritdoc IStorageChallenge
    function prove(uint256 challengeId, bytes32 seed, bytes calldata answer) external {
        Challenge storage record = _answerable(challengeId, seed, Algorithm.Merkle);
        (address node, uint32 leafCount, bytes32 root) = FILE_REGISTRY.merkleTarget(record.holdingId);
        _requireNode(challengeId, node);
        uint32[] memory indices = _drawIndices(seed, leafCount, record.count);
        (bytes32[] memory hashes, bytes calldata proof) = MerkleTree.leafHashes(answer, indices.length);
        bool holds = MerkleTree.root(hashes, indices, leafCount, proof) == root;
        _settle(challengeId, record, node, holds ? Fault.None : Fault.Wrong);
    }

    /// @inheritdoc IStorageChallenge
    function proveKzg(uint256 challengeId, bytes32 seed, bytes calldata answer) external {
        Challenge storage record = _answerable(challengeId, seed, Algorithm.Kzg);
        (address node, uint32 blobCount, bytes32 root) = FILE_REGISTRY.kzgTarget(record.holdingId);
        _requireNode(challengeId, node);
        uint32[] memory indices = _drawIndices(seed, blobCount, record.count);
        bool holds = KzgProof.verify(root, blobCount, indices, seed, answer);
        _settle(challengeId, record, node, holds ? Fault.None : Fault.Wrong);
    }

    /// @inheritdoc IStorageChallenge
    function close(uint256 challengeId) external {
        Challenge storage record = _existing(challengeId);
        address node = FILE_REGISTRY.holding(record.holdingId).node;
        if (record.status == ChallengeStatus.Opened) {
            uint256 lastBlock = record.openedBlock + DRAW_DELAY + BLOCK_HASHES;
            require(block.number > lastBlock, ChallengeStillOpen(challengeId));
            record.status = ChallengeStatus.Void;
            --_ledgers[node][record.challenger].open;
            emit ChallengeVoided(challengeId, node);
            _credit(record.challenger, record.deposit);
        } else {
            _inStatus(challengeId, ChallengeStatus.ToProve);
            require(block.timestamp > record.deadline, ChallengeStillOpen(challengeId));
            _settle(challengeId, record, node, Fault.Missed);
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
    function drawnIndices(uint256 challengeId) external view returns (uint32[] memory indices) {
        Challenge storage record = _existing(challengeId);
        bytes32 seed = record.seed;
        require(seed != 0, WrongChallengeStatus(challengeId, record.status, ChallengeStatus.ToProve));
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(record.holdingId);
        bool isMerkle = record.algorithm == Algorithm.Merkle;
        return _drawIndices(seed, isMerkle ? held.leafCount : held.blobCount, record.count);
    }

    /// @inheritdoc IStorageChallenge
    function openChallengeOn(uint256 holdingId) public view returns (uint256 challengeId) {
        challengeId = _watches[holdingId].lastChallenge;
        ChallengeStatus status = _challenges[challengeId].status;
        if (status != ChallengeStatus.Opened && status != ChallengeStatus.ToProve) return 0;
    }

    /// @inheritdoc IStorageChallenge
    function openChallengesOf(address challenger, address node) external view returns (uint256 count) {
        return _ledgers[node][challenger].open;
    }

    /// @inheritdoc IStorageChallenge
    function faultOf(uint256 holdingId) external view returns (Fault fault, uint256 slashed) {
        Watch storage watch = _watches[holdingId];
        return (watch.fault, watch.slashed);
    }

    /// @inheritdoc IStorageChallenge
    function depositFor(Algorithm algorithm, uint8 count) public view returns (uint256 amount) {
        if (algorithm == Algorithm.Merkle) return count * DEPOSIT_PER_LEAF;
        return DEPOSIT_PER_PROOF + count * DEPOSIT_PER_BLOB;
    }

    /// @inheritdoc IStorageChallenge
    function rules() external view returns (Rules memory record) {
        return
            Rules({
                drawDelay: DRAW_DELAY,
                answerWindow: ANSWER_WINDOW,
                minInterval: MIN_INTERVAL,
                maxOpenPerNode: MAX_OPEN_PER_NODE,
                slashPercent: SLASH_PERCENT,
                depositPerLeaf: DEPOSIT_PER_LEAF,
                depositPerProof: DEPOSIT_PER_PROOF,
                depositPerBlob: DEPOSIT_PER_BLOB
            });
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _requireChallengeable(
        uint256 holdingId,
        IFileRegistry.Holding memory held,
        Algorithm algorithm,
        uint8 count
    ) private view {
        uint256 most = algorithm == Algorithm.Merkle ? MAX_LEAVES : MAX_BLOBS;
        require(count >= 1 && count <= most, InvalidCount(count, most));
        bytes32 root;
        if (algorithm == Algorithm.Merkle) root = held.root;
        if (algorithm == Algorithm.Kzg) root = held.commitmentsRoot;
        require(root != 0, NotProvable(holdingId, algorithm));
        require(held.state == IFileRegistry.HoldingState.Live, HoldingNotLive(holdingId));
        (address owner, ) = FILE_REGISTRY.requireLive(held.fileId);
        require(msg.sender == owner, NotHoldingOwner(holdingId, msg.sender, owner));
        uint256 opened = openChallengeOn(holdingId);
        require(opened == 0, AlreadyChallenged(holdingId, opened));
        _requireTime(holdingId, held.expiresAt);
        uint64 nextAt = _watches[holdingId].nextAt;
        require(block.timestamp >= nextAt, ChallengedTooSoon(holdingId, nextAt));
    }

    /// @dev When an answer would be due if the challenge were drawn now. It fits 40 bits: no expiry is later than a century
    /// ahead.
    function _requireTime(uint256 holdingId, uint64 expiresAt) private view returns (uint64 deadline) {
        deadline = uint64(block.timestamp) + ANSWER_WINDOW;
        require(deadline <= expiresAt, HoldingExpiresBeforeAnswer(holdingId, expiresAt, deadline));
    }

    /// @dev One of each of `wanted` equal stretches: ascending and distinct by construction, and no more likely to miss altered
    /// leaves than independent draws (the product of the stretches' chances is at most the power of their mean). A stretch is
    /// shorter than 2^32, so the bias of the modulo is below 2^-224.
    function _drawIndices(
        bytes32 seed,
        uint256 available,
        uint256 wanted
    ) private pure returns (uint32[] memory indices) {
        uint256 count = Math.min(wanted, available);
        indices = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 first = (i * available) / count;
            uint256 end = ((i + 1) * available) / count;
            indices[i] = uint32(first + (uint256(keccak256(abi.encode(seed, i))) % (end - first)));
        }
    }

    /// @dev The one way out of ToProve, hence taken once a challenge: result, health, slash, deposit.
    function _settle(uint256 challengeId, Challenge storage record, address node, Fault fault) private {
        bool proved = fault == Fault.None;
        address challenger = record.challenger;
        record.status = proved ? ChallengeStatus.Proved : ChallengeStatus.Failed;
        _note(node, challenger, proved, fault == Fault.Missed);
        if (proved) {
            emit ChallengeProved(challengeId, node);
        } else {
            record.fault = fault;
            emit ChallengeFailed(challengeId, node, fault);
            _slash(record.holdingId, node, challenger, fault);
        }
        _credit(proved ? node : challenger, record.deposit);
    }

    /// @dev The slashes of a holding never sum to more than its bond, and bonds fit 96 bits as all wei do.
    function _slash(uint256 holdingId, address node, address owner, Fault fault) private {
        Watch storage watch = _watches[holdingId];
        uint256 bond = NODE_REGISTRY.bondOf(FILE_REGISTRY.holding(holdingId).size);
        uint256 amount = Math.min((bond * SLASH_PERCENT) / 100, bond - watch.slashed);
        watch.fault = fault;
        watch.slashed += uint96(amount);
        NODE_REGISTRY.slash(node, amount, owner);
    }

    function _hasFailed(uint256 holdingId) internal view override returns (bool) {
        return _watches[holdingId].fault != Fault.None;
    }

    function _answerable(
        uint256 challengeId,
        bytes32 seed,
        Algorithm algorithm
    ) private view returns (Challenge storage record) {
        record = _inStatus(challengeId, ChallengeStatus.ToProve);
        require(record.algorithm == algorithm, WrongAlgorithm(challengeId, record.algorithm));
        require(block.timestamp <= record.deadline, AnswerTooLate(challengeId, record.deadline));
        require(seed == record.seed, WrongSeed(challengeId, seed, record.seed));
    }

    function _requireNode(uint256 challengeId, address node) private view {
        require(msg.sender == node, NotChallengedNode(challengeId, msg.sender, node));
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
}
