// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPullPayments} from "./IPullPayments.sol";

/// @title Storage nodes and executors
/// @notice Who serves the network, where to reach it, how regularly it shows signs of life, and what a storage node has at
/// stake.
/// @dev A node is its account; the name is a unique label for people. Anybody may register any free name, so trust an
/// address (or the TLS fingerprint beside it), never a name alone.
///
/// Every byte that a storage node holds has a *bond*: its part of the stake, at the rate stakePerGib. The bytes held never
/// exceed what the stake covers when they are taken, and a holding loses no more than its bond, so the stake always covers
/// what is left of all bonds: no owner can drain it beyond the owner's own bytes. Of a slash, half goes to the owner of the
/// file and half is burned, that is kept here for good: owning the file oneself does not give the stake back. Only FileRegistry
/// may count bytes and only StorageChallenge may slash; nobody has any other power over the stake.
interface INodeRegistry is IPullPayments {
    /// @notice What a node does. One account has one role for good.
    enum Role {
        None,
        Storage,
        Executor
    }

    /// @notice One registered node.
    /// @param role Storage node or executor.
    /// @param online Whether the node takes new work; set by the node itself.
    /// @param draining Whether a storage node asks owners to move their pieces elsewhere; set by the node itself.
    /// @param registeredAt Time of registration, in seconds.
    /// @param lastHeartbeat Time of the last heartbeat that counted, 0 before the first.
    /// @param onlineChangedAt Time when it last went online or offline.
    /// @param capacity Bytes that a storage node offers.
    /// @param tlsFingerprint SHA-256 of the node's TLS certificate, zero if it serves without TLS.
    /// @param name Label for people, unique in its role.
    /// @param endpoint URL where the node listens.
    struct Node {
        Role role;
        bool online;
        bool draining;
        uint64 registeredAt;
        uint64 lastHeartbeat;
        uint64 onlineChangedAt;
        uint64 capacity;
        bytes32 tlsFingerprint;
        string name;
        string endpoint;
    }

    /// @notice What a storage node has at stake, and what for.
    /// @param used Bytes of its holdings.
    /// @param holdings Number of its holdings that are not released.
    /// @param stake Wei.
    struct Pledge {
        uint64 used;
        uint32 holdings;
        uint128 stake;
    }

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice A heartbeat slot of {slotSeconds} seconds is out of range; choose 1 to 86400.
    error InvalidSlotSeconds(uint64 slotSeconds);

    /// @notice A node must have a role; register it as a storage node or as an executor.
    error NoRole();

    /// @notice A node's name is {length} bytes long; choose 1 to {maximum} bytes.
    error InvalidNodeName(uint256 length, uint256 maximum);

    /// @notice A node's endpoint is {length} bytes long; choose 1 to {maximum} bytes.
    error InvalidEndpoint(uint256 length, uint256 maximum);

    /// @notice The name "{name}" belongs to node {node} already; choose another.
    error NodeNameTaken(string name, address node);

    /// @notice Account {node} is registered already; update it, or register another account.
    error AlreadyRegistered(address node);

    /// @notice Account {node} is not a registered node; register it first.
    error UnknownNode(address node);

    /// @notice No node of role {role} is called "{name}"; check the spelling, or list the nodes.
    error UnknownNodeName(Role role, string name);

    /// @notice Node {node} has the role {role}, {expected} is needed; choose another node.
    error WrongRole(address node, Role role, Role expected);

    /// @notice Node {node} is offline; choose another, or bring it online first.
    error NodeOffline(address node);

    /// @notice Node {node} is draining and takes nothing new; choose another, or end the draining first.
    error NodeDraining(address node);

    /// @notice The stake of node {node} would be {stake} wei, {required} are needed for its capacity; send more, or offer less.
    error StakeTooSmall(address node, uint256 stake, uint256 required);

    /// @notice The stake of node {node} would be {stake} wei, at most {maximum} are allowed; send less.
    error StakeTooLarge(address node, uint256 stake, uint256 maximum);

    /// @notice A node of role {role} has nothing at stake; send no value.
    error NoStakeNeeded(Role role);

