"""Nodes that die, hang, lie and refuse, at each step of upload and download of coded files."""

from __future__ import annotations

import contextlib
import io
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from dtxeth.chain.bindings.types import Cause, Possession
from dtxeth.errors import InputError, NotEnoughNodesError
from dtxeth.storage import Candidate, Change, Redundancy, prepare_revision, upload
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.seal import sealed_size
from tests.storage.memory import MemoryNode, Town, dead, fails_at, flipped

DATA = secrets.token_bytes(SLICE_SIZE + 77)


# --- download ---


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 3), (4, 6)])
def test_every_size_around_a_boundary(town: Town, shape: tuple[int, int]) -> None:
    namespace, stripe = town.namespace(*shape), shape[0] * SLICE_SIZE
    full = stripe - 16 * shape[0]  # sealed, as many segments as slices: one whole stripe
    assert sealed_size(full) == stripe
    for size in (0, 1, full, full + 1):
        data = secrets.token_bytes(size)
        stored = town.publish(data, namespace)
        assert len(stored.manifest.nodes) == shape[1]
        lost = stored.manifest.nodes[: shape[1] - shape[0]]
        for held in lost:
            town.nodes[held.node].before = dead
        assert town.open(stored.file_id).read() == data
        for held in lost:
            town.nodes[held.node].before = lambda *_: None


def cut(name: str, data: bytes) -> bytes:
    return data[:-1] if name == "get_piece" else data


