// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Authorizations to read a file for a task
/// @notice An account applies for a file for one task; the file's owner approves (handing over the file key, wrapped for the
/// applier), rejects or revokes. Storage nodes serve a file to its owner and to accounts whose authorization is current.
/// @dev None → Unapproved → Approved → Revoked, or Unapproved → Rejected. Revoking stops nodes from serving; it cannot take
/// back a key or bytes already seen. Reasons are public.
interface IFileAuthorization {
    /// @notice Where an authorization stands.
    enum AuthorizationStatus {
        None,
        Unapproved,
        Approved,
        Rejected,
        Revoked
    }

    /// @notice One application and what came of it.
    /// @param fileId The file.
    /// @param applier Who wants to read it.
    /// @param taskId The task it is for.
    /// @param status Where it stands; an approved one may have expired.
    /// @param expiresAt Last second at which it is current, 0 unless approved.
    /// @param wrappedKey File key wrapped for the applier, empty unless approved.
    struct Authorization {
        bytes32 fileId;
        address applier;
        uint256 taskId;
        AuthorizationStatus status;
        uint64 expiresAt;
        bytes wrappedKey;
    }

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice There is no authorization {authorizationId}; check the id, or list the authorizations.
    error UnknownAuthorization(uint256 authorizationId);

    /// @notice Authorization {authorizationId} is open for this account, file and task; wait for the owner, use it, or revoke
    /// it.
    error AuthorizationOpen(uint256 authorizationId);

    /// @notice Account {owner} owns file {fileId} and needs no authorization.
    error OwnerNeedsNoAuthorization(bytes32 fileId, address owner);

    /// @notice The zero address cannot be authorized; name the account that will read the file.
    error ZeroApplier();

    /// @notice Caller {caller} is not {owner}, who owns the file of authorization {authorizationId}; only the owner decides.
    error NotAuthorizationOwner(uint256 authorizationId, address caller, address owner);

    /// @notice Authorization {authorizationId} is {status}, not {expected}; this step is not open to it.
    error WrongAuthorizationStatus(
        uint256 authorizationId,
        AuthorizationStatus status,
        AuthorizationStatus expected
    );

    /// @notice An authorization cannot run until time {expiresAt}; choose a time after {now_}, at most the file's expiry
    /// {latest}.
    error InvalidAuthorizationExpiry(uint64 expiresAt, uint64 now_, uint64 latest);

    /// @notice The wrapped key is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidGrantedKey(uint256 length, uint256 maximum);

    /// @notice The reason is {length} bytes long; say it in at most {maximum} bytes.
    error AuthorizationReasonTooLong(uint256 length, uint256 maximum);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice An account applied for a file.
    /// @param authorizationId Number of the authorization, from 1.
    /// @param fileId The file.
    /// @param applier Who wants to read it.
    /// @param owner Who decides.
    /// @param taskId The task it is for.
    event AuthorizationApplied(
        uint256 indexed authorizationId,
        bytes32 indexed fileId,
        address indexed applier,
        address owner,
        uint256 taskId
    );

    /// @notice The owner approved an application, or granted access unasked.
    /// @param authorizationId Number of the authorization.
    /// @param fileId The file.
    /// @param applier Who may read it.
    /// @param owner Who approved.
    /// @param taskId The task it is for.
    /// @param expiresAt Last second at which it is current.
    event AuthorizationApproved(
        uint256 indexed authorizationId,
        bytes32 indexed fileId,
        address indexed applier,
        address owner,
        uint256 taskId,
        uint64 expiresAt
    );

    /// @notice The owner rejected an application.
    /// @param authorizationId Number of the authorization.
    /// @param fileId The file.
    /// @param applier Who applied.
    /// @param reason Why; public.
    event AuthorizationRejected(
        uint256 indexed authorizationId,
        bytes32 indexed fileId,
        address indexed applier,
        string reason
    );

    /// @notice The owner revoked an authorization.
    /// @param authorizationId Number of the authorization.
    /// @param fileId The file.
    /// @param applier Who may no longer read it.
    /// @param reason Why; public.
    event AuthorizationRevoked(
        uint256 indexed authorizationId,
        bytes32 indexed fileId,
        address indexed applier,
        string reason
    );

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Apply for a live file of somebody else's for a task.
    /// @dev Refused while an earlier application for the same file and task waits or is current. Whether the task exists and
    /// names the sender is for the owner to judge.
    /// @param fileId The file.
    /// @param taskId The task.
    /// @return authorizationId Number of the authorization.
    function applyFor(bytes32 fileId, uint256 taskId) external returns (uint256 authorizationId);

    /// @notice Approve an application for a file of the sender's.
    /// @param authorizationId An unapproved one.
    /// @param wrappedKey File key wrapped for the applier, 1 to 256 bytes.
    /// @param expiresAt In the future, at most the file's expiry.
    function approve(uint256 authorizationId, bytes calldata wrappedKey, uint64 expiresAt) external;

    /// @notice Reject an application for a file of the sender's.
    /// @param authorizationId An unapproved one.
    /// @param reason At most 256 bytes; public.
    function reject(uint256 authorizationId, string calldata reason) external;

    /// @notice Take back an approval for a file of the sender's.
    /// @param authorizationId An approved one, expired or not.
    /// @param reason At most 256 bytes; public.
    function revoke(uint256 authorizationId, string calldata reason) external;

    /// @notice Authorize an account for a live file of the sender's without being asked.
    /// @dev Approves the application of that account for the same file and task if one waits, so that nobody can be in the way
    /// of a grant by applying; refused while an approved one is current.
    /// @param fileId The file.
    /// @param applier Who may read it.
    /// @param taskId The task it is for.
    /// @param wrappedKey File key wrapped for the applier, 1 to 256 bytes.
    /// @param expiresAt In the future, at most the file's expiry.
    /// @return authorizationId Number of the authorization.
    function grant(
        bytes32 fileId,
        address applier,
        uint256 taskId,
        bytes calldata wrappedKey,
        uint64 expiresAt
    ) external returns (uint256 authorizationId);

    /// @notice An authorization.
    /// @param authorizationId Its number, from 1.
    /// @return record Its record; reverts with UnknownAuthorization if there is none.
    function authorization(uint256 authorizationId) external view returns (Authorization memory record);

    /// @notice The newest authorization of an account for a file and a task.
    /// @param fileId The file.
    /// @param applier The account.
    /// @param taskId The task.
    /// @return authorizationId Its number, 0 if there is none.
    function latestOf(
        bytes32 fileId,
        address applier,
        uint256 taskId
    ) external view returns (uint256 authorizationId);

    /// @notice Whether an authorization lets an account read a file now: what a storage node asks before it serves.
    /// @param authorizationId Any number.
    /// @param account Who wants to read.
    /// @param fileId What it wants to read.
    /// @return current True if approved, for this account and this file, and not expired.
    function isCurrent(
        uint256 authorizationId,
        address account,
        bytes32 fileId
    ) external view returns (bool current);
}