    /// @notice Node {node} would hold {wanted} bytes, its capacity and stake allow {usable}; choose another node.
    error CapacityExceeded(address node, uint256 wanted, uint256 usable);

    /// @notice Node {node} still has {holdings} holdings; drain it, and wait until they are released.
    error StillHolding(address node, uint256 holdings);

    /// @notice Node {node} is online; take it offline first.
    error NodeOnline(address node);

    /// @notice Account {caller} is not the contract {expected}, which alone may do this.
    error NotTheContract(address caller, address expected);

    /// @notice Node {node} has sent its heartbeat for this slot; the next one counts from time {nextAt}.
    error HeartbeatTooSoon(address node, uint64 nextAt);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A node joined; it is online from the start.
    /// @param node Account of the node.
    /// @param role Storage node or executor.
    /// @param name Its label.
    /// @param endpoint URL where it listens.
    /// @param tlsFingerprint SHA-256 of its TLS certificate, or zero.
    /// @param capacity Bytes that it offers.
    event NodeRegistered(
        address indexed node,
        Role indexed role,
        string name,
        string endpoint,
        bytes32 tlsFingerprint,
        uint64 capacity
    );

    /// @notice A node moved, changed its certificate or its capacity.
    /// @param node Account of the node.
    /// @param endpoint URL where it listens now.
    /// @param tlsFingerprint SHA-256 of its TLS certificate, or zero.
    /// @param capacity Bytes that it offers now.
    event NodeUpdated(address indexed node, string endpoint, bytes32 tlsFingerprint, uint64 capacity);

    /// @notice A node went online or offline.
    /// @param node Account of the node.
    /// @param online Whether it takes new work.
    event NodeOnlineChanged(address indexed node, bool online);

    /// @notice A storage node asks owners to move their pieces elsewhere, or no longer does.
    /// @param node Account of the node.
    /// @param draining Whether it does.
    event NodeDrainingChanged(address indexed node, bool draining);

    /// @notice A storage node's stake changed.
    /// @param node Account of the node.
    /// @param stake Wei at stake now.
    event StakeChanged(address indexed node, uint256 stake);

    /// @notice A storage node lost a part of its stake for a failed challenge.
    /// @param node Account of the node.
    /// @param owner Owner of the file, to whom half of it (rounded down) is credited.
    /// @param amount Wei taken in all.
    /// @param burned Wei of it that nobody gets.
    event NodeSlashed(address indexed node, address indexed owner, uint256 amount, uint256 burned);

    /// @notice A heartbeat counted.
    /// @param node Account of the node.
    /// @param day Days since the epoch: the bucket it fell into.
    /// @param count Heartbeats in that bucket so far.
    event HeartbeatCounted(address indexed node, uint64 indexed day, uint32 count);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Register the sender as a node, online. A storage node sends its stake, at least stakeFor(capacity).
    /// @param role Storage or Executor; it cannot be changed later.
    /// @param name Label of 1 to 64 bytes, not in use by another node of that role.
    /// @param endpoint URL of 1 to 256 bytes where the node listens.
    /// @param tlsFingerprint SHA-256 of the node's TLS certificate, zero if it serves without TLS.
    /// @param capacity Bytes that a storage node offers.
    function register(
        Role role,
        string calldata name,
        string calldata endpoint,
        bytes32 tlsFingerprint,
        uint64 capacity
    ) external payable;

    /// @notice Change where the sender's node listens and what it offers. What it holds already stays held.
    /// @param endpoint URL of 1 to 256 bytes where the node listens.
    /// @param tlsFingerprint SHA-256 of the node's TLS certificate, zero if it serves without TLS.
    /// @param capacity Bytes that a storage node offers.
    function update(string calldata endpoint, bytes32 tlsFingerprint, uint64 capacity) external;

    /// @notice Take the sender's node online or offline. Saying again what already holds changes nothing.
    /// @dev Offline refuses new files and tasks; what the node already promised stays promised.
    /// @param online Whether the node takes new work.
    function setOnline(bool online) external;

