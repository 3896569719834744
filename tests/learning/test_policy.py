from __future__ import annotations

import numpy as np
import pytest

from dtxeth.errors import ConfigError, PolicyError
from dtxeth.learning.policy import Floors, Policy, leverages, strictest
from dtxeth.learning.spec import TaskSpec

TRAIN = TaskSpec(algorithm="linear-vl", id="id", label="y")
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


def test_leverage() -> None:
    values = np.random.default_rng(0).standard_normal((300, 4))
    design = np.column_stack([np.ones(300), values])
    assert leverages(values) == pytest.approx(np.diag(design @ np.linalg.inv(design.T @ design) @ design.T))
    assert leverages(values).max() < 0.1
    values[7] = 1e3
    assert leverages(values)[7] > 0.99
    doubled = np.column_stack([values, values])
    assert leverages(doubled) == pytest.approx(leverages(values))
