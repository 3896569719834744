from __future__ import annotations

import json

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from dtxeth.errors import ConfigError, UnknownNameError
from dtxeth.learning.spec import TaskSpec

SPEC = TaskSpec(algorithm="logistic-vl", id="id", label="target")


def test_canonical_json_round_trip() -> None:
    data = SPEC.to_json()
    assert b" " not in data
    assert list(json.loads(data)) == sorted(json.loads(data))
    assert TaskSpec.from_json(data) == SPEC
    assert SPEC.digest == keccak(data)
    assert SPEC.logistic
    assert not TaskSpec(algorithm="linear-vl", id="id", label="y").logistic


@given(
    st.builds(
        TaskSpec,
        algorithm=st.sampled_from(["linear-vl", "logistic-vl"]),
        id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        label=st.just("y"),
        learning_rate=st.none() | st.floats(1e-9, 100),
        l1=st.floats(0, 10),
        batch_size=st.none() | st.integers(1, 10**6),
        key_bits=st.sampled_from([2048, 3072]),
    )
)
def test_every_spec_survives_the_chain(spec: TaskSpec) -> None:
    assert TaskSpec.from_json(spec.to_json()) == spec


def test_unknown_algorithm_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown algorithm 'dnn': use one of linear-vl, logistic-vl"):
        TaskSpec(algorithm="dnn", id="id", label="y")
    with pytest.raises(UnknownNameError, match="unknown algorithm None"):
        TaskSpec.from_json(b"{}")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("id", ""),
        ("label", 3),
        ("kind", "guess"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("l1", -0.1),
        ("l2", float("inf")),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("tolerance", -1e-9),
        ("precision", 15),
        ("precision", 29),
        ("max_rounds", 0),
        ("max_rounds", True),
        ("key_bits", 1024),
        ("colour", "red"),
    ],
)
def test_out_of_range(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^task setting {setting} is ") as caught:
        TaskSpec(**({"algorithm": "linear-vl", "id": "id", "label": "y"} | {setting: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "id"}, "label is 'id', the id column too"),
        ({"evaluation": {"stratified": True}}, "evaluation.stratified is True: quantities have no classes"),
        ({"evaluation": {"stratified": True, "shuffle": False}}, "in order they would tell the classes"),
        ({"evaluation": {"method": "bootstrap"}}, "evaluation.method is 'bootstrap'"),
        ({"live": {"every": 0}}, "live.every is 0"),
        ({"class_weight": 2.0}, "class_weight is 2.0: quantities have no classes"),
        (
            {"class_weight": "equal"},
            "class_weight is 'equal': input should be 'balanced' or input should be a",
        ),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^task setting .*{message}"):
        TaskSpec(**({"algorithm": "linear-vl", "id": "id", "label": "y"} | settings))


def test_nested_settings_survive_the_chain() -> None:
    spec = SPEC.model_copy(update={"kind": "train"})
    nested = TaskSpec(**(spec.model_dump() | {"evaluation": {"folds": 10}, "live": {"patience": 2}}))
    assert TaskSpec.from_json(nested.to_json()) == nested
    assert nested.evaluation is not None
    assert nested.evaluation.folds == 10


def test_missing_setting() -> None:
    with pytest.raises(ConfigError, match="task setting label: field required"):
        TaskSpec(algorithm="linear-vl", id="id")


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b'"x"'])
def test_not_a_spec(data: bytes) -> None:
    with pytest.raises(ConfigError, match="not a JSON object"):
        TaskSpec.from_json(data)


def test_not_canonical() -> None:
    with pytest.raises(ConfigError, match="not canonical"):
        TaskSpec.from_json(json.dumps(json.loads(SPEC.to_json())).encode())
