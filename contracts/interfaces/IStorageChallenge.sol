// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPullPayments} from "./IPullPayments.sol";
import {IStorageHealth} from "./IStorageHealth.sol";

/// @title Proofs that a storage node still has the bytes
/// @notice The owner of a file challenges a holding; the chain draws leaves or blobs that nobody chose; the node answers in
/// time, with the leaves and their Merkle proof, or with one KZG opening for all the blobs.
/// @dev
///   Opened ─draw→ ToProve ─prove→ Proved, or Failed (Wrong)
///   Opened ─close (never drawn)→ Void      ToProve ─close (lapsed)→ Failed (Missed)
/// The seed is keccak256(abi.encode(blockhash(openedBlock + drawDelay), challengeId)): unknown to owner and node when the
/// challenge is opened. (A block producer can grind it by withholding a block.) A block hash is available for 256 blocks; a
/// challenge not drawn by then is void for good, at nobody's cost: drawing it anew would let a node wait for a better draw, and
/// a hash of zero must never convict an honest node. A proof shows that the bytes were at hand in time, not where they were.
///
/// A failed challenge takes slashPercent of the holding's bond from the node's stake, all failures of a holding together at most
/// the bond. A holding has at most one open challenge, and an owner a bounded number of them on each node: nobody can flood a
/// node, nor use up its allowance through a second account.
interface IStorageChallenge is IStorageHealth, IPullPayments {
    /// @notice Where a challenge stands.
    enum ChallengeStatus {
        None,
        Opened,
        ToProve,
        Proved,
        Failed,
        Void
    }

    /// @notice Why a challenge failed.
    enum Fault {
        None,
        Wrong,
        Missed
    }

    /// @notice What a challenge asks for.
    enum Algorithm {
        None,
        Merkle,
        Kzg
    }

    /// @notice Rules that hold for every challenge.
    /// @param drawDelay Blocks between opening and the block whose hash draws the leaves; at least 2.
    /// @param answerWindow Seconds that the node has to answer after the draw; at least 1.
    /// @param minInterval Least seconds between two challenges of one holding.
    /// @param maxOpenPerNode Most open challenges that one owner may have on one node; at least 1.
    /// @param slashPercent What a failed challenge takes, in percent of the holding's bond; at most 100.
    /// @param depositPerLeaf Wei that a challenger deposits for each Merkle leaf, to cover the gas of the answer.
    /// @param depositPerProof Wei that a challenger deposits for a KZG opening.
    /// @param depositPerBlob Wei that a challenger deposits for each blob of it.
    struct Rules {
        uint64 drawDelay;
        uint64 answerWindow;
        uint64 minInterval;
        uint32 maxOpenPerNode;
        uint8 slashPercent;
        uint256 depositPerLeaf;
        uint256 depositPerProof;
        uint256 depositPerBlob;
    }

    /// @notice The record of a challenge.
    /// @param holdingId The holding.
    /// @param openedBlock Number of the block it was opened in.
    /// @param deadline Last second at which the node may answer, 0 before the draw.
    /// @param count Number of leaves or blobs to prove (all of them if the holding has fewer).
    /// @param algorithm What it asks for.
    /// @param status Where it stands.
    /// @param fault Why it failed.
    /// @param deposit In wei; for the node if it proves, else back to the challenger.
    /// @param challenger Owner of the file.
    /// @param seed What fixes the leaves or blobs, zero before the draw.
    struct Challenge {
        uint64 holdingId;
        uint40 openedBlock;
        uint40 deadline;
        uint8 count;
        Algorithm algorithm;
        ChallengeStatus status;
        Fault fault;
        uint80 deposit;
        address challenger;
        bytes32 seed;
    }

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The rules of challenges are out of range; draw delay {drawDelay} must be 2 or more, answer window {answerWindow}
    /// and open challenges {maxOpenPerNode} 1 or more, slashing {slashPercent} percent 100 or less.
    error InvalidRules(uint64 drawDelay, uint64 answerWindow, uint32 maxOpenPerNode, uint8 slashPercent);

    /// @notice There is no challenge {challengeId}; check the id, or list the challenges.
    error UnknownChallenge(uint256 challengeId);

