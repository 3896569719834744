// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Namespaces, files and holdings
/// @notice The record of every file: who owns it, until when it is kept, where its sealed manifest is, and which storage node
/// has acknowledged what.
/// @dev State grows with the number of nodes of a file, not with its bytes. Names and plaintext hashes are sealed; owner,
/// sizes, rows and times are public. A time counts up to and including its second.
interface IFileRegistry {
    /// @notice A group of files of one owner, kept with the same redundancy.
    /// @param owner Account whose namespace it is.
    /// @param replicas Least number of nodes that hold a file published into it.
    /// @param addedAt Time when it was added, in seconds.
    /// @param name Name, unique for its owner; public.
    struct Namespace {
        address owner;
        uint8 replicas;
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

    /// @notice A storage node's signed word that it has computed this root from bytes that it has stored.
    /// @dev The signature is EIP-712 over
    /// `Acknowledgement(bytes32 fileId,address owner,address node,bytes32 root,uint32 leafCount,uint64 size,uint64 expiresAt,
    /// uint64 deadline)`
    /// in the domain ("dtxeth FileRegistry", "1", chain id, this contract). It is good for one file and counts once.
    /// @param node Account of the storage node.
    /// @param root Merkle root over the leaf hashes of all its pieces, in order.
    /// @param leafCount Number of these leaves.
    /// @param size Bytes of all its pieces.
    /// @param deadline Last second at which the acknowledgement may be used.
    /// @param signature 65 bytes r, s, v.
    struct Acknowledgement {
        address node;
        bytes32 root;
        uint32 leafCount;
        uint64 size;
        uint64 deadline;
        bytes signature;
    }

    /// @notice The record of a file.
    /// @param owner Account that published it.
    /// @param namespaceId Namespace it lies in.
    /// @param size Bytes of the sealed file.
    /// @param rows Rows of the table in it, 0 if it is no table.
    /// @param publishedAt Time of publication, in seconds.
    /// @param expiresAt Last second for which the nodes keep it.
    /// @param manifestDigest SHA-256 of the sealed manifest.
    /// @param wrappedKey File key, wrapped for the owner.
    struct File {
        address owner;
        bytes32 namespaceId;
        uint64 size;
        uint64 rows;
        uint64 publishedAt;
        uint64 expiresAt;
        bytes32 manifestDigest;
        bytes wrappedKey;
    }

    /// @notice What one node holds of one file. It never changes.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @param root Merkle root over the leaf hashes of all its pieces, in order.
    /// @param leafCount Number of these leaves.
    /// @param size Bytes of all its pieces.
    struct Holding {
        bytes32 fileId;
        address node;
        bytes32 root;
        uint32 leafCount;
        uint64 size;
    }

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice A namespace's name is {length} bytes long; choose 1 to {maximum} bytes.
    error InvalidNamespaceName(uint256 length, uint256 maximum);

    /// @notice {replicas} replicas are out of range; choose 1 to {maximum}.
    error InvalidReplicas(uint256 replicas, uint256 maximum);

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

    /// @notice File {fileId} expired at time {expiresAt}; publish it anew.
    error FileExpired(bytes32 fileId, uint64 expiresAt);

    /// @notice File {fileId} belongs to {owner}, not to {caller}; only its owner may do this.
    error NotFileOwner(bytes32 fileId, address caller, address owner);

    /// @notice The file would expire at time {expiresAt}, which is not after the present {now_}; choose a later expiry.
    error ExpiryNotInFuture(uint64 expiresAt, uint64 now_);

    /// @notice The sealed file is empty; publish at least one byte.
    error EmptyFile();

    /// @notice The digest of the manifest is zero; give the SHA-256 of the sealed manifest.
    error ZeroManifestDigest();

    /// @notice A wrapped key is {length} bytes long; give 1 to {maximum} bytes.
    error InvalidWrappedKey(uint256 length, uint256 maximum);

    /// @notice The namespace asks for {required} acknowledgements, {given} were given; store the file on more nodes.
    error TooFewAcknowledgements(uint256 given, uint256 required);

    /// @notice A file would have {given} holdings, at most {maximum} are allowed; use fewer nodes.
    error TooManyHoldings(uint256 given, uint256 maximum);

    /// @notice Node {node} holds file {fileId} already; give one acknowledgement a node.
    error AlreadyHolding(bytes32 fileId, address node);

    /// @notice The acknowledgement of node {node} lapsed at time {deadline}; ask the node for a new one.
    error AcknowledgementExpired(address node, uint64 deadline);

    /// @notice The acknowledgement of node {node} is signed by {signer} or for other values; ask the node for a new one.
    error InvalidAcknowledgement(address node, address signer);

    /// @notice Node {node} acknowledges {size} bytes in {leafCount} leaves, which no pieces can give; ask the node for a new
    /// one.
    error InvalidHolding(address node, uint32 leafCount, uint64 size);

