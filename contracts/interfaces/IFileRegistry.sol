// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Namespaces, files and holdings
/// @notice The record of every file: who owns it, until when it is kept, where its sealed manifest is, and which storage node
/// has acknowledged what.
/// @dev State grows with the number of nodes of a file, not with its bytes. Names and plaintext hashes are sealed; owner,
/// sizes, rows and times are public. A time counts up to and including its second.
///
/// A file is coded into `total` shards a stripe, any `needed` of which give it back; copies are the case needed = 1. What a node
/// holds of it is a *holding*, which never changes; a *revision* ends some holdings and adds others in one transaction, so that
/// the file is whole before and after: repair, re-encoding, renewal and leaving are all revisions.
///
///   Live ─revise, deleteFile, release (7 days after its expiry)→ Released, or Releasing while a challenge on it is open
///   Releasing ─release (challenge settled)→ Released
///
/// A node keeps the bytes of a holding until it is Released; so ending a holding never voids a challenge that it would lose.
interface IFileRegistry {
    /// @notice How the nodes of a namespace prove that they hold its files.
    enum Possession {
        None,
        Merkle,
        Kzg,
        Both
    }

    /// @notice Why a file was revised.
    enum Cause {
        None,
        Repair,
        Drain,
        Recode,
        Renewal,
        Refresh
    }

    /// @notice Where a holding stands.
    enum HoldingState {
        None,
        Live,
        Releasing,
        Released
    }

    /// @notice A group of files of one owner, kept with the same redundancy.
    /// @param owner Account whose namespace it is.
    /// @param needed Shards that give a stripe back; 1 for copies.
    /// @param total Shards of each stripe, on as many nodes.
    /// @param possession How its nodes prove possession; it cannot be changed.
    /// @param addedAt Time when it was added, in seconds.
    /// @param name Name, unique for its owner; public.
    struct Namespace {
        address owner;
        uint8 needed;
        uint8 total;
        Possession possession;
        uint64 addedAt;
        string name;
    }

    /// @notice What the owner says when publishing a file.
    /// @param salt Random; fixes the file's id, which nodes sign before the file is on chain.
    /// @param namespaceId Namespace of the sender.
    /// @param size Bytes of the sealed file.
    /// @param rows Rows of the table in it, 0 if it is no table; alignment is bound to it.
    /// @param expiresAt Last second for which the nodes keep it.
    /// @param manifestDigest SHA-256 of the sealed manifest: the digest of its CIDv1 (raw).
    /// @param wrappedKey File key, wrapped for the owner: with the owner's keystore, the chain alone recovers the file.
    /// @param sealedInfo Name and columns, sealed under the file key; kept in the event only.
    struct Publication {
        bytes32 salt;
        bytes32 namespaceId;
        uint64 size;
        uint64 rows;
        uint64 expiresAt;
        bytes32 manifestDigest;
        bytes wrappedKey;
        bytes sealedInfo;
    }

    /// @notice A new state of a file.
    /// @param fileId The file.
    /// @param cause Why; only for the record.
    /// @param needed Shards that give a stripe back from now on.
    /// @param total Shards of each stripe from now on.
    /// @param expiresAt Last second for which the nodes keep it; the present one, or a later one.
    /// @param manifestDigest SHA-256 of the sealed manifest from now on.
    /// @param dropped Live holdings of the file that end, besides those of the acknowledging nodes.
    struct Revision {
        bytes32 fileId;
        Cause cause;
        uint8 needed;
        uint8 total;
        uint64 expiresAt;
        bytes32 manifestDigest;
        uint256[] dropped;
    }