    /// @notice {count} leaves or blobs are out of range; challenge 1 to {maximum}.
    error InvalidCount(uint256 count, uint256 maximum);

    /// @notice Holding {holdingId} has no root for algorithm {algorithm}; challenge it by the one that its namespace names.
    error NotProvable(uint256 holdingId, Algorithm algorithm);

    /// @notice Holding {holdingId} has ended; challenge a live one.
    error HoldingNotLive(uint256 holdingId);

    /// @notice Challenge {challengeId} on holding {holdingId} is still open; draw and close it first.
    error AlreadyChallenged(uint256 holdingId, uint256 challengeId);

    /// @notice Challenge {challengeId} asks for algorithm {algorithm}; answer by that one.
    error WrongAlgorithm(uint256 challengeId, Algorithm algorithm);

    /// @notice Account {caller} is not {owner}, who owns the file of holding {holdingId}; only the owner may challenge it.
    error NotHoldingOwner(uint256 holdingId, address caller, address owner);

    /// @notice Holding {holdingId} expires at time {expiresAt}, before an answer would be due at {deadline}; the node need not
    /// keep it so long.
    error HoldingExpiresBeforeAnswer(uint256 holdingId, uint64 expiresAt, uint64 deadline);

    /// @notice The deposit is {deposit} wei; give {required} to {maximum}.
    error InvalidDeposit(uint256 deposit, uint256 required, uint256 maximum);

    /// @notice Holding {holdingId} was challenged a short while ago; it may be again from time {nextAt}.
    error ChallengedTooSoon(uint256 holdingId, uint64 nextAt);

    /// @notice You have {open} open challenges on node {node}, the most there may be; draw and close them first.
    error TooManyOpenChallenges(address node, uint256 open);

    /// @notice Challenge {challengeId} is {status}, not {expected}; this step is not open to it.
    error WrongChallengeStatus(uint256 challengeId, ChallengeStatus status, ChallengeStatus expected);

    /// @notice Challenge {challengeId} can be drawn from block {firstBlock}; wait.
    error DrawTooEarly(uint256 challengeId, uint256 firstBlock);

    /// @notice Challenge {challengeId} could be drawn until block {lastBlock}; close it.
    error DrawTooLate(uint256 challengeId, uint256 lastBlock);

    /// @notice Account {caller} is not {node}, the node of challenge {challengeId}; only that node may answer.
    error NotChallengedNode(uint256 challengeId, address caller, address node);

    /// @notice The answer to challenge {challengeId} is for seed {seed}, drawn is {drawn}: the chain has changed its mind; answer
    /// anew.
    error WrongSeed(uint256 challengeId, bytes32 seed, bytes32 drawn);

    /// @notice The answer to challenge {challengeId} was due at time {deadline}; it is too late.
    error AnswerTooLate(uint256 challengeId, uint64 deadline);

    /// @notice Challenge {challengeId} is still open; wait for its draw or its deadline to lapse.
    error ChallengeStillOpen(uint256 challengeId);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice An owner challenged a holding.
    /// @param challengeId Number of the challenge, from 1.
    /// @param holdingId The holding.
    /// @param node The storage node that must answer.
    /// @param fileId The file.
    /// @param challenger The owner.
    /// @param algorithm What it asks for.
    /// @param count Number of leaves or blobs to prove.
    /// @param drawBlock Block whose hash draws them; draw from the next one on.
    /// @param deposit In wei.
    event ChallengeOpened(
        uint256 indexed challengeId,
        uint256 indexed holdingId,
        address indexed node,
        bytes32 fileId,
        address challenger,
        Algorithm algorithm,
        uint8 count,
        uint64 drawBlock,
        uint256 deposit
    );

    /// @notice The leaves or blobs are drawn; the node's time runs.
    /// @param challengeId The challenge.
    /// @param node The storage node that must answer.
    /// @param seed What fixes the leaves.
    /// @param deadline Last second at which the node may answer.
    event ChallengeDrawn(
        uint256 indexed challengeId,
        address indexed node,
        bytes32 seed,
        uint64 deadline
    );

    /// @notice The node proved that it has the leaves.
    /// @param challengeId The challenge.
    /// @param node The storage node.
    event ChallengeProved(uint256 indexed challengeId, address indexed node);

