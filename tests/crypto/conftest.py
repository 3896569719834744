"""Keys made once: a short one, for arithmetic that does not depend on the length, and one of real length."""

from __future__ import annotations

import pytest

from dtxeth.crypto import Encryptor, PrivateKey, generate_keypair


@pytest.fixture(scope="session")
def key() -> PrivateKey:
    return generate_keypair(256, insecure_test_key=True)


@pytest.fixture(scope="session")
def encryptor(key: PrivateKey) -> Encryptor:
    return Encryptor(key.public_key)


@pytest.fixture(scope="session")
def owner_encryptor(key: PrivateKey) -> Encryptor:
    return Encryptor(key)


@pytest.fixture(scope="session")
def real_key() -> PrivateKey:
    return generate_keypair()
