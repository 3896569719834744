// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PullPayments} from "./PullPayments.sol";
import {IFileAuthorization} from "./interfaces/IFileAuthorization.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title Learning tasks and their escrow
contract TaskRegistry is ITaskRegistry, PullPayments {
    uint256 private constant MIN_PARTIES = 2;
    uint256 private constant MAX_PARTIES = 16;
    uint256 private constant MAX_SPEC = 16384;
    uint256 private constant MAX_RESULT = 16384;
    uint256 private constant MAX_REASON = 256;
    uint256 private constant ALL_SHARES = 10_000;
    uint16 private constant DEFAULT_CONCURRENCY = 4;

    IFileRegistry private immutable FILE_REGISTRY;
    IFileAuthorization private immutable FILE_AUTHORIZATION;
    INodeRegistry private immutable NODE_REGISTRY;

    mapping(uint256 taskId => Task) private _tasks;
    mapping(uint256 taskId => Party[]) private _parties;
    mapping(address executor => uint16) private _active;
    mapping(address executor => uint16) private _limits;
    uint256 private _taskCount;

    constructor(
        IFileRegistry fileRegistry,
        IFileAuthorization fileAuthorization,
        INodeRegistry nodeRegistry
    ) {
        FILE_REGISTRY = fileRegistry;
        FILE_AUTHORIZATION = fileAuthorization;
        NODE_REGISTRY = nodeRegistry;
    }

    /*//////////////////////////////////////////////////////////////
                           FOR THE REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ITaskRegistry
    function publish(Proposal calldata proposal) external payable returns (uint256 taskId) {
        uint256 length = proposal.spec.length;
        require(length >= 1 && length <= MAX_SPEC, InvalidSpec(length, MAX_SPEC));
        _requireDeadlines(proposal);
        _requireModel(proposal);
        taskId = ++_taskCount;
        _record(taskId, proposal);
        _addParties(taskId, proposal);
    }

    /// @inheritdoc ITaskRegistry
    function start(uint256 taskId) external {
        Task storage task = _ownTask(taskId);
        _requireStatus(taskId, task, TaskStatus.Ready);
        _requireInTime(taskId, task);
        task.status = TaskStatus.ToProcess;
        emit TaskStarted(taskId);
    }

    /// @inheritdoc ITaskRegistry
    function cancel(uint256 taskId) external {
        Task storage task = _ownTask(taskId);
        _requireStatus(taskId, task, TaskStatus.Confirming, TaskStatus.Ready);
        _requireInTime(taskId, task);
        _refund(taskId, task, TaskStatus.Cancelled);
        emit TaskCancelled(taskId);
    }

    /*//////////////////////////////////////////////////////////////
                           FOR THE EXECUTORS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ITaskRegistry
    function confirm(uint256 taskId, uint256 authorizationId) external {
        (Task storage task, uint256 index, uint16 bit) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.Confirming);
        _requireInTime(taskId, task);
        require(task.confirmed & bit == 0, AlreadyConfirmed(taskId, msg.sender));
        _requireAuthorized(taskId, _parties[taskId][index].fileId, authorizationId, task.finishBy);
        (uint16 active, uint16 limit) = concurrencyOf(msg.sender);
        require(active < limit, ConcurrencyExceeded(msg.sender, active, limit));

        _active[msg.sender] = active + 1;
        task.confirmed |= bit;
        emit TaskConfirmed(taskId, msg.sender, authorizationId);
        if (task.confirmed == _everybody(taskId)) {
            task.status = TaskStatus.Ready;
            emit TaskReady(taskId);
        }
    }

    /// @inheritdoc ITaskRegistry
    function reject(uint256 taskId, string calldata reason) external {
        (Task storage task, , ) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.Confirming);
        _requireInTime(taskId, task);
        _requireReason(reason);
        _refund(taskId, task, TaskStatus.Rejected);
        emit TaskRejected(taskId, msg.sender, reason);
    }

    /// @inheritdoc ITaskRegistry
    function begin(uint256 taskId) external {
        (Task storage task, , ) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.ToProcess);
        _requireInTime(taskId, task);
        task.status = TaskStatus.Processing;
        emit TaskBegun(taskId, msg.sender);
    }

    /// @inheritdoc ITaskRegistry
    function report(uint256 taskId, bytes calldata result, bytes32 resultFileId) external {
        (Task storage task, , uint16 bit) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.Processing);
        _requireInTime(taskId, task);
        require(task.reported & bit == 0, AlreadyReported(taskId, msg.sender));
        uint256 length = result.length;
        require(length >= 1 && length <= MAX_RESULT, InvalidResult(length, MAX_RESULT));
        bytes32 resultHash = keccak256(result);

        bool first = task.reported == 0;
        if (!first && (resultHash != task.resultHash || resultFileId != task.resultFileId)) {
            _disagree(taskId, task, resultHash, resultFileId);
            return;
        }
        _requireResultFile(taskId, task, resultFileId);
        if (first) {
            task.resultHash = resultHash;
            task.resultFileId = resultFileId;
        }
        task.reported |= bit;
        emit TaskReported(taskId, msg.sender, resultHash, resultFileId);
        if (task.reported == _everybody(taskId)) {
            _end(taskId, task, TaskStatus.Finished);
            _pay(taskId, task.reward);
            emit TaskFinished(taskId, task.requester, result, resultFileId);
        }
    }

    /// @inheritdoc ITaskRegistry
    function fail(uint256 taskId, string calldata reason) external {
        (Task storage task, , ) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.ToProcess, TaskStatus.Processing);
        _requireInTime(taskId, task);
        _requireReason(reason);
        _refund(taskId, task, TaskStatus.Failed);
        emit TaskFailed(taskId, msg.sender, reason);
    }

    /// @inheritdoc ITaskRegistry
    function setConcurrency(uint16 limit) external {
        require(limit > 0, ZeroConcurrency());
        _limits[msg.sender] = limit;
        emit ConcurrencyChanged(msg.sender, limit);
    }

    /*//////////////////////////////////////////////////////////////
                              FOR ANYBODY
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ITaskRegistry
    function timeOut(uint256 taskId) external {
        Task storage task = _task(taskId);
        TaskStatus status = task.status;
        bool open = status >= TaskStatus.Confirming && status <= TaskStatus.Processing;
        require(open, WrongTaskStatus(taskId, status));
        uint64 deadline = _deadline(task);
        require(block.timestamp > deadline, DeadlineNotPassed(taskId, deadline));
        _refund(taskId, task, TaskStatus.TimedOut);
        emit TaskTimedOut(taskId, status);
    }

    /// @inheritdoc ITaskRegistry
    function taskOf(uint256 taskId) external view returns (Task memory record) {
        return _task(taskId);
    }

    /// @inheritdoc ITaskRegistry
    function partiesOf(uint256 taskId) external view returns (Party[] memory parties) {
        _task(taskId);
        return _parties[taskId];
    }

    /// @inheritdoc ITaskRegistry
    function taskCount() external view returns (uint256 count) {
        return _taskCount;
    }

    /// @inheritdoc ITaskRegistry
    function concurrencyOf(address executor) public view returns (uint16 active, uint16 limit) {
        limit = _limits[executor];
        return (_active[executor], limit == 0 ? DEFAULT_CONCURRENCY : limit);
    }

    /*//////////////////////////////////////////////////////////////
                          PARTS OF PUBLISHING
    //////////////////////////////////////////////////////////////*/

    function _requireDeadlines(Proposal calldata proposal) private view {
        uint64 current = uint64(block.timestamp);
        (uint64 confirmBy, uint64 startBy, uint64 finishBy) = (
            proposal.confirmBy,
            proposal.startBy,
            proposal.finishBy
        );
        require(
            current < confirmBy && confirmBy < startBy && startBy < finishBy,
            InvalidDeadlines(current, confirmBy, startBy, finishBy)
        );
    }

    /// @dev Parts of a model never leave their executors, so a prediction needs the very executors of the training, in their
    /// order.
    function _requireModel(Proposal calldata proposal) private view {
        uint256 modelTaskId = proposal.modelTaskId;
        if (proposal.kind == Kind.Train) {
            require(modelTaskId == 0, UnexpectedModelTask(modelTaskId));
            return;
        }
        Task storage model = _tasks[modelTaskId];
        bool usable = model.kind == Kind.Train &&
            model.status == TaskStatus.Finished &&
            model.requester == msg.sender;
        require(usable, InvalidModelTask(modelTaskId));
        Party[] storage trained = _parties[modelTaskId];
        uint256 count = trained.length;
        require(
            proposal.parties.length == count,
            InvalidPartyCount(proposal.parties.length, count, count)
        );
        for (uint256 i = 0; i < count; ++i) {
            (address executor, address expected) = (proposal.parties[i].executor, trained[i].executor);
            require(executor == expected, WrongModelExecutor(modelTaskId, i, executor, expected));
        }
    }

    function _record(uint256 taskId, Proposal calldata proposal) private {
        Task storage task = _tasks[taskId];
        task.requester = msg.sender;
        task.kind = proposal.kind;
        task.status = TaskStatus.Confirming;
        task.publishedAt = uint64(block.timestamp);
        task.confirmBy = proposal.confirmBy;
        task.startBy = proposal.startBy;
        task.finishBy = proposal.finishBy;
        task.reward = msg.value;
        task.modelTaskId = proposal.modelTaskId;
        task.specHash = keccak256(proposal.spec);
        emit TaskPublished(
            taskId,
            msg.sender,
            proposal.kind,
            proposal.spec,
            uint64(block.timestamp),
            proposal.confirmBy,
            proposal.startBy,
            proposal.finishBy,
            proposal.modelTaskId,
            msg.value
        );
    }

    function _addParties(uint256 taskId, Proposal calldata proposal) private {
        Party[] calldata parties = proposal.parties;
        uint256 count = parties.length;
        require(
            count >= MIN_PARTIES && count <= MAX_PARTIES,
            InvalidPartyCount(count, MIN_PARTIES, MAX_PARTIES)
        );
        uint256 shares;
        for (uint256 i = 0; i < count; ++i) {
            Party calldata party = parties[i];
            for (uint256 j = 0; j < i; ++j) {
                require(parties[j].executor != party.executor, DuplicateExecutor(party.executor));
                require(parties[j].fileId != party.fileId, DuplicateFile(party.fileId));
            }
            NODE_REGISTRY.requireOnline(party.executor, INodeRegistry.Role.Executor);
            (, uint64 expiresAt) = FILE_REGISTRY.requireLive(party.fileId);
            require(
                expiresAt >= proposal.finishBy,
                FileExpiresBeforeFinish(party.fileId, expiresAt, proposal.finishBy)
            );
            shares += party.shareBps;
            _parties[taskId].push(party);
            emit PartyInvited(taskId, party.executor, party.fileId, party.shareBps);
        }
        require(shares == ALL_SHARES, InvalidShares(shares, ALL_SHARES));
    }

    /*//////////////////////////////////////////////////////////////
                           WHO MAY, AND WHEN
    //////////////////////////////////////////////////////////////*/

    function _task(uint256 taskId) private view returns (Task storage task) {
        task = _tasks[taskId];
        require(task.status != TaskStatus.None, UnknownTask(taskId));
    }

    function _ownTask(uint256 taskId) private view returns (Task storage task) {
        task = _task(taskId);
        require(msg.sender == task.requester, NotRequester(taskId, msg.sender, task.requester));
    }

    /// @dev The task, the sender's place among its parties and the place's bit in the masks.
    function _ownPart(uint256 taskId) private view returns (Task storage task, uint256 index, uint16 bit) {
        task = _task(taskId);
        Party[] storage parties = _parties[taskId];
        uint256 count = parties.length;
        for (index = 0; index < count; ++index) {
            if (parties[index].executor == msg.sender) return (task, index, uint16(1 << index));
        }
        revert NotExecutor(taskId, msg.sender);
    }

    /// @dev The mask with the bits of all parties.
    function _everybody(uint256 taskId) private view returns (uint16) {
        return uint16((1 << _parties[taskId].length) - 1);
    }

    function _requireStatus(uint256 taskId, Task storage task, TaskStatus expected) private view {
        _requireStatus(taskId, task, expected, expected);
    }

    function _requireStatus(
        uint256 taskId,
        Task storage task,
        TaskStatus expected,
        TaskStatus orElse
    ) private view {
        TaskStatus status = task.status;
        require(status == expected || status == orElse, WrongTaskStatus(taskId, status));
    }

    function _requireInTime(uint256 taskId, Task storage task) private view {
        uint64 deadline = _deadline(task);
        require(block.timestamp <= deadline, DeadlinePassed(taskId, deadline));
    }

    /// @dev The deadline of an open state.
    function _deadline(Task storage task) private view returns (uint64) {
        TaskStatus status = task.status;
        if (status == TaskStatus.Confirming) return task.confirmBy;
        if (status == TaskStatus.Ready) return task.startBy;
        return task.finishBy;
    }

    function _requireAuthorized(
        uint256 taskId,
        bytes32 fileId,
        uint256 authorizationId,
        uint64 finishBy
    ) private view {
        if (authorizationId == 0) {
            (address owner, ) = FILE_REGISTRY.requireLive(fileId);
            require(owner == msg.sender, AuthorizationMissing(fileId, msg.sender));
            return;
        }
        IFileAuthorization.Authorization memory given = FILE_AUTHORIZATION.authorization(authorizationId);
        bool matches = given.applier == msg.sender && given.fileId == fileId && given.taskId == taskId;
        require(matches, AuthorizationMismatch(authorizationId, msg.sender, fileId, taskId));
        bool approved = given.status == IFileAuthorization.AuthorizationStatus.Approved;
        require(approved, AuthorizationNotApproved(authorizationId));
        require(
            given.expiresAt >= finishBy,
            AuthorizationExpiresBeforeFinish(authorizationId, given.expiresAt, finishBy)
        );
    }

    /// @dev Held at each report, so that the last one still finds the prediction within the requester's reach.
    function _requireResultFile(uint256 taskId, Task storage task, bytes32 fileId) private view {
        if (task.kind == Kind.Train) {
            require(fileId == 0, UnexpectedResultFile(fileId));
            return;
        }
        (address owner, ) = FILE_REGISTRY.requireLive(fileId);
        require(_isExecutor(taskId, owner), ResultFileNotOfExecutor(taskId, fileId, owner));
        address requester = task.requester;
        if (owner == requester) return;
        uint256 grantId = FILE_AUTHORIZATION.latestOf(fileId, requester, taskId);
        bool granted = FILE_AUTHORIZATION.isCurrent(grantId, requester, fileId);
        require(granted, ResultFileNotGranted(taskId, fileId, requester));
    }

    function _isExecutor(uint256 taskId, address account) private view returns (bool) {
        Party[] storage parties = _parties[taskId];
        uint256 count = parties.length;
        for (uint256 i = 0; i < count; ++i) {
            if (parties[i].executor == account) return true;
        }
        return false;
    }

    function _requireReason(string calldata reason) private pure {
        uint256 length = bytes(reason).length;
        require(length <= MAX_REASON, TaskReasonTooLong(length, MAX_REASON));
    }

    /*//////////////////////////////////////////////////////////////
                                 ENDING
    //////////////////////////////////////////////////////////////*/

    /// @dev The one way into a final state, hence taken once a task: frees the executors that had confirmed.
    function _end(uint256 taskId, Task storage task, TaskStatus status) private {
        task.status = status;
        Party[] storage parties = _parties[taskId];
        uint256 count = parties.length;
        for (uint256 i = 0; i < count; ++i) {
            if (task.confirmed & (1 << i) != 0) --_active[parties[i].executor];
        }
    }

    function _refund(uint256 taskId, Task storage task, TaskStatus status) private {
        _end(taskId, task, status);
        _credit(task.requester, task.reward);
    }

    function _disagree(uint256 taskId, Task storage task, bytes32 resultHash, bytes32 fileId) private {
        _refund(taskId, task, TaskStatus.Failed);
        emit ReportsDisagree(taskId, msg.sender, task.resultHash, resultHash, task.resultFileId, fileId);
    }

    /// @dev Shares are rounded down; what is left over, less than a wei a party, goes to the first.
    function _pay(uint256 taskId, uint256 reward) private {
        Party[] storage parties = _parties[taskId];
        uint256 left = reward;
        for (uint256 i = parties.length - 1; i > 0; --i) {
            uint256 share = (reward * parties[i].shareBps) / ALL_SHARES;
            left -= share;
            _credit(parties[i].executor, share);
        }
        _credit(parties[0].executor, left);
    }
}
