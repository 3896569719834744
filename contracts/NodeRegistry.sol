// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {PullPayments} from "./PullPayments.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";

/// @title Storage nodes and executors
contract NodeRegistry is INodeRegistry, PullPayments {
    uint256 private constant MAX_NAME = 64;
    uint256 private constant MAX_ENDPOINT = 256;
    uint256 private constant GIB = 1 << 30;
    uint64 private constant WEEK_DAYS = 7;
    /// @dev More than all the ether there is; but a private chain may have been given more. Bonds, and what is taken of them,
    /// fit as well, for the stake covers them.
    uint256 private constant MAX_STAKE = type(uint96).max;

    uint64 private immutable SLOT_SECONDS;
    uint256 private immutable STAKE_PER_GIB;
    address private immutable FILE_REGISTRY;
    address private immutable STORAGE_CHALLENGE;

    mapping(address account => Node) private _nodes;
    mapping(Role role => mapping(string name => address account)) private _named;
    mapping(address account => mapping(uint64 day => uint32 count)) private _heartbeats;
    mapping(address account => Pledge) private _pledges;
    uint256 private _burned;

    modifier onlyNode() {
        require(_nodes[msg.sender].role != Role.None, UnknownNode(msg.sender));
        _;
    }

    modifier onlyStorageNode() {
        _requireRole(msg.sender, Role.Storage);
        _;
    }

    modifier onlyContract(address expected) {
        require(msg.sender == expected, NotTheContract(msg.sender, expected));
        _;
    }

    constructor(uint64 slotSeconds_, uint256 stakePerGib_, address fileRegistry_, address storageChallenge_) {
        require(slotSeconds_ >= 1 && slotSeconds_ <= 1 days, InvalidSlotSeconds(slotSeconds_));
        SLOT_SECONDS = slotSeconds_;
        STAKE_PER_GIB = stakePerGib_;
        FILE_REGISTRY = fileRegistry_;
        STORAGE_CHALLENGE = storageChallenge_;
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
    ) external payable {
        require(role != Role.None, NoRole());
        require(_nodes[msg.sender].role == Role.None, AlreadyRegistered(msg.sender));
        uint256 length = bytes(name).length;
        require(length >= 1 && length <= MAX_NAME, InvalidNodeName(length, MAX_NAME));
        _requireEndpoint(endpoint);
        address holder = _named[role][name];
        require(holder == address(0), NodeNameTaken(name, holder));
        require(role == Role.Storage || msg.value == 0, NoStakeNeeded(role));

        uint64 current = uint64(block.timestamp);
        _named[role][name] = msg.sender;
        _nodes[msg.sender] = Node({
            role: role,
            online: true,
            draining: false,
            registeredAt: current,
            lastHeartbeat: 0,
            onlineChangedAt: current,
            capacity: capacity,
            tlsFingerprint: tlsFingerprint,
            name: name,
            endpoint: endpoint
        });
        emit NodeRegistered(msg.sender, role, name, endpoint, tlsFingerprint, capacity);
        if (role == Role.Storage) {
            _addStake();
            _requireStakeFor(capacity);
        }
    }

    /// @inheritdoc INodeRegistry
    function update(string calldata endpoint, bytes32 tlsFingerprint, uint64 capacity) external onlyNode {
        _requireEndpoint(endpoint);
        Node storage node = _nodes[msg.sender];
        if (capacity > node.capacity && node.role == Role.Storage) _requireStakeFor(capacity);
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
        node.onlineChangedAt = uint64(block.timestamp);
        emit NodeOnlineChanged(msg.sender, online);
    }

    /// @inheritdoc INodeRegistry
    function setDraining(bool draining) external onlyStorageNode {
        Node storage node = _nodes[msg.sender];
        if (node.draining == draining) return;
        node.draining = draining;
        emit NodeDrainingChanged(msg.sender, draining);
    }

    /// @inheritdoc INodeRegistry
    function addStake() external payable onlyStorageNode {
        _addStake();
    }

    /// @inheritdoc INodeRegistry
    function unstake() external onlyStorageNode returns (uint256 amount) {
        require(!_nodes[msg.sender].online, NodeOnline(msg.sender));
        Pledge storage pledge = _pledges[msg.sender];
        require(pledge.holdings == 0, StillHolding(msg.sender, pledge.holdings));
        amount = pledge.stake;
        pledge.stake = 0;
        emit StakeChanged(msg.sender, 0);
        _credit(msg.sender, amount);
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
                        FOR THE OTHER CONTRACTS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc INodeRegistry
    function hold(address account, uint64 size) external onlyContract(FILE_REGISTRY) {
        requireOnline(account, Role.Storage);
        require(!_nodes[account].draining, NodeDraining(account));
        Pledge storage pledge = _pledges[account];
        uint256 wanted = uint256(pledge.used) + size;
        uint256 usable = _usable(account);
        require(wanted <= usable, CapacityExceeded(account, wanted, usable));
        pledge.used = uint64(wanted); // at most the capacity, a uint64
        ++pledge.holdings;
    }

    /// @inheritdoc INodeRegistry
    function free(address account, uint64 size) external onlyContract(FILE_REGISTRY) {
        Pledge storage pledge = _pledges[account];
        pledge.used -= size;
        --pledge.holdings;
    }

    /// @inheritdoc INodeRegistry
    function slash(
        address account,
        uint256 amount,
        address owner
    ) external onlyContract(STORAGE_CHALLENGE) {
        if (amount == 0) return;
        Pledge storage pledge = _pledges[account];
        uint256 share = amount / 2;
        pledge.stake -= uint128(amount); // no more than is left of a bond, which the stake covers
        _burned += amount - share;
        emit NodeSlashed(account, owner, amount, amount - share);
        emit StakeChanged(account, pledge.stake);
        _credit(owner, share);
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
    function requireOnline(address account, Role role) public view {
        _requireRole(account, role);
        require(_nodes[account].online, NodeOffline(account));
    }

    /// @inheritdoc INodeRegistry
    function heartbeatsOn(address account, uint64 day) external view returns (uint32 count) {
        return _heartbeats[account][day];
    }

    /// @inheritdoc INodeRegistry
    function heartbeatsInWeek(address account) external view returns (uint256 counted, uint256 possible) {
        uint64 current = uint64(block.timestamp);
        uint64 today = current / 1 days;
        uint64 first = today < WEEK_DAYS ? 0 : today - WEEK_DAYS + 1;
        for (uint64 day = first; day <= today; ++day) {
            counted += _heartbeats[account][day];
        }
        uint256 from = Math.max(first * 1 days, _nodes[account].registeredAt);
        possible = (current - from) / SLOT_SECONDS;
    }

    /// @inheritdoc INodeRegistry
    function pledgeOf(address account) external view returns (Pledge memory record) {
        return _pledges[account];
    }

    /// @inheritdoc INodeRegistry
    function roomOf(address account) external view returns (uint256 size) {
        return Math.saturatingSub(_usable(account), _pledges[account].used);
    }

    /// @inheritdoc INodeRegistry
    function stakeFor(uint64 capacity) public view returns (uint256 amount) {
        return Math.ceilDiv(capacity * STAKE_PER_GIB, GIB);
    }

    /// @inheritdoc INodeRegistry
    function bondOf(uint64 size) external view returns (uint256 amount) {
        return (size * STAKE_PER_GIB) / GIB;
    }

    /// @inheritdoc INodeRegistry
    function burned() external view returns (uint256 amount) {
        return _burned;
    }

    /// @inheritdoc INodeRegistry
    function slotSeconds() external view returns (uint64 seconds_) {
        return SLOT_SECONDS;
    }

    /*//////////////////////////////////////////////////////////////
                                PRIVATE
    //////////////////////////////////////////////////////////////*/

    function _addStake() private {
        Pledge storage pledge = _pledges[msg.sender];
        uint256 stake = pledge.stake + msg.value;
        require(stake <= MAX_STAKE, StakeTooLarge(msg.sender, stake, MAX_STAKE));
        pledge.stake = uint128(stake);
        emit StakeChanged(msg.sender, stake);
    }

    /// @dev Bytes that capacity and stake allow in all. Rounded down: the bonds, rounded down too, never sum to more than the
    /// stake.
    function _usable(address account) private view returns (uint256) {
        uint256 capacity = _nodes[account].capacity;
        if (STAKE_PER_GIB == 0) return capacity;
        return Math.min(capacity, (_pledges[account].stake * GIB) / STAKE_PER_GIB);
    }

    function _requireStakeFor(uint64 capacity) private view {
        uint256 stake = _pledges[msg.sender].stake;
        uint256 required = stakeFor(capacity);
        require(stake >= required, StakeTooSmall(msg.sender, stake, required));
    }

    function _requireRole(address account, Role role) private view {
        Node storage node = _nodes[account];
        require(node.role != Role.None, UnknownNode(account));
        require(node.role == role, WrongRole(account, node.role, role));
    }

    function _requireEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        require(length >= 1 && length <= MAX_ENDPOINT, InvalidEndpoint(length, MAX_ENDPOINT));
    }
}
