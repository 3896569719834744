"""Every route of a storage node, through server and client, with its corrupted twin."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest

from dtxeth.chain import Account
from dtxeth.errors import CryptoError, InputError, IntegrityError, PolicyError, UnknownNameError
from dtxeth.storage import Credentials, RequestSigner, api
from dtxeth.storage.acknowledgements import acknowledges
from dtxeth.storage.api import Claim
from dtxeth.storage.http import HttpStorageNode
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.requests import LIFETIME, OWNER_NODE
from tests.web.node import MemoryNode

FILE, DRAFT = bytes(range(32)), bytes(range(16))
PIECE = os.urandom(SLICE_SIZE)
DIGEST = hashlib.sha256(PIECE).digest()


@pytest.fixture
def held(service: MemoryNode) -> bytes:
    service.pieces[DIGEST] = PIECE
    service.drafts[DRAFT] = [DIGEST]
    return DIGEST


class Asker:
    """Signs requests to the node."""

    def __init__(self, signer: RequestSigner, address: str) -> None:
        self.signer, self.address = signer, address

    def __call__(self, method: str, resource: str, body: bytes = b"") -> Credentials:
        return self.signer.sign(self.address, method, resource, hashlib.sha256(body).digest())


@pytest.fixture
def sign(signer: RequestSigner, service: MemoryNode) -> Asker:
    return Asker(signer, service.account.address)


def test_status_needs_no_signature(node: HttpStorageNode, held: bytes) -> None:
    assert node.status().capacity == 1 << 30
    assert node.status().used == len(PIECE)


def test_a_piece_is_put_and_got_back(node: HttpStorageNode, service: MemoryNode, sign: Asker) -> None:
    node.put_piece(sign("PUT", api.piece_at(FILE, DRAFT, 0), PIECE), FILE, DRAFT, 0, PIECE)
    assert service.drafts == {DRAFT: [DIGEST]}
    credentials = sign("GET", api.piece_named(FILE, DIGEST, 3))
    assert node.get_piece(credentials, FILE, DIGEST, 3) == PIECE


def test_a_piece_with_a_flipped_bit_is_refused(
    node: HttpStorageNode, service: MemoryNode, sign: Asker
) -> None:
    credentials = sign("PUT", api.piece_at(FILE, DRAFT, 0), PIECE)
    with pytest.raises(PolicyError, match="is not what"):
        node.put_piece(credentials, FILE, DRAFT, 0, PIECE[:-1] + bytes([PIECE[-1] ^ 1]))
    assert not service.drafts


def test_pieces_at_hand_are_kept(
    node: HttpStorageNode, service: MemoryNode, sign: Asker, held: bytes
) -> None:
    credentials = sign("PUT", api.kept_at(FILE, b"d" * 16, 0), held)
    node.keep_pieces(credentials, FILE, b"d" * 16, 0, [held])
    assert service.drafts[b"d" * 16] == [held]


def test_unknown_pieces_are_not_kept(node: HttpStorageNode, sign: Asker) -> None:
    with pytest.raises(UnknownNameError, match="1 pieces are not held"):
        node.keep_pieces(sign("PUT", api.kept_at(FILE, DRAFT, 0), DIGEST), FILE, DRAFT, 0, [DIGEST])


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digests_that_are_none_are_refused(node: HttpStorageNode, sign: Asker, size: int) -> None:
    credentials = sign("PUT", api.kept_at(FILE, DRAFT, 0), bytes(size))
    with pytest.raises(InputError, match=f"digests of {size} bytes"):
        node.keep_pieces(credentials, FILE, DRAFT, 0, [bytes(size)])


def test_commitments(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    credentials = sign("GET", api.commitments_of(FILE, DRAFT))
    assert node.commitments(credentials, FILE, DRAFT) == hashlib.sha384(held).digest()


def test_the_outline(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    assert node.outline(sign("GET", api.outline_of(FILE)), FILE) == held


def claim(size: int) -> Claim:
    return Claim(1, os.urandom(32), 4096, os.urandom(32), 8, size, 2**33)


def test_claims_survive_their_encoding() -> None:
    given = claim(2**40)
    assert Claim.from_bytes(given.to_bytes()) == given
    with pytest.raises(InputError, match="claim of 91 bytes"):
        Claim.from_bytes(given.to_bytes()[:-1])


def test_a_draft_is_acknowledged(
    node: HttpStorageNode, service: MemoryNode, sign: Asker, held: bytes
) -> None:
    claimed = claim(len(PIECE))
    credentials = sign("PUT", api.draft_of(FILE, DRAFT), claimed.to_bytes())
    given = node.acknowledge(credentials, FILE, DRAFT, claimed)
    address = service.account.address
    owner = sign.signer.account.address
    assert acknowledges(given, service.registry, FILE, owner, address, claimed)
    assert not acknowledges(given, service.registry, FILE, owner, address, replace(claimed, version=2))


def test_a_wrong_claim_is_not_acknowledged(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    claimed = claim(len(PIECE) + 1)
    credentials = sign("PUT", api.draft_of(FILE, DRAFT), claimed.to_bytes())
    with pytest.raises(IntegrityError, match="another size"):
        node.acknowledge(credentials, FILE, DRAFT, claimed)


def test_a_draft_is_dropped(node: HttpStorageNode, service: MemoryNode, sign: Asker, held: bytes) -> None:
    node.abandon(sign("DELETE", api.draft_of(FILE, DRAFT)), FILE, DRAFT)
    assert not service.drafts


def test_the_manifest_is_read(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    credentials = sign("GET", api.manifest_of(FILE, held, 0))
    assert node.get_manifest(credentials, FILE, held, 0) == PIECE


def test_what_is_not_there_is_not_served(node: HttpStorageNode, sign: Asker) -> None:
    with pytest.raises(UnknownNameError, match="no piece"):
        node.get_manifest(sign("GET", api.manifest_of(FILE, DIGEST, 0)), FILE, DIGEST, 0)
    with pytest.raises(UnknownNameError, match="no piece"):
        node.get_piece(sign("GET", api.piece_named(FILE, DIGEST, 0)), FILE, DIGEST, 0)


def test_a_request_is_good_once(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    credentials = sign("GET", api.piece_named(FILE, held, 0))
    node.get_piece(credentials, FILE, held, 0)
    with pytest.raises(PolicyError, match="seen before"):
        node.get_piece(credentials, FILE, held, 0)


def test_a_request_lapses(node: HttpStorageNode, service: MemoryNode, sign: Asker, held: bytes) -> None:
    credentials = sign("GET", api.piece_named(FILE, held, 0))
    service.registry.chain.advance(LIFETIME + 1)
    with pytest.raises(PolicyError, match="sign it anew"):
        node.get_piece(credentials, FILE, held, 0)


def test_a_request_is_good_for_one_node(
    node: HttpStorageNode, signer: RequestSigner, accounts: list[Account], held: bytes
) -> None:
    elsewhere = signer.sign(accounts[6].address, "GET", api.piece_named(FILE, held, 0))
    with pytest.raises(PolicyError, match="is not what"):
        node.get_piece(elsewhere, FILE, held, 0)


def test_a_request_is_good_for_one_kind_of_node(
    node: HttpStorageNode, service: MemoryNode, signer: RequestSigner, held: bytes
) -> None:
    to_owner = RequestSigner(signer.account, signer.file_registry, OWNER_NODE)
    credentials = to_owner.sign(service.account.address, "GET", api.piece_named(FILE, held, 0))
    with pytest.raises(PolicyError, match="is not what"):
        node.get_piece(credentials, FILE, held, 0)


def test_a_request_is_good_for_one_method_and_resource(
    node: HttpStorageNode, sign: Asker, held: bytes
) -> None:
    with pytest.raises(PolicyError, match="is not what"):
        node.get_piece(sign("DELETE", api.piece_named(FILE, held, 0)), FILE, held, 0)
    with pytest.raises(PolicyError, match="is not what"):
        node.get_piece(sign("GET", api.piece_named(FILE, held, 0)), FILE, held, 1)


def test_a_signature_of_nothing_is_refused(node: HttpStorageNode, sign: Asker, held: bytes) -> None:
    credentials = replace(sign("GET", api.piece_named(FILE, held, 0)), signature=b"\xff" * 65)
    with pytest.raises(CryptoError, match="no signature"):
        node.get_piece(credentials, FILE, held, 0)
