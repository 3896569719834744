from __future__ import annotations

import numpy as np
import pytest

from dtxeth.errors import ConfigError, PolicyError
from dtxeth.learning.policy import Floors, Policy, leverages, strictest
from dtxeth.learning.rowsets import sketch
from dtxeth.learning.spec import TaskSpec

SETTINGS = {"algorithm": "linear-vl", "id": "id", "label": "y"}
TRAIN = TaskSpec(**SETTINGS)
KEY = b"k" * 32
PREDICT = TaskSpec(algorithm="linear-vl", id="id", label="y", kind="predict")


def test_default_floors_grow_with_features() -> None:
    assert Policy().floors(15).rows == 256
    assert Policy().floors(40).rows == 400
    assert Policy().floors(15).leverage == 0.5
    assert not Policy().floors(15).lowered
    assert not Policy(min_rows=300, max_leverage=0.4).floors(15).lowered


@pytest.mark.parametrize("policy", [Policy(min_rows=255), Policy(max_leverage=0.6)])
def test_lower_floors_are_marked(policy: Policy) -> None:
    assert policy.floors(15).lowered


def test_rows_at_and_below_the_floor() -> None:
    floors = Policy().floors(15)
    floors.check_rows(256, "the common rows")
    with pytest.raises(PolicyError, match="the common rows: 255 rows, the data owners' floor is 256"):
        floors.check_rows(255, "the common rows")


def test_the_strictest_owner_counts() -> None:
    low, default = Policy(min_rows=50, max_leverage=0.9).floors(15), Policy(max_leverage=0.4).floors(15)
    assert strictest([low, default]) == Floors(rows=256, leverage=0.4, lowered=False)
    assert strictest([low, low]) == low


@pytest.mark.parametrize("floor", [{"min_rows": 0}, {"max_leverage": 0.0}, {"max_leverage": 1.1}])
def test_floors_out_of_range(floor: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"policy {next(iter(floor))} is "):
        Policy(**floor)


def test_requesters_and_algorithms() -> None:
    policy = Policy(requesters=frozenset({"lab"}), algorithms=frozenset({"linear-vl"}))
    policy.admit(TRAIN, "lab", 0)
    with pytest.raises(PolicyError, match="requester spy is not among the 1 that the owner allows"):
        policy.admit(TRAIN, "spy", 0)
    with pytest.raises(
        PolicyError, match="algorithm logistic-vl is not allowed by the owner, allowed: linear-vl"
    ):
        policy.admit(TaskSpec(algorithm="logistic-vl", id="id", label="y"), "lab", 0)


def test_number_of_tasks() -> None:
    policy = Policy(max_tasks=3)
    policy.admit(TRAIN, "lab", 2)
    with pytest.raises(PolicyError, match="took part in 3 train tasks, the owner allows 3"):
        policy.admit(TRAIN, "lab", 3)


def test_predictions_stay_below_the_number_of_features() -> None:
    Policy().admit(PREDICT, "lab", 3, features=5)
    with pytest.raises(PolicyError, match="took part in 4 predict tasks, the owner allows 4"):
        Policy().admit(PREDICT, "lab", 4, features=5)
    Policy(show_scores=True).admit(PREDICT, "lab", 4, features=5)
    Policy().admit(PREDICT, "lab", 4)  # at the active party, which is shown nothing of its own
    with pytest.raises(PolicyError, match="took part in 16 predict tasks, the owner allows 16"):
        Policy(show_scores=True).admit(PREDICT, "lab", 16, features=5)


def test_a_single_feature_is_shown_by_its_owners_word_only() -> None:
    with pytest.raises(PolicyError, match="one feature, which its scores would show: ask its owner"):
        Policy().admit(PREDICT, "lab", 0, features=1)
    Policy(show_scores=True).admit(PREDICT, "lab", 0, features=1)


def test_leave_one_out_is_by_permission() -> None:
    single = TaskSpec(**SETTINGS, evaluation={"method": "leave-one-out"})
    with pytest.raises(PolicyError, match="leave-one-out is not allowed by the owner"):
        Policy().admit(single, "lab", 0)
    Policy(leave_one_out=True).admit(single, "lab", 0)
    Policy().admit(TaskSpec(**SETTINGS, evaluation={"method": "folds"}), "lab", 0)


def test_three_party_computation_is_by_permission() -> None:
    network = TRAIN.model_copy(update={"algorithm": "dnn-vl"})
    with pytest.raises(PolicyError, match="which two operators could open"):
        Policy().admit(network, "lab", 0)
    Policy(honest_majority=True).admit(network, "lab", 0)


def test_an_owner_asks_for_differential_privacy() -> None:
    policy = Policy(max_epsilon=2.0)
    with pytest.raises(PolicyError, match="differential privacy of at most ε = 2: set privacy"):
        policy.admit(TRAIN, "lab", 0)
    settings = SETTINGS | {"learning_rate": 0.1}
    policy.admit(TaskSpec(**settings, privacy={"epsilon": 2.0}), "lab", 0)
    with pytest.raises(PolicyError, match=r"costs ε = 3 at δ = 1e-05, the owner allows 2"):
        policy.admit(TaskSpec(**settings, privacy={"epsilon": 3.0}), "lab", 0)
    # a large δ does not get around it: the owner measures at its own
    with pytest.raises(PolicyError, match="costs ε"):
        policy.admit(TaskSpec(**settings, privacy={"epsilon": 2.0, "delta": 0.5}), "lab", 0)
    policy.admit(TaskSpec(**settings, privacy={"noise_multiplier": 40.0}), "lab", 0)
    policy.admit(PREDICT, "lab", 0)


@pytest.mark.parametrize(
    ("name", "value"), [("min_difference", -1), ("min_difference", 257), ("max_epsilon", 0.0)]
)
def test_limits_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"policy {name} is {value}"):
        Policy(**{name: value})


def test_rows_must_be_the_same_or_differ_by_many() -> None:
    ids = [f"row {i}" for i in range(900)]
    past = [(3, sketch(KEY, ids)), (4, sketch(KEY, ids[300:]))]
    Policy().check_difference(sketch(KEY, ids), past)
    Policy().check_difference(sketch(KEY, ids[600:]), past)
    with pytest.raises(PolicyError, match="differ from those of task 4 by fewer than 256"):
        Policy().check_difference(sketch(KEY, ids[301:]), past)
    with pytest.raises(PolicyError, match="differ from those of task 3 by fewer than 256"):
        Policy().check_difference(sketch(KEY, [*ids[128:], *"abcdefgh"]), past)
    Policy(min_difference=100).check_difference(sketch(KEY, ids[100:]), past)
    Policy(min_difference=0).check_difference(sketch(KEY, ids[1:]), past)


def test_leverage() -> None:
    values = np.random.default_rng(0).standard_normal((300, 4))
    design = np.column_stack([np.ones(300), values])
    assert leverages(values) == pytest.approx(np.diag(design @ np.linalg.inv(design.T @ design) @ design.T))
    assert leverages(values).max() < 0.1
    values[7] = 1e3
    assert leverages(values)[7] > 0.99
    doubled = np.column_stack([values, values])
    assert leverages(doubled) == pytest.approx(leverages(values))
