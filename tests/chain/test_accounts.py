"""Accounts and the files that keep them."""

from __future__ import annotations

import contextlib
import json
import stat
from pathlib import Path

import pytest
from eth_utils import is_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.chain import Account, create_keystore, list_keystores, load_keystore, recover_typed
from dtxeth.errors import CryptoError, KeystoreError

FAST = 2**4
KEY = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")
# The test vectors of the Web3 Secret Storage Definition, version 3: password "testpassword", the key above.
VECTORS = [
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
    {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "p": 8,
                "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
]
DOMAIN = {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": "0x" + 20 * "cc"}
PERSON = [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}]
MAIL = [
    {"name": "from", "type": "Person"},
    {"name": "to", "type": "Person"},
    {"name": "contents", "type": "string"},
]
TYPES = {"Person": PERSON, "Mail": MAIL}
MESSAGE = {
    "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
    "contents": "Hello, Bob!",
}


def test_typed_signature_is_the_one_of_eip712() -> None:
    """The example of EIP-712 itself: private key keccak("cow")."""
    cow = Account.from_key(bytes.fromhex("c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4"))
    assert cow.address == MESSAGE["from"]["wallet"]
    signature = cow.sign_typed(DOMAIN, TYPES, MESSAGE)
    assert signature.hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562"
        "1c"
    )
    assert recover_typed(DOMAIN, TYPES, MESSAGE, signature) == cow.address


def test_an_altered_message_or_signature_names_somebody_else() -> None:
    account = Account.create()
    signature = account.sign_typed(DOMAIN, TYPES, MESSAGE)
    altered = MESSAGE | {"contents": "Hello, Eve!"}
    assert recover_typed(DOMAIN, TYPES, altered, signature) != account.address
    assert recover_typed(DOMAIN | {"chainId": 2}, TYPES, MESSAGE, signature) != account.address


@pytest.mark.parametrize("signature", [b"", b"\1" * 64, b"\1" * 66, b"\xff" * 65, bytes(65)])
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(CryptoError, match="no signature"):
        recover_typed(DOMAIN, TYPES, MESSAGE, signature)


def test_a_signature_has_one_form_only() -> None:
    """What the contracts refuse is refused here: s mirrored to n - s, v counted from 0, a byte too many."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    account = Account.create()
    signature = account.sign_typed(DOMAIN, TYPES, MESSAGE)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    mirrored = r + (order - s).to_bytes(32, "big") + bytes([55 - v])
    for twin in (
        mirrored,
        signature[:64] + bytes([v - 27]),
        signature[:64] + bytes([v + 2]),
        signature + b"\0",
    ):
        with pytest.raises(CryptoError, match="no signature"):
            recover_typed(DOMAIN, TYPES, MESSAGE, twin)


@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, b"\1" * 31])
def test_what_is_no_key_is_refused_and_not_shown(key: bytes) -> None:
    with pytest.raises(CryptoError, match="no private key; it has 32 bytes") as caught:
        Account.from_key(key)
    assert caught.value.__suppress_context__


def test_the_key_shows_nowhere() -> None:
    account = Account.from_key(KEY)
    for text in (repr(account), str(account), repr(vars(type(account))), repr([account])):
        assert KEY.hex() not in text


def test_encryption_keys_are_fixed_and_apart() -> None:
    account = Account.from_key(KEY)
    keys = {
        account.encryption_key(chain_id, version, purpose).private_bytes_raw()
        for chain_id in (1, 256, 1337)
        for version in (1, 2)
        for purpose in ("files", "file", "tls")
    }
    assert len(keys) == 18
    assert KEY not in keys
    again = Account.from_key(KEY).encryption_key(1337).private_bytes_raw()
    assert again == account.encryption_key(1337, 1, "files").private_bytes_raw()
    assert again.hex() == "f0a1ad7c5f9b3274a75a2f39c7d9fe3e1f78e32e3dbdaa1a986067b3b7ec3514"


def test_a_keystore_opens_with_its_password_only(tmp_path: Path) -> None:
    account = Account.create()
    made = create_keystore(tmp_path / "keys", "correct horse", "alice", account=account, scrypt_n=FAST)
    assert made.address == account.address
    assert load_keystore(made.path, "correct horse").address == account.address
    with pytest.raises(KeystoreError, match="does not open") as caught:
        load_keystore(made.path, "battery staple")
    assert "battery" not in str(caught.value)


def test_a_keystore_is_for_its_owner_only(tmp_path: Path) -> None:
    made = create_keystore(tmp_path / "keys", "password", "alice", scrypt_n=FAST)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("vector", VECTORS, ids=["pbkdf2", "scrypt"])
def test_published_keystores_open(tmp_path: Path, vector: dict[str, object]) -> None:
    path = tmp_path / "vector.json"
    path.write_text(json.dumps(vector | {"address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b"}))
    account = load_keystore(path, "testpassword")
    assert account.address == "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b"
    assert (
        account.encryption_key(1).private_bytes_raw()
        == Account.from_key(KEY).encryption_key(1).private_bytes_raw()
    )


def test_keystores_are_listed_by_name(tmp_path: Path) -> None:
    made = [create_keystore(tmp_path, "password", name, scrypt_n=FAST) for name in ("bob", "alice")]
    assert list_keystores(tmp_path) == made[::-1]
    assert list_keystores(tmp_path / "nowhere") == []


def test_a_keystore_is_never_overwritten(tmp_path: Path) -> None:
    made = create_keystore(tmp_path, "password", "alice", scrypt_n=FAST)
    before = made.path.read_bytes()
    with pytest.raises(KeystoreError, match="exists already"):
        create_keystore(tmp_path, "password", "alice", scrypt_n=FAST)
    assert made.path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../alice", "a/b", ".hidden", "x" * 65, "käse"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeystoreError, match="keystore name"):
        create_keystore(tmp_path / "keys", "password", name, scrypt_n=FAST)
    assert not (tmp_path / "keys").exists()


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="password of keystore alice is empty"):
        create_keystore(tmp_path / "keys", "", "alice", scrypt_n=FAST)
    assert not (tmp_path / "keys").exists()


def test_a_missing_keystore(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="cannot be read: No such file"):
        load_keystore(tmp_path / "nobody.json", "password")


@pytest.mark.parametrize("damage", ["crypto", "kdf", "ciphertext", "version", "n"])
def test_a_broken_keystore(tmp_path: Path, damage: str) -> None:
    made = create_keystore(tmp_path, "password", "alice", scrypt_n=FAST)

    def damaged(node: dict[str, object]) -> dict[str, object]:
        return {
            key: damaged(value) if isinstance(value, dict) else value
            for key, value in node.items()
            if key != damage
        }

    made.path.write_text(json.dumps(damaged(json.loads(made.path.read_text()))))
    with pytest.raises(KeystoreError, match=r"alice\.json is broken"):
        load_keystore(made.path, "password")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"address": 5}'])
def test_what_is_no_keystore_at_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bob.json"
    path.write_text(text)
    for attempt in (lambda: load_keystore(path, "password"), lambda: list_keystores(tmp_path)):
        with pytest.raises(KeystoreError, match=r"bob\.json is no"):
            attempt()


@given(st.binary(min_size=65, max_size=65))
def test_any_65_bytes_are_refused_or_name_an_address(signature: bytes) -> None:
    with contextlib.suppress(CryptoError):
        assert is_checksum_address(recover_typed(DOMAIN, TYPES, MESSAGE, signature))