    /// @notice A storage node's signed word that it has computed these roots from bytes that it has stored.
    /// @dev The signature is EIP-712 over
    /// `Acknowledgement(bytes32 fileId,uint32 version,address owner,address node,bytes32 root,uint32 leafCount,
    /// bytes32 commitmentsRoot,uint32 blobCount,uint64 size,uint64 expiresAt,uint64 deadline)`
    /// in the domain ("dtxeth FileRegistry", "1", chain id, this contract). It is good for one version of one file and counts
    /// once.
    /// @param node Account of the storage node.
    /// @param root Merkle root over the leaf hashes of all its pieces, in order; zero if the namespace does not ask for it.
    /// @param leafCount Number of these leaves, or zero.
    /// @param commitmentsRoot Merkle root over the KZG commitments of all its blobs, in order; zero if not asked for.
    /// @param blobCount Number of these blobs, or zero.
    /// @param size Bytes of all its pieces.
    /// @param deadline Last second at which the acknowledgement may be used.
    /// @param signature 65 bytes r, s, v.
    struct Acknowledgement {
        address node;
        bytes32 root;
        uint32 leafCount;
        bytes32 commitmentsRoot;
        uint32 blobCount;
        uint64 size;
        uint64 deadline;
        bytes signature;
    }

    /// @notice The record of a file.
    /// @param owner Account that published it.
    /// @param version How often it was published or revised, from 1.
    /// @param needed Shards that give a stripe back.
    /// @param total Shards of each stripe.
    /// @param deleted Whether its owner has deleted it.
    /// @param namespaceId Namespace it lies in.
    /// @param size Bytes of the sealed file.
    /// @param rows Rows of the table in it, 0 if it is no table.
    /// @param publishedAt Time of publication, in seconds.
    /// @param expiresAt Last second for which the nodes keep it.
    /// @param manifestDigest SHA-256 of the sealed manifest.
    /// @param wrappedKey File key, wrapped for the owner.
    struct File {
        address owner;
        uint32 version;
        uint8 needed;
        uint8 total;
        bool deleted;
        bytes32 namespaceId;
        uint64 size;
        uint64 rows;
        uint64 publishedAt;
        uint64 expiresAt;
        bytes32 manifestDigest;
        bytes wrappedKey;
    }

    /// @notice What one node holds of one file. Only its state ever changes.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @param leafCount Number of its Merkle leaves, or zero.
    /// @param blobCount Number of its KZG blobs, or zero.
    /// @param state Live, Releasing or Released.
    /// @param size Bytes of all its pieces.
    /// @param expiresAt Last second for which the node has promised to keep it.
    /// @param version Version of the file that it came with.
    /// @param root Merkle root over the leaf hashes of all its pieces, or zero.
    /// @param commitmentsRoot Merkle root over the commitments of all its blobs, or zero.
    struct Holding {
        bytes32 fileId;
        address node;
        uint32 leafCount;
        uint32 blobCount;
        HoldingState state;
        uint64 size;
        uint64 expiresAt;
        uint32 version;
        bytes32 root;
        bytes32 commitmentsRoot;
    }

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice A namespace's name is {length} bytes long; choose 1 to {maximum} bytes.
    error InvalidNamespaceName(uint256 length, uint256 maximum);

    /// @notice {needed} of {total} shards is out of range; choose 1 to {maximum} shards, and need 1 to all of them.
    error InvalidRedundancy(uint256 needed, uint256 total, uint256 maximum);

    /// @notice A namespace must name its proofs of possession; choose Merkle, Kzg or Both.
    error NoPossession();

    /// @notice You have a namespace "{name}" already; use it, or choose another name.
    error NamespaceExists(string name);

    /// @notice There is no namespace {namespaceId}; add it first.
    error UnknownNamespace(bytes32 namespaceId);

    /// @notice Namespace {namespaceId} belongs to {owner}, not to {caller}; use one of your own.
    error NotNamespaceOwner(bytes32 namespaceId, address caller, address owner);

    /// @notice File {fileId} is published already; upload again with a fresh salt.
    error FileExists(bytes32 fileId);

    /// @notice There is no file {fileId}; check the id, or list the files.
    error UnknownFile(bytes32 fileId);

    /// @notice File {fileId} expired at time {expiresAt}; renew it within 7 days, or publish it anew.
    error FileExpired(bytes32 fileId, uint64 expiresAt);

    /// @notice File {fileId} was deleted by its owner; publish it anew.
    error FileDeletedAlready(bytes32 fileId);

    /// @notice File {fileId} belongs to {owner}, not to {caller}; only its owner may do this.
    error NotFileOwner(bytes32 fileId, address caller, address owner);

    /// @notice The file would expire at time {expiresAt}, which is not after the present {now_}; choose a later expiry.
    error ExpiryNotInFuture(uint64 expiresAt, uint64 now_);

