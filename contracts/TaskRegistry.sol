// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PullPayments} from "./PullPayments.sol";
import {TaskBook} from "./TaskBook.sol";
import {IFileAuthorization} from "./interfaces/IFileAuthorization.sol";
import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title Learning tasks and their escrow
/// @dev The life of a task after its publication; TaskBook has the publication and the records.
contract TaskRegistry is TaskBook, PullPayments {
    uint256 private constant MAX_NOTE = 4096;
    uint256 private constant MAX_RESULT = 16384;
    uint256 private constant MAX_REASON = 256;
    uint16 private constant DEFAULT_CONCURRENCY = 4;

    IFileAuthorization private immutable FILE_AUTHORIZATION;

    mapping(address executor => uint16) private _active;
    mapping(address executor => uint16) private _limits;

    constructor(
        IFileRegistry fileRegistry,
        IFileAuthorization fileAuthorization,
        INodeRegistry nodeRegistry
    ) TaskBook(fileRegistry, nodeRegistry) {
        FILE_AUTHORIZATION = fileAuthorization;
    }

    /*//////////////////////////////////////////////////////////////
                           FOR THE REQUESTER
    //////////////////////////////////////////////////////////////*/

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
        _requireAuthorized(taskId, _partiesOf(taskId)[index].fileId, authorizationId, task.finishBy);
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
    function noteRows(uint256 taskId, bytes calldata note) external {
        (Task storage task, uint256 index, ) = _ownPart(taskId);
        _requireStatus(taskId, task, TaskStatus.Processing);
        _requireInTime(taskId, task);
        uint256 length = note.length;
        require(length >= 1 && length <= MAX_NOTE, InvalidNote(length, MAX_NOTE));
        (address owner, ) = FILE_REGISTRY.requireLive(_partiesOf(taskId)[index].fileId);
        emit RowsNoted(taskId, owner, msg.sender, note);
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

        if (task.reported == 0) {
            _requireResultFile(taskId, task, resultFileId);
            task.resultHash = resultHash;
            task.resultFileId = resultFileId;
        } else if (resultHash != task.resultHash || resultFileId != task.resultFileId) {
            task.differing |= bit;
        } else {
            _requireResultFile(taskId, task, resultFileId);
        }
        task.reported |= bit;
        emit TaskReported(taskId, msg.sender, resultHash, resultFileId);
        if (task.reported == _everybody(taskId)) _conclude(taskId, task, result);
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
    function timeOut(uint256 taskId, string calldata reason) external {
        Task storage task = _task(taskId);
        TaskStatus status = task.status;
        bool open = status >= TaskStatus.Confirming && status <= TaskStatus.Processing;
        require(open, WrongTaskStatus(taskId, status));
        uint64 deadline = _deadline(task);
        require(block.timestamp > deadline, DeadlineNotPassed(taskId, deadline));
        _requireReason(reason);
        _refund(taskId, task, TaskStatus.TimedOut);
        emit TaskTimedOut(taskId, status, msg.sender, reason);
    }

    /// @inheritdoc ITaskRegistry
    function concurrencyOf(address executor) public view returns (uint16 active, uint16 limit) {
        limit = _limits[executor];
        return (_active[executor], limit == 0 ? DEFAULT_CONCURRENCY : limit);
    }

    /*//////////////////////////////////////////////////////////////
                           WHO MAY, AND WHEN
    //////////////////////////////////////////////////////////////*/

    function _ownTask(uint256 taskId) private view returns (Task storage task) {
        task = _task(taskId);
        require(msg.sender == task.requester, NotRequester(taskId, msg.sender, task.requester));
    }

    /// @dev The task, the sender's place among its parties and the place's bit in the masks.
    function _ownPart(uint256 taskId) private view returns (Task storage task, uint256 index, uint16 bit) {
        task = _task(taskId);
        Party[] storage parties = _partiesOf(taskId);
        uint256 count = parties.length;
        for (index = 0; index < count; ++index) {
            if (parties[index].executor == msg.sender) return (task, index, uint16(1 << index));
        }
        revert NotExecutor(taskId, msg.sender);
    }

    /// @dev The mask with the bits of all parties.
    function _everybody(uint256 taskId) private view returns (uint16) {
        return uint16((1 << _partiesOf(taskId).length) - 1);
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
        Party[] storage parties = _partiesOf(taskId);
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
        Party[] storage parties = _partiesOf(taskId);
        uint256 count = parties.length;
        for (uint256 i = 0; i < count; ++i) {
            if (task.confirmed & (1 << i) != 0) --_active[parties[i].executor];
        }
    }

    function _refund(uint256 taskId, Task storage task, TaskStatus status) private {
        _end(taskId, task, status);
        _credit(task.requester, task.reward);
    }

    /// @dev Everybody has reported; if all alike, then the last one's result is everybody's.
    function _conclude(uint256 taskId, Task storage task, bytes calldata result) private {
        if (task.differing != 0) {
            _refund(taskId, task, TaskStatus.Failed);
            emit ReportsDisagree(taskId, task.differing);
            return;
        }
        _end(taskId, task, TaskStatus.Finished);
        _pay(taskId, task.reward);
        emit TaskFinished(taskId, task.requester, result, task.resultFileId);
    }

    /// @dev Shares are rounded down; what is left over, less than a wei a party, goes to the first.
    function _pay(uint256 taskId, uint256 reward) private {
        Party[] storage parties = _partiesOf(taskId);
        uint256 left = reward;
        for (uint256 i = parties.length - 1; i > 0; --i) {
            uint256 share = (reward * parties[i].shareBps) / ALL_SHARES;
            left -= share;
            _credit(parties[i].executor, share);
        }
        _credit(parties[0].executor, left);
    }
}
