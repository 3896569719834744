"""The label holder among three looks at what each of the others sends when predictions are opened."""

from __future__ import annotations

import itertools
from importlib import import_module

import msgpack
import numpy as np
import pytest

from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties

predict = import_module("dtxeth.learning.predict")  # its name in the package is the function

ROWS = 400
FAR = 0.2
"""Of 400 unrelated pairs, a correlation beyond 0.2 has a probability below 10⁻⁴."""


def parts(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {party: random.standard_normal(ROWS) for party in ("ann", "bob", "cat")}


def open_scores(z: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Open the sum to Ann; return what she got from each, the sum, and the tags of what Cat got."""
    channels = memory_channels(z)
    got: dict[str, np.ndarray] = {}
    tags: list[str] = []
    for party in ("ann", "cat"):
        get = channels[party]._link.get

        def record(peer: str, timeout: float, get=get, party: str = party) -> bytes:
            frame = get(peer, timeout)
            _, tag, payload = msgpack.unpackb(frame)
            if party == "ann":
                units = np.frombuffer(msgpack.unpackb(payload)["z"], dtype="<i8")
                got[peer] = units.astype(np.float64) * 2.0**-32
            else:
                tags.append(tag)
            return frame

        channels[party]._link.get = record
    opened = run_parties(
        {party: lambda party=party: predict.collect_scores(channels[party], "ann", z[party]) for party in z}
    )
    return got, opened["ann"], tags


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    return abs(float(np.corrcoef(first, second)[0, 1]))


def test_without_masks_everybodys_scores_lie_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_masks", lambda _channel, _active, rows: np.zeros(rows, dtype=np.uint64))
    z = parts(1)
    got, _, _ = open_scores(z)
    assert all(np.abs(got[party] - z[party]).max() < 1e-6 for party in ("bob", "cat"))


def test_with_masks_only_the_sum_does() -> None:
    z = parts(2)
    got, opened, tags = open_scores(z)
    assert np.abs(opened - sum(z.values())).max() < 1e-6
    for sent, hidden in itertools.product(got.values(), ("bob", "cat")):
        assert likeness(sent, z[hidden]) < FAR
    difference = got["bob"] - got["cat"]
    assert max(likeness(difference, z[hidden]) for hidden in ("bob", "cat")) < FAR
    assert tags == ["score mask"]  # a passive party is told a seed, and no score


def test_masks_used_twice_would_show_how_scores_moved_and_ours_are_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live evaluation opens the same rows again and again, under weights that move a little."""
    before = parts(3)
    after = {party: z + 0.1 * parts(4)[party] for party, z in before.items()}
    moved = after["bob"] - before["bob"]
    fresh = [open_scores(z)[0]["bob"] for z in (before, after)]
    assert likeness(fresh[1] - fresh[0], moved) < FAR
    monkeypatch.setattr(predict, "token_bytes", lambda count: bytes(count))
    reused = [open_scores(z)[0]["bob"] for z in (before, after)]
    kept = np.abs(reused[1] - reused[0]) < 2.0**30  # but for the few that wrap around
    assert likeness((reused[1] - reused[0])[kept], moved[kept]) > 0.99
