"""The integer twin and the encrypted protocol are one: every weight, after every round, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from dtxeth.crypto.paillier import generate_keypair
from dtxeth.learning.learner import Fit
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.twin import fit_twin
from dtxeth.learning.vertical import fit
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties, small_key_spec

DATA = load_breast_cancer()


class Recording(TaskSecrets):
    """Keeps the masks of an encrypted run."""

    def __init__(self, name: str) -> None:
        super().__init__(name.encode() * 32, b"task")
        self.masks: dict[int, list[int]] = {}

    def integers(self, count: int, bound: int, *path: str | int | bytes) -> list[int]:
        drawn = super().integers(count, bound, *path)
        if path[0] == "mask":
            self.masks[int(path[1])] = drawn
        return drawn


class Seen:
    """Looks on, and keeps the weights of every round."""

    def __init__(self) -> None:
        self.rounds: list[tuple[bytes, float]] = []

    def __call__(self, fit: Fit, ended: bool) -> bool:
        self.rounds.append((fit.weights.tobytes(), fit.intercept))
        return False

    def state(self) -> None:
        return None


@pytest.mark.parametrize("names", ["ab", "abc"])
@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "logistic-vl"},
        {"algorithm": "logistic-vl", "sigmoid": "trigonometric"},
        {"algorithm": "linear-vl", "batch_size": 200, "learning_rate": 0.1, "l1": 0.01},
    ],
    ids=["first order", "trigonometric", "linear"],
)
def test_three_encrypted_rounds_of_a_fold_equal_the_twin(names: str, settings: dict[str, object]) -> None:
    rows = np.random.default_rng(1).permutation(len(DATA.target))[:455]
    whole = DATA.data[rows]
    scaled = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    columns = dict(zip(names, np.array_split(scaled, len(names), axis=1), strict=True))
    target = DATA.target[rows] - 0.5
    spec = small_key_spec(max_rounds=3, **settings)
    channels = memory_channels(names)
    keys = {name: generate_keypair(256, insecure_test_key=True) for name in names}
    secrets = {name: Recording(name) for name in names}
    seen = {name: Seen() for name in names}

    def program(name: str) -> Fit:
        public = tuple(keys[each].public_key for each in names)
        widths = tuple(columns[each].shape[1] for each in names)
        ring = Ring(channels[name], tuple(names), public, widths, keys[name], "b")
        goal = target if name == "b" else None
        return fit(ring, columns[name], goal, spec, secrets[name], watch=seen[name])

    fits = run_parties({name: lambda name=name: program(name) for name in names})
    looked: dict[str, list[tuple[bytes, float]]] = {name: [] for name in names}
    twins = fit_twin(
        columns,
        "b",
        target,
        spec,
        {name: TaskSecrets(name.encode() * 32, b"task") for name in names},
        moduli={name: int(key.public_key.n) for name, key in keys.items()},
        masks=lambda party, number, count, n: secrets[party].masks[number],
        look=lambda done, fits: any(
            looked[name].append((each.weights.tobytes(), each.intercept)) for name, each in fits.items()
        ),
    )
    for name in names:
        assert isinstance(fits[name], Fit)
        assert len(seen[name].rounds) == 3
        assert seen[name].rounds == looked[name]
        assert twins[name].intercept == fits[name].intercept
    assert (fits["b"].intercept != 0) == (spec.sigmoid == "trigonometric")


@pytest.mark.parametrize("parties", [3, 5])
@pytest.mark.parametrize("logistic", [True, False])
def test_five_folds_are_as_good_as_scikit_learn_on_the_same_folds(logistic: bool, parties: int) -> None:
    data = DATA if logistic else load_diabetes()
    label = data.target.astype(float)
    spec = (
        TaskSpec(algorithm="logistic-vl", sigmoid="trigonometric", id="id", label="y")
        if logistic
        else TaskSpec(algorithm="linear-vl", id="id", label="y")
    )
    names = "abcde"[:parties]
    secrets = {name: TaskSecrets(name.encode() * 32, b"task") for name in names}
    ours, theirs = [], []
    splitter = StratifiedKFold if logistic else KFold
    for train, test in splitter(5, shuffle=True, random_state=0).split(data.data, label):
        scaler = StandardScaler().fit(data.data[train])
        known, asked = scaler.transform(data.data[train]), scaler.transform(data.data[test])
        columns = dict(zip(names, np.array_split(known, parties, axis=1), strict=True))
        mean, deviation = label[train].mean(), label[train].std()
        target = label[train] - 0.5 if logistic else (label[train] - mean) / deviation
        fits = fit_twin(columns, "a", target, spec, secrets)
        z = asked @ np.concatenate([fits[name].weights for name in names]) + fits["a"].intercept
        if logistic:
            pooled = LogisticRegression().fit(known, label[train])
            best = pooled.decision_function(asked)
            truth = label[test]
            ours.append((roc_auc_score(truth, z), np.mean((z > 0) == truth)))
            theirs.append((roc_auc_score(truth, best), np.mean((best > 0) == truth)))
        else:
            pooled = LinearRegression().fit(known, label[train])
            ours.append(root_mean_squared_error(label[test], mean + deviation * z))
            theirs.append(root_mean_squared_error(label[test], pooled.predict(asked)))
    if logistic:
        (auc, accuracy), (best_auc, best_accuracy) = np.mean(ours, axis=0), np.mean(theirs, axis=0)
        assert auc > best_auc - 0.003
        assert accuracy > best_accuracy - 0.01
    else:
        assert np.mean(ours) < 1.005 * np.mean(theirs)
