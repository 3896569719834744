"""File keys, wrapped for whoever may read the file, and unwrapped again from account key and chain alone.

The wrapped key is HPKE (RFC 9180) to the reader's encryption key; its context binds chain, contract, file,
applier and task, so that a wrapped key copied from one record into another does not open.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_utils.address import to_canonical_address

from dtxeth.chain.accounts import Account
from dtxeth.chain.bindings.file_authorization import FileAuthorization
from dtxeth.chain.bindings.file_registry import FileRegistry
from dtxeth.crypto import envelope
from dtxeth.errors import CryptoError

OWNERS_TASK = 0
"""Task id in the context of the key that an owner wraps for itself."""


def wrap_context(chain_id: int, file_registry: str, file_id: bytes, applier: str, task_id: int) -> bytes:
    """Context of a wrapped file key, for the owner's own (task 0) as for an authorization's.

    Args:
        chain_id: EIP-155 id of the chain.
        file_registry: Address of the FileRegistry.
        file_id: 32-byte id of the file.
        applier: Who is to open it; the owner for its own.
        task_id: Task of the authorization.
    """
    return b"".join(
        [
            b"dtxeth file key",
            chain_id.to_bytes(32, "big"),
            to_canonical_address(file_registry),
            file_id,
            to_canonical_address(applier),
            task_id.to_bytes(32, "big"),
        ]
    )


def wrap_file_key(
    file_key: bytes,
    public_key: bytes,
    file_registry: FileRegistry,
    file_id: bytes,
    applier: str,
    task_id: int,
) -> bytes:
    """Wrap a file key for an applier's published encryption key (``KeyRegistry.keyOf``).

    Raises:
        CryptoError: The public key is not one.
    """
    context = wrap_context(file_registry.chain.chain_id, file_registry.address, file_id, applier, task_id)
    return envelope.wrap(public_key, file_key, context)


def owned_file_key(account: Account, file_registry: FileRegistry, file_id: bytes, versions: int = 1) -> bytes:
    """Recover the key of one's own file from the account and the chain, nothing else.

    Args:
        account: The owner.
        file_registry: The registry the file is in.
        file_id: The file.
        versions: How many times the owner has published an encryption key; all are tried, newest first.

    Raises:
        UnknownFile: There is no such file.
        CryptoError: The key does not open; is it this account's file?
    """
    wrapped = file_registry.file_of(file_id).wrapped_key
    return _unwrap(account, file_registry, file_id, OWNERS_TASK, wrapped, versions)


def authorized_file_key(
    account: Account,
    file_registry: FileRegistry,
    file_authorization: FileAuthorization,
    authorization_id: int,
    versions: int = 1,
) -> bytes:
    """Open the file key that an approved authorization hands to its applier.

    Args:
        account: The applier.
        file_registry: The registry the file is in.
        file_authorization: The contract the authorization is in.
        authorization_id: Its number.
        versions: How many times the applier has published an encryption key; all are tried, newest first.

    Raises:
        UnknownAuthorization: There is no such authorization.
        CryptoError: The key does not open; is the authorization approved, and this account's?
    """
    grant = file_authorization.authorization(authorization_id)
    return _unwrap(account, file_registry, grant.file_id, grant.task_id, grant.wrapped_key, versions)


def public_key_of(private_key: X25519PrivateKey) -> bytes:
    """Return the 32-byte public key, as ``KeyRegistry.publish`` takes it."""
    return private_key.public_key().public_bytes_raw()


def _unwrap(
    account: Account, registry: FileRegistry, file_id: bytes, task_id: int, wrapped: bytes, versions: int
) -> bytes:
    chain_id = registry.chain.chain_id
    context = wrap_context(chain_id, registry.address, file_id, account.address, task_id)
    for version in range(max(versions, 1), 0, -1):
        try:
            return envelope.unwrap(
                account.encryption_key(chain_id, version).private_bytes_raw(), wrapped, context
            )
        except CryptoError:
            continue
    raise CryptoError(
        f"the wrapped key of file 0x{file_id.hex()} does not open for {account.address}: "
        "use the account that it was wrapped for"
    )
