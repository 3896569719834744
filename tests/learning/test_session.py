"""Whole tasks at both parties: results, their agreement with the twin, and every way to fail."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dtxeth.errors import DataError, InputError, PeerError, PolicyError, TaskError
from dtxeth.learning import ModelPart, Policy, Training, train
from dtxeth.learning.plain import retrace
from dtxeth.transport import memory_channels, run_in_process
from tests.learning.parties import (
    ACTIVE,
    PASSIVE,
    context_of,
    made_up_tables,
    predict_all,
    run_parties,
    small_key_spec,
    train_all,
)

TABLES = made_up_tables()


def difference_to_twin(tables, spec, trainings: dict[str, Training]) -> float:
    twin = retrace(
        spec, tables, {n: t.ids for n, t in trainings.items()}, {n: t.start for n, t in trainings.items()}
    )
    return max(float(np.abs(twin[n] - t.part.weights).max()) for n, t in trainings.items())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"algorithm": "logistic-vl"},
        {"learning_rate": 0.1, "momentum": 0.0},
        {"algorithm": "logistic-vl", "l1": 0.02},
        {"learning_rate": 0.2, "l1": 0.1, "l2": 0.0},
        {"batch_size": 256, "learning_rate": 0.1},
        {"precision": 16},
    ],
    ids=str,
)
def test_encrypted_training_equals_its_plaintext_twin(settings) -> None:
    spec = small_key_spec(**settings)
    common = 520 if spec.batch_size else 300
    tables = made_up_tables(spec.logistic, common=common)
    trainings = train_all(tables, spec)
    assert {t.report["rounds"] for t in trainings.values()} == {30}
    # 16 bits of precision round the inputs, 2^-17 at most, and shows it
    assert difference_to_twin(tables, spec, trainings) < (1e-5 if spec.precision > 16 else 1e-4)


def test_both_parties_report_the_same_bytes_and_their_own_costs() -> None:
    trainings = train_all(TABLES, small_key_spec(max_rounds=3))
    alice, bob = trainings[ACTIVE], trainings[PASSIVE]
    assert alice.result == bob.result
    result = json.loads(alice.result)
    assert result == {
        "algorithm": "linear-vl",
        "rounds": 3,
        "converged": False,
        "aligned_rows": 300,
        "rows": 300,
        "key_bits": 256,
        "parties": [
            {
                "party": name,
                "features": 4,
                "missing": 0,
                "commitment": trainings[name].part.commitment.hex(),
                "floors": {"rows": 256, "leverage": 0.5, "lowered": False},
            }
            for name in (ACTIVE, PASSIVE)
        ],
    }
    assert alice.ids == bob.ids
    assert set(alice.ids) == set(TABLES[ACTIVE].ids) & set(TABLES[PASSIVE].ids)
    for training in (alice, bob):
        assert training.report.items() > result.items()
        assert training.report["bytes_sent"] > 300 * 64
        assert training.report["seconds"] > 0
        assert "row 1" not in repr(training)


def test_row_order_differs_between_tasks() -> None:
    spec = small_key_spec(max_rounds=1)
    first = train_all(TABLES, spec)
    second = train_all(TABLES, spec, context=context_of(TABLES, b"task 9"))
    assert first[ACTIVE].ids != second[ACTIVE].ids


def test_same_secrets_retrace_the_run() -> None:
    spec = small_key_spec(max_rounds=5)
    secrets = {ACTIVE: b"a" * 32, PASSIVE: b"b" * 32}
    first, second = (train_all(TABLES, spec, secrets=secrets) for _ in range(2))
    for name in TABLES:
        assert first[name].ids == second[name].ids
        assert np.array_equal(first[name].start, second[name].start)
        assert first[name].part.weights == pytest.approx(second[name].part.weights, abs=1e-6)


def test_training_stops_when_no_gradient_is_left() -> None:
    spec = small_key_spec(max_rounds=200, tolerance=1e-2)
    trainings = train_all(TABLES, spec)
    assert trainings[ACTIVE].report["converged"]
    assert 5 < trainings[ACTIVE].report["rounds"] < 100
    assert difference_to_twin(TABLES, spec, trainings) < 1e-5  # the twin stops by itself


def test_linear_prediction_is_in_label_units() -> None:
    spec = small_key_spec(max_rounds=60, l2=0.0)
    trainings = train_all(TABLES, spec)
    new = made_up_tables(common=60, own=3)
    predictions = predict_all(new, trainings, spec)
    assert predictions[PASSIVE] is None
    got = predictions[ACTIVE]
    assert got is not None
    assert len(got.ids) == 60
    alice, bob = TABLES[ACTIVE], TABLES[PASSIVE].take(trainings[ACTIVE].ids)
    alice = alice.take(trainings[ACTIVE].ids)
    design = np.column_stack([np.ones(len(bob)), alice.values, bob.values])
    best = np.linalg.lstsq(design, alice.label, rcond=None)[0]
    fresh = np.column_stack(
        [np.ones(60), new[ACTIVE].take(got.ids).values, new[PASSIVE].take(got.ids).values]
    )
    assert got.values == pytest.approx(fresh @ best, abs=0.05)


def test_logistic_prediction_is_a_probability_of_the_second_class() -> None:
    tables = made_up_tables(logistic=True)
    spec = small_key_spec(algorithm="logistic-vl", max_rounds=30)
    got = predict_all(tables, train_all(tables, spec), spec)[ACTIVE]
    assert got.classes == ("no", "yes")
    assert got.values.min() >= 0
    assert got.values.max() <= 1
    truth = tables[ACTIVE].take(got.ids).label
    assert np.mean((got.values > 0.5) == truth) > 0.9


def assert_fails(outcome, name: str, error: type[Exception], message: str) -> None:
    """``name`` fails with ``error``; its peer hears of it at once, and of no more than the kind."""
    (peer,) = set(outcome) - {name}
    with pytest.raises(error, match=message):
        raise outcome[name]
    with pytest.raises(PeerError, match=f"peer {name}: gave up: {error.__name__}$"):
        raise outcome[peer]


def test_empty_intersection() -> None:
    bob = TABLES[PASSIVE]
    tables = TABLES | {PASSIVE: replace(bob, ids=tuple(f"other {row}" for row in bob.ids))}
    for error in train_all(tables, small_key_spec()).values():
        with pytest.raises(DataError, match="no id is common to all parties"):
            raise error


def test_too_few_common_rows() -> None:
    tables = made_up_tables(common=255, own=20)
    for error in train_all(tables, small_key_spec()).values():
        with pytest.raises(PolicyError, match="the common rows: 255 rows, the data owners' floor is 256"):
            raise error


def test_too_small_batches() -> None:
    for error in train_all(TABLES, small_key_spec(batch_size=100)).values():
        with pytest.raises(PolicyError, match="the smallest batch: 100 rows, the data owners' floor is 256"):
            raise error


def test_a_lower_floor_needs_every_owner() -> None:
    tables = made_up_tables(common=100, own=200)
    spec = small_key_spec(max_rounds=1)
    low = Policy(min_rows=50)
    for name in TABLES:
        for error in train_all(tables, spec, {name: low}).values():
            with pytest.raises(PolicyError, match="the data owners' floor is 256"):
                raise error
    trainings = train_all(tables, spec, {ACTIVE: low, PASSIVE: low})
    for party in trainings[ACTIVE].report["parties"]:
        assert party["floors"] == {"rows": 50, "leverage": 0.5, "lowered": True}


def test_the_floor_follows_whoever_has_most_features() -> None:
    """The equations are as many as the features of the party that gets them, whoever asks for the rows."""
    random = np.random.default_rng(0)
    wide = random.standard_normal((len(TABLES[PASSIVE]), 31))
    names = tuple(f"bob {i}" for i in range(31))
    tables = TABLES | {PASSIVE: replace(TABLES[PASSIVE], features=names, values=wide)}
    low = {PASSIVE: Policy(min_rows=10, max_leverage=1.0)}
    for error in train_all(tables, small_key_spec(), low).values():
        with pytest.raises(PolicyError, match="the common rows: 300 rows, the data owners' floor is 310"):
            raise error


def test_rows_of_high_leverage_are_set_aside_by_both() -> None:
    alice = TABLES[ACTIVE]
    outlier = TABLES[PASSIVE].ids.index("row 5")
    values = TABLES[PASSIVE].values.copy()
    values[outlier] = 1e4
    tables = {ACTIVE: alice, PASSIVE: replace(TABLES[PASSIVE], values=values)}
    trainings = train_all(tables, small_key_spec(max_rounds=1), {PASSIVE: Policy(max_leverage=1.0)})
    for training in trainings.values():  # bob tolerates it; alice, whose label it would show him, does not
        assert training.report["aligned_rows"] == 300
        assert training.report["rows"] == 299
        assert "row 5" not in training.ids


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"policy": Policy(algorithms=frozenset())}, PolicyError, "algorithm linear-vl is not allowed"),
        ({"policy": Policy(requesters=frozenset())}, PolicyError, "requester lab is not among"),
        ({"table": TABLES[PASSIVE].keep(range(300))}, DataError, "300 rows, its file was published with 320"),
        ({"table": TABLES[ACTIVE]}, InputError, "bob is not the active party alice"),
    ],
)
def test_a_party_refuses_its_own_input_before_it_says_hello(change, error, message) -> None:
    tables = TABLES | {PASSIVE: change.get("table", TABLES[PASSIVE])}
    channels = memory_channels(tables)
    policies = {PASSIVE: change.get("policy", Policy())}
    outcome = train_all(tables, small_key_spec(), policies, channels, context=context_of(TABLES))
    assert_fails(outcome, PASSIVE, error, message)
    assert channels[PASSIVE].bytes_sent == 0


def test_label_must_be_there_and_of_the_right_kind() -> None:
    missing = TABLES | {ACTIVE: replace(TABLES[ACTIVE], label=None)}
    assert_fails(train_all(missing, small_key_spec()), ACTIVE, DataError, "has no label")
    logistic = small_key_spec(algorithm="logistic-vl")
    assert_fails(train_all(TABLES, logistic), ACTIVE, DataError, "must have two values for logistic")


def test_columns_and_labels_that_become_constant() -> None:
    alice, bob = TABLES[ACTIVE], TABLES[PASSIVE]
    common = np.array([int(row.split()[1]) < 300 for row in alice.ids])
    values = alice.values.copy()
    values[common, 1] = 1.0
    constant = {ACTIVE: replace(alice, values=values), PASSIVE: bob}
    assert_fails(
        train_all(constant, small_key_spec()), ACTIVE, DataError, "column 'alice 1' has the same value"
    )
    label = np.where(common, 1.0, 0.0)
    same = {ACTIVE: replace(alice, label=label), PASSIVE: bob}
    assert_fails(
        train_all(same, small_key_spec()), ACTIVE, DataError, "label 'y' has the same value in all 300"
    )


def test_divergence_is_told() -> None:
    outcome = train_all(TABLES, small_key_spec(learning_rate=50.0, max_rounds=100))
    assert any(
        isinstance(error, TaskError) and "training diverged" in str(error) for error in outcome.values()
    )
    assert all(isinstance(error, TaskError) for error in outcome.values())


def test_three_parties_equal_the_twin() -> None:
    carol = TABLES[PASSIVE].keep(range(5, 315))
    random = np.random.default_rng(5)
    carol = replace(
        carol, values=carol.values[:, :2] + random.standard_normal((310, 2)), features=("c 0", "c 1")
    )
    tables = TABLES | {"carol": carol}
    spec = small_key_spec(max_rounds=3)
    trainings = train_all(tables, spec)
    assert len({training.result for training in trainings.values()}) == 1
    assert trainings["carol"].ids == trainings[ACTIVE].ids
    assert set(trainings[ACTIVE].ids) == set(carol.ids) & set(TABLES[ACTIVE].ids)
    assert difference_to_twin(tables, spec, trainings) < 1e-5


def test_prediction_refuses_other_features_and_other_models() -> None:
    spec = small_key_spec(max_rounds=1)
    first = train_all(TABLES, spec)
    renamed = TABLES | {PASSIVE: replace(TABLES[PASSIVE], features=("a", "b", "c", "d"))}
    assert_fails(
        predict_all(renamed, first, spec), PASSIVE, DataError, "not those of the model: bob 0, bob 1"
    )
    second = train_all(TABLES, spec, context=context_of(TABLES, b"task 3"))
    outcome = predict_all(TABLES, {ACTIVE: first[ACTIVE], PASSIVE: second[PASSIVE]}, spec)
    for name in TABLES:
        with pytest.raises(PeerError, match="does not agree on the model of this task"):
            raise outcome[name]
    swapped = predict_all(TABLES, {ACTIVE: first[PASSIVE], PASSIVE: first[PASSIVE]}, spec)
    assert_fails(swapped, ACTIVE, InputError, "the model part is not the one of alice")


def test_parts_survive_storage_and_hide_their_contents() -> None:
    part = train_all(TABLES, small_key_spec(max_rounds=1))[ACTIVE].part
    assert ModelPart.from_bytes(part.to_bytes()) == part
    assert ModelPart.from_bytes(part.to_bytes()).commitment == part.commitment
    assert part.model_copy(update={"salt": "00" * 32}).commitment != part.commitment
    assert repr(part.weights[0]) not in repr(part)
    assert part.salt not in repr(part)
    assert repr(part.label.offset) not in repr(part)
    assert part.coefficients()["alice 0"] == part.weights[0] / part.moments.deviations[0]
    for broken in (
        b"",
        b"{}",
        part.to_bytes()[:-1],
        part.to_bytes().replace(b'"features":["alice 0",', b'"features":['),
    ):
        with pytest.raises(DataError, match="the stored model part is broken"):
            ModelPart.from_bytes(broken)


def test_parties_in_processes_of_their_own_find_the_same() -> None:
    spec = small_key_spec(max_rounds=3)
    secrets = {ACTIVE: b"a" * 32, PASSIVE: b"b" * 32}
    channels = memory_channels(TABLES)
    rounds: list[int] = []

    def program(name: str) -> Training:
        return run_in_process(
            partial(train, secret=secrets[name]),
            channels[name],
            ACTIVE,
            TABLES[name],
            spec,
            Policy(),
            context_of(TABLES),
            progress=(lambda step: rounds.append(step.rounds)) if name == ACTIVE else None,
        )

    isolated = run_parties({name: lambda name=name: program(name) for name in TABLES})
    threads = train_all(TABLES, spec, secrets=secrets)
    for name in TABLES:
        assert isolated[name].ids == threads[name].ids
        assert isolated[name].part.weights == pytest.approx(threads[name].part.weights, abs=1e-6)
    assert rounds == [1, 2, 3]
