// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Learning tasks and their escrow
/// @notice A requester publishes a task with its reward; the executors confirm or reject it; the requester starts it; the
/// executors process it and report the same result, and are paid. Everything else pays the requester back.
/// @dev
///   Confirming ─confirm (all)→ Ready ─start→ ToProcess ─begin→ Processing ─report (all, alike)→ Finished
///   Confirming ─reject→ Rejected        Confirming, Ready ─cancel→ Cancelled
///   ToProcess, Processing ─fail→ Failed Processing ─report (all, not alike)→ Failed
///   Confirming, Ready, ToProcess, Processing ─timeOut→ TimedOut
/// Each open state has a deadline (confirmBy, startBy, finishBy, finishBy). A call in the second of the deadline counts; after
/// it only timeOut does. Specs, results and reasons are public.
interface ITaskRegistry {
    /// @notice What a task asks for.
    enum Kind {
        Train,
        Predict
    }

    /// @notice Where a task stands.
    enum TaskStatus {
        None,
        Confirming,
        Ready,
        ToProcess,
        Processing,
        Finished,
        Failed,
        Rejected,
        Cancelled,
        TimedOut
    }

    /// @notice One executor's part in a task.
    /// @param executor Account of an executor node.
    /// @param fileId The file that it works on.
    /// @param shareBps Its share of the reward, in basis points.
    struct Party {
        address executor;
        bytes32 fileId;
        uint16 shareBps;
    }

    /// @notice What the requester says when publishing a task.
    /// @param kind Train or Predict.
    /// @param spec Canonical JSON of the task, 1 to 16384 bytes; kept in the event, its keccak256 in state.
    /// @param parties 2 to 16, distinct executors and files, shares adding up to 10000.
    /// @param confirmBy Last second at which the executors may confirm.
    /// @param startBy Last second at which the requester may start.
    /// @param finishBy Last second at which the executors may report.
    /// @param modelTaskId For Predict: the finished Train task whose model is used; 0 for Train.
    struct Proposal {
        Kind kind;
        bytes spec;
        Party[] parties;
        uint64 confirmBy;
        uint64 startBy;
        uint64 finishBy;
        uint256 modelTaskId;
    }

    /// @notice The record of a task.
    /// @param requester Who published it and gets the refund.
    /// @param kind Train or Predict.
    /// @param status Where it stands.
    /// @param confirmed Bit i is set when party i has confirmed.
    /// @param reported Bit i is set when party i has reported.
    /// @param differing Bit i is set when party i has reported otherwise than the first to report.
    /// @param publishedAt Time of publication, in seconds.
    /// @param confirmBy Last second at which the executors may confirm.
    /// @param startBy Last second at which the requester may start.
    /// @param finishBy Last second at which the executors may report.
    /// @param reward What was locked, in wei.
    /// @param modelTaskId For Predict: the task whose model is used.
    /// @param specHash keccak256 of the spec.
    /// @param resultHash keccak256 of the result first reported, zero before.
    /// @param resultFileId For Predict: the file with the prediction, zero before the first report.
    struct Task {
        address requester;
        Kind kind;
        TaskStatus status;
        uint16 confirmed;
        uint16 reported;
        uint16 differing;
        uint64 publishedAt;
        uint64 confirmBy;
        uint64 startBy;
        uint64 finishBy;
        uint256 reward;
        uint256 modelTaskId;
        bytes32 specHash;
        bytes32 resultHash;
        bytes32 resultFileId;
    }

    /*//////////////////////////////////////////////////////////////
                          ERRORS OF A PROPOSAL
    //////////////////////////////////////////////////////////////*/

    /// @notice The spec is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidSpec(uint256 length, uint256 maximum);

    /// @notice {count} parties were given; a task has {minimum} to {maximum}.
    error InvalidPartyCount(uint256 count, uint256 minimum, uint256 maximum);

    /// @notice Executor {executor} appears twice; give each party an executor of its own.
    error DuplicateExecutor(address executor);

    /// @notice File {fileId} appears twice; give each party a file of its own.
    error DuplicateFile(bytes32 fileId);

    /// @notice The shares of the reward add up to {sum} basis points, not to {expected}.
    error InvalidShares(uint256 sum, uint256 expected);