    /// @notice There is no holding {holdingId}; list the holdings of the file.
    error UnknownHolding(uint256 holdingId);

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice An owner added a namespace.
    /// @param namespaceId Its id.
    /// @param owner Whose it is.
    /// @param name Its name.
    /// @param replicas Least number of nodes that hold a file published into it.
    event NamespaceAdded(bytes32 indexed namespaceId, address indexed owner, string name, uint8 replicas);

    /// @notice An owner changed how many nodes must hold the files published from now on.
    /// @param namespaceId The namespace.
    /// @param owner Whose it is.
    /// @param replicas The new number.
    event ReplicasChanged(bytes32 indexed namespaceId, address indexed owner, uint8 replicas);

    /// @notice A file is on the chain; its holdings follow, one event each.
    /// @param fileId Its id.
    /// @param owner Who published it.
    /// @param namespaceId Where it lies.
    /// @param size Bytes of the sealed file.
    /// @param rows Rows of the table in it.
    /// @param publishedAt Time of publication.
    /// @param expiresAt Last second for which the nodes keep it.
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
        bytes32 manifestDigest,
        bytes sealedInfo
    );

    /// @notice A file is spread over further nodes, and its manifest with it.
    /// @param fileId The file.
    /// @param manifestDigest SHA-256 of the sealed manifest that is valid from now on.
    event ManifestReplaced(bytes32 indexed fileId, bytes32 manifestDigest);

    /// @notice A storage node holds its share of a file.
    /// @param holdingId Number of the holding, from 1.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @param root Merkle root of the holding.
    /// @param leafCount Number of its leaves.
    /// @param size Bytes of its pieces.
    event HoldingAdded(
        uint256 indexed holdingId,
        bytes32 indexed fileId,
        address indexed node,
        bytes32 root,
        uint32 leafCount,
        uint64 size
    );

    /*//////////////////////////////////////////////////////////////
                               NAMESPACES
    //////////////////////////////////////////////////////////////*/

    /// @notice Add a namespace of the sender's.
    /// @param name 1 to 64 bytes, new for the sender.
    /// @param replicas Least number of nodes that hold a file published into it, 1 to maxHoldings.
    /// @return namespaceId Its id.
    function addNamespace(string calldata name, uint8 replicas) external returns (bytes32 namespaceId);

    /// @notice Change how many nodes must hold a file of the namespace.
    /// @dev Holds for files published from now on; an existing file is spread further by addHoldings.
    /// @param namespaceId Namespace of the sender.
    /// @param replicas 1 to maxHoldings.
    function setReplicas(bytes32 namespaceId, uint8 replicas) external;

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
    /// @dev Each node must be an online storage node and appear once.
    /// @param publication What the record says.
    /// @param acknowledgements At least as many as the namespace's replicas, at most maxHoldings.
    /// @return fileId Its id.
    function publish(
        Publication calldata publication,
        Acknowledgement[] calldata acknowledgements
    ) external returns (bytes32 fileId);

    /// @notice Spread a live file of the sender's over further nodes, all or nothing.
    /// @param fileId The file.
    /// @param manifestDigest SHA-256 of the sealed manifest that lists the new pieces too.
    /// @param acknowledgements Of nodes that do not hold the file yet.
    function addHoldings(
        bytes32 fileId,
        bytes32 manifestDigest,
        Acknowledgement[] calldata acknowledgements
    ) external;

    /// @notice The id that a file with this salt has or will have.
    /// @param owner Its owner.
    /// @param salt Its salt.
    /// @return fileId keccak256(abi.encode(owner, salt)).
    function fileIdOf(address owner, bytes32 salt) external pure returns (bytes32 fileId);

    /// @notice The record of a file.
    /// @param fileId Its id.
    /// @return file Its record; reverts with UnknownFile if there is none.
    function fileOf(bytes32 fileId) external view returns (File memory file);

    /// @notice The owner of a file, live or expired.
    /// @param fileId Its id; reverts with UnknownFile if there is none.
    /// @return owner Its owner.
    function ownerOf(bytes32 fileId) external view returns (address owner);

    /// @notice Whether a file has not expired.
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

    /// @notice A holding.
    /// @param holdingId Its number, from 1.
    /// @return record Its record; reverts with UnknownHolding if there is none.
    function holding(uint256 holdingId) external view returns (Holding memory record);

    /// @notice All holdings of a file.
    /// @param fileId The file; reverts with UnknownFile if there is none.
    /// @return holdingIds Their numbers, at most maxHoldings.
    function holdingsOf(bytes32 fileId) external view returns (uint256[] memory holdingIds);

    /// @notice The holding of one node of one file.
    /// @param fileId The file.
    /// @param node The storage node.
    /// @return holdingId Its number, 0 if the node holds nothing of it.
    function holdingOn(bytes32 fileId, address node) external view returns (uint256 holdingId);

    /// @notice Most holdings that a file can have.
    /// @return maximum The bound of every loop over the holdings of a file.
    function maxHoldings() external pure returns (uint256 maximum);
}