    /// @notice The file would expire at time {expiresAt}, at most {latest} is allowed, a century ahead; choose an earlier expiry.
    error ExpiryTooFar(uint64 expiresAt, uint64 latest);

    /// @notice File {fileId} is kept until {expiresAt}, a revision cannot shorten that to {wanted}; choose a later expiry.
    error ExpiryShortened(bytes32 fileId, uint64 wanted, uint64 expiresAt);

    /// @notice The retention of file {fileId} ended at time {endedAt}; publish it anew.
    error RetentionOver(bytes32 fileId, uint64 endedAt);

    /// @notice The sealed file is empty; publish at least one byte.
    error EmptyFile();

    /// @notice The digest of the manifest is zero; give the SHA-256 of the sealed manifest.
    error ZeroManifestDigest();

    /// @notice A wrapped key is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidWrappedKey(uint256 length, uint256 maximum);

    /// @notice A revision must say why; give a cause.
    error NoCause();

    /// @notice {required} acknowledgements are needed, {given} were given; store the file on more nodes.
    error TooFewAcknowledgements(uint256 given, uint256 required);

    /// @notice The file would have {left} live holdings, {required} are needed to read it; drop fewer.
    error TooFewHoldings(uint256 left, uint256 required);

    /// @notice A file would have {given} holdings, at most {maximum} are allowed; use fewer nodes.
    error TooManyHoldings(uint256 given, uint256 maximum);

    /// @notice Node {node} acknowledges file {fileId} twice; give one acknowledgement a node.
    error AlreadyHolding(bytes32 fileId, address node);

    /// @notice The acknowledgement of node {node} lapsed at time {deadline}; ask the node for a new one.
    error AcknowledgementExpired(address node, uint64 deadline);

    /// @notice The acknowledgement of node {node} is signed by {signer} or for other values; ask the node for a new one.
    error InvalidAcknowledgement(address node, address signer);

    /// @notice Node {node} acknowledges {size} bytes in {leafCount} leaves and {blobCount} blobs, which is not what the
    /// namespace asks for or no pieces can give; ask the node for a new one.
    error InvalidHolding(address node, uint32 leafCount, uint32 blobCount, uint64 size);

    /// @notice There is no holding {holdingId}; list the holdings of the file.
    error UnknownHolding(uint256 holdingId);

    /// @notice Holding {holdingId} is not a live holding of file {fileId}; list the holdings of the file.
    error NotLiveHolding(uint256 holdingId, bytes32 fileId);

    /// @notice Holding {holdingId} is {state} and still needed; wait for its file to end and for its open challenge.
    error HoldingNotReleasable(uint256 holdingId, HoldingState state);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A namespace was added.
    /// @param namespaceId Its id.
    /// @param owner Its owner.
    /// @param name Its name.
    /// @param needed Shards that give a stripe back.
    /// @param total Shards of each stripe.
    /// @param possession How its nodes prove possession.
    event NamespaceAdded(
        bytes32 indexed namespaceId,
        address indexed owner,
        string name,
        uint8 needed,
        uint8 total,
        Possession possession
    );

    /// @notice A namespace's redundancy changed; files published before have to be revised.
    /// @param namespaceId The namespace.
    /// @param owner Its owner.
    /// @param needed Shards that give a stripe back.
    /// @param total Shards of each stripe.
    event RedundancyChanged(
        bytes32 indexed namespaceId,
        address indexed owner,
        uint8 needed,
        uint8 total
    );

    /// @notice A file is on the chain; its holdings follow, one event each.
    /// @param fileId Its id.
    /// @param owner Who published it.
    /// @param namespaceId Where it lies.
    /// @param size Bytes of the sealed file.
    /// @param rows Rows of the table in it.
    /// @param publishedAt Time of publication.
    /// @param expiresAt Last second for which the nodes keep it.
    /// @param needed Shards that give a stripe back.
    /// @param total Shards of each stripe.
    /// @param manifestDigest SHA-256 of the sealed manifest.
    /// @param sealedInfo Name and columns, sealed under the file key.
    event FilePublished(
        bytes32 indexed fileId,
        address indexed owner,
        bytes32 indexed namespaceId,
        uint64 size,
        uint64 rows,
        uint64 publishedAt,
        uint64 expiresAt,
        uint8 needed,
        uint8 total,
        bytes32 manifestDigest,
        bytes sealedInfo
    );

