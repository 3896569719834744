"""Networks on shares: as good as their plain twins, predicted for the label's party alone, and resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from dtxeth.errors import PolicyError
from dtxeth.learning import Policy
from dtxeth.learning.mpc.checkpoints import Checkpoints
from dtxeth.learning.mpc.part import NetworkPart, read_part
from dtxeth.learning.mpc.session import LOCAL
from tests.mpc.trio import ALICE, BOB, CAROL, PARTIES, Trio, network_spec

QUANTITY = network_spec(
    layers=[{"units": 8}, {"units": 1, "activation": "linear"}], epochs=40, learning_rate=0.05
)


@dataclass(frozen=True)
class FolderJournal:
    """A journal that a process can be handed."""

    folder: Path = field()

    def load(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def save(self, name: str, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def diabetes() -> Trio:
    return Trio(*load_diabetes(return_X_y=True))


@pytest.fixture(scope="module")
def trained(diabetes: Trio) -> dict[str, Any]:
    return diabetes.train(QUANTITY)


def test_diabetes_is_fitted_as_well_as_by_the_plain_twin(diabetes: Trio, trained: dict[str, Any]) -> None:
    predicted = diabetes.predict(trained, QUANTITY)
    assert predicted[BOB] is None
    assert predicted[CAROL] is None
    ours = predicted[ALICE]
    truth, twin = diabetes.truth(ours.ids), diabetes.twin(trained[ALICE], QUANTITY)
    rmse = np.sqrt(np.mean((ours.values - truth) ** 2))
    plain = np.sqrt(np.mean((np.array([twin[row] for row in ours.ids]) - truth) ** 2))
    linear = LinearRegression().fit(diabetes.values, diabetes.label)
    assert rmse == pytest.approx(plain, rel=0.05)
    assert rmse <= 1.05 * np.sqrt(np.mean((linear.predict(diabetes.values) - diabetes.label) ** 2))


def test_all_parties_come_to_the_same_result_and_keep_different_shares(trained: dict[str, Any]) -> None:
    assert len({training.result for training in trained.values()}) == 1
    parts = [training.part for training in trained.values()]
    assert len({part.shares for part in parts}) == 3
    assert [part.label is not None for part in parts] == [True, False, False]
    committed = [party["commitment"] for party in trained[ALICE].report["parties"]]
    assert committed == [part.commitment.hex() for part in parts]
    assert read_part(parts[0].to_bytes()) == parts[0]
    assert parts[0].shares not in repr(parts[0])


def test_another_partys_part_is_refused(diabetes: Trio, trained: dict[str, Any]) -> None:
    swapped = trained | {BOB: trained[CAROL]}
    outcome = diabetes.predict(swapped, QUANTITY)
    assert "features are not those of the model" in str(outcome[BOB])
    assert all(isinstance(error, Exception) for error in outcome.values())


def test_tumours_are_told_apart_in_batches() -> None:
    values, label = load_breast_cancer(return_X_y=True)
    trio = Trio(values, label.astype(float), ("malignant", "benign"))
    spec = network_spec(
        layers=[{"units": 4}, {"units": 1, "activation": "sigmoid"}],
        learning_rate=0.1,
        batch_size=190,
        epochs=6,
    )
    trained = trio.train(spec)
    ours = trio.predict(trained, spec)[ALICE]
    assert ours is not None
    twin = trio.twin(trained[ALICE], spec)
    truth = trio.truth(ours.ids)
    plain = roc_auc_score(truth, [twin[row] for row in ours.ids])
    assert roc_auc_score(truth, ours.values) == pytest.approx(plain, abs=0.005)
    assert ((ours.values >= 0) & (ours.values <= 1)).all()


def test_a_run_goes_on_from_the_newest_common_checkpoint(diabetes: Trio, tmp_path: Path) -> None:
    journals = {party: FolderJournal(tmp_path / party) for party in PARTIES}
    further = {party: (LOCAL, journals[party]) for party in PARTIES}
    changes = {"checkpoint_every": 2}
    short = network_spec(layers=[{"units": 1, "activation": "linear"}], epochs=4).model_copy(update=changes)
    longer = network_spec(layers=[{"units": 1, "activation": "linear"}], epochs=6).model_copy(update=changes)
    diabetes.train(short, further=further)
    (tmp_path / BOB / "network 1").unlink()  # bob lost the newest one
    resumed = diabetes.train(longer, further=further)
    assert {training.report["resumed_after"] for training in resumed.values()} == {2}
    twin = diabetes.twin(resumed[ALICE], longer)
    ours = diabetes.predict(resumed, longer)[ALICE]
    assert ours is not None
    assert ours.values == pytest.approx(np.array([twin[row] for row in ours.ids]), rel=1e-3)


def test_shares_of_two_runs_are_never_mixed(tmp_path: Path) -> None:
    journals = {party: FolderJournal(tmp_path / party) for party in PARTIES}
    for run, journal in enumerate(journals.values()):
        kept = Checkpoints(journal)
        kept._run = bytes([run]) * 32
        kept.save(10, b"shares")
    from dtxeth.transport import memory_channels
    from tests.learning.parties import run_parties

    channels = memory_channels(PARTIES)
    rejoined = run_parties(
        {party: lambda party=party: Checkpoints(journals[party]).rejoin(channels[party]) for party in PARTIES}
    )
    assert set(rejoined.values()) == {(0, b"")}


def test_an_owner_who_did_not_name_networks_stops_the_task(diabetes: Trio) -> None:
    outcome = diabetes.train(QUANTITY, policy=Policy())
    assert all(isinstance(error, PolicyError) for error in outcome.values())


def test_a_broken_part_is_refused(trained: dict[str, Any]) -> None:
    from dtxeth.errors import DataError

    whole = trained[BOB].part.to_bytes()
    for broken in (
        whole[:-1],
        whole.replace(b'"widths":[4,3,3]', b'"widths":[0,3,3]'),
        b"{}",
        b"[]",
        b"shares",
    ):
        with pytest.raises(DataError, match="broken"):
            NetworkPart.from_bytes(broken)
