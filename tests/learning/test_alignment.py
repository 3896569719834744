from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtxeth.crypto import psi
from dtxeth.errors import DataError, PeerError
from dtxeth.learning.alignment import align
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties


def align_all(ids: dict[str, list[str]], rows: dict[str, int] | None = None, task: bytes = b"task"):
    channels = memory_channels(ids, timeout=20)
    rows = rows or {name: len(own) for name, own in ids.items()}

    def program(name: str) -> list[str]:
        (peer,) = set(ids) - {name}
        secrets = TaskSecrets(name.encode() * 32, task)
        try:
            return align(channels[name], peer, ids[name], rows[peer], task, secrets)
        except Exception as error:
            channels[name].abort(type(error).__name__)
            raise

    return run_parties({name: lambda name=name: program(name) for name in ids})


@settings(max_examples=25, deadline=None)
@given(
    common=st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=12),
    left=st.integers(0, 6),
    right=st.integers(0, 6),
)
def test_exactly_the_common_ids_in_one_order(common: set[str], left: int, right: int) -> None:
    ids = {
        "a": sorted(common) + [f"left only {i}" for i in range(left)],
        "b": [f"right only {i}" for i in range(right)] + sorted(common),
    }
    aligned = align_all(ids)
    assert aligned["a"] == aligned["b"]
    assert set(aligned["a"]) == common
    assert len(aligned["a"]) == len(common)


def test_order_tells_nothing_about_ids_and_changes_with_the_task() -> None:
    ids = {"a": [str(i) for i in range(50)], "b": [str(i) for i in range(50)]}
    first, second = align_all(ids)["a"], align_all(ids, task=b"other")["a"]
    assert first not in (ids["a"], second)


def test_nothing_in_common() -> None:
    for error in align_all({"a": ["1", "2"], "b": ["3"]}).values():
        with pytest.raises(DataError, match="ids is also among"):
            raise error


def test_set_sizes_are_bound_to_the_chain() -> None:
    ids = {"a": ["1", "2", "3"], "b": ["2", "3"]}
    outcome = align_all(ids, rows={"a": 3, "b": 3})
    with pytest.raises(PeerError, match=r"peer b: sent invalid masked ids: 64 bytes .* expected 3 of 32"):
        raise outcome["a"]


@pytest.mark.parametrize("tag", ["masked ids", "returned ids"])
@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (
            lambda points: bytes(32) + points[32:],
            "identifier 0 is not an element of ristretto255, or the identity",
        ),
        (lambda points: b"\xff" * 32 + points[32:], "identifier 0 is not an element of ristretto255"),
        (lambda points: points[32:64] + points[32:], "repeated"),
        (lambda points: points[:-1], "expected 3 of 32 bytes"),
    ],
)
def test_invalid_points(monkeypatch: pytest.MonkeyPatch, tag: str, forge, message: str) -> None:
    """Party b sends forged points; a names it, and b hears that a gave up."""
    from dtxeth.learning import alignment

    honest = alignment._send

    def forging(channel, peer, sent, points):
        data = b"".join(points)
        if channel.name == "b" and sent == tag:
            data = forge(data)
        honest(channel, peer, sent, [data])

    monkeypatch.setattr(alignment, "_send", forging)
    ids = {"a": ["1", "2", "3"], "b": ["2", "3", "4"]}
    outcome = align_all(ids)
    with pytest.raises(PeerError, match=f"peer b: sent invalid {tag}: .*{message}"):
        raise outcome["a"]
    with pytest.raises(PeerError, match="peer a: gave up: PeerError"):
        raise outcome["b"]


def test_disagreement_on_the_common_rows() -> None:
    channels = memory_channels("ab", timeout=20)
    ids = {"a": ["1", "2"], "b": ["1", "2"]}

    def cheat() -> None:
        """Return other, valid points than a's: a would map them to the wrong rows."""
        mask, junk = psi.Mask(), psi.Mask()
        own = mask.apply(psi.hash_ids([b"1", b"2"], b"task"))
        from dtxeth.learning.alignment import Agreement, Points
        from dtxeth.transport.messages import receive, send

        send(channels["b"], "a", "masked ids", Points(points=b"".join(own)))
        theirs = receive(channels["b"], "a", "masked ids", Points).points
        points = psi.parse_points(theirs, 2)
        one = mask.apply(points)[0]
        send(channels["b"], "a", "returned ids", Points(points=one + junk.apply(points)[1]))
        send(channels["b"], "a", "common ids", Agreement(digest=bytes(32)))

    outcome = run_parties(
        {
            "a": lambda: align(channels["a"], "b", ids["a"], 2, b"task", TaskSecrets(b"a" * 32, b"task")),
            "b": cheat,
        }
    )
    with pytest.raises(PeerError, match="peer b: does not find the same common rows"):
        raise outcome["a"]