    /// @notice A file was revised; the holdings that ended and came follow, one event each, with the same version.
    /// @param fileId The file.
    /// @param owner Its owner.
    /// @param cause Why.
    /// @param version Its version from now on.
    /// @param revisedAt Time of the revision.
    /// @param expiresAt Last second for which the nodes keep it.
    /// @param needed Shards that give a stripe back.
    /// @param total Shards of each stripe.
    /// @param manifestDigest SHA-256 of the sealed manifest that is valid from now on.
    event FileRevised(
        bytes32 indexed fileId,
        address indexed owner,
        Cause indexed cause,
        uint32 version,
        uint64 revisedAt,
        uint64 expiresAt,
        uint8 needed,
        uint8 total,
        bytes32 manifestDigest
    );

    /// @notice A file was deleted by its owner; its holdings end, one event each.
    /// @param fileId The file.
    /// @param owner Its owner.
    event FileDeleted(bytes32 indexed fileId, address indexed owner);

    /// @notice A storage node holds its share of a file.
    /// @param holdingId Number of the holding, from 1.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @param version Version of the file that it came with.
    /// @param size Bytes of its pieces.
    /// @param root Merkle root of the holding, or zero.
    /// @param commitmentsRoot Root over its KZG commitments, or zero.
    event HoldingAdded(
        uint256 indexed holdingId,
        bytes32 indexed fileId,
        address indexed node,
        uint32 version,
        uint64 size,
        bytes32 root,
        bytes32 commitmentsRoot
    );

    /// @notice A holding ended: its node owes no new proofs.
    /// @param holdingId The holding.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @param version Version of the file from now on; the present one if the file has ended.
    event HoldingEnded(
        uint256 indexed holdingId,
        bytes32 indexed fileId,
        address indexed node,
        uint32 version
    );

    /// @notice A node may free the space of a holding.
    /// @param holdingId The holding.
    /// @param fileId The file.
    /// @param node The storage node.
    event HoldingReleased(uint256 indexed holdingId, bytes32 indexed fileId, address indexed node);

    /*//////////////////////////////////////////////////////////////
                               NAMESPACES
    //////////////////////////////////////////////////////////////*/

    /// @notice Add a namespace of the sender's.
    /// @param name 1 to 64 bytes, new for the sender.
    /// @param needed Shards that give a stripe back, 1 to total; 1 for copies.
    /// @param total Shards of each stripe, 1 to maxHoldings.
    /// @param possession How its nodes prove possession.
    /// @return namespaceId Its id.
    function addNamespace(
        string calldata name,
        uint8 needed,
        uint8 total,
        Possession possession
    ) external returns (bytes32 namespaceId);

    /// @notice Change the redundancy of a namespace.
    /// @dev Holds for files published from now on; an existing file follows by a revision.
    /// @param namespaceId Namespace of the sender.
    /// @param needed Shards that give a stripe back, 1 to total; 1 for copies.
    /// @param total Shards of each stripe, 1 to maxHoldings.
    function setRedundancy(bytes32 namespaceId, uint8 needed, uint8 total) external;

    /// @notice The record of a namespace.
    /// @param namespaceId Its id.
    /// @return namespace Its record; reverts with UnknownNamespace if there is none.
    function namespaceOf(bytes32 namespaceId) external view returns (Namespace memory namespace);

    /// @notice The id that a namespace of this name has or would have.
    /// @param owner Its owner.
    /// @param name Its name.
    /// @return namespaceId keccak256(abi.encode(owner, name)).
    function namespaceIdOf(address owner, string calldata name) external pure returns (bytes32 namespaceId);

    /*//////////////////////////////////////////////////////////////
                                 FILES
    //////////////////////////////////////////////////////////////*/

    /// @notice Publish a file with all acknowledgements of its nodes, all or nothing.
    /// @dev Each node must be an online storage node with room and appear once.
    /// @param publication What the record says.
    /// @param acknowledgements At least as many as the namespace's total, at most maxHoldings.
    /// @return fileId Its id.
    function publish(
        Publication calldata publication,
        Acknowledgement[] calldata acknowledgements
    ) external returns (bytes32 fileId);

