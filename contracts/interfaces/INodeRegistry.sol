// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Storage nodes and executors
/// @notice Who serves the network, where to reach it, and how regularly it shows signs of life.
/// @dev A node is its account; the name is a unique label for people. Anybody may register any free name, so trust an
/// address (or the TLS fingerprint beside it), never a name alone.
interface INodeRegistry {
    /// @notice What a node does. One account has one role for good.
    enum Role {
        None,
        Storage,
        Executor
    }

    /// @notice One registered node.
    /// @param role Storage node or executor.
    /// @param online Whether the node takes new work; set by the node itself.
    /// @param registeredAt Time of registration, in seconds.
    /// @param lastHeartbeat Time of the last heartbeat that counted, 0 before the first.
    /// @param capacity Bytes that a storage node offers.
    /// @param tlsFingerprint SHA-256 of the node's TLS certificate, zero if it serves without TLS.
    /// @param name Label for people, unique in its role.
    /// @param endpoint URL where the node listens.
    struct Node {
        Role role;
        bool online;
        uint64 registeredAt;
        uint64 lastHeartbeat;
        uint64 capacity;
        bytes32 tlsFingerprint;
        string name;
        string endpoint;
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

    /// @notice A heartbeat counted.
    /// @param node Account of the node.
    /// @param day Days since the epoch: the bucket it fell into.
    /// @param count Heartbeats in that bucket so far.
    event HeartbeatCounted(address indexed node, uint64 indexed day, uint32 count);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Register the sender as a node, online.
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
    ) external;

    /// @notice Change where the sender's node listens and what it offers.
    /// @param endpoint URL of 1 to 256 bytes where the node listens.
    /// @param tlsFingerprint SHA-256 of the node's TLS certificate, zero if it serves without TLS.
    /// @param capacity Bytes that a storage node offers.
    function update(string calldata endpoint, bytes32 tlsFingerprint, uint64 capacity) external;

    /// @notice Take the sender's node online or offline. Saying again what already holds changes nothing.
    /// @dev Offline refuses new files and tasks; what the node already promised stays promised.
    /// @param online Whether the node takes new work.
    function setOnline(bool online) external;

    /// @notice Show that the sender's node is alive. One heartbeat a slot counts; a second one reverts.
    function heartbeat() external;

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

    /// @notice Length of a heartbeat slot.
    /// @return seconds_ In seconds.
    function slotSeconds() external view returns (uint64 seconds_);
}
