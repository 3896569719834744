from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import psi
from dtxeth.errors import DataError, InputError, PeerError
from dtxeth.learning import alignment
from dtxeth.learning.alignment import Agreement, Points, align
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport import memory_channels
from dtxeth.transport.messages import receive, send
from tests.learning.parties import run_parties


def align_all(ids: dict[str, list[str]], rows: dict[str, int] | None = None, task: bytes = b"task"):
    channels = memory_channels(ids, timeout=20)

    def program(name: str) -> list[str]:
        sizes = {party: len(own) for party, own in ids.items()} | (rows or {})
        sizes[name] = len(ids[name])
        secrets = TaskSecrets(name.encode() * 32, task)
        try:
            return align(channels[name], ids[name], sizes, task, secrets)
        except Exception as error:
            channels[name].abort(type(error).__name__)
            raise

    return run_parties({name: lambda name=name: program(name) for name in ids})


@settings(max_examples=20, deadline=None)
@given(
    common=st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=12),
    others=st.lists(st.sets(st.integers(0, 9)), min_size=2, max_size=5),
)
def test_exactly_the_common_ids_in_one_order(common: set[str], others: list[set[int]]) -> None:
    """``others`` are overlaps of some parties only, whatever they are."""
    absent = set.intersection(*others)
    ids = {
        name: sorted(common) + [f"some only {i}" for i in own - absent]
        for name, own in zip("edabc", others, strict=False)
    }
    aligned = align_all(ids)
    assert len({tuple(own) for own in aligned.values()}) == 1
    assert set(aligned["d"]) == common
    assert len(aligned["d"]) == len(common)


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_order_tells_nothing_about_ids_and_changes_with_the_task(names: str) -> None:
    ids = {name: [str(i) for i in range(50)] for name in names}
    first, second = align_all(ids)["a"], align_all(ids, task=b"other")["a"]
    assert first not in (ids["a"], second)


def test_nothing_in_common() -> None:
    for ids in ({"a": ["1", "2"], "b": ["3"]}, {"a": ["1", "2"], "b": ["2", "3"], "c": ["3", "1"]}):
        for error in align_all(ids).values():
            with pytest.raises(DataError, match="no id is common to all parties"):
                raise error


def test_set_sizes_are_bound_to_the_chain() -> None:
    ids = {"a": ["1", "2", "3"], "b": ["2", "3"], "c": ["2", "3"]}
    for names, party in (("ab", "a"), ("abc", "c")):
        outcome = align_all({name: ids[name] for name in names}, rows={"b": 3})
        with pytest.raises(PeerError, match=r"peer b: sent invalid masked .*: 64 bytes .* expected 3 of 32"):
            raise outcome[party]
    with pytest.raises(InputError, match="2 ids to align, the chain says 3"):
        align(memory_channels("ab")["b"], ["2", "3"], {"a": 3, "b": 3}, b"task", TaskSecrets(bytes(32), b""))


Forge = Callable[[bytes], bytes]


def forge_points(monkeypatch: pytest.MonkeyPatch, cheat: str, tag: str, forge: Forge) -> None:
    """Let ``cheat`` send forged points under ``tag``."""
    honest = alignment._send

    def forging(channel, peer, sent, points):
        data = b"".join(points)
        honest(channel, peer, sent, [forge(data) if (channel.name, sent) == (cheat, tag) else data])

    monkeypatch.setattr(alignment, "_send", forging)


@pytest.mark.parametrize(
    ("names", "tag"),
    [
        ("ab", "masked ids"),
        ("ab", "returned ids"),
        ("abc", "masked ids 2"),
        ("abc", "masked by all"),
        ("abc", "unmasked ids 1"),
    ],
)
@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (
            lambda points: bytes(32) + points[32:],
            "identifier 0 is not an element of ristretto255, or the identity",
        ),
        (lambda points: b"\xff" * 32 + points[32:], "identifier 0 is not an element of ristretto255"),
        (lambda points: points[32:64] + points[32:], "repeated"),
        (lambda points: points[:-1], r"expected \d of 32 bytes"),
    ],
)
def test_invalid_points(
    monkeypatch: pytest.MonkeyPatch, names: str, tag: str, forge: Forge, message: str
) -> None:
    """Party b sends forged points; who gets them names it, and b hears of it unless it was done."""
    forge_points(monkeypatch, "b", tag, forge)
    victim = "c" if tag in ("masked ids 2", "unmasked ids 1") else "a"
    outcome = align_all({name: ["1", "2", "3", name] for name in names})
    with pytest.raises(PeerError, match=f"peer b: sent invalid {tag}: .*{message}"):
        raise outcome[victim]
    if tag != "unmasked ids 1":
        with pytest.raises(PeerError, match=r"peer .: gave up: PeerError"):
            raise outcome["b"]


@pytest.mark.parametrize(
    "forge",
    [lambda points: points[32:64] + points[:32], lambda points: psi.hash_ids([b"1"], b"")[0] + points[32:]],
)
def test_a_forged_intersection_is_refused(monkeypatch: pytest.MonkeyPatch, forge: Forge) -> None:
    forge_points(monkeypatch, "a", "intersection", forge)
    outcome = align_all({name: ["1", "2"] for name in "abc"})
    with pytest.raises(PeerError, match="peer a: published an intersection that is not"):
        raise outcome["b"]


def test_an_intersection_without_one_row_for_one_party_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the others would train on rows that do not belong together."""
    honest = alignment._send
    monkeypatch.setattr(
        alignment,
        "_send",
        lambda channel, peer, tag, points: honest(
            channel, peer, tag, points[1:] if (peer, tag) == ("c", "intersection") else points
        ),
    )
    for error in align_all({name: ["1", "2", "3"] for name in "abc"}).values():
        with pytest.raises(PeerError, match=r"does not find the same common rows|gave up"):
            raise error


def test_unmasked_points_that_are_none_of_ours_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forge_points(
        monkeypatch,
        "b",
        "unmasked ids 2",
        lambda points: b"".join(psi.Mask().apply([points[:32]])) + points[32:],
    )
    outcome = align_all({name: ["1", "2"] for name in "abc"})
    with pytest.raises(PeerError, match="peer b: returned a common row that is none of ours"):
        raise outcome["c"]


def test_disagreement_on_the_common_rows() -> None:
    channels = memory_channels("ab", timeout=20)

    def cheat() -> None:
        """Return other, valid points than a's: a would map them to the wrong rows."""
        mask, junk = psi.Mask(), psi.Mask()
        own = mask.apply(psi.hash_ids([b"1", b"2"], b"task"))
        send(channels["b"], "a", "masked ids", Points(points=b"".join(own)))
        points = psi.parse_points(receive(channels["b"], "a", "masked ids", Points).points, 2)
        one = mask.apply(points)[0]
        send(channels["b"], "a", "returned ids", Points(points=one + junk.apply(points)[1]))
        send(channels["b"], "a", "common ids", Agreement(digest=bytes(32)))

    secrets = TaskSecrets(b"a" * 32, b"task")
    outcome = run_parties(
        {"a": lambda: align(channels["a"], ["1", "2"], {"a": 2, "b": 2}, b"task", secrets), "b": cheat}
    )
    with pytest.raises(PeerError, match="peer b: does not find the same common rows"):
        raise outcome["a"]