    /// @notice Replace holdings of a file of the sender's, all or nothing: repair, drain, re-encode, renew.
    /// @dev The holding that an acknowledging node has of the file ends, as do the dropped ones; the others stay as they are,
    /// with the expiry that their nodes have promised: a renewal needs the acknowledgements of `needed` nodes at least. Allowed
    /// until 7 days after the file's expiry, if it renews the file.
    /// @param revision The new state.
    /// @param acknowledgements Of nodes that hold the file's version + 1 from now on.
    function revise(Revision calldata revision, Acknowledgement[] calldata acknowledgements) external;

    /// @notice Delete a file of the sender's, whose holdings end.
    /// @param fileId The file.
    function deleteFile(bytes32 fileId) external;

    /// @notice The id that a file with this salt has or will have.
    /// @param owner Its owner.
    /// @param salt Its salt.
    /// @return fileId keccak256(abi.encode(owner, salt)).
    function fileIdOf(address owner, bytes32 salt) external pure returns (bytes32 fileId);

    /// @notice The record of a file.
    /// @param fileId Its id.
    /// @return file Its record; reverts with UnknownFile if there is none.
    function fileOf(bytes32 fileId) external view returns (File memory file);

    /// @notice The owner of a file, live or not.
    /// @param fileId Its id; reverts with UnknownFile if there is none.
    /// @return owner Its owner.
    function ownerOf(bytes32 fileId) external view returns (address owner);

    /// @notice Whether a file is neither expired nor deleted.
    /// @param fileId Its id; reverts with UnknownFile if there is none.
    /// @return live True up to and including the second expiresAt.
    function isLive(bytes32 fileId) external view returns (bool live);

    /// @notice Revert unless a file is live.
    /// @param fileId Its id.
    /// @return owner Its owner.
    /// @return expiresAt Its last second.
    function requireLive(bytes32 fileId) external view returns (address owner, uint64 expiresAt);

    /*//////////////////////////////////////////////////////////////
                                HOLDINGS
    //////////////////////////////////////////////////////////////*/

    /// @notice Release holdings: those that ended while a challenge was open, once it is settled; and live ones, once 7 days
    /// have passed since they expired. Anybody may; one that is released already is passed over, so that two who release
    /// at once are not in each other's way.
    /// @param holdingIds Their numbers.
    function release(uint256[] calldata holdingIds) external;

    /// @notice A holding.
    /// @param holdingId Its number, from 1.
    /// @return record Its record; reverts with UnknownHolding if there is none.
    function holding(uint256 holdingId) external view returns (Holding memory record);

    /// @notice What a Merkle proof of a holding is checked against.
    /// @param holdingId The holding.
    /// @return node The storage node.
    /// @return leafCount Number of its leaves.
    /// @return root Root over them.
    function merkleTarget(
        uint256 holdingId
    ) external view returns (address node, uint32 leafCount, bytes32 root);

    /// @notice What a KZG proof of a holding is checked against.
    /// @param holdingId The holding.
    /// @return node The storage node.
    /// @return blobCount Number of its blobs.
    /// @return commitmentsRoot Root over their commitments.
    function kzgTarget(
        uint256 holdingId
    ) external view returns (address node, uint32 blobCount, bytes32 commitmentsRoot);

    /// @notice The live holdings of a file.
    /// @param fileId The file; reverts with UnknownFile if there is none.
    /// @return holdingIds Their numbers, at most maxHoldings.
    function holdingsOf(bytes32 fileId) external view returns (uint256[] memory holdingIds);

    /// @notice The live holding of one node of one file.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @return holdingId Its number, 0 if the node has none.
    function holdingOn(bytes32 fileId, address node) external view returns (uint256 holdingId);

    /// @notice Most live holdings that a file can have.
    /// @return maximum The bound of every loop over the holdings of a file.
    function maxHoldings() external pure returns (uint256 maximum);

    /// @notice How long an expired file is kept for a renewal.
    /// @return seconds_ 7 days.
    function retention() external pure returns (uint64 seconds_);
}