    /// @notice The node failed the challenge.
    /// @param challengeId The challenge.
    /// @param node The storage node.
    /// @param fault Wrong: it answered with other bytes; Missed: it did not answer in time.
    event ChallengeFailed(uint256 indexed challengeId, address indexed node, Fault indexed fault);

    /// @notice Nobody drew the challenge in time; it says nothing about the node.
    /// @param challengeId The challenge.
    /// @param node The storage node.
    event ChallengeVoided(uint256 indexed challengeId, address indexed node);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Challenge a live holding of a live file of the sender's, with a deposit of at least depositFor.
    /// @param holdingId The holding.
    /// @param algorithm What to ask for; the holding must have a root for it.
    /// @param count Number of leaves (1 to 32) or blobs (1 to 16) to prove.
    /// @return challengeId Number of the challenge.
    function open(
        uint256 holdingId,
        Algorithm algorithm,
        uint8 count
    ) external payable returns (uint256 challengeId);

    /// @notice Draw the leaves or blobs. Anybody may, from drawDelay + 1 to drawDelay + 256 blocks after the challenge was
    /// opened.
    /// @dev Refused if the holding would expire within the answer window; such a challenge ends void.
    /// @param challengeId An opened challenge.
    function draw(uint256 challengeId) external;

    /// @notice Answer a Merkle challenge on the sender's holding, up to and including the second of the deadline.
    /// @dev An answer of the wrong shape reverts; an answer of the right shape with a wrong byte fails the challenge for good.
    /// @param challengeId A drawn challenge.
    /// @param seed Its seed. Where blocks can be reorganised, an answer may meet another draw than the one it was made for; it
    /// must not be taken for a wrong one.
    /// @param answer The leaves at drawnIndices(challengeId) and their multiproof, packed as libraries/MerkleTree.sol says.
    function prove(uint256 challengeId, bytes32 seed, bytes calldata answer) external;

    /// @notice Answer a KZG challenge on the sender's holding, up to and including the second of the deadline.
    /// @dev As prove.
    /// @param challengeId A drawn challenge.
    /// @param seed Its seed.
    /// @param answer One opening for the blobs at drawnIndices(challengeId), their commitments and the multiproof of these,
    /// packed as libraries/KzgProof.sol says.
    function proveKzg(uint256 challengeId, bytes32 seed, bytes calldata answer) external;

    /// @notice End a challenge that nobody drew (→ Void) or answered (→ Failed) in time. Anybody may.
    /// @param challengeId The challenge.
    function close(uint256 challengeId) external;

    /// @notice The record of a challenge.
    /// @param challengeId Its number.
    /// @return record Its record; reverts with UnknownChallenge if there is none.
    function challenge(uint256 challengeId) external view returns (Challenge memory record);

    /// @notice The leaves or blobs that a drawn challenge asks for.
    /// @param challengeId A challenge that has been drawn; reverts with WrongChallengeStatus before.
    /// @return indices Their numbers in the holding, ascending and distinct.
    function drawnIndices(uint256 challengeId) external view returns (uint32[] memory indices);

    /// @notice The open challenge on a holding.
    /// @param holdingId The holding.
    /// @return challengeId Its number, 0 if there is none.
    function openChallengeOn(uint256 holdingId) external view returns (uint256 challengeId);

    /// @notice Open challenges of one owner on one node.
    /// @param challenger The owner.
    /// @param node The storage node.
    /// @return count At most maxOpenPerNode.
    function openChallengesOf(address challenger, address node) external view returns (uint256 count);

    /// @notice Whether the node of a holding failed a challenge on it, and what that has cost it.
    /// @param holdingId The holding.
    /// @return fault Why the last failed challenge failed, None if none did.
    /// @return slashed Wei taken for this holding so far, at most its bond.
    function faultOf(uint256 holdingId) external view returns (Fault fault, uint256 slashed);

    /// @notice The deposit that a challenge needs.
    /// @param algorithm What it asks for.
    /// @param count Number of leaves or blobs.
    /// @return amount In wei.
    function depositFor(Algorithm algorithm, uint8 count) external view returns (uint256 amount);

    /// @notice Rules that hold for every challenge.
    /// @return record As given to the constructor.
    function rules() external view returns (Rules memory record);
}