    /// @notice Ask owners to move their pieces off the sender's storage node, or take it back. A draining node takes no new
    /// holdings, and goes on serving, answering and sending heartbeats.
    /// @param draining Whether it drains.
    function setDraining(bool draining) external;

    /// @notice Put more at stake for the sender's storage node.
    function addStake() external payable;

    /// @notice Take back the whole stake of the sender's storage node, which must be offline and hold nothing: a holding whose
    /// challenge is open is not released, so no open challenge is evaded. The amount is credited; withdraw fetches it.
    /// @return amount In wei.
    function unstake() external returns (uint256 amount);

    /// @notice Show that the sender's node is alive. One heartbeat a slot counts; a second one reverts.
    function heartbeat() external;

    /// @notice Count bytes that a storage node takes. FileRegistry only.
    /// @dev Reverts unless the node is an online storage node that is not draining and has room.
    /// @param account Account of the node.
    /// @param size Bytes.
    function hold(address account, uint64 size) external;

    /// @notice Count bytes that a storage node no longer holds. FileRegistry only.
    /// @param account Account of the node.
    /// @param size Bytes.
    function free(address account, uint64 size) external;

    /// @notice Take a part of a node's stake: half for the owner of the file, the rest burned. StorageChallenge only.
    /// @param account Account of the node.
    /// @param amount In wei; at most what is left of the bond of the holding.
    /// @param owner Owner of the file.
    function slash(address account, uint256 amount, address owner) external;

    /// @notice The record of a node.
    /// @param account Account of the node.
    /// @return node Its record; reverts with UnknownNode if there is none.
    function nodeOf(address account) external view returns (Node memory node);

    /// @notice The node with a name.
    /// @param role Storage or Executor.
    /// @param name Its label.
    /// @return account Account of the node; reverts with UnknownNodeName if there is none.
    function nodeNamed(Role role, string calldata name) external view returns (address account);

    /// @notice Whether an account is an online node of a role.
    /// @param account Any account.
    /// @param role Storage or Executor.
    /// @return online True if so; false also for an account that is no node.
    function isOnline(address account, Role role) external view returns (bool online);

    /// @notice Revert unless an account is an online node of a role.
    /// @param account Any account.
    /// @param role Storage or Executor.
    function requireOnline(address account, Role role) external view;

    /// @notice Heartbeats of a node that counted on one day.
    /// @param account Account of the node.
    /// @param day Days since the epoch.
    /// @return count At most 86400 / slotSeconds, rounded up, plus one.
    function heartbeatsOn(address account, uint64 day) external view returns (uint32 count);

    /// @notice Heartbeats of a node in the week up to now, and how many there could have been.
    /// @dev The week is today and the six days (UTC) before it, cut off at the registration.
    /// @param account Account of the node.
    /// @return counted Heartbeats that counted.
    /// @return possible Whole slots that have passed.
    function heartbeatsInWeek(address account) external view returns (uint256 counted, uint256 possible);

    /// @notice What a storage node has at stake, and what for.
    /// @param account Account of the node.
    /// @return record Its pledge; all zero for an account that is no storage node.
    function pledgeOf(address account) external view returns (Pledge memory record);

    /// @notice Bytes that a storage node could still take, by its capacity and its stake.
    /// @param account Account of the node.
    /// @return size In bytes.
    function roomOf(address account) external view returns (uint256 size);

    /// @notice The stake that a capacity needs.
    /// @param capacity In bytes.
    /// @return amount In wei, rounded up.
    function stakeFor(uint64 capacity) external view returns (uint256 amount);

    /// @notice The part of a node's stake that stands behind a holding.
    /// @param size Bytes of the holding.
    /// @return amount In wei, rounded down.
    function bondOf(uint64 size) external view returns (uint256 amount);

    /// @notice What has been burned so far.
    /// @return amount In wei; locked in this contract for good.
    function burned() external view returns (uint256 amount);

    /// @notice Length of a heartbeat slot.
    /// @return seconds_ In seconds.
    function slotSeconds() external view returns (uint64 seconds_);
}