    /// @notice The deadlines must follow each other: now {now_} < confirm {confirmBy} < start {startBy} < finish {finishBy}.
    error InvalidDeadlines(uint64 now_, uint64 confirmBy, uint64 startBy, uint64 finishBy);

    /// @notice File {fileId} expires at time {expiresAt}, before the task must finish at {finishBy}; use another file or an
    /// earlier deadline.
    error FileExpiresBeforeFinish(bytes32 fileId, uint64 expiresAt, uint64 finishBy);

    /// @notice A training task names model task {modelTaskId}; give 0.
    error UnexpectedModelTask(uint256 modelTaskId);

    /// @notice Task {modelTaskId} is not a finished training task of yours; choose another model.
    error InvalidModelTask(uint256 modelTaskId);

    /// @notice Party {index} must be executor {expected}, who has that part of model {modelTaskId}, not {executor}.
    error WrongModelExecutor(uint256 modelTaskId, uint256 index, address executor, address expected);

    /*//////////////////////////////////////////////////////////////
                            ERRORS OF A TASK
    //////////////////////////////////////////////////////////////*/

    /// @notice There is no task {taskId}; check the id, or list the tasks.
    error UnknownTask(uint256 taskId);

    /// @notice Task {taskId} is {status}; this step is not open to it.
    error WrongTaskStatus(uint256 taskId, TaskStatus status);

    /// @notice The deadline of task {taskId} for this step was time {deadline}; it can only time out now.
    error DeadlinePassed(uint256 taskId, uint64 deadline);

    /// @notice The deadline of task {taskId} is time {deadline}, which has not passed; wait.
    error DeadlineNotPassed(uint256 taskId, uint64 deadline);

    /// @notice Account {caller} is not {requester}, the requester of task {taskId}; only the requester may do this.
    error NotRequester(uint256 taskId, address caller, address requester);

    /// @notice Account {caller} is not an executor of task {taskId}; only its executors may do this.
    error NotExecutor(uint256 taskId, address caller);

    /// @notice Executor {executor} has confirmed task {taskId} already.
    error AlreadyConfirmed(uint256 taskId, address executor);

    /// @notice Executor {executor} has reported on task {taskId} already.
    error AlreadyReported(uint256 taskId, address executor);

    /// @notice Executor {executor} has {active} tasks, its limit is {limit}; finish one, or raise the limit.
    error ConcurrencyExceeded(address executor, uint16 active, uint16 limit);

    /// @notice A limit of no tasks at a time is not possible; choose at least 1, or take the node offline.
    error ZeroConcurrency();

    /// @notice Executor {executor} does not own file {fileId}; apply for it, and confirm with the authorization's id.
    error AuthorizationMissing(bytes32 fileId, address executor);

    /// @notice Authorization {authorizationId} is not for executor {executor}, file {fileId} and task {taskId}; apply for this
    /// very file and task.
    error AuthorizationMismatch(uint256 authorizationId, address executor, bytes32 fileId, uint256 taskId);

    /// @notice Authorization {authorizationId} is not approved; wait for the file's owner, or apply again.
    error AuthorizationNotApproved(uint256 authorizationId);

    /// @notice Authorization {authorizationId} expires at time {expiresAt}, before the task must finish at {finishBy}; ask for
    /// a longer one.
    error AuthorizationExpiresBeforeFinish(uint256 authorizationId, uint64 expiresAt, uint64 finishBy);

    /// @notice The reason is {length} bytes long; say it in at most {maximum} bytes.
    error TaskReasonTooLong(uint256 length, uint256 maximum);

    /// @notice The note is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidNote(uint256 length, uint256 maximum);

    /// @notice The result is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidResult(uint256 length, uint256 maximum);

    /// @notice A training task reports result file {fileId}; give zero.
    error UnexpectedResultFile(bytes32 fileId);

    /// @notice Result file {fileId} belongs to {owner}, who is not an executor of task {taskId}.
    error ResultFileNotOfExecutor(uint256 taskId, bytes32 fileId, address owner);

