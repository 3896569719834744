// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Health of nodes and files
/// @notice How far a node can be trusted to be there and to hold what it promised, and what that means for each file.
/// @dev A node's score is 0.7 × challenge success + 0.3 × heartbeat ratio, over today and the six days (UTC) before it, in
/// basis points. Success is the mean, over the days and the distinct owners who had challenges settled on each, of that owner's
/// share of proved ones: an owner who challenges a thousand times a day weighs as much as one who does so once. A node whose
/// week has no settled challenge counts with full success, but is at best Yellow.
interface IStorageHealth {
    /// @notice How healthy something is.
    enum Level {
        Red,
        Yellow,
        Green
    }

    /// @notice When a node counts as lost.
    /// @param lostSlots Heartbeat slots that pass without a heartbeat; at least 1.
    /// @param lostMisses Challenges missed in a row; 1 to 255.
    struct HealthRules {
        uint32 lostSlots;
        uint8 lostMisses;
    }

    /// @notice The health of a storage node.
    /// @param level Green from a score of 8500, Yellow from 6000, else Red; Red if it is lost.
    /// @param lost Whether it has been silent, or missed challenges, for too long.
    /// @param score 0 to 10000.
    /// @param success Challenge success, 0 to 10000.
    /// @param heartbeats Heartbeat ratio, 0 to 10000.
    /// @param judges Owner-days in the week with a settled challenge.
    /// @param missesInRow Challenges that it has missed since it last answered one.
    struct Health {
        Level level;
        bool lost;
        uint16 score;
        uint16 success;
        uint16 heartbeats;
        uint32 judges;
        uint8 missesInRow;
    }

    /// @notice The rules of health are out of range; lost slots {lostSlots} and lost misses {lostMisses} must be 1 or more.
    error InvalidHealthRules(uint32 lostSlots, uint8 lostMisses);

    /// @notice The health of a storage node.
    /// @param node Account of the node; reverts with UnknownNode if there is none.
    /// @return record Its health now.
    function healthOf(address node) external view returns (Health memory record);

    /// @notice The health of a file.
    /// @dev A live holding is *sound* if it has not expired and its node is online, not Red, and has failed no challenge on it.
    /// One that is not costs each stripe one shard at most, so the file is Green with no unsound holding, Yellow while total
    /// less the unsound is at least needed, and Red after that: it may still be readable.
    /// @param fileId The file; reverts with UnknownFile if there is none.
    /// @return level Its level; Red for a file without live holdings.
    /// @return unsound Live holdings that are not sound, and holdings missing from total.
    function fileHealth(bytes32 fileId) external view returns (Level level, uint256 unsound);

    /// @notice When a node counts as lost.
    /// @return record As given to the constructor.
    function healthRules() external view returns (HealthRules memory record);
}
