"""Accounts: a signing key, the encryption key derived from it, and the encrypted file that keeps it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import coincurve
import eth_account
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address
from eth_utils.crypto import keccak

from dtxeth.errors import CryptoError, KeystoreError

SCRYPT_N = 2**18
"""Work factor of scrypt: a guess at a password costs 256 MiB and most of a second."""

_HIGHEST_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Account:
    """An account that can sign. Its key shows in no repr.

    Attributes:
        address: Checksummed address.
    """

    __slots__ = ("_signer", "address")

    def __init__(self, signer: LocalAccount) -> None:
        self._signer = signer
        self.address: str = signer.address

    @classmethod
    def create(cls) -> Self:
        """Make an account with a fresh random key."""
        return cls.from_key(os.urandom(32))

    @classmethod
    def from_key(cls, key: bytes) -> Self:
        """Make the account of a 32-byte private key.

        Raises:
            CryptoError: If it is no key of secp256k1.
        """
        try:
            return cls(eth_account.Account.from_key(key))
        except ValueError:
            expected = "32 bytes, neither zero nor beyond the order of secp256k1"
            raise CryptoError(f"what was given is no private key; it has {expected}") from None

    def __repr__(self) -> str:
        return f"Account({self.address})"

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign a transaction and return it raw."""
        return bytes(self._signer.sign_transaction(transaction).raw_transaction)

    def sign_typed(self, domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any]) -> bytes:
        """Sign EIP-712 typed data.

        Args:
            domain: ``name``, ``version``, ``chainId``, ``verifyingContract``, as far as the domain has them.
            types: Fields (``name``, ``type``) of each struct; the outermost is found by itself.
            message: The values.

        Returns:
            65 bytes: r, s, v.
        """
        return self.sign_digest(_typed_digest(domain, types, message))

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign the digest of EIP-712 typed data, made by :mod:`dtxeth.chain.typed`.

        Returns:
            65 bytes: r, s, v.
        """
        key = coincurve.PrivateKey(bytes(self._signer.key))
        signature = key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def encryption_key(self, chain_id: int, version: int = 1, purpose: str = "files") -> X25519PrivateKey:
        """Derive the X25519 key to which others wrap keys for this account (RFC 5869, RFC 7748).

        Args:
            chain_id: The chain it is published on.
            version: Counts its rotations, from 1, as the key registry does.
            purpose: What it is for.

        Returns:
            Always the same key for the same arguments: the keystore alone recovers it.
        """
        use = purpose.encode()
        info = b"dtxeth encryption key" + len(use).to_bytes(1, "big") + use
        info += chain_id.to_bytes(32, "big") + version.to_bytes(8, "big")
        secret = HKDF(SHA256(), length=32, salt=None, info=info).derive(bytes(self._signer.key))
        return X25519PrivateKey.from_private_bytes(secret)


def recover_typed(
    domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any], signature: bytes
) -> str:
    """Return the address whose key made a signature of EIP-712 typed data.

    Accepts what the contracts accept (OpenZeppelin's ECDSA): v is 27 or 28, and of the two values of s the lower.

    Raises:
        CryptoError: If it is no signature at all.
    """
    return recover_digest(_typed_digest(domain, types, message), signature)


def recover_digest(digest: bytes, signature: bytes) -> str:
    """Return the address whose key signed a digest of EIP-712 typed data; see :func:`recover_typed`.

    Raises:
        CryptoError: If it is no signature at all.
    """
    try:
        r, s, v = signature[:32], signature[32:64], signature[64:]
        if v not in (b"\x1b", b"\x1c") or int.from_bytes(s, "big") > _HIGHEST_S:
            raise ValueError("v is neither 27 nor 28, or s is the higher one")
        recoverable = r + s + bytes([v[0] - 27])
        key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception as error:  # coincurve raises plain Exception for what recovers no key
        raise CryptoError(f"{len(signature)} bytes are no signature of this message; sign it anew") from error
    return to_checksum_address(keccak(key.format(compressed=False)[1:])[12:])


def _typed_digest(domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any]) -> bytes:
    """Hash EIP-712 typed data."""
    encoded = encode_typed_data(domain, types, message)
    return keccak(b"\x19" + encoded.version + encoded.header + encoded.body)


@dataclass(frozen=True)
class Keystore:
    """An encrypted key file.

    Attributes:
        name: What people call the account; the file is named so.
        address: Its address.
        path: The file.
    """

    name: str
    address: str
    path: Path


def create_keystore(
    directory: Path, password: str, name: str, *, account: Account | None = None, scrypt_n: int = SCRYPT_N
) -> Keystore:
    """Write an account into an encrypted file that only its owner may read.

    Args:
        directory: Where; made if missing.
        password: Opens it again; nothing else does.
        name: Letters, digits, ``.``, ``_``, ``-``.
        account: The account; by default a fresh one.
        scrypt_n: Work factor, a power of two; lower it in tests only.

    Raises:
        KeystoreError: If the name is taken or no name, or the password is empty.
    """
    if not _NAME.fullmatch(name):
        raise KeystoreError(
            f"keystore name {name!r} is not 1 to 64 letters, digits, '.', '_' or '-'; choose another"
        )
    if not password:
        raise KeystoreError(f"the password of keystore {name} is empty; give one")
    account = account or Account.create()
    path = directory / f"{name}.json"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = json.dumps(_encrypt(account, password, scrypt_n))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeystoreError(f"keystore {path} exists already; choose another name") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return Keystore(name, account.address, path)


def load_keystore(path: Path, password: str) -> Account:
    """Open a keystore file.

    Raises:
        KeystoreError: If it is missing, broken, or the password is wrong.
    """
    document = _read(path)
    try:
        key = bytes(eth_account.Account.decrypt(document, password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise KeystoreError(f"the password does not open keystore {path}; try again") from None
        raise KeystoreError(f"keystore {path} is broken; restore it from a copy") from error
    except (KeyError, TypeError) as error:
        raise KeystoreError(f"keystore {path} is broken; restore it from a copy") from error
    return Account.from_key(key)


def list_keystores(directory: Path) -> list[Keystore]:
    """List the keystore files in a directory, by name; none if it does not exist.

    Raises:
        KeystoreError: If a file there is no keystore.
    """
    paths = sorted(directory.glob("*.json"))
    return [Keystore(path.stem, to_checksum_address("0x" + _read(path)["address"]), path) for path in paths]


def _encrypt(account: Account, password: str, scrypt_n: int) -> dict[str, Any]:
    return eth_account.Account.encrypt(
        bytes(account._signer.key), password, kdf="scrypt", iterations=scrypt_n
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeystoreError(f"keystore {path} cannot be read: {error.strerror}; check the path") from error
    except ValueError as error:
        raise KeystoreError(f"keystore {path} is no JSON; restore it from a copy") from error
    if not isinstance(document, dict) or not isinstance(document.get("address"), str):
        raise KeystoreError(f"{path} is no keystore of version 3; check the path")
    return document
