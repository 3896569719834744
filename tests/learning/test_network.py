"""Networks: what makes one, and the plain twin against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from dtxeth.errors import ConfigError, PolicyError
from dtxeth.learning import Policy, TaskSpec
from dtxeth.learning.mpc import layers
from dtxeth.learning.mpc.network import Network
from dtxeth.learning.mpc.twin import NumPy, batches, predict_plain, train_plain

HIDDEN = {"units": 8, "activation": "tanh"}
QUANTITY = {"units": 1, "activation": "linear"}
CLASS = {"units": 1, "activation": "sigmoid"}


def spec_of(**network: Any) -> TaskSpec:
    return TaskSpec(algorithm="dnn-vl", id="id", label="y", network=network)


def test_a_spec_with_a_network_survives_the_chain() -> None:
    spec = spec_of(layers=[HIDDEN, CLASS], optimiser="adam", epochs=3, batch_size=64)
    assert TaskSpec.from_json(spec.to_json()) == spec
    assert spec.logistic
    assert not spec_of(layers=[QUANTITY]).logistic


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        ({}, "either layers or a program"),
        ({"layers": []}, "either layers or a program"),
        ({"layers": [QUANTITY], "program": "0" * 64}, "either layers or a program"),
        ({"layers": [HIDDEN]}, "last layer has 8 units and is tanh: a network ends in 1 unit"),
        ({"layers": [HIDDEN, {"units": 1, "activation": "relu"}]}, "ends in 1 unit"),
        ({"layers": [{"units": 0, "activation": "relu"}, QUANTITY]}, "layers.0.units"),
        ({"layers": [{"units": 4096}, {"units": 4096}, QUANTITY]}, "at most 1000000"),
        ({"layers": [{"units": 8, "activation": "softmax"}, QUANTITY]}, "activation"),
        ({"layers": [QUANTITY], "epochs": 0}, "epochs"),
        ({"layers": [QUANTITY], "dropout": 0.5}, "dropout"),
        ({"program": "../etc/passwd"}, "program"),
    ],
)
def test_a_list_of_layers_that_makes_no_network_is_refused(network: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refusal:
        spec_of(**network)
    assert "\n" not in str(refusal.value)


def test_a_network_and_its_algorithm_belong_together() -> None:
    with pytest.raises(ConfigError, match="network is missing"):
        TaskSpec(algorithm="dnn-vl", id="id", label="y")
    with pytest.raises(ConfigError, match="network is for dnn-vl"):
        TaskSpec(algorithm="linear-vl", id="id", label="y", network={"layers": [QUANTITY]})
    with pytest.raises(ConfigError, match="max_rounds is 7"):
        TaskSpec(algorithm="dnn-vl", id="id", label="y", network={"layers": [QUANTITY]}, max_rounds=7)


def test_an_owner_has_to_name_networks_and_programs() -> None:
    plain, program = spec_of(layers=[QUANTITY]), spec_of(program="ab" * 32)
    with pytest.raises(PolicyError, match="two operators could open"):
        Policy().admit(plain, "lab", 0)
    named = Policy(honest_majority=True)
    named.admit(plain, "lab", 0)
    with pytest.raises(PolicyError, match=r"program abab.* not among those"):
        named.admit(program, "lab", 0)
    Policy(honest_majority=True, programs=frozenset({"ab" * 32})).admit(program, "lab", 0)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
@pytest.mark.parametrize("last", [QUANTITY, CLASS])
def test_gradients_are_the_slopes_of_the_loss(activation: str, last: dict[str, Any]) -> None:
    network = Network(
        layers=[{"units": 5, "activation": activation}, {"units": 3, "activation": activation}, last],
        optimiser="sgd",
        l2=0.01,
        seed=3,
    )
    random = np.random.default_rng(1)
    x, y = random.standard_normal((20, 4)), (random.random((20, 1)) > 0.5).astype(float)
    state = [value.astype(np.float64) for value in layers.start(network, 4)]

    def loss() -> float:
        out = layers.predict(NumPy, network, tuple(state), x)
        fit = (
            -np.mean(y * np.log(out) + (1 - y) * np.log(1 - out))
            if network.logistic
            else np.mean((out - y) ** 2) / 2
        )
        return float(fit + network.l2 / 2 * sum((weight**2).sum() for weight in state[::2]))

    moved = layers.step(NumPy, network, tuple(state), x, y, 1.0)
    for number, after in enumerate(moved):
        gradient = state[number] - after
        place = np.unravel_index(np.argmax(np.abs(gradient)), gradient.shape)
        kept = state[number][place]
        state[number][place] = kept + 1e-5
        above = loss()
        state[number][place] = kept - 1e-5
        below = loss()
        state[number][place] = kept
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-4)


def test_batches_are_a_partition_that_is_filled_up() -> None:
    network = Network(layers=[QUANTITY], seed=5)
    parts = batches(network, 10, 4)
    assert [len(part) for part in parts] == [4, 4, 4]
    assert {row for part in parts for row in part} == set(range(10))
    assert batches(network, 10, 10) != batches(Network(layers=[QUANTITY], seed=6), 10, 10)


@pytest.mark.parametrize(("optimiser", "rate"), [("momentum", 0.05), ("adam", 0.01), ("sgd", 0.3)])
def test_the_twin_fits_diabetes_as_scikit_learn_does(optimiser: str, rate: float) -> None:
    x, y = load_diabetes(return_X_y=True)
    values, target = StandardScaler().fit_transform(x), (y - y.mean()) / y.std()
    train, test = np.arange(442) % 5 != 0, np.arange(442) % 5 == 0
    hidden = {"units": 8, "activation": "tanh"}
    network = Network(layers=[hidden, QUANTITY], optimiser=optimiser, learning_rate=rate, epochs=100, l2=1e-3)
    state = train_plain(network, values[train], target[train])

    def rmse(predicted: Any) -> float:
        return float(np.sqrt(np.mean((predicted - target[test]) ** 2)))

    ours = rmse(predict_plain(network, state, values[test]))
    theirs = MLPRegressor(
        hidden_layer_sizes=(8,), activation="tanh", learning_rate_init=0.01, max_iter=2000, random_state=0
    )
    linear = LinearRegression().fit(values[train], target[train])
    assert ours <= 1.05 * rmse(linear.predict(values[test]))
    assert ours <= 1.05 * rmse(theirs.fit(values[train], target[train]).predict(values[test]))


def test_the_twin_tells_tumours_apart_as_scikit_learn_does() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    values = StandardScaler().fit_transform(x)
    train, test = np.arange(569) % 5 != 0, np.arange(569) % 5 == 0
    network = Network(layers=[{"units": 8}, CLASS], epochs=30, batch_size=128, learning_rate=0.1)
    state = train_plain(network, values[train], y[train].astype(float))
    theirs = MLPClassifier((8,), max_iter=400, random_state=0).fit(values[train], y[train])
    ours = roc_auc_score(y[test], predict_plain(network, state, values[test]))
    assert ours >= roc_auc_score(y[test], theirs.predict_proba(values[test])[:, 1]) - 0.005