    /// @notice Result file {fileId} is not granted to {requester}, the requester of task {taskId}; its owner must grant it
    /// first.
    error ResultFileNotGranted(uint256 taskId, bytes32 fileId, address requester);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A task was published; its parties follow, one event each.
    /// @param taskId Number of the task, from 1.
    /// @param requester Who published it.
    /// @param kind Train or Predict.
    /// @param spec Canonical JSON of the task.
    /// @param publishedAt Time of publication.
    /// @param confirmBy Last second to confirm.
    /// @param startBy Last second to start.
    /// @param finishBy Last second to report.
    /// @param modelTaskId For Predict: the task whose model is used.
    /// @param reward What was locked, in wei.
    event TaskPublished(
        uint256 indexed taskId,
        address indexed requester,
        Kind indexed kind,
        bytes spec,
        uint64 publishedAt,
        uint64 confirmBy,
        uint64 startBy,
        uint64 finishBy,
        uint256 modelTaskId,
        uint256 reward
    );

    /// @notice An executor is asked to take part in a task.
    /// @param taskId The task.
    /// @param executor The executor.
    /// @param fileId The file that it would work on.
    /// @param shareBps Its share of the reward, in basis points.
    event PartyInvited(
        uint256 indexed taskId,
        address indexed executor,
        bytes32 indexed fileId,
        uint16 shareBps
    );

    /// @notice An executor confirmed.
    /// @param taskId The task.
    /// @param executor The executor.
    /// @param authorizationId The authorization that it will use, 0 for a file of its own.
    event TaskConfirmed(uint256 indexed taskId, address indexed executor, uint256 authorizationId);

    /// @notice Every executor has confirmed; the task is Ready.
    /// @param taskId The task.
    event TaskReady(uint256 indexed taskId);

    /// @notice The requester started the task; it is ToProcess.
    /// @param taskId The task.
    event TaskStarted(uint256 indexed taskId);

    /// @notice An executor began; the task is Processing.
    /// @param taskId The task.
    /// @param executor The executor that said so first.
    event TaskBegun(uint256 indexed taskId, address indexed executor);

    /// @notice An executor noted which rows it is about to learn from.
    /// @param taskId The task.
    /// @param owner Owner of the file that it works on.
    /// @param executor The executor.
    /// @param note Readable to those to whom that owner has given the file.
    event RowsNoted(
        uint256 indexed taskId,
        address indexed owner,
        address indexed executor,
        bytes note
    );

    /// @notice An executor reported a result.
    /// @param taskId The task.
    /// @param executor The executor.
    /// @param resultHash keccak256 of the result.
    /// @param resultFileId For Predict: the file with the prediction.
    event TaskReported(
        uint256 indexed taskId,
        address indexed executor,
        bytes32 resultHash,
        bytes32 resultFileId
    );

    /// @notice Every executor reported the same; the task is Finished and the reward is shared out.
    /// @param taskId The task.
    /// @param requester Who published it.
    /// @param result Canonical JSON of the result.
    /// @param resultFileId For Predict: the file with the prediction.
    event TaskFinished(
        uint256 indexed taskId,
        address indexed requester,
        bytes result,
        bytes32 resultFileId
    );

    /// @notice Everybody has reported, but not the same; the task is Failed and the reward goes back. The hash of each report
    /// is in its TaskReported.
    /// @param taskId The task.
    /// @param differing Bit i is set when party i reported otherwise than the first to report.
    event ReportsDisagree(uint256 indexed taskId, uint16 differing);

    /// @notice The task is Failed; the reward goes back.
    /// @param taskId The task.
    /// @param executor Who said so.
    /// @param reason Why; public.
    event TaskFailed(uint256 indexed taskId, address indexed executor, string reason);

    /// @notice An executor rejected; the task is Rejected and the reward goes back.
    /// @param taskId The task.
    /// @param executor The executor.
    /// @param reason Why; public.
    event TaskRejected(uint256 indexed taskId, address indexed executor, string reason);

    /// @notice The requester cancelled; the task is Cancelled and the reward goes back.
    /// @param taskId The task.
    event TaskCancelled(uint256 indexed taskId);

    /// @notice A deadline passed; the task is TimedOut and the reward goes back.
    /// @param taskId The task.
    /// @param status Where the task stood when its deadline passed.
    /// @param caller Who said so, which anybody may.
    /// @param reason What the caller knows about it.
    event TaskTimedOut(uint256 indexed taskId, TaskStatus status, address caller, string reason);

    /// @notice An executor changed how many tasks it takes at a time.
    /// @param executor The executor.
    /// @param limit The new limit.
    event ConcurrencyChanged(address indexed executor, uint16 limit);

