"""The label holder wants one passive party's scores of three: its own linear function of its features."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest

from dtxeth.errors import DataError
from dtxeth.learning.predict import collect_scores
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties

ROWS = 400


def listen(z: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray | None], dict[str, np.ndarray]]:
    """Run the protocol; return what everybody gets, and what each passive party's message says."""
    channels = memory_channels(z)
    heard: dict[str, np.ndarray] = {}
    whole = channels["active"].recv

    def recv(peer: str, tag: str) -> bytes:
        payload = whole(peer, tag)
        units = np.frombuffer(msgpack.unpackb(payload)["z"], dtype="<i8")
        heard[peer] = units * 2.0**-32
        return payload

    channels["active"].recv = recv  # type: ignore[method-assign]
    return run_parties({p: lambda p=p: collect_scores(channels[p], "active", z[p]) for p in z}), heard


def features_from(scores: np.ndarray, feature: np.ndarray) -> float:
    """How well scores of one feature tell it, up to its scale: their correlation."""
    return abs(float(np.corrcoef(scores, feature)[0, 1]))


def parts(*parties: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {party: random.standard_normal(ROWS) * 3 for party in parties}


def test_parts_in_the_clear_give_features_away_and_masked_ones_do_not() -> None:
    z = parts("active", "bob", "carol")
    assert features_from(0.7 * z["bob"], z["bob"]) > 0.999  # naive: bob sends his part, of one feature

    outcome, heard = listen(z)
    for peer in ("bob", "carol"):
        assert features_from(heard[peer], z[peer]) < 0.25
        assert outcome[peer] is None
    assert outcome["active"] == pytest.approx(sum(z.values()), abs=1e-8)


def test_other_parts_of_the_same_sum_look_alike_and_no_mask_serves_twice() -> None:
    z = parts("active", "bob", "carol", "dave")
    moved = z | {"bob": z["bob"] + 5, "carol": z["carol"] - 5}
    (one, first), (two, second) = listen(z), listen(moved)
    assert one["active"] == pytest.approx(two["active"], abs=1e-8)
    for peer in first:
        difference = first[peer] - second[peer]  # a mask used twice would leave 5, 5 and 0
        assert np.std(difference) > 1e6


def test_two_parties_have_nothing_to_hide_it_in() -> None:
    z = parts("active", "bob")
    outcome, heard = listen(z)
    assert heard["bob"] == pytest.approx(z["bob"], abs=1e-9)
    assert outcome["active"] == pytest.approx(z["active"] + z["bob"], abs=1e-8)


@pytest.mark.parametrize("score", [np.nan, np.inf, 2.0**25, -(2.0**25)])
def test_scores_out_of_all_proportion(score: float) -> None:
    channels = memory_channels(["active", "bob"])
    with pytest.raises(DataError, match=r"score is beyond ±1\.67772e\+07 standard deviations"):
        collect_scores(channels["bob"], "active", np.array([0.0, score]))
