// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IStorageHealth} from "./interfaces/IStorageHealth.sol";

/// @title What challenges tell about nodes
/// @dev Everything that a settled challenge writes here lies in two storage slots, which both exist after the first one: the
/// node's week, and the ledger of the node and the owner.
abstract contract HealthBook is IStorageHealth {
    uint256 private constant DAYS = 7;
    /// @dev Bits of a day in a week: 12 for the owners, 20 for the sum of their ratios.
    uint256 private constant DAY_BITS = 32;
    uint256 private constant WEEK_MASK = (1 << (DAYS * DAY_BITS)) - 1;
    uint256 private constant RATIO_BITS = 20;
    uint256 private constant RATIO_MASK = (1 << RATIO_BITS) - 1;
    /// @dev A ratio is a byte; 2^12 of them fit the 20 bits of their sum.
    uint256 private constant FULL_RATIO = 255;
    uint256 private constant MAX_OWNERS = (1 << 12) - 1;
    uint256 private constant FULL = 10_000;
    uint256 private constant GREEN = 8500;
    uint256 private constant YELLOW = 6000;

    /// @dev The days of a week, today's lowest, each as RATIO_BITS and DAY_BITS say.
    struct Week {
        uint24 today;
        uint8 missesInRow;
        uint224 daily;
    }

    /// @dev One owner's challenges on one node: those open, and today's results.
    struct Ledger {
        uint32 open;
        uint24 today;
        uint32 proved;
        uint32 failed;
    }

    IFileRegistry internal immutable FILE_REGISTRY;
    INodeRegistry internal immutable NODE_REGISTRY;
    uint32 private immutable LOST_SLOTS;
    uint8 private immutable LOST_MISSES;

    mapping(address node => Week) private _weeks;
    mapping(address node => mapping(address owner => Ledger)) internal _ledgers;

    constructor(INodeRegistry nodeRegistry, IFileRegistry fileRegistry, HealthRules memory healthRules_) {
        require(
            healthRules_.lostSlots >= 1 && healthRules_.lostMisses >= 1,
            InvalidHealthRules(healthRules_.lostSlots, healthRules_.lostMisses)
        );
        NODE_REGISTRY = nodeRegistry;
        FILE_REGISTRY = fileRegistry;
        LOST_SLOTS = healthRules_.lostSlots;
        LOST_MISSES = healthRules_.lostMisses;
    }

    /// @inheritdoc IStorageHealth
    function healthOf(address node) public view returns (Health memory record) {
        INodeRegistry.Node memory registered = NODE_REGISTRY.nodeOf(node);
        Week memory week = _weeks[node];
        (uint256 ratios, uint256 judges) = _sum(_shifted(week, _today()));
        (uint256 counted, uint256 possible) = NODE_REGISTRY.heartbeatsInWeek(node);
        uint256 success = judges == 0 ? FULL : (ratios * FULL) / (judges * FULL_RATIO);
        uint256 heartbeats = counted >= possible ? FULL : (counted * FULL) / possible;
        uint256 score = (7 * success + 3 * heartbeats) / 10;
        uint256 seen = Math.max(registered.lastHeartbeat, registered.registeredAt);
        bool silent = block.timestamp > seen + uint256(LOST_SLOTS) * NODE_REGISTRY.slotSeconds();
        bool lost = silent || week.missesInRow >= LOST_MISSES;
        return
            Health({
                level: _level(score, judges, lost),
                lost: lost,
                score: uint16(score),
                success: uint16(success),
                heartbeats: uint16(heartbeats),
                judges: uint32(judges),
                missesInRow: week.missesInRow
            });
    }

    /// @inheritdoc IStorageHealth
    function fileHealth(bytes32 fileId) external view returns (Level level, uint256 unsound) {
        IFileRegistry.File memory file = FILE_REGISTRY.fileOf(fileId);
        uint256[] memory holdingIds = FILE_REGISTRY.holdingsOf(fileId);
        unsound = Math.saturatingSub(file.total, holdingIds.length);
        for (uint256 i = 0; i < holdingIds.length; ++i) {
            if (!_isSound(holdingIds[i])) ++unsound;
        }
        if (holdingIds.length == 0 || unsound + file.needed > file.total) level = Level.Red;
        else level = unsound == 0 ? Level.Green : Level.Yellow;
    }

    /// @inheritdoc IStorageHealth
    function healthRules() external view returns (HealthRules memory record) {
        return HealthRules(LOST_SLOTS, LOST_MISSES);
    }

    /*//////////////////////////////////////////////////////////////
                         FOR STORAGE CHALLENGE
    //////////////////////////////////////////////////////////////*/

    /// @dev Writes down what came of a challenge, and that it is no longer open. A day's owners beyond MAX_OWNERS do not count:
    /// their ledgers stay on an earlier day.
    function _note(address node, address owner, bool proved, bool missed) internal {
        uint24 today = _today();
        Ledger memory ledger = _ledgers[node][owner];
        Week memory week = _weeks[node];
        uint256 daily = _shifted(week, today);
        week.missesInRow = missed ? uint8(Math.min(week.missesInRow + 1, type(uint8).max)) : 0;
        week.today = today;

        uint256 owners = (daily >> RATIO_BITS) & MAX_OWNERS;
        bool first = ledger.today != today;
        if (!first || owners < MAX_OWNERS) {
            uint256 before = first ? 0 : _ratio(ledger);
            if (first) {
                (ledger.today, ledger.proved, ledger.failed) = (today, 0, 0);
                daily += 1 << RATIO_BITS;
            }
            if (proved) ++ledger.proved;
            else ++ledger.failed;
            daily = daily + _ratio(ledger) - before;
        }
        week.daily = uint224(daily);
        --ledger.open;
        _ledgers[node][owner] = ledger;
        _weeks[node] = week;
    }

    /// @dev Whether the node of a holding failed a challenge on it.
    function _hasFailed(uint256 holdingId) internal view virtual returns (bool);

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _isSound(uint256 holdingId) private view returns (bool) {
        IFileRegistry.Holding memory held = FILE_REGISTRY.holding(holdingId);
        address node = held.node;
        return
            block.timestamp <= held.expiresAt &&
            NODE_REGISTRY.isOnline(node, INodeRegistry.Role.Storage) &&
            !_hasFailed(holdingId) &&
            healthOf(node).level != Level.Red;
    }

    function _level(uint256 score, uint256 judges, bool lost) private pure returns (Level) {
        if (lost || score < YELLOW) return Level.Red;
        return score >= GREEN && judges > 0 ? Level.Green : Level.Yellow;
    }

    /// @dev A week's days as they stand today: older ones move up, and out.
    function _shifted(Week memory week, uint24 today) private pure returns (uint256 daily) {
        uint256 passed = today - week.today;
        return passed >= DAYS ? 0 : (uint256(week.daily) << (passed * DAY_BITS)) & WEEK_MASK;
    }

    function _sum(uint256 daily) private pure returns (uint256 ratios, uint256 owners) {
        for (uint256 rest = daily; rest != 0; rest >>= DAY_BITS) {
            ratios += rest & RATIO_MASK;
            owners += (rest >> RATIO_BITS) & MAX_OWNERS;
        }
    }

    /// @dev Not called for an empty ledger.
    function _ratio(Ledger memory ledger) private pure returns (uint256) {
        return (FULL_RATIO * ledger.proved) / (uint256(ledger.proved) + ledger.failed);
    }

    /// @dev Days since the epoch, from 1, for 0 is the day of what was never written. 24 bits last 45,000 years.
    function _today() private view returns (uint24) {
        return uint24(block.timestamp / 1 days + 1);
    }
}