    /*//////////////////////////////////////////////////////////////
                           FOR THE REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Publish a task; the value sent is the reward and is locked.
    /// @dev Executors must be online, files must outlive finishBy. A Predict task needs a finished Train task of the sender's
    /// and the same executors in the same order, for each of them keeps its part of the model.
    /// @param proposal The task.
    /// @return taskId Its number.
    function publish(Proposal calldata proposal) external payable returns (uint256 taskId);

    /// @notice Start a task of the sender's: Ready → ToProcess, until startBy.
    /// @param taskId The task.
    function start(uint256 taskId) external;

    /// @notice Withdraw a task of the sender's that has not started: Confirming or Ready → Cancelled.
    /// @param taskId The task.
    function cancel(uint256 taskId) external;

    /*//////////////////////////////////////////////////////////////
                           FOR THE EXECUTORS
    //////////////////////////////////////////////////////////////*/

    /// @notice Confirm that the sender will take part, until confirmBy; the last confirmation makes the task Ready.
    /// @dev The authorization must be approved for the sender, its file and this task, and outlast finishBy. Counts towards the
    /// sender's concurrency until the task ends, however it ends.
    /// @param taskId The task.
    /// @param authorizationId The authorization for the file, 0 if the sender owns it.
    function confirm(uint256 taskId, uint256 authorizationId) external;

    /// @notice Refuse to take part, also after an own confirmation: Confirming → Rejected.
    /// @param taskId The task.
    /// @param reason At most 256 bytes; public.
    function reject(uint256 taskId, string calldata reason) external;

    /// @notice Say that the executors have begun: ToProcess → Processing. The first executor to say so counts.
    /// @param taskId The task.
    function begin(uint256 taskId) external;

    /// @notice Note, sealed, which rows of its file the sender is about to learn from, for whoever works on that owner's
    /// files later: in Processing, until finishBy.
    /// @param taskId The task.
    /// @param note 1 to 4096 bytes; the owner's executors know how to read it.
    function noteRows(uint256 taskId, bytes calldata note) external;

    /// @notice Report the result, until finishBy; with the last report, Processing → Finished if all are the same, → Failed
    /// if not.
    /// @dev A prediction's file must be live, belong to one of the executors, and be granted to the requester for this task
    /// (FileAuthorization.grant), unless the requester owns it.
    /// @param taskId The task.
    /// @param result Canonical JSON, the same bytes from every executor, 1 to 16384.
    /// @param resultFileId For Predict: the file with the prediction; zero for Train.
    function report(uint256 taskId, bytes calldata result, bytes32 resultFileId) external;

    /// @notice Say that the task cannot be done: ToProcess or Processing → Failed.
    /// @param taskId The task.
    /// @param reason At most 256 bytes; public.
    function fail(uint256 taskId, string calldata reason) external;

    /// @notice Set how many tasks the sender takes at a time (4 unless set).
    /// @param limit At least 1.
    function setConcurrency(uint16 limit) external;

    /*//////////////////////////////////////////////////////////////
                              FOR ANYBODY
    //////////////////////////////////////////////////////////////*/

    /// @notice End a task whose deadline has passed → TimedOut.
    /// @param taskId The task.
    /// @param reason At most 256 bytes, such as who was away; only as good as the word of the caller.
    function timeOut(uint256 taskId, string calldata reason) external;

    /// @notice The record of a task.
    /// @param taskId Its number.
    /// @return record Its record; reverts with UnknownTask if there is none.
    function taskOf(uint256 taskId) external view returns (Task memory record);

    /// @notice The parties of a task, in the order of the proposal.
    /// @param taskId The task; reverts with UnknownTask if there is none.
    /// @return parties 2 to 16.
    function partiesOf(uint256 taskId) external view returns (Party[] memory parties);

    /// @notice Number of tasks ever published: the greatest task id.
    /// @return count Number of tasks.
    function taskCount() external view returns (uint256 count);

    /// @notice How many tasks an executor has confirmed and not ended, and how many it takes at a time.
    /// @param executor Any account.
    /// @return active Tasks confirmed and not ended.
    /// @return limit Most it takes.
    function concurrencyOf(address executor) external view returns (uint16 active, uint16 limit);
}
