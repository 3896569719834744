// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {INodeRegistry} from "./interfaces/INodeRegistry.sol";

/// @title Storage nodes and executors
contract NodeRegistry is INodeRegistry {
    uint256 private constant MAX_NAME = 64;
    uint256 private constant MAX_ENDPOINT = 256;

    uint64 private immutable SLOT_SECONDS;

    mapping(address account => Node) private _nodes;
    mapping(Role role => mapping(string name => address account)) private _named;
    mapping(address account => mapping(uint64 day => uint32 count)) private _heartbeats;

    modifier onlyNode() {
        require(_nodes[msg.sender].role != Role.None, UnknownNode(msg.sender));
        _;
    }

    constructor(uint64 slotSeconds_) {
        require(slotSeconds_ >= 1 && slotSeconds_ <= 1 days, InvalidSlotSeconds(slotSeconds_));
        SLOT_SECONDS = slotSeconds_;
    }

    /*//////////////////////////////////////////////////////////////
                              FOR THE NODE
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeRegistry
    function register(
        Role role,
        string calldata name,
        string calldata endpoint,
        bytes32 tlsFingerprint,
        uint64 capacity
    ) external {
        require(role != Role.None, NoRole());
        require(_nodes[msg.sender].role == Role.None, AlreadyRegistered(msg.sender));
        uint256 length = bytes(name).length;
        require(length >= 1 && length <= MAX_NAME, InvalidNodeName(length, MAX_NAME));
        _requireEndpoint(endpoint);
        address holder = _named[role][name];
        require(holder == address(0), NodeNameTaken(name, holder));

        _named[role][name] = msg.sender;
        _nodes[msg.sender] = Node({
            role: role,
            online: true,
            registeredAt: uint64(block.timestamp),
            lastHeartbeat: 0,
            capacity: capacity,
            tlsFingerprint: tlsFingerprint,
            name: name,
            endpoint: endpoint
        });
        emit NodeRegistered(msg.sender, role, name, endpoint, tlsFingerprint, capacity);
    }

    /// @inheritdoc INodeRegistry
    function update(string calldata endpoint, bytes32 tlsFingerprint, uint64 capacity) external onlyNode {
        _requireEndpoint(endpoint);
        Node storage node = _nodes[msg.sender];
        node.endpoint = endpoint;
        node.tlsFingerprint = tlsFingerprint;
        node.capacity = capacity;
        emit NodeUpdated(msg.sender, endpoint, tlsFingerprint, capacity);
    }

    /// @inheritdoc INodeRegistry
    function setOnline(bool online) external onlyNode {
        Node storage node = _nodes[msg.sender];
        if (node.online == online) return;
        node.online = online;
        emit NodeOnlineChanged(msg.sender, online);
    }

    /// @inheritdoc INodeRegistry
    function heartbeat() external onlyNode {
        Node storage node = _nodes[msg.sender];
        require(node.online, NodeOffline(msg.sender));
        uint64 current = uint64(block.timestamp);
        uint64 nextAt = (node.lastHeartbeat / SLOT_SECONDS + 1) * SLOT_SECONDS;
        require(current >= nextAt, HeartbeatTooSoon(msg.sender, nextAt));

        node.lastHeartbeat = current;
        uint64 day = current / 1 days;
        uint32 count = ++_heartbeats[msg.sender][day];
        emit HeartbeatCounted(msg.sender, day, count);
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeRegistry
    function nodeOf(address account) external view returns (Node memory node) {
        node = _nodes[account];
        require(node.role != Role.None, UnknownNode(account));
    }

    /// @inheritdoc INodeRegistry
    function nodeNamed(Role role, string calldata name) external view returns (address account) {
        account = _named[role][name];
        require(account != address(0), UnknownNodeName(role, name));
    }

    /// @inheritdoc INodeRegistry
    function isOnline(address account, Role role) external view returns (bool online) {
        Node storage node = _nodes[account];
        return node.role == role && node.online;
    }

    /// @inheritdoc INodeRegistry
    function requireOnline(address account, Role role) external view {
        Node storage node = _nodes[account];
        require(node.role != Role.None, UnknownNode(account));
        require(node.role == role, WrongRole(account, node.role, role));
        require(node.online, NodeOffline(account));
    }

    /// @inheritdoc INodeRegistry
    function heartbeatsOn(address account, uint64 day) external view returns (uint32 count) {
        return _heartbeats[account][day];
    }

    /// @inheritdoc INodeRegistry
    function slotSeconds() external view returns (uint64 seconds_) {
        return SLOT_SECONDS;
    }

    function _requireEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        require(length >= 1 && length <= MAX_ENDPOINT, InvalidEndpoint(length, MAX_ENDPOINT));
    }
}
