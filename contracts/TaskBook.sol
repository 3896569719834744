// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IFileRegistry} from "./interfaces/IFileRegistry.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {ITaskRegistry} from "./interfaces/ITaskRegistry.sol";

/// @title The book of learning tasks
/// @dev What may be proposed, and the record of it; TaskRegistry has what becomes of a task.
abstract contract TaskBook is ITaskRegistry {
    uint256 private constant MIN_PARTIES = 2;
    uint256 private constant MAX_PARTIES = 16;
    uint256 private constant MAX_SPEC = 16384;
    /// @dev Basis points.
    uint256 internal constant ALL_SHARES = 10_000;

    IFileRegistry internal immutable FILE_REGISTRY;
    INodeRegistry private immutable NODE_REGISTRY;

    mapping(uint256 taskId => Task) private _tasks;
    mapping(uint256 taskId => Party[]) private _parties;
    uint256 private _taskCount;

    constructor(IFileRegistry fileRegistry, INodeRegistry nodeRegistry) {
        FILE_REGISTRY = fileRegistry;
        NODE_REGISTRY = nodeRegistry;
    }

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

    function _task(uint256 taskId) internal view returns (Task storage task) {
        task = _tasks[taskId];
        require(task.status != TaskStatus.None, UnknownTask(taskId));
    }

    function _partiesOf(uint256 taskId) internal view returns (Party[] storage parties) {
        return _parties[taskId];
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
}