class Hang:
    """A node that answers when the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, *_: object) -> None:
        self.over.wait(30)
        raise ConnectionResetError("gone")


@contextlib.contextmanager
def broken(node: MemoryNode, how: str) -> Iterator[None]:
    hang = Hang()
    node.before = {"dead": dead, "hangs": hang}.get(how, lambda *_: None)
    node.after = {"corrupts": flipped("get_piece"), "truncates": cut, "lies": flipped("get_manifest")}.get(
        how, lambda _, data: data
    )
    try:
        yield
    finally:
        hang.over.set()
        node.before, node.after = lambda *_: None, lambda _, data: data


@pytest.mark.parametrize("how", ["dead", "hangs", "corrupts", "truncates", "lies"])
def test_any_two_of_six_nodes_broken(town: Town, how: str) -> None:
    stored = town.publish(DATA, town.namespace(4, 6))
    pairs = list(combinations([held.node for held in stored.manifest.nodes], 2))
    step = {"dead": 1, "hangs": 7}.get(how, 3)  # which two does not matter to how they break
    for first, second in pairs[::step]:
        with broken(town.nodes[first], how), broken(town.nodes[second], how):
            remote = town.open(stored.file_id)
            assert remote.read() == DATA
            assert {fault.node for fault in remote.faults} <= {first, second}


def test_three_of_six_nodes_broken(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(4, 6))
    with contextlib.ExitStack() as stack:
        for held, how in zip(stored.manifest.nodes, ["dead", "corrupts", "truncates"], strict=False):
            stack.enter_context(broken(town.nodes[held.node], how))
        with pytest.raises(NotEnoughNodesError, match=r"stripe 0 .* 3 of the 4 answers"):
            town.open(stored.file_id).read()


def test_one_wrong_byte_anywhere(town: Town) -> None:
    """Altered copies: of each stored piece a byte, one after the other."""
    stored = town.publish(DATA, town.namespace(2, 3))
    for held in stored.manifest.nodes:
        pieces = town.nodes[held.node].held[stored.file_id]
        for number, good in enumerate(pieces):
            place = secrets.randbelow(len(good))
            pieces[number] = good[:place] + bytes([good[place] ^ 128]) + good[place + 1 :]
            assert town.open(stored.file_id).read() == DATA
            pieces[number] = good


def test_revised_in_the_middle_of_a_download(town: Town) -> None:
    """The old pieces are gone when they are asked for; k and all places have changed."""
    data = secrets.token_bytes(17 * SLICE_SIZE)
    stored = town.publish(data, town.namespace(1, 2))
    stream = town.open(stored.file_id).stream()
    begun = next(stream)
    change = Change(Cause.RECODE, redundancy=Redundancy(4, 6))
    made = prepare_revision(stored.file_id, stored.file_key, town.signer, town.nodes, change)
    town.contracts.file_registry.revise(made.revision, made.acknowledgements, sender=town.owner)
    town.settle(stored.file_id)
    assert begun + b"".join(stream) == data


# --- upload ---

STEPS: dict[str, Callable[..., None]] = {
    "status": fails_at("status"),
    "first piece": fails_at("put_piece", 0),
    "last piece": fails_at("put_piece", 1),
    "manifest": fails_at("put_piece", 2),
    "acknowledge": fails_at("acknowledge"),
    "all": dead,
}


@pytest.mark.parametrize("step", STEPS)
def test_upload_replaces_whoever_fails(town: Town, step: str) -> None:
    failing = list(town.nodes)[:5]
    for node in failing:
        town.nodes[node].before = STEPS[step]
    stored = town.publish(DATA, town.namespace(1, 3))
    assert not {held.node for held in stored.manifest.nodes} & set(failing)
    assert {fault.node for fault in stored.faults} <= set(failing)
    assert town.open(stored.file_id).read() == DATA


@pytest.mark.parametrize("step", STEPS)
def test_upload_that_cannot_succeed_leaves_nothing(town: Town, step: str) -> None:
    for node in list(town.nodes)[:6]:
        town.nodes[node].before = STEPS[step]
    with pytest.raises(NotEnoughNodesError, match=r"start more nodes.*connection re"):
        town.upload(DATA, town.namespace(1, 3))
    assert all(not node.drafts for node in town.nodes.values())


def test_only_the_failing_nodes_shards_move(town: Town) -> None:
    """The others are sent every piece once."""
    sent: list[tuple[str, int]] = []

    def counting(node: str) -> Callable[..., None]:
        def before(name: str, *given: object) -> None:
            if name == "put_piece":
                sent.append((node, given[0]))

        return before

    weak = next(iter(town.nodes))
    candidates = [Candidate(node, 1 << (40 if node == weak else 24)) for node in town.nodes]
    for node in town.nodes:
        town.nodes[node].before = counting(node)
    town.nodes[weak].before = fails_at("put_piece", 0)
    stored = town.publish(DATA, town.namespace(1, 3), candidates=candidates)
    assert [fault.node for fault in stored.faults] == [weak]
    assert len(sent) == len(set(sent)) == 3 * 3  # two pieces and the manifest


@pytest.mark.parametrize("how", ["flipped", "short"])
def test_wrong_commitments(town: Town, how: str) -> None:
    liar = next(iter(town.nodes))
    town.nodes[liar].after = flipped("commitments") if how == "flipped" else lambda _, data: data[48:]
    candidates = [Candidate(node, 1 << (40 if node == liar else 24)) for node in town.nodes]
    stored = town.publish(b"rows", town.namespace(1, 2, Possession.KZG), candidates=candidates)
    assert [fault.node for fault in stored.faults] == [liar]


def test_no_more_nodes_than_there_are(town: Town) -> None:
    with pytest.raises(NotEnoughNodesError, match="8 usable storage nodes, 9 are needed for 4 of 9"):
        town.upload(DATA, town.namespace(4, 9))
    assert all(not node.drafts for node in town.nodes.values())


def test_file_that_no_manifest_can_hold(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtxeth.storage.manifest._PIECE_SIZE", 200_000)
    with pytest.raises(InputError, match="store the file in parts"):
        town.upload(DATA, town.namespace(1, 3))
    assert all(not node.drafts for node in town.nodes.values())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "a\x07b"}, "file name"),
        ({"name": "../rows.csv"}, "file name"),
        ({"expires_at": 1}, "choose a later one"),
        ({"rows": -1}, "-1 rows"),
    ],
)
def test_terms_that_cannot_be(town: Town, change: dict[str, Any], text: str) -> None:
    terms = replace(town.terms(town.namespace(1, 1)), **change)
    for node in town.nodes.values():
        node.before = dead  # nobody is asked anything
    with pytest.raises(InputError, match=text):
        upload(io.BytesIO(DATA), terms, town.signer, bytes(32), town.nodes)
