"""Starting from a former model: fewer rounds, secret starts all the same, and only from one's own part."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dtxeth.errors import InputError, PeerError
from dtxeth.learning import Policy, Training, train
from dtxeth.learning.fitting import Design, warm_weights
from dtxeth.learning.part import ModelPart, Moments
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport import memory_channels
from tests.learning.parties import ACTIVE, PASSIVE, context_of, made_up_tables, run_parties, small_key_spec

TABLES = made_up_tables(logistic=True, common=80, features=2)
# a label that alice's own features nearly tell, so that her part of z varies by more than 1
told = TABLES[ACTIVE].values.sum(axis=1)
TABLES[ACTIVE] = replace(TABLES[ACTIVE], label=(told > np.median(told)).astype(float))
COLD = small_key_spec(algorithm="logistic-vl", max_rounds=40, tolerance=0.005)
WARM = COLD.model_copy(update={"warm_start": 1})


def train_from(
    spec, parts: dict[str, ModelPart] | None = None, task: bytes = b"task 2"
) -> dict[str, Training]:
    channels = memory_channels(TABLES)
    policy, context = Policy(min_rows=40), context_of(TABLES, task)
    return run_parties(
        {
            name: partial(
                train,
                channels[name],
                ACTIVE,
                TABLES[name],
                spec,
                policy,
                context,
                warm=(parts or {}).get(name),
            )
            for name in TABLES
        }
    )


@pytest.fixture(scope="module")
def parts() -> dict[str, ModelPart]:
    return {name: training.part for name, training in train_from(COLD, task=b"task 1").items()}


def test_a_warm_start_takes_fewer_rounds_and_never_shows_a_small_start(parts: dict[str, ModelPart]) -> None:
    cold, warm = train_from(COLD), train_from(WARM, parts)
    assert warm[ACTIVE].report["rounds"] < cold[ACTIVE].report["rounds"] / 2
    for name, training in warm.items():
        rows = TABLES[name].take(training.ids)
        z = training.part.moments.standardise(rows.values) @ training.start
        if name == ACTIVE:
            assert np.std(z) >= 1


def test_the_former_weights_are_taken_to_the_new_scale() -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((50, 2))
    values /= values.std(axis=0)
    moments = Moments(means=[0.0, 0.0], deviations=[2.0, 3.0])
    part = ModelPart.model_construct(
        features=["b", "gone"],
        weights=[4.0, 1.0],
        moments=Moments(means=[0.0, 0.0], deviations=[6.0, 1.0]),
    )
    table = type(TABLES[ACTIVE])(tuple(map(str, range(50))), ("a", "b"), values)
    design = Design(table, [], values, np.zeros(50), moments, None)
    secrets = TaskSecrets(b"s" * 32, b"task")
    assert warm_weights(part, design, secrets).tolist() == [0.0, 2.0]  # 4 / 6 a unit, times 3
    weak = part.model_copy(update={"weights": [0.01, 0.0]})
    assert np.std(values @ warm_weights(weak, design, secrets)) >= 0.9  # a random start is added
    assert warm_weights(weak, design, secrets)[0] != 0
    passive = replace(design, target=None)
    assert warm_weights(weak, passive, secrets).tolist() == [0.0, 0.005]


def test_another_models_parts_are_refused(parts: dict[str, ModelPart]) -> None:
    for error in train_from(WARM).values():
        with pytest.raises(InputError, match="warm_start is 1: give this party's part of that model"):
            raise error
    swapped = train_from(WARM, {ACTIVE: parts[PASSIVE], PASSIVE: parts[PASSIVE]})
    with pytest.raises(InputError, match="the part to start from is not this party's in a logistic-vl model"):
        raise swapped[ACTIVE]
    mixed = parts | {PASSIVE: parts[PASSIVE].model_copy(update={"task": "00"})}
    for error in train_from(WARM, mixed).values():
        with pytest.raises(PeerError, match="does not agree on the model of this task"):
            raise error
