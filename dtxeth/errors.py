"""Every exception that dtxeth raises on purpose.

::

    DtxethError
    ├── InputError (ValueError)           what the caller gave cannot be used; nothing was changed
    │   ├── UnknownNameError (LookupError)    no such file, node, namespace, account, task or algorithm
    │   ├── DataError                         a table, column, label or row that cannot be learned from
    │   ├── ConfigError                       a configuration file or setting
    │   └── KeystoreError                     a keystore that is missing, broken or locked
    ├── ChainError
    │   ├── ChainUnavailableError (ConnectionError)   nothing answers at the URL
    │   ├── DeploymentError                   no deployment, or other code than ours at its addresses
    │   └── ContractRevert                    a contract refused; one subclass per custom error
    ├── CryptoError                           a key, ciphertext, point or proof that is not valid
    ├── StorageError
    │   ├── NodeError                         one storage node failed, refused or lied; names it
    │   ├── IntegrityError                    bytes do not match what the chain or the manifest says
    │   ├── NotEnoughNodesError               fewer usable nodes than the redundancy needs
    │   ├── VersionError                      a node speaks another version of the storage API
    │   └── BusyError                         a node has too much to do, or was asked too often
    ├── PolicyError                           a data owner's rule forbids it
    └── TaskError                             a task ended otherwise than Finished
        └── PeerError                         a peer was silent, or sent what the protocol forbids; names it
            └── PeerRestarted                 a peer began anew, so that the run has to as well

All of them read as one line that names the thing, its value and the remedy. The command line prints that line
and exits with :attr:`DtxethError.exit_status`.
"""

from __future__ import annotations

from typing import ClassVar


class DtxethError(Exception):
    """Base of every exception that dtxeth raises on purpose.

    Remedy: Catch it around calls of the SDK, and show its text.
    """

    exit_status: ClassVar[int] = 2


class InputError(DtxethError, ValueError):
    """What the caller gave cannot be used; it was refused before anything changed.

    Remedy: Change the named value and try again; nothing has to be undone.
    """


class UnknownNameError(InputError, LookupError):
    """A name, address or id that stands for nothing: file, node, namespace, account, task, algorithm.

    Remedy: Check the spelling, or list what there is (``dtxeth file list``, ``dtxeth task list``, …).
    """


class DataError(InputError):
    """A table, column, label or row that cannot be learned from.

    Remedy: Mend the CSV file where the message says, and upload it anew.
    """


class ConfigError(InputError):
    """A configuration file or setting that is missing, unknown or out of range.

    Remedy: Correct the named key or option.
    """


class KeystoreError(InputError):
    """A keystore file that is missing or broken, or a password that does not open it.

    Remedy: Give another password or path; without both the account is lost.
    """


class ChainError(DtxethError):
    """Something about the chain.

    Remedy: See the subclass.
    """


class ChainUnavailableError(ChainError, ConnectionError):
    """No EVM node answers at the given URL.

    Remedy: Start the node, or correct the URL.
    """


class DeploymentError(ChainError):
    """The chain has no deployment of ours, or the code at its addresses is not the code we ship.

    Remedy: Deploy with ``scripts/deploy.py``, or use the dtxeth and the record that belong to the chain.
    """


class ContractRevert(ChainError):  # noqa: N818 - the EVM's own word
    """A contract refused a call; subclasses carry the custom error's name and values.

    Remedy: Look the custom error up below; the transaction changed nothing.
    """


class CryptoError(DtxethError):
    """A key, ciphertext, group element, signature or proof that is not valid.

    Remedy: Use the account that it was made for; if it came from somebody else, do not trust it.
    """


class StorageError(DtxethError):
    """Something about stored files.

    Remedy: See the subclass; a disk that is full or not writable needs room.
    """


class NodeError(StorageError):
    """A storage node could not be reached, refused, or returned what it should not.

    Remedy: None is needed while other nodes hold the piece: uploads and downloads go round the node.

    Args:
        node: Name or address of the node.
        reason: What happened, and what to do about it.

    """

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"storage node {node}: {reason}")
        self.node = node
        self.reason = reason

    def __reduce__(self) -> tuple[type[NodeError], tuple[str, str]]:
        return type(self), (self.node, self.reason)


class IntegrityError(StorageError):
    """Bytes do not match what the chain or the manifest says about them.

    Remedy: Do not use them; fetch them again, or ask the file's owner.
    """


class NotEnoughNodesError(StorageError):
    """Fewer usable storage nodes than the redundancy of the namespace needs.

    Remedy: Start or reach more storage nodes, or use a namespace with fewer replicas.
    """


class BusyError(StorageError):
    """A node has too much to do, or was asked too often.

    Remedy: Try again after some seconds, or ask less often.
    """


class VersionError(StorageError):
    """A storage node speaks another version of the storage API.

    Remedy: Bring both to the same release of dtxeth; the older one has to be updated.
    """


class PolicyError(DtxethError):
    """A data owner's policy forbids it.

    Remedy: Keep to the policy, bring more common rows, or ask the owner to change it.
    """


class TaskError(DtxethError):
    """A task ended otherwise than Finished.

    Remedy: Read the reason, mend it, and publish a new task; the reward of one that ended so is credited back.
    """

    exit_status: ClassVar[int] = 1


class PeerError(TaskError):
    """A peer of a protocol was silent, or sent something malformed, out of range or replayed.

    Remedy: Ask who runs the peer, look into its log, and publish a new task.

    Args:
        peer: Name of the peer.
        reason: What it did.

    """

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"peer {peer}: {reason}")
        self.peer = peer
        self.reason = reason

    def __reduce__(self) -> tuple[type[PeerError], tuple[str, str]]:
        return type(self), (self.peer, self.reason)


class PeerRestarted(PeerError):  # noqa: N818 - what happened, not a mistake
    """A peer came back after a crash, and begins the session anew; what the run had reached stays in its journal.

    Remedy: Executors open the session again and go on from their journals; wherever else it ends, do that by hand.
    """
